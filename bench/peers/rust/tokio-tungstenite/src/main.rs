//! tokio-tungstenite: a task for each connection on a current-thread runtime, a broadcast channel of shared messages.
//!
//! `/sub` gets what a path that begins with `/pub` sends, `/echo` gets its own back. A subscriber feeds all messages that wait and flushes once.

use std::io;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::broadcast::{self, Sender, error::RecvError};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::{Error, Message, protocol::WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// As many connections as the comparison opens at once.
const BACKLOG: u32 = 4_096;

/// Messages a subscriber may be behind: several of the comparison's largest bursts.
const BEHIND_MAX: usize = 4_096;

/// The default is 128 KiB, allocated for every connection at once.
const READ_BUFFER_BYTES: usize = 4 * 1_024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| String::from("0"));
    let socket = TcpSocket::new_v4()?;
    socket.bind(format!("127.0.0.1:{port}").parse().map_err(io::Error::other)?)?;
    let listener = socket.listen(BACKLOG)?;
    println!("ready {}", listener.local_addr()?.port());
    let (messages, _) = broadcast::channel(BEHIND_MAX);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream, messages.clone()));
    }
}

/// An error ends the connection; nobody is told.
async fn serve(stream: TcpStream, messages: Sender<Message>) -> Result<(), Error> {
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
    let note_path = |request: &Request, response: Response| {
        path = request.uri().path().to_owned();
        Ok(response)
    };
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let socket = accept_hdr_async_with_config(stream, note_path, Some(config)).await?;
    match path.as_str() {
        "/echo" => echo(socket).await,
        path if path.starts_with("/pub") => publish(socket, messages).await,
        _ => subscribe(socket, messages).await,
    }
}

async fn publish(mut socket: WebSocketStream<TcpStream>, messages: Sender<Message>) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            // Nobody is subscribed: nobody gets it.
            let _ = messages.send(message);
        }
    }
    Ok(())
}

async fn echo(mut socket: WebSocketStream<TcpStream>) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn subscribe(mut socket: WebSocketStream<TcpStream>, messages: Sender<Message>) -> Result<(), Error> {
    let mut receiver = messages.subscribe();
    drop(messages);
    loop {
        tokio::select! {
            received = receiver.recv() => match received {
                Ok(message) => {
                    socket.feed(message).await?;
                    while let Ok(message) = receiver.try_recv() {
                        socket.feed(message).await?;
                    }
                    socket.flush().await?;
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
            incoming = socket.next() => match incoming {
                Some(message) => drop(message?),
                None => return Ok(()),
            },
        }
    }
}

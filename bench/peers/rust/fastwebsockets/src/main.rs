//! fastwebsockets: two tasks for each subscriber on a current-thread runtime, a broadcast channel of shared payloads.
//!
//! `/sub` gets what a path that begins with `/pub` sends, `/echo` gets its own back. The handshake is done by hand on the bare socket, as the crate's
//! documentation has it (`WebSocket::after_handshake`): cheaper than hyper's upgrade. Frames are written one by one: it
//! has no way to put several into one write.

use std::io;

use bytes::Bytes;
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role, WebSocket, WebSocketError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};
use tungstenite::handshake::derive_accept_key;

/// As many connections as the comparison opens at once.
const BACKLOG: u32 = 4_096;

/// Messages a subscriber may be behind: several of the comparison's largest bursts.
const BEHIND_MAX: usize = 4_096;

/// A request head.
const HEAD_BYTES_MAX: usize = 4 * 1_024;

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
async fn serve(mut stream: TcpStream, messages: Sender<Bytes>) -> Result<(), WebSocketError> {
    let path = upgrade(&mut stream).await?;
    let mut socket = WebSocket::after_handshake(stream, Role::Server);
    socket.set_auto_close(true);
    match path.as_str() {
        "/echo" => echo(FragmentCollector::new(socket)).await,
        path if path.starts_with("/pub") => publish(FragmentCollector::new(socket), messages).await,
        _ => subscribe(socket, messages.subscribe()).await,
    }
}

/// Reads the request head and answers it; returns its path.
async fn upgrade(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let key = head.lines().filter_map(|line| line.split_once(':'));
    let key = key.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")).map(|(_, key)| key.trim()).next();
    let accept = derive_accept_key(key.ok_or(io::ErrorKind::InvalidData)?.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    Ok(head.split([' ', '?']).nth(1).unwrap_or_default().to_owned())
}

async fn publish(mut socket: FragmentCollector<TcpStream>, messages: Sender<Bytes>) -> Result<(), WebSocketError> {
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => {
                // Nobody is subscribed: nobody gets it.
                let _ = messages.send(Bytes::from(frame.payload.to_vec()));
            }
            _ => {}
        }
    }
}

async fn echo(mut socket: FragmentCollector<TcpStream>) -> Result<(), WebSocketError> {
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn subscribe(socket: WebSocket<TcpStream>, mut messages: Receiver<Bytes>) -> Result<(), WebSocketError> {
    let (mut reader, mut writer) = socket.split(TcpStream::into_split);
    let writing = tokio::spawn(async move {
        loop {
            match messages.recv().await {
                Ok(message) => writer.write_frame(Frame::text(Payload::Borrowed(&message))).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok::<(), WebSocketError>(()),
            }
        }
    });
    let mut ignore = |_: Frame<'_>| async { Ok::<(), io::Error>(()) };
    while let Ok(frame) = reader.read_frame(&mut ignore).await {
        if frame.opcode == OpCode::Close {
            break;
        }
    }
    writing.abort();
    Ok(())
}

//! The first words of a connection: RESP3, who this is, which database.

use redis::{Cmd, ServerError, Value, cmd};

use super::access::Access;
use super::channel::Channel;
use super::error::{Fault, said};
use crate::relay::url::RedisUrl;

/// Who is spoken to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// One that keeps data: gets the credentials of the URL.
    Server,
    /// A sentinel: most ask for none, and those that do not would refuse them.
    Sentinel,
}

/// Says HELLO, and SELECT where it matters.
pub(super) fn greet(channel: &mut Channel, access: &Access, role: Role) -> Result<(), Fault> {
    let url = access.url();
    let mut answer = ask(channel, &hello(access, role == Role::Server))?;
    if role == Role::Sentinel && url.password.is_some() && code(&answer) == Some("NOAUTH") {
        answer = ask(channel, &hello(access, true))?;
    }
    check_version(&granted(answer, url)?)?;
    if role == Role::Server && url.db != 0 {
        granted(ask(channel, cmd("SELECT").arg(url.db))?, url)?;
    }
    Ok(())
}

fn hello(access: &Access, with_credentials: bool) -> Cmd {
    let mut hello = cmd("HELLO");
    hello.arg(3);
    let url = access.url();
    if let Some(password) = url.password.as_ref().filter(|_| with_credentials) {
        hello.arg("AUTH").arg(url.username.as_deref().unwrap_or("default")).arg(password.expose());
    }
    hello.arg("SETNAME").arg(access.name());
    hello
}

fn ask(channel: &mut Channel, command: &Cmd) -> Result<Value, Fault> {
    let sent = channel.write_all(&command.get_packed_command());
    let answer = channel.receive();
    match (sent, answer) {
        // Who is turned away in the middle of a handshake may still be told why.
        (Err(_), Err(told @ (Fault::Certificate(_) | Fault::Protocol(_)))) => Err(told),
        (Err(fault), _) => Err(fault),
        (Ok(()), answer) => answer,
    }
}

fn code(value: &Value) -> Option<&str> {
    match value {
        Value::ServerError(error) => Some(error.code()),
        _ => None,
    }
}

fn granted(answer: Value, url: &RedisUrl) -> Result<Value, Fault> {
    match answer {
        Value::ServerError(error) => Err(Fault::Refused(refusal(&error, url))),
        value => Ok(value),
    }
}

/// What Redis said, and what to do about it.
fn refusal(error: &ServerError, url: &RedisUrl) -> String {
    let said = said(error);
    let advice = match error.code() {
        "WRONGPASS" => "cluster.redis has the wrong user or password",
        "NOAUTH" if url.password.is_none() => "cluster.redis needs a password, as in redis://:PASSWORD@HOST",
        "NOAUTH" => "cluster.redis needs another user",
        "NOPROTO" => TOO_OLD,
        "ERR" if said.contains("unknown command") => TOO_OLD,
        "ERR" if said.contains("DB index") => "cluster.redis names a database that is not there",
        _ => return said,
    };
    format!("{said} ({advice})")
}

/// Sharded pub/sub, and functions of scripts, came with 7. Valkey says 7.2.4 there, or its own version, which is later.
fn check_version(hello: &Value) -> Result<(), Fault> {
    let version = match hello {
        Value::Map(fields) => fields.iter().find(|(key, _)| text(key) == Some("version")).and_then(|(_, it)| text(it)),
        _ => return Err(Fault::Protocol("it does not answer HELLO".into())),
    };
    let major = version.and_then(|version| version.split('.').next()).and_then(|major| major.parse::<u32>().ok());
    // One that hides its version is believed to be what it should.
    if major.is_none_or(|major| major >= 7) {
        return Ok(());
    }
    Err(Fault::Refused(format!("it is version {}: {TOO_OLD}", version.unwrap_or_default())))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

const TOO_OLD: &str = "epush needs Redis 7 or later, or Valkey";

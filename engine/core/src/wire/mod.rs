//! Bytes on the wire, each format in its file: parsers that never panic and encoders that never fail.

pub mod http;
pub mod native;
pub mod proxy;
pub mod websocket;

//! JSON as applications send it.

use epush_core::message::{ChannelName, Draft, Target};
use serde_json::value::RawValue;

/// A JSON object of this many bytes, of short fields as chat messages and prices have.
///
/// # Panics
/// Below 10 bytes.
#[must_use]
pub fn object(bytes: usize) -> String {
    const PAD: &str = r#""pad":""}"#;
    let mut json = String::from("{");
    for field in 0.. {
        let text = format!("\"field_{field}\":\"value {field}\",");
        if json.len() + text.len() + PAD.len() > bytes {
            break;
        }
        json += &text;
    }
    let pad = bytes - json.len() - PAD.len();
    json + &format!(r#""pad":"{}"}}"#, "x".repeat(pad))
}

/// A message of [`object`] to the channel, before it is encoded.
///
/// # Panics
/// Below 10 bytes.
#[must_use]
pub fn draft(channel: &ChannelName, bytes: usize) -> Draft {
    let data = RawValue::from_string(object(bytes)).expect("an object is JSON");
    Draft::new(Target::Channels(vec![channel.clone()]), data)
}

/// The frame of a client that publishes [`object`] of this many bytes.
///
/// # Panics
/// Below 10 bytes.
#[must_use]
pub fn publish_command(bytes: usize) -> String {
    format!(r#"{{"op":"publish","id":4,"channel":"room.7","type":"chat","data":{}}}"#, object(bytes))
}

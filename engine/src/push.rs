//! The body of `epush push`: a target and a payload to a request of the control API.
//!
//! Knows the API's field names; sends nothing.

use std::io::Read;

use serde::Serialize;
use serde_json::value::RawValue;

/// A push as `POST /v1/push` takes it.
#[derive(Debug, Serialize)]
pub struct Push {
    /// Who gets it.
    pub to: Target,
    /// The message's type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The module it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The payload, untouched.
    pub data: Box<RawValue>,
}

/// Who gets a push.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// These users.
    Users(Vec<String>),
    /// The subscribers of these channels.
    Channels(Vec<String>),
    /// Every session; always `true`.
    All(bool),
}

/// Where a payload is.
#[derive(Debug)]
pub enum Payload {
    /// In the argument itself.
    Json(String),
    /// In this file.
    File(String),
    /// On standard input.
    Stdin,
}

impl Payload {
    /// What the value of `--data` means.
    pub fn of_argument(argument: String) -> Self {
        match argument.strip_prefix('@') {
            Some(path) => Self::File(path.into()),
            None if argument == "-" => Self::Stdin,
            None => Self::Json(argument),
        }
    }

    /// The payload, which must be one JSON value.
    pub fn read(self, stdin: &mut dyn Read) -> Result<Box<RawValue>, String> {
        let (name, text) = match self {
            Self::Json(text) => ("--data".to_owned(), Ok(text)),
            Self::File(path) => (path.clone(), std::fs::read_to_string(path)),
            Self::Stdin => ("stdin".to_owned(), std::io::read_to_string(stdin)),
        };
        let text = text.map_err(|why| format!("{name}: {why}"))?;
        serde_json::from_str(&text).map_err(|why| format!("{name}: not JSON: {why}"))
    }
}

//! Every fixed bound of the core, with its reason. Bounds an operator may move are in [`crate::settings`].
//!
//! Knows nothing of who enforces them.

/// Bytes of one HTTP request head: what nginx and Apache allow by default, cookies included.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Header lines of one request: more is a probe, not a browser (Chromium sends under 20).
pub const HEADERS_MAX: usize = 64;

/// Bytes of a channel name (CONTRACT: 1–128).
pub const CHANNEL_NAME_BYTES_MAX: usize = 128;

/// Bytes of a user name: e-mail addresses and the subject URLs of identity providers fit.
pub const USER_NAME_BYTES_MAX: usize = 256;

/// Bytes of a message type, module, job name or publication id: words, not payloads.
pub const WORD_BYTES_MAX: usize = 128;

/// Users one `send` or one API push may address: bounds the encoding work of a single request.
pub const USERS_PER_PUSH_MAX: usize = 10_000;

/// Channels one API push may address: as for users.
pub const CHANNELS_PER_PUSH_MAX: usize = 1_000;

/// Payload of a control frame (RFC 6455 §5.5).
pub const CONTROL_PAYLOAD_BYTES_MAX: usize = 125;

/// Bytes of JSON the attributes of a session may take: they are kept for every connection.
pub const ATTRIBUTES_BYTES_MAX: usize = 4 * 1024;

/// How deep the JSON that is passed on may be nested: serde_json and others stop there, and the next client's parser may
/// have no bound of its own.
pub const DATA_DEPTH_MAX: usize = 128;

/// Users an answer about a channel's members names; the count beside them is of all.
pub const MEMBERS_MAX: usize = 1_000;

/// Messages of one channel joined into one shared batch: 64 in a write cost 0.1 µs each, and more gain little.
pub const BATCH_MESSAGES_MAX: usize = 64;

/// Bytes joined into one shared batch: 64 messages of 1 KiB, each with up to 256 bytes around it, and still less than the
/// 85 KiB that a socket's send buffer has at first (ten segments of Ethernet, as the kernel accounts for them).
///
/// A single larger message is a batch of its own.
pub const BATCH_BYTES_MAX: usize = 80 * 1024;

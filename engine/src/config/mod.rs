//! The configuration: sections and defaults, the layers they come from, and what makes them valid.
//!
//! Knows nothing of what the engine does with it.

mod check;
mod environment;
mod error;
mod file;
mod keys_file;
mod layers;
mod near;
mod path;
mod print;
mod reload;
mod section;
mod sections;
mod settings;
mod template;
mod value;
mod words;

pub use environment::CONFIG_VARIABLE;
pub use error::{ConfigError, ConfigErrors};
pub use layers::{Layers, Loaded};
pub use reload::Reload;
pub use sections::{
    ApiConfig, AuthConfig, ChannelsConfig, ClusterConfig, Config, DrainConfig, JobConfig, LimitsConfig, LogConfig,
    SendConfig, ServerConfig, SessionsConfig, WebhookConfig,
};
pub use template::TemplateValue;
pub use value::Secret;
pub use words::{Algorithm, AuthMode, LogFormat, LogLevel};

//! What a section of the configuration can do, and the macro that writes sections.
//!
//! Knows no section.

use super::value::Input;

/// A table of the configuration, read and written by the names of its keys.
pub(crate) trait Section {
    /// Its keys, in the order of the reference file.
    fn keys(&self) -> &'static [&'static str];

    /// Sets one key. `None`: there is no such key.
    fn set(&mut self, key: &str, input: &Input) -> Option<Result<(), String>>;

    /// One key's value, secrets included.
    fn value(&self, key: &str) -> Option<toml::Value>;

    /// One key's value for people to see.
    fn masked_value(&self, key: &str) -> Option<toml::Value>;
}

/// A section: its struct, its defaults, and its [`Section`], from one list of keys.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* pub $key:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Debug)]
        pub struct $name {
            $($(#[$doc])* pub $key: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $crate::config::section::Section for $name {
            fn keys(&self) -> &'static [&'static str] {
                &[$(stringify!($key)),*]
            }

            fn set(&mut self, key: &str, input: &$crate::config::value::Input) -> Option<Result<(), String>> {
                Some(match key {
                    $(stringify!($key) => $crate::config::value::Value::read(input).map(|value| self.$key = value),)*
                    _ => return None,
                })
            }

            fn value(&self, key: &str) -> Option<toml::Value> {
                Some(match key {
                    $(stringify!($key) => $crate::config::value::Value::to_toml(&self.$key),)*
                    _ => return None,
                })
            }

            fn masked_value(&self, key: &str) -> Option<toml::Value> {
                Some(match key {
                    $(stringify!($key) => $crate::config::value::Value::to_masked_toml(&self.$key),)*
                    _ => return None,
                })
            }
        }
    };
}
pub(crate) use section;

//! The configuration in force, as TOML.
//!
//! What is printed can be read again, but for the secrets.

use std::fmt::Write;

use super::sections::Config;

impl Config {
    /// Every key with its value in force, as a TOML file. Secrets are `***`.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for path in self.tables() {
            let table = self.table(&path).expect("tables lists those that exist");
            let gap = if text.is_empty() { "" } else { "\n" };
            let name = path.name.as_ref().map(|name| format!(".{}", key_text(name))).unwrap_or_default();
            writeln!(text, "{gap}[{}{name}]", path.section).expect("a String takes all");
            for key in table.keys() {
                let value = table.masked_value(key).expect("keys lists those that exist");
                writeln!(text, "{key} = {value}").expect("a String takes all");
            }
        }
        text
    }
}

/// A key as TOML writes it: bare where that is allowed, else a basic string, whose escapes are those of JSON and DEL.
fn key_text(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if bare { key.into() } else { serde_json::Value::from(key).to_string().replace('\x7f', "\\u007F") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_quoted_where_it_must_be() {
        for (key, text) in
            [("a-b_1", "a-b_1"), ("a.b", "\"a.b\""), ("'\\", "\"'\\\\\""), ("\x7f", "\"\\u007F\""), ("", "\"\"")]
        {
            assert_eq!(key_text(key), text);
        }
    }
}

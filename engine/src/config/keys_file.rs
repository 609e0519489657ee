//! The API keys, those of the file among them.

use std::io;

use super::sections::ApiConfig;
use super::value::Secret;

impl ApiConfig {
    /// All keys: those of the configuration and those of `keys_file`, one a line; empty lines and `#` lines are skipped.
    ///
    /// # Errors
    /// The file cannot be read, holds no key, or a line is not visible ASCII. The message names the file and the
    /// line, and no key.
    pub fn read_keys(&self) -> io::Result<Vec<Secret>> {
        let mut keys = self.keys.clone();
        let Some(path) = &self.keys_file else {
            return Ok(keys);
        };
        let named = |why: &str| format!("api.keys_file: {}: {why}", path.display());
        let text = std::fs::read_to_string(path).map_err(|why| io::Error::new(why.kind(), named(&why.to_string())))?;
        let read = parse(&text).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, named(&why)))?;
        keys.extend(read);
        Ok(keys)
    }
}

fn parse(text: &str) -> Result<Vec<Secret>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let mut keys = Vec::new();
    for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        if !line.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("line {} is not visible ASCII", at + 1));
        }
        keys.push(Secret::new(line));
    }
    // An empty file would leave the API open where keys were meant.
    if keys.is_empty() { Err("holds no key".into()) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn keys_come_from_the_config_and_the_file() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "# the billing service\nbilling-1\n\n  shop-2  ").expect("written");
        let mut api = ApiConfig { keys: vec![Secret::new("inline")], ..ApiConfig::default() };
        assert_eq!(api.read_keys().expect("keys"), [Secret::new("inline")]);
        api.keys_file = Some(file.path().into());
        let keys = api.read_keys().expect("keys");
        assert_eq!(keys, ["inline", "billing-1", "shop-2"].map(Secret::new));
    }

    #[test]
    fn a_keys_file_without_keys_is_an_error() {
        assert_eq!(parse("# nothing\n\n"), Err("holds no key".into()));
        assert_eq!(parse("good\nnot good\n"), Err("line 2 is not visible ASCII".into()));
        let api = ApiConfig { keys_file: Some("/nonexistent/keys".into()), ..ApiConfig::default() };
        let why = api.read_keys().expect_err("no file").to_string();
        assert!(why.starts_with("api.keys_file: /nonexistent/keys: "), "{why}");
    }
}

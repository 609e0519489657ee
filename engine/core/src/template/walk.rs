//! A walk over JSON text from object to object, which knows the path to each.
//!
//! The text is valid JSON, which is why the walk only tells strings and brackets apart. Must not know what is looked for.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::TemplateError;

/// Objects and arrays around an object: as deep as serde_json lets its readers go.
const DEPTH_MAX: usize = 128;

/// Where the walk is, and what lies around it.
pub(super) struct Walk<'a> {
    json: &'a str,
    /// The byte that is looked at next.
    at: usize,
    /// Outermost first. Invariant: at most [`DEPTH_MAX`].
    around: Vec<Container<'a>>,
}

#[derive(Clone, Copy)]
enum Container<'a> {
    /// An object, and the string seen last in it, quotes included: the key, once its value begins.
    Object { key: &'a str },
    /// An array, and how many items came before.
    Array { index: usize },
}

impl<'a> Walk<'a> {
    pub(super) const fn new(json: &'a str) -> Self {
        Self { json, at: 0, around: Vec::new() }
    }

    /// The start of the next object. The walk waits there for [`Walk::enter`] or [`Walk::jump`].
    pub(super) fn next_object(&mut self) -> Result<Option<usize>, TemplateError> {
        while let Some(&byte) = self.json.as_bytes().get(self.at) {
            match byte {
                b'{' => return Ok(Some(self.at)),
                b'[' => self.open(Container::Array { index: 0 })?,
                b'}' | b']' => {
                    self.around.pop();
                }
                b',' => {
                    if let Some(Container::Array { index }) = self.around.last_mut() {
                        *index += 1;
                    }
                }
                b'"' => self.skip_string(),
                _ => {}
            }
            self.at += 1;
        }
        Ok(None)
    }

    /// Goes into the object the walk stands before.
    pub(super) fn enter(&mut self) -> Result<(), TemplateError> {
        self.open(Container::Object { key: "\"\"" })?;
        self.at += 1;
        Ok(())
    }

    /// Goes on at this byte, after the object the walk stands before.
    pub(super) const fn jump(&mut self, at: usize) {
        self.at = at;
    }

    /// An error that names the path to where the walk stands.
    pub(super) fn error(&self, message: &'static str) -> TemplateError {
        let mut path = String::new();
        for container in &self.around {
            match container {
                Container::Object { key } if path.is_empty() => path.push_str(&unquote(key)),
                Container::Object { key } => path.extend([".", &*unquote(key)]),
                Container::Array { index } => write!(path, "[{index}]").expect("a String takes every write"),
            }
        }
        TemplateError { path, message }
    }

    fn open(&mut self, container: Container<'a>) -> Result<(), TemplateError> {
        if self.around.len() == DEPTH_MAX {
            return Err(TemplateError { path: String::new(), message: "nested deeper than 128" });
        }
        self.around.push(container);
        Ok(())
    }

    /// To the closing quote of the string that begins here.
    fn skip_string(&mut self) {
        let string = string_at(&self.json[self.at..]);
        // A string that is a value passes for a key until the next key comes, and no object begins between the two.
        if let Some(Container::Object { key }) = self.around.last_mut() {
            *key = string;
        }
        self.at += string.len() - 1;
    }
}

/// The string at the start of the text, both quotes included.
pub(super) fn string_at(json: &str) -> &str {
    let bytes = json.as_bytes();
    let mut end = 1;
    while bytes.get(end).is_some_and(|&byte| byte != b'"') {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    &json[..(end + 1).min(json.len())]
}

/// What a string with its quotes says, or as it is written where its escapes are no characters.
pub(super) fn unquote(string: &str) -> Cow<'_, str> {
    let inner = &string[1..string.len() - 1];
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str(string).map_or(Cow::Borrowed(inner), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_ends_at_the_first_quote_that_is_not_escaped() {
        assert_eq!(string_at(r#""a\"b\\",1"#), r#""a\"b\\""#);
        assert_eq!(string_at(r#""":"#), r#""""#);
    }

    #[test]
    fn every_object_is_met_once_with_its_path() {
        let json = r#" {"a":[1,{"b":"{","c":[[{}]]}],"d\n":{}} "#;
        let mut walk = Walk::new(json);
        let mut paths = Vec::new();
        while walk.next_object().expect("shallow").is_some() {
            paths.push(walk.error("").path);
            walk.enter().expect("shallow");
        }
        assert_eq!(paths, ["", "a[1]", "a[1].c[0][0]", "d\n"]);
    }
}

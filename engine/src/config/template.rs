//! The template of a job as the configuration holds it: a TOML value that can be JSON.
//!
//! What `{"$time":"ms"}` and its like mean is `epush_core`'s to know.

use epush_core::template::Template;
use serde_json::value::RawValue;

use super::value::Value;

/// A value of the configuration that is pushed as JSON.
#[derive(Clone, PartialEq, Debug)]
pub struct TemplateValue {
    /// Invariant: holds no date and no number that JSON does not have.
    value: toml::Value,
}

impl Default for TemplateValue {
    fn default() -> Self {
        Self { value: toml::Value::Table(toml::Table::new()) }
    }
}

impl TemplateValue {
    /// The template that this JSON text is.
    ///
    /// # Errors
    /// A sentence, when the text is no JSON or contains `null`, which TOML has not.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let value = serde_json::from_str(json).map_err(|why| format!("not JSON: {why}"))?;
        toml_of(value).map(|value| Self { value })
    }

    /// The template as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.value).expect("strings, finite numbers, arrays and tables are JSON")
    }
}

impl Value for TemplateValue {
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        fit_for_json(value.clone()).map(|value| Self { value })
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if let Ok(template) = Self::from_json(text) {
            return Ok(template);
        }
        match text.parse() {
            Ok(value) => Self::from_toml(&value),
            Err(_) => Err("expected JSON without null, or a TOML value".into()),
        }
    }

    fn to_toml(&self) -> toml::Value {
        self.value.clone()
    }
}

/// Whether it is a template: what it means at a tick is read once, by the core.
pub(crate) fn check(template: &TemplateValue) -> Result<(), String> {
    let json = RawValue::from_string(template.to_json()).map_err(|why| why.to_string())?;
    Template::parse(&json).map(drop).map_err(|error| match &*error.path {
        "" => error.message.to_owned(),
        path => format!("at {path}: {}", error.message),
    })
}

/// Dates become strings: JSON has none.
fn fit_for_json(value: toml::Value) -> Result<toml::Value, String> {
    Ok(match value {
        toml::Value::Datetime(date) => toml::Value::String(date.to_string()),
        toml::Value::Float(number) if !number.is_finite() => return Err("JSON has no nan and no inf".into()),
        toml::Value::Array(items) => items.into_iter().map(fit_for_json).collect::<Result<Vec<_>, _>>()?.into(),
        toml::Value::Table(table) => {
            let fit = |(key, value)| fit_for_json(value).map(|value| (key, value));
            toml::Value::Table(table.into_iter().map(fit).collect::<Result<_, _>>()?)
        }
        other => other,
    })
}

fn toml_of(value: serde_json::Value) -> Result<toml::Value, String> {
    toml::Value::try_from(value).map_err(|_| "null and numbers over 2^63-1 cannot be in a template".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_comes_from_json_or_toml_text() {
        let json = TemplateValue::from_text(r#"{"time":{"$time":"ms"}}"#).expect("JSON");
        let toml = TemplateValue::from_text(r#"{ time = { "$time" = "ms" } }"#).expect("TOML");
        assert_eq!(json, toml);
        assert_eq!(json.to_json(), r#"{"time":{"$time":"ms"}}"#);
        assert!(TemplateValue::from_text("{").is_err());
        assert!(TemplateValue::from_text(r#"{"a":null}"#).is_err());
    }

    #[test]
    fn dates_become_strings_and_endless_numbers_are_refused() {
        let date = TemplateValue::from_text("{ day = 2026-11-21 }").expect("TOML");
        assert_eq!(date.to_json(), r#"{"day":"2026-11-21"}"#);
        assert_eq!(TemplateValue::from_text("[inf]"), Err("JSON has no nan and no inf".into()));
    }
}

//! A scenario without its secrets: results are shown around, keys are not.
//!
//! Hidden are values of header lines and of URL parameters whose names say that they let somebody in, and passwords in URLs.

use std::collections::BTreeMap;

use crate::dialect::Dialect;
use crate::scenario::Scenario;

/// What stands for a secret.
const HIDDEN: &str = "(hidden)";

/// Parts of names of what lets somebody in.
const TELLTALES: [&str; 8] = ["auth", "cookie", "token", "secret", "passw", "key", "signature", "credential"];

/// The same scenario, to be shown to anybody.
#[must_use]
pub fn hidden(scenario: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    let target = &mut scenario.target;
    target.url = url(&target.url);
    target.api = target.api.as_deref().map(url);
    target.metrics = target.metrics.as_deref().map(url);
    headers(&mut target.headers);
    if let Some(dialect) = &mut scenario.dialect {
        words(dialect);
    }
    scenario
}

fn words(dialect: &mut Dialect) {
    dialect.path = url(&dialect.path);
    headers(&mut dialect.headers);
    if let Some(http) = &mut dialect.http {
        http.path = url(&http.path);
        http.path_all = url(&http.path_all);
        http.path_user = url(&http.path_user);
        headers(&mut http.headers);
    }
}

fn headers(headers: &mut BTreeMap<String, String>) {
    for (name, value) in headers {
        // The handshake's own header lines say nothing secret, for all that one of them is called a key.
        if tells(name) && !name.eq_ignore_ascii_case("sec-websocket-key") {
            HIDDEN.clone_into(value);
        }
    }
}

/// A URL, or a path with a query.
fn url(url: &str) -> String {
    let (before, query) = url.split_once('?').map_or((url, None), |(before, query)| (before, Some(query)));
    let before = without_password(before);
    let Some(query) = query else { return before };
    let parameters: Vec<String> = query.split('&').map(parameter).collect();
    format!("{before}?{}", parameters.join("&"))
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{HIDDEN}@{host}{path}"),
        None => url.to_owned(),
    }
}

fn parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        // `{user}` and the like is filled in later: no secret.
        Some((name, value)) if tells(name) && !value.contains('{') => format!("{name}={HIDDEN}"),
        _ => parameter.to_owned(),
    }
}

fn tells(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLTALES.iter().any(|telltale| name.contains(telltale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample_outcome;

    #[test]
    fn what_lets_somebody_in_is_hidden() {
        let mut scenario = sample_outcome::scenario();
        scenario.target.url = "wss://me:pass@host:1/x?access_token=abc&user={user}".to_owned();
        scenario.target.api = Some("https://host/v1?api_key=k1".to_owned());
        scenario.target.headers.insert("Authorization".to_owned(), "Bearer k2".to_owned());
        scenario.target.headers.insert("Accept".to_owned(), "text/plain".to_owned());
        let dialect = scenario.dialect.insert(Dialect::default());
        dialect.headers.insert("X-Api-Key".to_owned(), "k3".to_owned());
        dialect.http = Some(crate::dialect::HttpPublish {
            headers: [("Cookie".to_owned(), "k4".to_owned())].into(),
            ..Default::default()
        });
        let shown = hidden(&scenario);
        assert_eq!(shown.target.url, "wss://(hidden)@host:1/x?access_token=(hidden)&user={user}");
        assert_eq!(shown.target.headers["Accept"], "text/plain");
        let text = serde_json::to_string(&shown).expect("JSON");
        for secret in ["pass@", "abc", "k1", "k2", "k3", "k4"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }

    #[test]
    fn a_scenario_without_secrets_stays_as_it_is() {
        let scenario = sample_outcome::scenario();
        assert_eq!(hidden(&scenario), scenario);
    }
}

//! What the claims of a token say: until when it holds, for whom it is, and who the session is.
//!
//! Knows nothing of signatures.

use std::collections::BTreeMap;

use epush_core::error::Refusal;
use epush_core::limits::ATTRIBUTES_BYTES_MAX;
use epush_core::mail::Identity;
use epush_core::message::{ChannelName, UserName};
use serde_json::value::{RawValue, to_raw_value};

use super::unauthorized;

/// The claims of a token, each as its JSON text: what we pass on stays as it was signed.
pub(super) type Claims = BTreeMap<String, Box<RawValue>>;

/// Claims with a meaning of their own, which are no attributes of the session (RFC 7519 §4.1, and `channels`).
const STANDARD_CLAIMS: [&str; 8] = ["aud", "channels", "exp", "iat", "iss", "jti", "nbf", "sub"];

/// What the configuration asks of claims.
pub(super) struct ClaimRules {
    issuer: Option<String>,
    audience: Option<String>,
    leeway_ms: u64,
}

impl ClaimRules {
    pub fn new(issuer: &str, audience: &str, leeway_seconds: u64) -> Self {
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self { issuer: set(issuer), audience: set(audience), leeway_ms: leeway_seconds.saturating_mul(1_000) }
    }

    /// The identity the claims give their bearer now.
    pub fn identify(&self, mut claims: Claims, now_unix_ms: u64) -> Result<Identity, Refusal> {
        let expires_unix_ms = self.check_time(&claims, now_unix_ms)?;
        self.check_parties(&claims)?;
        let Some(subject) = claims.get("sub") else {
            return Err(unauthorized("the token has no \"sub\""));
        };
        let Some(user) = user_of(subject) else {
            return Err(unauthorized("the token's \"sub\" is not a user's name"));
        };
        let channels = match claims.get("channels") {
            Some(list) => channels_of(list)
                .ok_or_else(|| unauthorized("the token's \"channels\" is not a list of channel names"))?,
            None => Vec::new(),
        };
        claims.retain(|name, _| !STANDARD_CLAIMS.contains(&name.as_str()));
        let attributes = attributes_of(&claims)?;
        Ok(Identity { user: Some(user), attributes, channels, expires_unix_ms, must_sign_in: false })
    }

    /// Checks `nbf` and `exp`; the time from which the token no longer holds.
    fn check_time(&self, claims: &Claims, now_unix_ms: u64) -> Result<Option<u64>, Refusal> {
        if let Some(not_before) = claims.get("nbf") {
            let not_before = unix_ms(not_before).ok_or_else(|| unauthorized("the token's \"nbf\" is not a time"))?;
            if now_unix_ms.saturating_add(self.leeway_ms) < not_before {
                return Err(unauthorized("the token is not valid yet"));
            }
        }
        let Some(expires) = claims.get("exp") else { return Ok(None) };
        let expires = unix_ms(expires).ok_or_else(|| unauthorized("the token's \"exp\" is not a time"))?;
        let expires = expires.saturating_add(self.leeway_ms);
        // RFC 7519 §4.1.4: "on or after which the JWT MUST NOT be accepted".
        if now_unix_ms >= expires {
            return Err(unauthorized("the token has expired"));
        }
        Ok(Some(expires))
    }

    /// Checks `iss` and `aud`, where the configuration names them: then they are required.
    fn check_parties(&self, claims: &Claims) -> Result<(), Refusal> {
        if let Some(issuer) = &self.issuer
            && !claims.get("iss").is_some_and(|claim| is_text(claim, issuer))
        {
            return Err(unauthorized("the token is from another issuer"));
        }
        if let Some(audience) = &self.audience
            && !claims.get("aud").is_some_and(|claim| is_text(claim, audience) || lists(claim, audience))
        {
            return Err(unauthorized("the token is for another audience"));
        }
        Ok(())
    }
}

fn is_text(claim: &RawValue, wanted: &str) -> bool {
    serde_json::from_str::<String>(claim.get()).is_ok_and(|text| text == wanted)
}

fn lists(claim: &RawValue, wanted: &str) -> bool {
    serde_json::from_str::<Vec<String>>(claim.get()).is_ok_and(|all| all.iter().any(|text| text == wanted))
}

/// A NumericDate of RFC 7519 §2, which may have a fraction, in ms. What is too far away counts as never.
fn unix_ms(claim: &RawValue) -> Option<u64> {
    let seconds: f64 = serde_json::from_str(claim.get()).ok()?;
    // `as` between these types keeps to the bounds of u64, which is what a time far off means.
    Some((seconds * 1_000.0) as u64)
}

fn attributes_of(claims: &Claims) -> Result<Option<Box<RawValue>>, Refusal> {
    if claims.is_empty() {
        return Ok(None);
    }
    let attributes = to_raw_value(claims).expect("names and JSON texts always make an object");
    if attributes.get().len() > ATTRIBUTES_BYTES_MAX {
        return Err(unauthorized("the token's own claims take more than 4096 bytes"));
    }
    Ok(Some(attributes))
}

/// The user's name in a JSON text or integer.
pub(crate) fn user_of(name: &RawValue) -> Option<UserName> {
    let text = name.get();
    match text.parse::<i128>() {
        Ok(number) => UserName::parse(&number.to_string()),
        Err(_) => UserName::parse(&serde_json::from_str::<String>(text).ok()?),
    }
}

/// The channels in a JSON list of their names.
pub(crate) fn channels_of(list: &RawValue) -> Option<Vec<ChannelName>> {
    let names: Vec<String> = serde_json::from_str(list.get()).ok()?;
    names.iter().map(|name| ChannelName::parse(name)).collect()
}

/// The value, if it is a JSON object that fits a session's attributes.
pub(crate) fn object_of(value: Box<RawValue>) -> Option<Box<RawValue>> {
    let fits = value.get().starts_with('{') && value.get().len() <= ATTRIBUTES_BYTES_MAX;
    fits.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn identify_by(rules: &ClaimRules, json: &str) -> Result<Identity, Refusal> {
        rules.identify(serde_json::from_str(json).expect("test JSON"), NOW)
    }

    fn identify(json: &str) -> Result<Identity, Refusal> {
        identify_by(&ClaimRules::new("", "", 0), json)
    }

    fn why(outcome: Result<Identity, Refusal>) -> String {
        outcome.expect_err("a refusal").message.into_owned()
    }

    fn user(json: &str) -> String {
        identify(json).expect("an identity").user.expect("a user").to_string()
    }

    #[test]
    fn the_subject_is_the_user_as_text_or_integer() {
        assert_eq!(user(r#"{"sub":"42"}"#), "42");
        assert_eq!(user(r#"{"sub":42}"#), "42");
        assert_eq!(user(r#"{"sub":"auth0|\u00e9"}"#), "auth0|é");
        assert_eq!(user(r#"{"sub":18446744073709551615}"#), "18446744073709551615");
    }

    #[test]
    fn a_token_without_a_usable_subject_signs_nobody_in() {
        for json in [r#"{}"#, r#"{"sub":null}"#, r#"{"sub":""}"#, r#"{"sub":1.5}"#, r#"{"sub":["a"]}"#] {
            identify(json).expect_err(json);
        }
        identify(&format!(r#"{{"sub":"{}"}}"#, "x".repeat(257))).expect_err("too long");
        identify(r#"{"sub":"a\nb"}"#).expect_err("a control character");
    }

    #[test]
    fn a_token_ends_at_its_expiry_and_not_before() {
        let at = |seconds: &str| identify(&format!(r#"{{"sub":"1","exp":{seconds}}}"#));
        assert_eq!(at("1800000000.5").expect("valid").expires_unix_ms, Some(NOW + 500));
        assert_eq!(at("1e300").expect("valid").expires_unix_ms, Some(u64::MAX));
        for over in ["1800000000", "1799999999.9", "0", "-1"] {
            assert_eq!(why(at(over)), "the token has expired", "{over}");
        }
        for odd in ["\"1900000000\"", "null", "[1]"] {
            assert_eq!(why(at(odd)), "the token's \"exp\" is not a time", "{odd}");
        }
        assert_eq!(identify(r#"{"sub":"1"}"#).expect("valid").expires_unix_ms, None);
    }

    #[test]
    fn a_token_does_not_hold_before_its_time() {
        let at = |seconds: &str| identify(&format!(r#"{{"sub":"1","nbf":{seconds}}}"#));
        at("1800000000").expect("its time has come");
        assert_eq!(why(at("1800000000.001")), "the token is not valid yet");
        assert_eq!(why(at("{}")), "the token's \"nbf\" is not a time");
    }

    #[test]
    fn the_leeway_widens_both_ends() {
        let rules = ClaimRules::new("", "", 10);
        let identity = identify_by(&rules, r#"{"sub":"1","exp":1799999991,"nbf":1800000010}"#).expect("within");
        assert_eq!(identity.expires_unix_ms, Some(NOW + 1_000));
        identify_by(&rules, r#"{"sub":"1","exp":1799999990}"#).expect_err("over");
        identify_by(&rules, r#"{"sub":"1","nbf":1800000011}"#).expect_err("too early");
        identify_by(&ClaimRules::new("", "", u64::MAX), r#"{"sub":"1","exp":1}"#).expect("no overflow");
    }

    #[test]
    fn issuer_and_audience_are_required_where_they_are_configured() {
        let rules = ClaimRules::new("https://id", "epush", 0);
        let allowed = [r#""iss":"https://id","aud":"epush""#, r#""iss":"https://id","aud":["web","epush"]"#];
        for claims in allowed {
            identify_by(&rules, &format!(r#"{{"sub":"1",{claims}}}"#)).expect(claims);
        }
        for (claims, expected) in [
            (r#""aud":"epush""#, "the token is from another issuer"),
            (r#""iss":"https://id.evil","aud":"epush""#, "the token is from another issuer"),
            (r#""iss":["https://id"],"aud":"epush""#, "the token is from another issuer"),
            (r#""iss":7,"aud":"epush""#, "the token is from another issuer"),
            (r#""iss":"https://id""#, "the token is for another audience"),
            (r#""iss":"https://id","aud":"epush2""#, "the token is for another audience"),
            (r#""iss":"https://id","aud":[]"#, "the token is for another audience"),
        ] {
            assert_eq!(why(identify_by(&rules, &format!(r#"{{"sub":"1",{claims}}}"#))), expected, "{claims}");
        }
    }

    #[test]
    fn where_no_audience_is_configured_any_will_do() {
        identify(r#"{"sub":"1","aud":"somebody","iss":"somebody"}"#).expect("not our question");
    }

    #[test]
    fn channels_are_parsed_or_the_token_is_refused() {
        let identity = identify(r#"{"sub":"1","channels":["news","room.7"]}"#).expect("valid");
        let names: Vec<_> = identity.channels.iter().map(ChannelName::as_str).collect();
        assert_eq!(names, ["news", "room.7"]);
        for list in [r#""news""#, r#"["a b"]"#, "[7]", "null"] {
            identify(&format!(r#"{{"sub":"1","channels":{list}}}"#)).expect_err(list);
        }
    }

    #[test]
    fn every_other_claim_becomes_an_attribute_as_it_was_signed() {
        let json = r#"{"sub":"1","iat":1,"jti":"x","iss":"i","aud":"a","plan":"gold","n":12345678901234567890.10}"#;
        let attributes = identify(json).expect("valid").attributes.expect("some");
        assert_eq!(attributes.get(), r#"{"n":12345678901234567890.10,"plan":"gold"}"#);
        assert!(identify(r#"{"sub":"1"}"#).expect("valid").attributes.is_none());
    }

    #[test]
    fn attributes_over_the_limit_are_refused() {
        let claims = |bytes: usize| format!(r#"{{"sub":"1","a":"{}"}}"#, "x".repeat(bytes));
        identify(&claims(ATTRIBUTES_BYTES_MAX - 8)).expect("just fits");
        assert_eq!(
            why(identify(&claims(ATTRIBUTES_BYTES_MAX - 7))),
            "the token's own claims take more than 4096 bytes"
        );
    }
}

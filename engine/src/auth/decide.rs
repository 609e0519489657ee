//! The rule of the handshake: token, claimed user and mode make an identity or a refusal.
//!
//! Knows nothing of how a token is checked.

use epush_core::effect::Handshake;
use epush_core::error::{ErrorCode, Refusal};
use epush_core::mail::{Identity, Verdict};

use super::{Auth, unauthorized};
use crate::config::AuthMode;

impl Auth {
    /// Decides about a handshake. A token comes first, and a user named beside it must be its subject; without one,
    /// the mode says what a name is worth.
    ///
    /// In webhook mode an acceptance is only what the webhook continues from ([`Auth::asks_webhook`]): its user is
    /// the checked token's or none, never one the client merely claims.
    ///
    /// A token is left alone where no key is configured: it may be meant for somebody else, a webhook for example.
    #[must_use]
    pub fn decide(&self, handshake: &Handshake, now_unix_ms: u64) -> Verdict {
        verdict(self.identity_of(handshake, now_unix_ms))
    }

    /// Decides about the token of a `hello` frame.
    #[must_use]
    pub fn hello(&self, token: &str, now_unix_ms: u64) -> Verdict {
        if !self.has_keys() {
            return verdict(Err(unauthorized("this engine checks no tokens")));
        }
        verdict(self.verify(token, now_unix_ms))
    }

    fn identity_of(&self, handshake: &Handshake, now_unix_ms: u64) -> Result<Identity, Refusal> {
        if handshake.claims_bad_user {
            return Err(Refusal::new(ErrorCode::BadRequest, "no user can have this name"));
        }
        let claimed = handshake.claimed_user.as_ref();
        if let Some(token) = handshake.token.as_deref().filter(|_| self.has_keys()) {
            let identity = self.verify(token, now_unix_ms)?;
            if claimed.is_some() && claimed != identity.user.as_ref() {
                return Err(Refusal::new(ErrorCode::Forbidden, "the token is another user's"));
            }
            return Ok(identity);
        }
        match self.mode {
            AuthMode::Unset | AuthMode::None => Ok(Identity { user: claimed.cloned(), ..Identity::default() }),
            AuthMode::Jwt if claimed.is_some() => Err(unauthorized("a user needs a token")),
            AuthMode::Jwt => Ok(Identity { must_sign_in: !self.anonymous, ..Identity::default() }),
            AuthMode::Webhook => Ok(Identity::default()),
        }
    }
}

fn verdict(outcome: Result<Identity, Refusal>) -> Verdict {
    match outcome {
        Ok(identity) => Verdict::Accept(identity),
        Err(Refusal { code, message }) => Verdict::Refuse { status: code.status(), message: message.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{NOW, SECRET, handshake, hs256, hs256_setup};
    use super::super::{Auth, AuthSetup};
    use super::*;
    use crate::config::AuthMode;

    fn auth(mode: AuthMode, anonymous: bool) -> Auth {
        Auth::load(&AuthSetup { mode, anonymous, ..hs256_setup(SECRET) }).expect("keys")
    }

    fn keyless(mode: AuthMode) -> Auth {
        Auth::load(&AuthSetup { mode, ..AuthSetup::default() }).expect("no keys needed")
    }

    fn accepted(verdict: Verdict) -> Identity {
        match verdict {
            Verdict::Accept(identity) => identity,
            Verdict::Refuse { status, message } => panic!("refused with {status}: {message}"),
        }
    }

    fn user(verdict: Verdict) -> Option<String> {
        accepted(verdict).user.map(|user| user.to_string())
    }

    fn status(verdict: Verdict) -> u16 {
        match verdict {
            Verdict::Accept(identity) => panic!("accepted {identity:?}"),
            Verdict::Refuse { status, .. } => status,
        }
    }

    fn token(json: &str) -> String {
        hs256(SECRET, json)
    }

    #[test]
    fn without_authentication_a_client_is_who_it_says_it_is() {
        for auth in [keyless(AuthMode::Unset), keyless(AuthMode::None)] {
            assert_eq!(user(auth.decide(&handshake(Some("42"), None), NOW)), Some("42".into()));
            let nobody = accepted(auth.decide(&handshake(None, None), NOW));
            assert!(nobody.user.is_none() && !nobody.must_sign_in);
            // The token may be meant for a proxy in front of us: without a key it says nothing.
            assert_eq!(user(auth.decide(&handshake(Some("42"), Some("opaque")), NOW)), Some("42".into()));
        }
    }

    #[test]
    fn a_name_nobody_can_have_is_a_bad_request_in_every_mode() {
        for mode in [AuthMode::Unset, AuthMode::None, AuthMode::Jwt, AuthMode::Webhook] {
            let mut bad = handshake(None, Some(&token(r#"{"sub":"1"}"#)));
            bad.claims_bad_user = true;
            assert_eq!(status(auth(mode, true).decide(&bad, NOW)), 400, "{mode:?}");
        }
    }

    #[test]
    fn a_token_names_the_user_and_a_name_beside_it_must_be_the_same() {
        let token = token(r#"{"sub":"42"}"#);
        for mode in [AuthMode::Unset, AuthMode::None, AuthMode::Jwt, AuthMode::Webhook] {
            let auth = auth(mode, false);
            for claimed in [None, Some("42")] {
                assert_eq!(user(auth.decide(&handshake(claimed, Some(&token)), NOW)), Some("42".into()), "{mode:?}");
            }
            assert_eq!(status(auth.decide(&handshake(Some("43"), Some(&token)), NOW)), 403, "{mode:?}");
        }
    }

    #[test]
    fn a_bad_token_is_refused_even_where_anybody_may_come_in() {
        for mode in [AuthMode::None, AuthMode::Jwt, AuthMode::Webhook] {
            let auth = auth(mode, true);
            for bad in ["", "opaque", &hs256("another secret", r#"{"sub":"42"}"#)] {
                assert_eq!(status(auth.decide(&handshake(None, Some(bad)), NOW)), 401, "{mode:?} {bad}");
            }
        }
    }

    #[test]
    fn with_tokens_required_a_bare_name_is_refused() {
        assert_eq!(status(auth(AuthMode::Jwt, true).decide(&handshake(Some("42"), None), NOW)), 401);
    }

    #[test]
    fn with_tokens_required_a_client_without_one_must_sign_in_unless_it_may_stay_anonymous() {
        let nobody = handshake(None, None);
        assert!(accepted(auth(AuthMode::Jwt, false).decide(&nobody, NOW)).must_sign_in);
        assert!(!accepted(auth(AuthMode::Jwt, true).decide(&nobody, NOW)).must_sign_in);
    }

    #[test]
    fn what_a_webhook_continues_from_never_holds_a_merely_claimed_user() {
        for auth in [keyless(AuthMode::Webhook), auth(AuthMode::Webhook, false)] {
            assert!(auth.asks_webhook());
            assert_eq!(user(auth.decide(&handshake(Some("42"), None), NOW)), None);
        }
        let opaque = handshake(Some("42"), Some("opaque"));
        assert_eq!(user(keyless(AuthMode::Webhook).decide(&opaque, NOW)), None);
    }

    #[test]
    fn hello_signs_in_with_a_good_token_only() {
        let auth = auth(AuthMode::Jwt, false);
        let identity = accepted(auth.hello(&token(r#"{"sub":"42","exp":1800000001}"#), NOW));
        assert_eq!(identity.expires_unix_ms, Some(NOW + 1_000));
        assert_eq!(status(auth.hello(&token(r#"{"sub":"42","exp":1800000000}"#), NOW)), 401);
        assert_eq!(status(keyless(AuthMode::None).hello(&token(r#"{"sub":"42"}"#), NOW)), 401);
    }
}

//! The application behind a reactor: what it decides, and what its panics cost.

use super::*;
use crate::testing::{self, outside};
use epush_core::mail::Mail;
use epush_core::message::UserName;
use std::sync::Mutex;

const SHARD: ShardId = ShardId(0);
const CONN: ConnId = ConnId { index: 1, generation: 0 };

fn handshake(user: &str) -> Box<Handshake> {
    Box::new(Handshake {
        conn: CONN,
        remote: "192.0.2.1".parse().expect("address"),
        path: "/msg".into(),
        query: Vec::new(),
        headers: Vec::new(),
        token: None,
        claimed_user: UserName::parse(user),
        claims_bad_user: false,
    })
}

fn question(kind: &str) -> Question {
    Question { conn: CONN, id: "7".into(), kind: kind.into(), data: RawValue::from_string("1".into()).expect("JSON") }
}

/// Refuses user 13, answers `double`, panics at `panic`.
#[derive(Default)]
struct Fussy {
    errors: Mutex<Vec<HandlerError>>,
}

impl Handler for Arc<Fussy> {
    fn on_handshake(&self, request: &HandshakeRequest<'_>) -> Verdict {
        match request.identity().user.as_ref().map(UserName::as_str) {
            Some("13") => request.refuse(403, "unlucky"),
            Some("panic") => panic!("at the door"),
            _ => request.accept(),
        }
    }

    fn on_message(&self, _: &Session, message: Message<'_>, reply: Reply) -> Option<Reply> {
        match message {
            Message::Ask { kind: "double", .. } => {
                let number: u64 = message.parse().expect("a number");
                reply.send(&(2 * number)).expect("JSON");
                None
            }
            Message::Ask { kind: "panic", .. } => panic!("in the middle"),
            _ => Some(reply),
        }
    }

    fn on_error(&self, error: &HandlerError) {
        self.errors.lock().expect("not poisoned").push(error.clone());
    }
}

#[test]
fn without_a_handler_authentication_decides_alone() {
    let bench = testing::bench(1, 1_000);
    let verdict = outside(&bench, None).handshake(SHARD, handshake("42"), bench.node.clock.now());
    let Ok(Some(Verdict::Accept(identity))) = verdict else { panic!("accepted") };
    assert_eq!(identity.user, UserName::parse("42"));
}

#[test]
fn a_handler_has_the_last_word_about_a_handshake() {
    let bench = testing::bench(1, 1_000);
    let outside = outside(&bench, Some(Arc::new(Arc::new(Fussy::default()))));
    let verdict = outside.handshake(SHARD, handshake("13"), bench.node.clock.now());
    assert!(matches!(verdict, Ok(Some(Verdict::Refuse { status: 403, .. }))));
}

#[test]
fn a_question_is_answered_by_the_handler_or_by_nobody() {
    let bench = testing::bench(1, 1_000);
    let outside = outside(&bench, Some(Arc::new(Arc::new(Fussy::default()))));
    let session = testing::session(&bench);
    assert!(matches!(outside.ask(SHARD, &session, question("double")), Ok(Asked::Taken)));
    let Some(crate::reactor::Post::Mail(Mail::Reply { conn, id, outcome })) = bench.inboxes[0].take() else {
        panic!("expected a reply")
    };
    assert_eq!((conn, &*id, outcome.expect("an answer").get()), (CONN, "7", "2"));

    let Ok(Asked::Refused(id, refusal)) = outside.ask(SHARD, &session, question("other")) else { panic!("refused") };
    assert_eq!((&*id, refusal.code), ("7", ErrorCode::NotFound));
    assert!(bench.inboxes[0].is_empty(), "given back is not dropped");
}

#[test]
fn a_panic_of_the_application_is_an_error_and_no_more() {
    let bench = testing::bench(1, 1_000);
    let fussy = Arc::new(Fussy::default());
    let outside = outside(&bench, Some(Arc::new(Arc::clone(&fussy))));
    let session = testing::session(&bench);
    assert!(outside.handshake(SHARD, handshake("panic"), bench.node.clock.now()).is_err());
    assert!(outside.ask(SHARD, &session, question("panic")).is_err());
    let errors = fussy.errors.lock().expect("not poisoned");
    assert_eq!((&*errors[0].place, &*errors[0].message), ("on_handshake", "at the door"));
    assert_eq!((&*errors[1].place, errors[1].session), ("on_message", Some(session.id())));
}

#[test]
fn a_job_that_panics_is_an_error_too() {
    let bench = testing::bench(1, 1_000);
    let mut outside = outside(&bench, None);
    let mut jobs = Jobs::default();
    jobs.add_closure("broken", |_| -> Option<u64> { panic!("tick") });
    outside.jobs = Arc::new(jobs);
    let session = testing::session(&bench);
    let call = JobCall { session: &session, args: None, seq: 0, time_ms: 0 };
    assert!(outside.render("broken", &call).is_err());
    assert!(matches!(outside.render("unknown", &call), Ok(None)));
}

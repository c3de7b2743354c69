//! `fql.json`: a match text of Segment selects an event, or does not.

use millrace_blueprint::Mapper;
use millrace_blueprint::segment::Subscription;
use serde_json::Value;

use super::report::{Case, Outcome};
use super::text_of;

/// Runs the cases of a file.
pub(crate) fn run(cases: &[Value]) -> Vec<Case> {
    let mut mapper = Mapper::new();
    cases
        .iter()
        .map(|case| Case {
            id: text_of(case, "id"),
            class: text_of(case, "class"),
            kind: text_of(case, "feature"),
            outcome: one(&mut mapper, case),
        })
        .collect()
}

fn one(mapper: &mut Mapper, case: &Value) -> Outcome {
    let member = |name: &str| case.get(name).unwrap_or(&Value::Null);
    let Some(text) = member("fql").as_str() else {
        return Outcome::Fail("the case has no match text".to_owned());
    };
    // The peer takes a text that it cannot read for one that selects nothing. Ours is a mistake
    // that is reported when the text is read: that is what such a case asks for.
    let unreadable = member("peer_parse_error") == true;
    let subscription = match Subscription::parse("case", text) {
        Ok(_) if unreadable => return Outcome::Fail("the text reads without a mistake".to_owned()),
        Ok(subscription) => subscription,
        Err(_) if unreadable => return Outcome::Pass,
        Err(mistakes) => {
            let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
            return Outcome::Fail(format!("the text is refused: {first}"));
        }
    };
    let event = member("event").to_string();
    match (subscription.selects(mapper, event.as_bytes()), member("expected").as_bool()) {
        (Some(found), Some(expected)) if found == expected => Outcome::Pass,
        (found, expected) => Outcome::Fail(format!("selects {found:?}, expected {expected:?}")),
    }
}

//! The cases of RudderStack's Mixpanel destination, through the production's own steps: admission,
//! the built-in blueprint `rudderstack-classic`, the batcher, the requests that delivery sends, and
//! the reader of answers.
//!
//! | module | owns |
//! | --- | --- |
//! | [`mapping`] | a message and settings into rows |
//! | [`rows`] | rows on their way, compared one by one |
//! | [`transform`] | cases of one event |
//! | [`batches`] | cases of many events |
//! | [`delivery`] | cases of answers |
//! | [`deletion`] | cases of deleted users |
//! | [`repeat`] | long lists in cases |

mod batches;
mod deletion;
mod delivery;
mod mapping;
mod repeat;
mod rows;
mod transform;

use serde_json::Value;

use super::report::{Case, Outcome};
use super::text_of;

/// Runs the cases of a file.
pub(crate) fn run(cases: &[Value]) -> Vec<Case> {
    cases
        .iter()
        .map(|case| {
            let kind = text_of(case, "kind");
            let outcome = match kind.as_str() {
                "transform" => outcome(transform::run(case)),
                "batch" => outcome(batches::run(case)),
                "delivery" => outcome(delivery::run(case)),
                "delete-users" => outcome(deletion::run(case)),
                _ => Outcome::NotRun(format!("there is no runner for cases of the kind {kind:?}")),
            };
            Case { id: text_of(case, "id"), class: text_of(case, "match"), kind, outcome }
        })
        .collect()
}

fn outcome(result: anyhow::Result<Option<String>>) -> Outcome {
    match result {
        Ok(None) => Outcome::Pass,
        Ok(Some(difference)) => Outcome::Fail(difference),
        Err(error) => Outcome::Fail(format!("{error:#}")),
    }
}

//! What an event says once more, where no rule names it: ids that a decoder or the page's cookie put
//! beside the canonical ones, and ids of the event that a client made of a person's data.
//!
//! A rule for `$.userId` would otherwise leave the same id in `mixpanel.distinct_id`, which is where
//! a proxied call of Mixpanel's SDKs has it.

use millrace_protocol::json::text;

use crate::document::{Edits, Finds, PathId, Watch};

use super::treatment::{DEVICE_PREFIX, Hasher};
use super::{Treated, json_text};

/// The ids of a person in Mixpanel's own names.
const PERSONS: [&str; 6] = [
    "$.mixpanel.distinct_id",
    "$.mixpanel.user_id",
    "$.mixpanel.device_id",
    "$.context.mixpanel.distinct_id",
    "$.context.mixpanel.user_id",
    "$.context.mixpanel.device_id",
];

/// The ids of the event itself.
const EVENTS: [&str; 3] = ["$.messageId", "$.xdm._id", "$.properties.$insert_id"];

/// The places of copies in the watch of a pipeline.
#[derive(Debug)]
pub(super) struct Copies {
    persons: [PathId; 6],
    events: [PathId; 3],
}

impl Copies {
    pub(super) fn new(watch: &mut Watch) -> Copies {
        let persons = PERSONS.map(|path| watch.look_at(path));
        Copies { persons, events: EVENTS.map(|path| watch.look_at(path)) }
    }

    /// Does to the copies what was done to the values. A change that a rule has made already stays.
    pub(super) fn govern(
        &self,
        finds: &Finds,
        bytes: &[u8],
        treated: &Treated,
        hasher: &Hasher,
        edits: &mut Edits,
    ) {
        if treated.values.is_empty() {
            return;
        }
        for found in finds.iter() {
            if self.persons.contains(&found.path) {
                let raw = found.value.of(bytes);
                let id = text(raw).unwrap_or_else(|| String::from_utf8_lossy(raw));
                let (prefix, bare) = match id.strip_prefix(DEVICE_PREFIX) {
                    Some(bare) => (DEVICE_PREFIX, bare),
                    None => ("", &*id),
                };
                let same = |value: &str| value == &*id || value == bare;
                match treated.values.iter().find(|(value, _)| same(value)) {
                    Some((value, Some(new))) if value == bare => {
                        edits.replace(found.value, json_text(&format!("{prefix}{new}")));
                    }
                    Some((_, Some(new))) => edits.replace(found.value, json_text(new)),
                    Some((_, None)) => edits.remove(found),
                    None => {}
                }
            } else if self.events.contains(&found.path)
                && let Some(id) = text(found.value.of(bytes))
                && treated.tells(&id)
            {
                edits.replace(found.value, json_text(&hasher.hash(&id)));
            }
        }
    }
}

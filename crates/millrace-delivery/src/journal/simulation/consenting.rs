//! The part of the simulated world that is about consent: whatever the disk does, what is known of
//! people is what the acknowledged events have said, in their order.

use std::collections::BTreeMap;

use millrace_log::LogStore;
use millrace_model::event::{Batch, Duplicate, Item};
use millrace_model::id::{Position, Seq};
use millrace_model::passage::{Consent, Passage, Subject};
use millrace_model::time::UnixMillis;

use super::World;
use crate::journal::consents::{EventAt, said_in};

const PEOPLE: u32 = 5;
const CATEGORIES: [&str; 3] = ["analytics", "marketing", "c0004"];

/// What an item with a number says: nothing, or yes or no to something.
pub(super) fn passage(id: u32) -> Passage {
    let consent = (!id.is_multiple_of(4)).then(|| {
        let category = CATEGORIES[id as usize / 4 % CATEGORIES.len()].to_owned();
        let subjects = vec![Subject(u128::from(id % PEOPLE)), Subject(u128::from(id / 7 % PEOPLE))];
        let categories = BTreeMap::from([(category, id.is_multiple_of(2))]);
        Box::new(Consent { categories, otherwise: false, subjects })
    });
    Passage { consent, ..Passage::default() }
}

impl World {
    /// Takes what a durable batch says into the oracle; `known` are the places of its duplicates.
    pub(super) fn hear(&self, seq: Seq, batch: &Batch, known: &[usize], again: bool) {
        let mut batch = batch.clone();
        for at in known {
            batch.items[*at] =
                Item::Duplicate(Duplicate { message_id: String::new(), differs: false });
        }
        self.heard.take(&said_in(&batch, again), seq, batch.received_at);
    }

    pub(super) fn check_consents(&mut self) {
        let end = self.core().log.next().0;
        let known = self.core().consents.clone();
        for person in 0..PEOPLE {
            for (category, own) in CATEGORIES.iter().zip([Some(true), None, Some(true)]) {
                for seq in [1, end / 2, end.saturating_sub(3)] {
                    let consent = Consent {
                        categories: own
                            .map(|own| ((*category).to_owned(), own))
                            .into_iter()
                            .collect(),
                        otherwise: false,
                        subjects: vec![Subject(u128::from(person))],
                    };
                    let at = Position { seq: Seq(seq), index: 1 };
                    let event = EventAt { at, received_at: UnixMillis(i64::MAX) };
                    let required = [(*category).to_owned()];
                    assert_eq!(
                        known.refusal(&required, Some(&consent), &event),
                        self.heard.refusal(&required, Some(&consent), &event),
                        "person {person}, {category}, event at {seq}"
                    );
                }
            }
        }
    }
}

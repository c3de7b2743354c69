//! The ledger as it is shown: sums of events by what became of them, which must add up to zero.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Events, rows and bytes of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Events (items, for what never became an event).
    pub events: u64,
    /// Rows sent to Mixpanel.
    pub rows: u64,
    /// Bytes of the events as they came.
    pub bytes: u64,
}

impl Tally {
    /// Adds another tally to this one.
    pub fn add(&mut self, other: Tally) {
        self.events = self.events.saturating_add(other.events);
        self.rows = self.rows.saturating_add(other.rows);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// The sums of one integration, over all time or a span.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerSums {
    /// Items that the collector answered 200 for, counted at admission.
    pub received: Tally,
    /// Taken by Mixpanel.
    pub delivered: Tally,
    /// Kept from being sent by a rule or a setting; parts by reason in `by_code`.
    pub filtered: Tally,
    /// Accepted before.
    pub duplicates: Tally,
    /// Put aside, at the door or by the mapping.
    pub set_aside: Tally,
    /// Refused by Mixpanel.
    pub rejected: Tally,
    /// Tried until the horizon passed.
    pub dead: Tally,
    /// Erased on demand.
    pub erased: Tally,
    /// Open: counted from positions, not by subtraction.
    pub pending: Tally,
    /// Events of which a row was sent more than once, after an unclear answer or a crash.
    pub resent: u64,
    /// The final states by their code, such as `filtered/no_rule` or `set_aside/MR1104`.
    pub by_code: BTreeMap<String, u64>,
    /// What the door noted on events that it took, by kind of note, such as `hashed`.
    #[serde(default)]
    pub notes: BTreeMap<String, u64>,
    /// Duplicates whose bytes differ from those of the first: perhaps other events under its id.
    #[serde(default)]
    pub differs: u64,
}

impl LedgerSums {
    /// Received minus everything that was accounted for. Anything but zero is a bug.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let accounted = [
            self.delivered,
            self.filtered,
            self.duplicates,
            self.set_aside,
            self.rejected,
            self.dead,
            self.erased,
            self.pending,
        ]
        .iter()
        .fold(0_u64, |sum, tally| sum.saturating_add(tally.events));
        i64::try_from(i128::from(self.received.events) - i128::from(accounted)).unwrap_or(i64::MAX)
    }
}

//! What a blueprint makes of an event: rows, each one item of a request to Mixpanel.

use std::ops::Range;

use crate::code::Code;
use crate::correction::{Correction, Corrections};
use crate::disposition::FilterReason;
use crate::id::InsertId;

/// The endpoint of Mixpanel's ingestion API that a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// `/import`: events.
    Import,
    /// `/engage`: user profiles.
    Engage,
    /// `/groups`: group profiles.
    Groups,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Endpoint; 3] = [Endpoint::Import, Endpoint::Engage, Endpoint::Groups];

    /// The path of the endpoint.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Endpoint::Import => "/import",
            Endpoint::Engage => "/engage",
            Endpoint::Groups => "/groups",
        }
    }
}

/// One identity that a row touches. Rows that share one keep their order (DESIGN 9.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneKey(pub u64);

impl LaneKey {
    /// The lane of a person: user, anonymous and previous ids share one space of names.
    #[must_use]
    pub fn person(id: &str) -> LaneKey {
        LaneKey(xxhash_rust::xxh3::xxh3_64_with_seed(id.as_bytes(), 1))
    }

    /// The lane of a group profile.
    #[must_use]
    pub fn group(key: &str, id: &str) -> LaneKey {
        let seed = xxhash_rust::xxh3::xxh3_64_with_seed(key.as_bytes(), 2);
        LaneKey(xxhash_rust::xxh3::xxh3_64_with_seed(id.as_bytes(), seed))
    }
}

/// The most lanes of a row.
pub const MOST_LANES: usize = 6;

/// The lanes of a row: of the event's user, anonymous and previous id, and of the row's own ids, of
/// which it has three at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Lanes {
    keys: [u64; MOST_LANES],
    len: u8,
}

impl Lanes {
    /// Adds a lane, unless it is there or there are [`MOST_LANES`]: no row has more.
    pub fn add(&mut self, key: LaneKey) {
        if self.iter().any(|have| have == key) {
            return;
        }
        if let Some(slot) = self.keys.get_mut(usize::from(self.len)) {
            *slot = key.0;
            self.len += 1;
        }
    }

    /// The lanes.
    pub fn iter(&self) -> impl Iterator<Item = LaneKey> + '_ {
        self.keys.iter().take(usize::from(self.len)).map(|key| LaneKey(*key))
    }
}

/// Another project of the integration that a row is for, known by its token: the token itself is a
/// secret and never stands in a row. What the integration does not declare is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectKey(pub u64);

impl ProjectKey {
    /// The key of the project that has this token.
    #[must_use]
    pub fn of(token: &str) -> ProjectKey {
        ProjectKey(xxhash_rust::xxh3::xxh3_64_with_seed(token.as_bytes(), 3))
    }
}

/// What a row does to the identity of persons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowRole {
    /// Nothing: an event or a profile update.
    Plain,
    /// It joins ids (a link event, `$identify`, `$create_alias`, `$merge`): a barrier for later
    /// rows of its lanes at every endpoint.
    Joins,
}

/// One item of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it goes.
    pub endpoint: Endpoint,
    /// What it does to identities.
    pub role: RowRole,
    /// False for `$add` and `$append`, which count twice when sent twice (DESIGN 9.15).
    pub repeatable: bool,
    /// Whose order it must keep.
    pub lanes: Lanes,
    /// The insert id of an event; none for profile updates and identity verbs.
    pub insert_id: Option<InsertId>,
    /// The project it is for; none for the one that the integration is about.
    pub project: Option<ProjectKey>,
    /// True for a row that shares its request with no other.
    pub alone: bool,
    /// The place of its JSON object in [`Rows::bytes`]. The object never holds the project token:
    /// the client of `millrace-delivery` adds it to profile updates when it writes the request.
    pub body: Range<usize>,
}

/// All rows of one event, in the order in which they must be sent. Made to be used again.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The JSON objects of the rows, one after the other.
    pub bytes: Vec<u8>,
    /// The rows.
    pub rows: Vec<Row>,
    /// What was changed so that Mixpanel takes them, or noticed about them.
    pub corrections: Corrections,
    /// For each kind of correction the name of a field that had it, never its value.
    pub examples: Vec<(Correction, String)>,
}

impl Rows {
    /// Empties all, keeping the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
        self.corrections = Corrections::default();
        self.examples.clear();
    }

    /// The JSON object of a row.
    #[must_use]
    pub fn body(&self, row: &Row) -> &[u8] {
        self.bytes.get(row.body.clone()).unwrap_or_default()
    }
}

/// What mapping an event came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// There are rows to send.
    Send,
    /// Nothing is to be sent.
    Filtered {
        /// Why.
        reason: FilterReason,
        /// The rule that decided, if one did.
        rule: Option<String>,
    },
    /// The event cannot be sent.
    SetAside {
        /// Why, as a stable code.
        code: Code,
        /// Why, in plain words.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_of_an_event_and_of_its_row_has_a_lane() {
        let mut lanes = Lanes::default();
        let ids = ["user", "anonymous", "previous", "distinct", "row user", "row device"];
        for id in ids.iter().chain(&ids) {
            lanes.add(LaneKey::person(id));
        }
        let wanted: Vec<LaneKey> = ids.iter().map(|id| LaneKey::person(id)).collect();
        assert_eq!(lanes.iter().collect::<Vec<_>>(), wanted);
    }
}

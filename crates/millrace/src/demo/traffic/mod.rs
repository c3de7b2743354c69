//! The sample shop's traffic: a week of a shop that never was, as events in Segment form.
//!
//! Some 220 visitors come from several countries, with browsers and apps, by campaigns; some sign
//! up, log in on a second device, order, return things; companies buy for their staff; a family
//! shares a tablet. A few events are odd in the ways that real ones are: one is sent twice, one has
//! no id, one no name. The demo shows what becomes of them.
//!
//! Invariants: the same seed and end give the same bytes; how many events of which kind there are
//! depends on the seed alone; events come in the order of their time, none after the end; no
//! person, mail or address is real (RFC 2606 names, RFC 5737 and RFC 3849 addresses).
//!
//! Not here: sending. [`crate::demo::feed`] does that.

mod assortment;
mod device;
mod dice;
mod session;
mod visitors;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use millrace_model::time::UnixMillis;
use serde_json::Value;

use dice::Dice;

/// Days of traffic before the end.
pub const DAYS: i64 = 7;

const SECOND: i64 = 1_000;
const DAY: i64 = 86_400 * SECOND;

/// What must come of the traffic, counted while it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedCounts {
    /// Everything that is sent.
    pub received: u64,
    /// Events sent a second time under the same message id.
    pub duplicates: u64,
    /// Events that cannot be taken: without any id, or without a name.
    pub set_aside: u64,
    /// The rest by the call that made them, such as `track`.
    pub calls: BTreeMap<String, u64>,
    /// The `track` calls among them by their name.
    pub tracks: BTreeMap<String, u64>,
    /// Users who were identified.
    pub users: u64,
    /// Companies that were described.
    pub companies: u64,
}

/// The events of a seed up to a moment, in the order of their time, each one JSON object.
pub fn events(seed: u64, end: UnixMillis) -> impl Iterator<Item = String> {
    Traffic::new(seed, end).lines().into_iter()
}

/// What must come of the same events.
#[must_use]
pub fn expected(seed: u64, end: UnixMillis) -> ExpectedCounts {
    Traffic::new(seed, end).expected
}

/// The traffic while it is made.
struct Traffic {
    dice: Dice,
    end: UnixMillis,
    made: Vec<Made>,
    orders: u64,
    users: BTreeSet<String>,
    companies: BTreeSet<String>,
    expected: ExpectedCounts,
}

/// One event and when it happens.
struct Made {
    at: UnixMillis,
    body: Value,
}

impl Traffic {
    fn new(seed: u64, end: UnixMillis) -> Traffic {
        let mut traffic = Traffic {
            dice: Dice::new(seed),
            end,
            made: Vec::new(),
            orders: 0,
            users: BTreeSet::new(),
            companies: BTreeSet::new(),
            expected: ExpectedCounts::default(),
        };
        visitors::visit(&mut traffic);
        // Stable: what happens at the same moment stays in the order in which it was made.
        traffic.made.sort_by_key(|made| made.at);
        traffic.make_some_odd();
        traffic.expected.users = count(traffic.users.len());
        traffic.expected.companies = count(traffic.companies.len());
        traffic.expected.received = count(traffic.made.len());
        traffic
    }

    fn lines(self) -> Vec<String> {
        self.made.into_iter().map(|made| made.body.to_string()).collect()
    }

    /// Adds an event, and counts what must come of it.
    fn push(&mut self, at: UnixMillis, body: Value) {
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(call) = text("type") {
            match call.as_str() {
                "identify" => self.users.extend(text("userId")),
                "group" => self.companies.extend(text("groupId")),
                "track" => {
                    *self.expected.tracks.entry(text("event").unwrap_or_default()).or_default() +=
                        1;
                }
                _ => {}
            }
            *self.expected.calls.entry(call).or_default() += 1;
        }
        self.made.push(Made { at, body });
    }

    /// When a visit begins: on a day, at an hour of the day in UTC, early enough to end on that
    /// day. A day is 24 hours that end when the traffic ends.
    fn moment(&self, day: i64, hour: i64) -> UnixMillis {
        let begin = self.end.0 - (DAYS - day.clamp(0, DAYS - 1)) * DAY;
        let wanted = hour * 3_600 * SECOND + self.dice.number(0, 3_599) * SECOND;
        let into_day = (wanted - begin).rem_euclid(DAY) * 9 / 10;
        UnixMillis(begin + into_day)
    }

    /// The ways in which real traffic is odd, once each, in the middle of it.
    fn make_some_odd(&mut self) {
        let middle = self.made.len() / 2;
        if let Some(made) = self.made.get(middle) {
            // The answer was lost on the way, and the SDK sent the event again.
            let again = Made { at: made.at, body: made.body.clone() };
            self.made.insert(middle + 1, again);
            self.expected.duplicates += 1;
        }
        let nobody = ["anonymousId", "userId"].as_slice();
        for (place, missing) in [(middle / 2, nobody), (middle + middle / 2, &["event"])] {
            let track = self
                .made
                .iter()
                .skip(place)
                .find(|made| made.body.get("type").and_then(Value::as_str) == Some("track"));
            let Some(track) = track else { continue };
            let (at, mut body) = (track.at, track.body.clone());
            if let Some(body) = body.as_object_mut() {
                body.retain(|name, _| !missing.contains(&name.as_str()));
                body.insert("messageId".to_owned(), self.dice.uuid().into());
            }
            let place = self.made.partition_point(|made| made.at <= at);
            self.made.insert(place, Made { at, body });
            self.expected.set_aside += 1;
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

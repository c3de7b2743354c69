//! The newest known consent of each person, by their ids (DESIGN 9.8).
//!
//! Every admitted item that says something about consent, a refused one too, changes what is known
//! of its subjects, in the order of the log. What is asked is whether something stands against
//! sending an event ([`KnownConsents::refusal`]): its own words, or a denial of one of its ids that
//! came in after it, whatever was granted since.
//!
//! ```text
//! consents := version:u8 whole:u8 from:varint when whole is 0
//!             names:varint text* (count:varint known*){2}      when whole is 1
//! known    := subject:u128le granted:varint denied:varint
//!             denials:varint (seq:varint index:varint received:i64le categories:varint)*
//! ```
//! The record stands right before a checkpoint, in the same commit; without one, nothing was known
//! there. The first of a segment is whole; further ones name the record from which on batches have
//! to be read again. So a restart knows what every acknowledged batch has said.
//!
//! Bounded: at most [`MOST_PEOPLE`] ids, those that were heard of last (between half of them and all,
//! since they are dropped by halves), [`MOST_NAMES`] categories (those that are required, and the
//! first ones named of all others) and [`MOST_DENIALS`] denials of an id.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::{Buf, Bytes};
use foldhash::fast::RandomState;
use millrace_model::event::{Batch, Item};
use millrace_model::id::{Position, Seq};
use millrace_model::passage::{Consent, ESSENTIAL, Subject};
use millrace_model::record::{
    RecordError, put_bytes, put_varint, take_i64, take_text, take_u8, take_varint,
};
use millrace_model::time::UnixMillis;
use smallvec::SmallVec;

const VERSION: u8 = 1;
/// At most this many ids are known: about 12 MB, and 3 MB in a checkpoint.
const MOST_PEOPLE: usize = 100_000;
/// One bit each. The five that many systems share come first and so are always among them.
const MOST_NAMES: usize = 64;
const FIRST_NAMES: [&str; 5] =
    [ESSENTIAL, "functional", "analytics", "marketing", "personalization"];
/// Older ones are joined, which makes them a little newer than they are.
const MOST_DENIALS: usize = 4;

/// What one item says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    index: u32,
    consent: Box<Consent>,
}

/// What the items of a batch say. Of what is fed `again` only denials count, and as if they came in
/// now: nobody knows any more whether a grant has been taken back since.
pub(super) fn said_in(batch: &Batch, again: bool) -> Vec<Said> {
    let consent = |item: &Item| match item {
        Item::Event(event) => event.passage.consent.clone(),
        Item::Filtered(filtered) => filtered.consent.clone(),
        Item::SetAside(_) | Item::Duplicate(_) => None,
    };
    let items = batch.items.iter().zip(0_u32..);
    items
        .filter_map(|(item, index)| {
            let mut consent = consent(item)?;
            consent.categories.retain(|_, granted| !(again && *granted));
            Some(Said { index, consent })
        })
        .filter(|said| !said.consent.categories.is_empty() && !said.consent.subjects.is_empty())
        .collect()
}

/// A denial and when it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Denial {
    at: Position,
    received_at: UnixMillis,
    categories: u64,
}

/// What is known of one id. Categories are bits by their place in the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    granted: u64,
    denied: u64,
    /// The newest denial of each category ever denied, oldest first.
    denials: SmallVec<[Denial; 1]>,
}

impl Known {
    fn take(&mut self, granted: u64, denied: u64, at: Position, received_at: UnixMillis) {
        self.granted = (self.granted | granted) & !denied;
        self.denied = (self.denied | denied) & !granted;
        if denied == 0 {
            return;
        }
        for denial in &mut self.denials {
            denial.categories &= !denied;
        }
        self.denials.retain(|denial| denial.categories != 0);
        self.denials.push(Denial { at, received_at, categories: denied });
        if self.denials.len() > MOST_DENIALS {
            let oldest = self.denials.remove(0);
            if let Some(next) = self.denials.first_mut() {
                next.categories |= oldest.categories;
            }
        }
    }

    fn was_denied_after(&self, category: u64, event: &EventAt) -> bool {
        self.denials.iter().any(|denial| {
            denial.categories & category != 0
                && (denial.at > event.at || denial.received_at > event.received_at)
        })
    }
}

/// When an event came in. An item that is fed again stands later in the log than it came in, so
/// both count.
#[derive(Clone, Copy, Debug)]
pub struct EventAt {
    /// Its position.
    pub at: Position,
    /// When its batch was received.
    pub received_at: UnixMillis,
}

type People = HashMap<Subject, Known, RandomState>;

/// The newest known consent of each person.
#[derive(Debug)]
pub(super) struct Consents {
    names: Vec<String>,
    /// Those heard of lately, and those before.
    newer: People,
    older: People,
    share: usize,
    /// The categories that integrations require, which always have a place among the names.
    required: Vec<String>,
}

impl Default for Consents {
    fn default() -> Consents {
        Consents::with_room(MOST_PEOPLE)
    }
}

impl Consents {
    fn with_room(people: usize) -> Consents {
        Consents {
            names: FIRST_NAMES.map(str::to_owned).to_vec(),
            newer: People::default(),
            older: People::default(),
            share: (people / 2).max(1),
            required: Vec::new(),
        }
    }

    /// Makes sure that these categories have a place. Where all are taken, the last one that nobody
    /// requires makes room: clients can name whatever they like.
    fn require(&mut self, required: Vec<String>) {
        for name in &required {
            if self.names.contains(name) {
                continue;
            }
            if self.names.len() < MOST_NAMES {
                self.names.push(name.clone());
                continue;
            }
            let is_spare = |known: &String| {
                !required.contains(known) && !FIRST_NAMES.contains(&known.as_str())
            };
            let Some(place) = self.names.iter().rposition(is_spare) else { break };
            if let Some(spare) = self.names.get_mut(place) {
                spare.clone_from(name);
            }
            let kept = !(1_u64 << place);
            for known in self.newer.values_mut().chain(self.older.values_mut()) {
                known.granted &= kept;
                known.denied &= kept;
                known.denials.iter_mut().for_each(|denial| denial.categories &= kept);
                known.denials.retain(|denial| denial.categories != 0);
            }
        }
        self.required = required;
    }

    fn is_empty(&self) -> bool {
        self.newer.is_empty() && self.older.is_empty()
    }

    /// The bit of a category, which it gets at the first time; none beyond [`MOST_NAMES`].
    fn bit(&mut self, name: &str) -> u64 {
        match self.names.iter().position(|known| known == name) {
            Some(place) => 1 << place,
            None if self.names.len() < MOST_NAMES => {
                self.names.push(name.to_owned());
                1 << (self.names.len() - 1)
            }
            None => 0,
        }
    }

    fn take(&mut self, said: &Said, seq: Seq, received_at: UnixMillis) {
        let (mut granted, mut denied) = (0, 0);
        for (category, is_granted) in &said.consent.categories {
            let bit = self.bit(category);
            if *is_granted { granted |= bit } else { denied |= bit }
        }
        let at = Position { seq, index: said.index };
        for subject in &said.consent.subjects {
            let mut known = self
                .newer
                .remove(subject)
                .or_else(|| self.older.remove(subject))
                .unwrap_or_default();
            known.take(granted, denied, at, received_at);
            if self.newer.len() >= self.share {
                self.older = std::mem::take(&mut self.newer);
            }
            self.newer.insert(*subject, known);
        }
    }

    fn known(&self, subject: &Subject) -> Option<&Known> {
        self.newer.get(subject).or_else(|| self.older.get(subject))
    }

    /// Why a category stands against sending an event, if it does.
    fn refusal(
        &self,
        category: &str,
        consent: Option<&Consent>,
        event: &EventAt,
    ) -> Option<&'static str> {
        let own = match consent {
            Some(consent) => consent.of(category),
            None => (category == ESSENTIAL).then_some(true),
        };
        if own == Some(false) {
            return Some("denied");
        }
        let place = self.names.iter().position(|known| known == category);
        let bit = place.map_or(0, |place| 1_u64 << place);
        let subjects = consent.map(|consent| consent.subjects.as_slice()).unwrap_or_default();
        let mut granted_before = false;
        for known in subjects.iter().filter_map(|subject| self.known(subject)) {
            if known.was_denied_after(bit, event) {
                return Some("withdrawn later");
            }
            if own.is_none() && known.denied & bit != 0 {
                return Some("denied before");
            }
            granted_before |= known.granted & bit != 0;
        }
        let assumed = consent.is_some_and(|consent| consent.otherwise);
        (own.is_none() && !granted_before && !assumed).then_some("nothing said")
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.names.len() as u64);
        for name in &self.names {
            put_bytes(out, name.as_bytes());
        }
        for people in [&self.older, &self.newer] {
            put_varint(out, people.len() as u64);
            for (subject, known) in people {
                out.extend_from_slice(&subject.0.to_le_bytes());
                put_varint(out, known.granted);
                put_varint(out, known.denied);
                put_varint(out, known.denials.len() as u64);
                for denial in &known.denials {
                    put_varint(out, denial.at.seq.0);
                    put_varint(out, u64::from(denial.at.index));
                    out.extend_from_slice(&denial.received_at.0.to_le_bytes());
                    put_varint(out, denial.categories);
                }
            }
        }
    }

    fn decode(bytes: &mut Bytes) -> Result<Consents, RecordError> {
        let mut consents = Consents { names: Vec::new(), ..Consents::default() };
        for _ in 0..take_varint(bytes)? {
            consents.names.push(take_text(bytes)?);
        }
        if consents.names.len() > MOST_NAMES {
            return Err(RecordError::Bad("categories"));
        }
        consents.older = take_people(bytes)?;
        consents.newer = take_people(bytes)?;
        Ok(consents)
    }
}

fn take_people(bytes: &mut Bytes) -> Result<People, RecordError> {
    let mut people = People::default();
    for _ in 0..take_varint(bytes)? {
        let subject = bytes.try_get_u128_le().map_err(|_| RecordError::Truncated)?;
        let (granted, denied) = (take_varint(bytes)?, take_varint(bytes)?);
        let mut known = Known { granted, denied, ..Known::default() };
        for _ in 0..take_varint(bytes)? {
            let seq = Seq(take_varint(bytes)?);
            let index = take_varint(bytes)?;
            let index = u32::try_from(index).map_err(|_| RecordError::Bad("index"))?;
            known.denials.push(Denial {
                at: Position { seq, index },
                received_at: UnixMillis(take_i64(bytes)?),
                categories: take_varint(bytes)?,
            });
        }
        people.insert(Subject(subject), known);
    }
    Ok(people)
}

/// What a consents record says.
#[derive(Debug)]
pub(super) enum Record {
    /// All that was known.
    Whole(Consents),
    /// It is what the record at this place says, with what the batches after it have said.
    From(Seq),
}

pub(super) fn decode(mut bytes: Bytes) -> Result<Record, RecordError> {
    let version = take_u8(&mut bytes)?;
    if version != VERSION {
        return Err(RecordError::Version(version));
    }
    match take_u8(&mut bytes)? {
        0 => Ok(Record::From(Seq(take_varint(&mut bytes)?))),
        1 => Consents::decode(&mut bytes).map(Record::Whole),
        _ => Err(RecordError::Bad("consents")),
    }
}

/// The newest known consent of each person, for whoever decides about sending. Clones share it.
/// It knows of every batch that was acknowledged. The default knows nobody.
#[derive(Clone, Debug, Default)]
pub struct KnownConsents(Arc<RwLock<Consents>>);

impl KnownConsents {
    /// Nobody is known yet; what is said of these categories will be, whatever else is said.
    pub(super) fn of(required: &[String]) -> KnownConsents {
        let mut consents = Consents::default();
        consents.require(required.to_vec());
        KnownConsents(Arc::new(RwLock::new(consents)))
    }

    /// Why an event must not be sent to where these categories are required, in a few words such as
    /// `marketing: withdrawn later`; none when it may. An event that was stored without any
    /// consent has said nothing, and nothing is assumed of it.
    #[must_use]
    pub fn refusal(
        &self,
        required: &[String],
        consent: Option<&Consent>,
        event: &EventAt,
    ) -> Option<String> {
        if required.is_empty() {
            return None;
        }
        let consents = self.0.read().unwrap_or_else(PoisonError::into_inner);
        required.iter().find_map(|category| {
            let why = consents.refusal(category, consent, event)?;
            Some(format!("{category}: {why}"))
        })
    }

    /// Takes up what a stored batch says.
    pub(super) fn take(&self, said: &[Said], seq: Seq, received_at: UnixMillis) {
        if said.is_empty() {
            return;
        }
        let mut consents = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for said in said {
            consents.take(said, seq, received_at);
        }
    }

    /// Puts what a record says in the place of what is known.
    pub(super) fn restore(&self, mut restored: Consents) {
        let mut consents = self.0.write().unwrap_or_else(PoisonError::into_inner);
        restored.require(std::mem::take(&mut consents.required));
        *consents = restored;
    }

    /// True when nobody is known.
    pub(super) fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Writes the record: whole, or naming where to go on from.
    pub(super) fn encode(&self, from: Option<Seq>, out: &mut Vec<u8>) {
        out.push(VERSION);
        match from {
            Some(from) => {
                out.push(0);
                put_varint(out, from.0);
            }
            None => {
                out.push(1);
                self.0.read().unwrap_or_else(PoisonError::into_inner).encode(out);
            }
        }
    }
}

#[cfg(test)]
mod tests;

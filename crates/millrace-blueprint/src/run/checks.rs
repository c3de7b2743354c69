//! What is changed so that Mixpanel takes a row, and what is noticed about it: counts, and for each
//! kind the name of a field as an example. Values are never noted.
//!
//! A change is noted where it is made, even when what was made is not used in the end; what is only
//! noticed, such as a long text, is noted when it is written. The notes of an event that is not
//! sent are thrown away.

use std::cell::{Cell, RefCell};

use millrace_model::correction::{Correction, Corrections};
use millrace_model::id::InsertId;
use millrace_model::row::Rows;

use super::Run;
use super::object::Pending;
use super::value::Value;
use crate::json::careful::{Changes, LEVEL_LIMIT};
use crate::json::sizes::{self, TEXT_LIMIT};
use crate::json::text;
use crate::reserved::Home;

/// How large a list or object may be as the value of an event's property, in bytes
/// (reference/mixpanel-api.md 2.3).
const EVENT_VALUE_LIMIT: usize = 8 * 1024;

/// The same for a profile (reference/mixpanel-api.md 3.2).
const PROFILE_VALUE_LIMIT: usize = 256 * 1024;

/// What was noted about one event.
#[derive(Debug, Default)]
pub(super) struct Corrected {
    counts: Cell<Corrections>,
    /// True when something was noted whose field is not known yet.
    nameless: Cell<bool>,
    /// The kinds that have an example, as bits.
    named: Cell<u32>,
    examples: RefCell<Vec<(Correction, String)>>,
    /// Where the ids lie in the event that were left out: each counts once, however many fields
    /// ask for it.
    ids: Cell<[u32; 4]>,
}

impl Corrected {
    /// Corrected something about the field whose name comes next ([`Corrected::name`]).
    pub(super) fn add(&self, what: Correction, times: u32) {
        let mut counts = self.counts.get();
        counts.add_many(what, times);
        self.counts.set(counts);
        self.nameless.set(true);
    }

    /// Corrected something about this field.
    pub(super) fn add_for(&self, what: Correction, field: &[u8]) {
        self.add(what, 1);
        self.name(field);
    }

    /// Corrected what a careful copy has changed.
    pub(super) fn changes(&self, changes: Changes) {
        let Changes { shapes, numbers, halves, names, .. } = changes;
        for (what, times) in [
            (Correction::ShapeAsText, shapes),
            (Correction::NumberAsText, numbers),
            (Correction::BrokenUnicode, halves),
            (Correction::LongName, names),
        ] {
            if times > 0 {
                self.add(what, times);
            }
        }
    }

    /// Corrected that an insert id was made from one that Mixpanel does not take. The end of one, where
    /// that is a UUID, is the id itself as its maker meant it.
    pub(super) fn insert_id(&self, given: &str, id: InsertId) {
        if !given.ends_with(id.as_str()) {
            self.add_for(Correction::DerivedInsertId, b"$insert_id");
        }
    }

    /// Says which field the notes were about that have none yet. `field` is the inside of a JSON
    /// text.
    pub(super) fn name(&self, field: &[u8]) {
        if self.nameless.replace(false) {
            self.name_kinds(field);
        }
    }

    #[cold]
    fn name_kinds(&self, field: &[u8]) {
        for (what, _) in self.counts.get().iter() {
            let bit = 1_u32 << what as u32;
            if self.named.get() & bit != 0 {
                continue;
            }
            self.named.set(self.named.get() | bit);
            let mut name = String::new();
            text::decode(field, &mut name);
            self.examples.borrow_mut().push((what, name));
        }
    }

    /// True the first time that an id at this place is left out.
    fn is_first(&self, place: u32) -> bool {
        let mut ids = self.ids.get();
        if ids.contains(&place) {
            return false;
        }
        ids.rotate_right(1);
        let [_, second, third, fourth] = ids;
        self.ids.set([place, second, third, fourth]);
        true
    }

    /// Puts the notes beside the rows.
    pub(super) fn put(self, out: &mut Rows) {
        self.name(b"");
        out.corrections = self.counts.get();
        out.examples = self.examples.into_inner();
    }
}

impl Run<'_> {
    /// Corrected an id that is something and cannot stand for anybody. A blank one is as good as none,
    /// and SDKs send such ones.
    pub(super) fn left_out(&self, id: Value) {
        let json = self.json(id);
        let mut spare = String::new();
        let blank = self.is_absent(id)
            || self.text(id, &mut spare).is_some_and(|text| {
                text.strip_prefix("$device:").unwrap_or(text).trim().is_empty()
            });
        let first = match id {
            Value::Event(slot) => self.corrected.is_first(slot.start),
            _ => true,
        };
        if !blank && first && !json.is_empty() {
            self.corrected.add(Correction::UnusableId, 1);
        }
    }

    /// Looks at a member of a row's properties that was written: its name, and `written`, its value.
    #[inline]
    pub(super) fn notice(&self, home: Home, member: &Pending, name: &[u8], written: &[u8]) {
        if written.len() > TEXT_LIMIT + 2 {
            self.notice_size(home, member.value, written);
        }
        if member.unknown {
            self.corrected.add(Correction::UnknownDollarName, 1);
        }
        self.corrected.name(name);
    }

    #[cold]
    fn notice_size(&self, home: Home, value: Value, written: &[u8]) {
        let may_be_long = match value {
            Value::Event(slot) | Value::Piece(slot) => {
                slot.shape.long || slot.shape.odd || slot.shape.depth > LEVEL_LIMIT
            }
            Value::Nothing | Value::Made { .. } | Value::Constant(_) => true,
        };
        if may_be_long {
            self.notice_texts(written);
        }
        let limit = match home {
            Home::Event => EVENT_VALUE_LIMIT,
            Home::Profile => PROFILE_VALUE_LIMIT,
        };
        if written.len() > limit && matches!(written.first(), Some(b'{' | b'[')) {
            self.corrected.add(Correction::LargeValue, 1);
        }
    }

    /// Corrected that a function is about to read a text with half a surrogate pair, which is no text:
    /// what it makes of it has U+FFFD in its place.
    pub(super) fn notice_halves(&self, value: Value) {
        if let Value::Event(slot) | Value::Piece(slot) = value
            && slot.shape.odd
            && self.json(value).first() == Some(&b'"')
        {
            self.corrected.add(Correction::BrokenUnicode, 1);
        }
    }

    /// Corrected the texts in a written value that Mixpanel will cut.
    pub(super) fn notice_texts(&self, written: &[u8]) {
        let long = sizes::long_texts(written);
        if long > 0 {
            self.corrected.add(Correction::LongText, long);
        }
    }
}

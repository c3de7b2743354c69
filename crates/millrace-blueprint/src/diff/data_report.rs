//! What two plans make of the same events differently, in sums.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// More groups than this are counted, not listed.
const GROUP_LIMIT: usize = 10_000;

/// The sums of a data diff.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataReport {
    /// How many events were mapped.
    pub events: u64,
    /// How many of them come to the same.
    pub same: u64,
    /// Events that newly are sent, filtered or set aside.
    pub outcomes: Vec<OutcomeChange>,
    /// Fields that changed, by name of the event and field; those of most events first.
    pub fields: Vec<FieldChange>,
    /// Rows that Mixpanel would see as new.
    pub new_to_mixpanel: NewToMixpanel,
    /// Changes of fields beyond the number that is listed.
    pub not_listed: u64,
}

/// Events that come to another outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct OutcomeChange {
    /// The name of the event, or the type of the call.
    pub event: String,
    /// What became of them: `sent`, `filtered: no_rule`, `set aside: MR2002`.
    pub old: String,
    /// What becomes of them now.
    pub new: String,
    /// How many.
    pub events: u64,
    /// The message id of the first of them.
    pub example: String,
}

/// A field that has another value.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// The name of the event, or the type of the call.
    pub event: String,
    /// The row: its path, with the operator of a profile update.
    pub row: String,
    /// The field; empty for a row that is only in one of both.
    pub field: String,
    /// `added`, `removed` or `changed`.
    pub kind: &'static str,
    /// How many rows.
    pub rows: u64,
    /// The first of them.
    pub example: Example,
}

/// One of the changes of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The message id of the event.
    pub message_id: String,
    /// The old value.
    pub old: Option<Value>,
    /// The new value.
    pub new: Option<Value>,
}

/// Event rows that were sent under another name, id or time: Mixpanel keeps both (DESIGN 9.15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewToMixpanel {
    /// How many rows, each counted once.
    pub rows: u64,
    /// Those with another name.
    pub name: u64,
    /// Those with another distinct id.
    pub distinct_id: u64,
    /// Those with another insert id.
    pub insert_id: u64,
    /// Those with another time.
    pub time: u64,
}

/// The sums while they are made.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) events: u64,
    pub(super) same: u64,
    pub(super) new_to_mixpanel: NewToMixpanel,
    outcomes: BTreeMap<(String, String, String), (u64, String)>,
    fields: BTreeMap<(String, String, String, &'static str), (u64, Example)>,
    not_listed: u64,
}

impl Sums {
    pub(super) fn outcome(&mut self, event: &str, old: String, new: String, message_id: &str) {
        let key = (event.to_owned(), old, new);
        if self.outcomes.len() >= GROUP_LIMIT && !self.outcomes.contains_key(&key) {
            self.not_listed += 1;
            return;
        }
        self.outcomes.entry(key).or_insert_with(|| (0, message_id.to_owned())).0 += 1;
    }

    pub(super) fn field(
        &mut self,
        (event, row, field): (&str, &str, &str),
        message_id: &str,
        old: Option<&Value>,
        new: Option<&Value>,
    ) {
        let kind = match (old, new) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        let key = (event.to_owned(), row.to_owned(), field.to_owned(), kind);
        if self.fields.len() >= GROUP_LIMIT && !self.fields.contains_key(&key) {
            self.not_listed += 1;
            return;
        }
        let example =
            || Example { message_id: message_id.to_owned(), old: old.cloned(), new: new.cloned() };
        self.fields.entry(key).or_insert_with(|| (0, example())).0 += 1;
    }

    pub(super) fn report(self) -> DataReport {
        let mut outcomes: Vec<OutcomeChange> = self
            .outcomes
            .into_iter()
            .map(|((event, old, new), (events, example))| OutcomeChange {
                event,
                old,
                new,
                events,
                example,
            })
            .collect();
        outcomes.sort_by_key(|one| std::cmp::Reverse(one.events));
        let mut fields: Vec<FieldChange> = self
            .fields
            .into_iter()
            .map(|((event, row, field, kind), (rows, example))| FieldChange {
                event,
                row,
                field,
                kind,
                rows,
                example,
            })
            .collect();
        fields.sort_by_key(|one| std::cmp::Reverse(one.rows));
        DataReport {
            events: self.events,
            same: self.same,
            outcomes,
            fields,
            new_to_mixpanel: self.new_to_mixpanel,
            not_listed: self.not_listed,
        }
    }
}

impl DataReport {
    /// True when both make the same of all events.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.same == self.events
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let outcomes: Vec<Value> = self
            .outcomes
            .iter()
            .map(|one| {
                json!({
                    "event": one.event, "old": one.old, "new": one.new, "events": one.events,
                    "example": one.example,
                })
            })
            .collect();
        let fields: Vec<Value> = self
            .fields
            .iter()
            .map(|one| {
                json!({
                    "event": one.event, "row": one.row, "field": one.field, "kind": one.kind,
                    "rows": one.rows,
                    "example": {
                        "message_id": one.example.message_id, "old": one.example.old,
                        "new": one.example.new,
                    },
                })
            })
            .collect();
        let new = &self.new_to_mixpanel;
        json!({
            "events": self.events, "same": self.same, "outcomes": outcomes, "fields": fields,
            "new_to_mixpanel": {
                "rows": new.rows, "name": new.name, "distinct_id": new.distinct_id,
                "insert_id": new.insert_id, "time": new.time,
            },
            "not_listed": self.not_listed,
        })
    }
}

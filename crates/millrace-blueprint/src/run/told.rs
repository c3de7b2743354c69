//! From the notes of a run to what people read: for each field of a row the paths that went into
//! it, the functions, and the alternatives that fired.
//!
//! Only what had a part in the value is told: of a `??` the alternative that fired, of a choice the
//! branch that was taken, of an object the members that won.

use serde_json::Value;

use super::explain::{MemberNote, Note, Noted};
use crate::explanation::FieldExplained;
use crate::path_text::{below, with_member};
use crate::syntax::ast::Place;

/// What was noted for a field of a row: its own value, or the members below it.
#[derive(Debug)]
pub(super) struct FieldNote {
    pub(super) at: Vec<String>,
    pub(super) place: Place,
    pub(super) source: String,
    pub(super) notes: Vec<Note>,
    pub(super) members: Vec<MemberNote>,
    pub(super) engine: Vec<String>,
}

/// The explanations of the fields of a row.
pub(super) fn told_fields(
    fields: &[FieldNote],
    slots: &[String],
    body: &Value,
) -> Vec<FieldExplained> {
    let teller = Teller { slots, body };
    let mut told = Vec::new();
    for field in fields {
        if !field.members.is_empty() {
            for member in &field.members {
                teller.member(member, &field.at, None, &mut told);
            }
            continue;
        }
        let mut one = FieldExplained {
            at: field.at.clone(),
            source: field.source.clone(),
            line: field.place.line,
            column: field.place.column,
            ..FieldExplained::default()
        };
        for note in &field.notes {
            teller.gather(note, None, &mut one);
        }
        one.engine.extend(field.engine.iter().cloned());
        if one.source.is_empty() && field.notes.is_empty() && one.engine.is_empty() {
            continue;
        }
        told.push(one);
        for note in &field.notes {
            teller.inside(note, &field.at, None, &mut told);
        }
    }
    told
}

/// The paths that were looked at and gave something.
pub(super) fn inputs_of(notes: &[Note], slots: &[String]) -> Vec<String> {
    let teller = Teller { slots, body: &Value::Null };
    let mut all = FieldExplained::default();
    for note in notes {
        teller.gather(note, None, &mut all);
    }
    all.inputs.append(&mut all.tested);
    let mut seen = Vec::new();
    for path in all.inputs {
        add(&mut seen, path);
    }
    seen
}

struct Teller<'a> {
    slots: &'a [String],
    body: &'a Value,
}

/// Where a member of a spread comes from.
enum Origin<'n> {
    /// From a path: the member has the same name below it.
    Path(String),
    /// From an object that the blueprint writes.
    Member(&'n MemberNote, Option<String>),
    /// From what a function made of all that went in.
    Whole,
}

impl Teller<'_> {
    /// Tells where a member comes from, and the members inside it.
    fn member(
        &self,
        member: &MemberNote,
        above: &[String],
        item: Option<&str>,
        told: &mut Vec<FieldExplained>,
    ) {
        let mut at = above.to_vec();
        at.push(member.name.clone());
        let origin = match (&member.note, member.spread) {
            (Some(note), true) => self.origin(note, &member.name, item),
            _ => Origin::Whole,
        };
        let mut note = member.note.as_ref();
        if let Origin::Member(inner, base) = &origin {
            if inner.place.line > 0 {
                return self.member(inner, above, base.as_deref(), told);
            }
            // Made of a list of names in the settings: what is written is the spread alone.
            note = inner.note.as_ref();
        }
        let mut one = FieldExplained {
            at: at.clone(),
            source: member.source.clone(),
            line: member.place.line,
            column: member.place.column,
            ..FieldExplained::default()
        };
        if let Some(note) = note {
            self.gather(note, item, &mut one);
        }
        if let Origin::Path(path) = origin {
            one.inputs = vec![with_member(&path, &member.name)];
        }
        if let Some(filter) = member.filter
            && !one.functions.contains(&filter)
        {
            one.functions.push(filter);
        }
        let nested = !member.spread;
        self.note_text(&at, nested, member.note.as_ref(), &mut one);
        told.push(one);
        if let (Some(note), true) = (&member.note, nested) {
            self.inside(note, &at, item, told);
        }
    }

    /// Says so when what the blueprint writes as an object or a list is a text in the row.
    fn note_text(
        &self,
        at: &[String],
        nested: bool,
        note: Option<&Note>,
        one: &mut FieldExplained,
    ) {
        let built = note.map(Teller::result).is_some_and(|note| {
            matches!(note.what, Noted::Object | Noted::List { .. } | Noted::Each { .. })
        });
        if nested && built && self.found(at).is_some_and(Value::is_string) {
            one.engine.push("went as its JSON text: deeper or longer than Mixpanel takes".into());
        }
    }

    /// What stands at a place of the row.
    fn found(&self, at: &[String]) -> Option<&Value> {
        at.iter().try_fold(self.body, |value, step| match value {
            Value::Object(members) => members.get(step),
            Value::Array(items) => step.parse::<usize>().ok().and_then(|place| items.get(place)),
            _ => None,
        })
    }

    /// The note that a value comes from, through alternatives and branches.
    fn result(note: &Note) -> &Note {
        match note.what {
            Noted::First { .. } | Noted::Choice { .. } => {
                note.inner.last().map_or(note, Teller::result)
            }
            _ => note,
        }
    }

    /// The one path that a value is, unchanged but for members that were left out.
    fn path(&self, note: &Note, item: Option<&str>) -> Option<String> {
        let note = Teller::result(note);
        match &note.what {
            Noted::Slot(slot) => self.slots.get(usize::from(*slot)).cloned(),
            Noted::Fact(path) => Some((*path).to_owned()),
            Noted::Item(path) => Some(below(item?, path)),
            Noted::Call("omit" | "pick" | "without_nulls") => self.path(note.inner.first()?, item),
            _ => None,
        }
    }

    fn origin<'n>(&self, note: &'n Note, name: &str, item: Option<&str>) -> Origin<'n> {
        if let Some(path) = self.path(note, item) {
            return Origin::Path(path);
        }
        let result = Teller::result(note);
        let (object, base) = match result.what {
            Noted::With => {
                let base = result.inner.first().and_then(|value| self.path(value, item));
                (result.inner.last().map(Teller::result), base)
            }
            _ => (Some(result), item.map(str::to_owned)),
        };
        let members = object.map(|object| object.members.as_slice()).unwrap_or_default();
        match members.iter().rfind(|member| member.name == name) {
            Some(member) => Origin::Member(member, base),
            None => Origin::Whole,
        }
    }

    /// Gathers what had a part in a value.
    fn gather(&self, note: &Note, item: Option<&str>, one: &mut FieldExplained) {
        match &note.what {
            Noted::Constant => {}
            Noted::Slot(slot) if note.gave => {
                let path = self.slots.get(usize::from(*slot)).cloned();
                add(&mut one.inputs, path.unwrap_or_default());
            }
            Noted::Item(path) if note.gave => match item {
                Some(base) => add(&mut one.inputs, below(base, path)),
                None => add(&mut one.inputs, path.clone()),
            },
            Noted::Fact(path) if note.gave => add(&mut one.inputs, (*path).to_owned()),
            Noted::Engine(said) if note.gave => add(&mut one.engine, (*said).to_owned()),
            Noted::Slot(_)
            | Noted::ItemSlot(_)
            | Noted::Item(_)
            | Noted::Fact(_)
            | Noted::Engine(_) => {}
            Noted::First { all, .. } => {
                let fallback = format!("fallback: {} of {all}", fired(note));
                let mut last = note;
                while let (Noted::First { .. }, Some(inner)) = (&last.what, last.inner.last()) {
                    last = inner;
                }
                self.gather(last, item, one);
                one.chosen.push(fallback);
            }
            Noted::Choice { then } => {
                if let Some((taken, tests)) = note.inner.split_last() {
                    let mut tested = FieldExplained::default();
                    for test in tests {
                        self.gather(test, item, &mut tested);
                    }
                    for path in tested.inputs.into_iter().chain(tested.tested) {
                        add(&mut one.tested, path);
                    }
                    self.gather(taken, item, one);
                }
                one.chosen.push(if *then { "choice: then" } else { "choice: else" }.to_owned());
            }
            Noted::Call(name) => {
                for inner in &note.inner {
                    self.gather(inner, item, one);
                }
                if !one.functions.contains(name) {
                    one.functions.push(name);
                }
            }
            Noted::Object => {
                for member in &note.members {
                    self.of_member(member, item, one);
                }
            }
            Noted::List { .. } | Noted::Template => {
                for inner in &note.inner {
                    self.gather(inner, item, one);
                }
            }
            Noted::Each { .. } | Noted::With => self.of_items(note, item, one),
        }
    }

    fn of_member(&self, member: &MemberNote, item: Option<&str>, one: &mut FieldExplained) {
        let mut told = Vec::new();
        self.member(member, &[], item, &mut told);
        for inner in told.into_iter().take(1) {
            for path in inner.inputs {
                add(&mut one.inputs, path);
            }
            for path in inner.tested {
                add(&mut one.tested, path);
            }
        }
    }

    /// What went into the items of a shape, or the list itself when no item was looked into.
    fn of_items(&self, note: &Note, item: Option<&str>, one: &mut FieldExplained) {
        let Some((list, items)) = note.inner.split_first() else { return };
        let mut inside = FieldExplained::default();
        for (place, shape) in items.iter().enumerate() {
            self.gather(shape, self.base(note, list, place, item).as_deref(), &mut inside);
        }
        let of_list = inside.inputs.iter().all(|path| path.starts_with('.'));
        if of_list {
            self.gather(list, item, one);
            inside.inputs.clear();
        }
        for path in inside.inputs {
            add(&mut one.inputs, path);
        }
        for path in inside.tested.into_iter().filter(|path| !path.starts_with('.')) {
            add(&mut one.tested, path);
        }
    }

    /// The path of an item.
    fn base(&self, note: &Note, list: &Note, place: usize, item: Option<&str>) -> Option<String> {
        let path = self.path(list, item)?;
        let whole = note.what == Noted::With || list.object;
        Some(if whole { path } else { format!("{path}[{place}]") })
    }

    /// Tells of the members inside a value that the blueprint writes.
    fn inside(
        &self,
        note: &Note,
        at: &[String],
        item: Option<&str>,
        told: &mut Vec<FieldExplained>,
    ) {
        if self.found(at).is_none_or(|value| !value.is_object() && !value.is_array()) {
            return;
        }
        match &note.what {
            Noted::First { .. } | Noted::Choice { .. } => {
                if let Some(taken) = note.inner.last() {
                    self.inside(taken, at, item, told);
                }
            }
            Noted::Object => {
                for member in &note.members {
                    self.member(member, at, item, told);
                }
            }
            Noted::With => {
                if let Some((value, [shape])) = note.inner.split_first() {
                    let base = self.base(note, value, 0, item);
                    self.inside(shape, at, base.as_deref(), told);
                }
            }
            Noted::List { all } => {
                let present = note.inner.iter().filter(|inner| *all || inner.gave);
                for (place, inner) in present.enumerate() {
                    self.inside(inner, &placed(at, place), item, told);
                }
            }
            Noted::Each { all } => {
                let Some((list, items)) = note.inner.split_first() else { return };
                let mut written = 0;
                for (place, inner) in items.iter().enumerate() {
                    if *all || inner.gave {
                        let base = self.base(note, list, place, item);
                        self.inside(inner, &placed(at, written), base.as_deref(), told);
                        written += 1;
                    }
                }
            }
            Noted::Constant
            | Noted::Slot(_)
            | Noted::ItemSlot(_)
            | Noted::Item(_)
            | Noted::Fact(_)
            | Noted::Engine(_)
            | Noted::Call(_)
            | Noted::Template => {}
        }
    }
}

fn placed(at: &[String], place: usize) -> Vec<String> {
    let mut at = at.to_vec();
    at.push(place.to_string());
    at
}

/// Which alternative of a chain gave the value, from 1.
fn fired(note: &Note) -> usize {
    match (&note.what, note.inner.as_slice()) {
        (Noted::First { .. }, [left]) => fired(left),
        (Noted::First { left, .. }, [_, right]) => left + fired(right),
        _ => 1,
    }
}

fn add(list: &mut Vec<String>, path: String) {
    if !list.contains(&path) {
        list.push(path);
    }
}

//! What a run notes about itself when it is asked to: which values were looked at, what they gave,
//! and which entry of the blueprint each member of a row comes from.
//!
//! The run is the one of production: [`Run::value`] asks once whether there is a [`Trace`] and
//! then evaluates as ever. What the notes mean is worked out at the end, in `told`.

use millrace_model::event::TimeSource;
use millrace_model::id::InsertId;
use millrace_model::row::Row;

use super::told::{FieldNote, told_fields};
use super::value::Value;
use super::{Run, Scratch};
use crate::explanation::{RowExplained, RuleTried};
use crate::json::text;
use crate::plan::node::{Action, Each, Entry, EntryKind, Fact, Node, Rule};
use crate::syntax::ast::{Field, Place, Written};

/// No more values than this are noted: far above what rows that are sent can hold.
const NOTE_LIMIT: usize = 500_000;

/// Where the insert id of an event stands.
const INSERT_ID: [&str; 2] = ["properties", "$insert_id"];

/// What was seen of one node.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) what: Noted,
    /// True when it gave something.
    pub(super) gave: bool,
    /// True when that is an object.
    pub(super) object: bool,
    /// Which node it was, to tell the branches of a choice apart.
    address: usize,
    /// What was looked at for it, in order.
    pub(super) inner: Vec<Note>,
    /// The members that were written for it.
    pub(super) members: Vec<MemberNote>,
}

/// A kind of node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// A literal, or nothing.
    Constant,
    /// A path of the event.
    Slot(u16),
    /// A path of the item, as a slot until the shape around it is done.
    ItemSlot(u16),
    /// The same as text: `.price`.
    Item(String),
    /// A fact of admission that stands over this path.
    Fact(&'static str),
    /// Something that the engine knows.
    Engine(&'static str),
    /// `??` or `?|`, with how many alternatives stand on its left and in all.
    First {
        left: usize,
        all: usize,
    },
    /// A choice, and whether `then` was taken.
    Choice {
        then: bool,
    },
    Call(&'static str),
    Object,
    /// A list; `all` when what is nothing has a place in it, too.
    List {
        all: bool,
    },
    Each {
        all: bool,
    },
    With,
    Template,
}

/// A member that was written, with the entry that brought it.
#[derive(Clone, Debug)]
pub(super) struct MemberNote {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) source: String,
    /// True for a member of a spread.
    pub(super) spread: bool,
    /// The function of a spread that only filters: `omit` or `pick`.
    pub(super) filter: Option<&'static str>,
    pub(super) note: Option<Note>,
}

/// What a run has noted so far.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(super) rules: Vec<RuleTried>,
    pub(super) rows: Vec<RowExplained>,
    pub(super) cut_off: bool,
    count: usize,
    /// The paths of the event's slots.
    slots: Vec<String>,
    /// What is being looked at, the innermost last. The first one stands for the row.
    open: Vec<Note>,
    /// For gathered members, by place: what brought them.
    brought: Vec<(std::ops::Range<usize>, Note)>,
    /// The rule and action that run.
    rule: String,
    action: Option<ActionNote>,
    /// The fields of the row that is being written.
    fields: Vec<FieldNote>,
    /// What gave the id of the groups of the action.
    group_id: Vec<Note>,
}

/// The action that runs.
#[derive(Debug)]
struct ActionNote {
    verb: &'static str,
    place: Place,
    written: Vec<Written>,
}

impl Trace {
    /// A trace of a run of this plan.
    pub(super) fn of(plan: &crate::Plan) -> Trace {
        let mut trace = Trace { slots: plan.trie.path_texts("$"), ..Trace::default() };
        trace.open.push(Note::of(Noted::Constant, 0));
        trace
    }

    /// What was looked at since the last time, outside of any value.
    fn take(&mut self) -> Vec<Note> {
        self.open.last_mut().map(|note| std::mem::take(&mut note.inner)).unwrap_or_default()
    }

    pub(super) fn rule(&mut self, rule: &Rule, matched: bool) {
        let tested = super::told::inputs_of(&self.take(), &self.slots);
        if matched {
            self.rule.clone_from(&rule.name);
        }
        self.rules.push(RuleTried {
            name: rule.name.clone(),
            line: rule.place.line,
            column: rule.place.column,
            matched,
            tested,
        });
    }

    pub(super) fn action(&mut self, action: &Action) {
        self.take();
        self.fields.clear();
        let verb = action.verb.as_str();
        let written = action.written.to_vec();
        self.action = Some(ActionNote { verb, place: action.place, written });
    }

    /// Notes a member that was written; `place` is its place among the gathered ones.
    pub(super) fn member(&mut self, place: usize, name: &[u8], entry: &Entry) {
        let brought = self.brought.iter().rfind(|(places, _)| places.contains(&place));
        let note = brought.map(|(_, note)| note.clone());
        let (spread, filter) = match &entry.what {
            EntryKind::Member { .. } => (false, None),
            EntryKind::Spread { filter, .. } => {
                (true, filter.as_ref().map(|filter| if filter.keep { "pick" } else { "omit" }))
            }
        };
        let mut decoded = String::new();
        text::decode(name, &mut decoded);
        let source = entry.source.to_string();
        let member = MemberNote { name: decoded, place: entry.place, source, spread, filter, note };
        if let Some(open) = self.open.last_mut() {
            open.members.push(member);
        }
    }

    /// Forgets what brought the gathered members from this place on.
    pub(super) fn forget(&mut self, base: usize) {
        self.brought.retain(|(places, _)| places.start < base);
    }

    fn row_begins(&mut self) {
        self.take();
        self.fields.clear();
        if let Some(root) = self.open.first_mut() {
            root.members.clear();
        }
    }

    fn field(&mut self, at: &[&str], field: Field, engine: Vec<String>) {
        let notes = self.take();
        self.field_of(at, field, notes, engine);
    }

    fn field_of(&mut self, at: &[&str], field: Field, notes: Vec<Note>, engine: Vec<String>) {
        let Some(action) = &self.action else { return };
        let written = action.written.iter().find(|written| written.field == field);
        self.fields.push(FieldNote {
            at: at.iter().map(|step| (*step).to_owned()).collect(),
            place: written.map_or(action.place, |written| written.place),
            source: written.map(|written| written.source.clone()).unwrap_or_default(),
            notes,
            members: Vec::new(),
            engine,
        });
    }

    /// The members that were written for the row, below this field of it.
    fn members(&mut self, at: &[&str]) {
        let members = self.open.first_mut().map(|root| std::mem::take(&mut root.members));
        self.fields.push(FieldNote {
            at: at.iter().map(|step| (*step).to_owned()).collect(),
            place: Place::default(),
            source: String::new(),
            notes: Vec::new(),
            members: members.unwrap_or_default(),
            engine: Vec::new(),
        });
    }

    fn row_ends(&mut self, row: &Row, body: &[u8]) {
        let Some(action) = &self.action else { return };
        let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let fields = told_fields(&std::mem::take(&mut self.fields), &self.slots, &body);
        self.rows.push(RowExplained {
            rule: self.rule.clone(),
            verb: action.verb,
            line: action.place.line,
            column: action.place.column,
            path: row.endpoint.path(),
            insert_id: row.insert_id.map(|id| id.to_string()),
            repeatable: row.repeatable,
            body,
            fields,
        });
    }
}

impl Note {
    fn of(what: Noted, address: usize) -> Note {
        let (inner, members) = (Vec::new(), Vec::new());
        Note { what, gave: false, object: false, address, inner, members }
    }

    /// Names the paths of an item, which the shape around it knows.
    fn name_items(&mut self, names: &[String]) {
        if let Noted::ItemSlot(slot) = self.what {
            self.what = Noted::Item(names.get(usize::from(slot)).cloned().unwrap_or_default());
        }
        let of_members = self.members.iter_mut().filter_map(|member| member.note.as_mut());
        for note in self.inner.iter_mut().chain(of_members) {
            note.name_items(names);
        }
    }
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

/// How many alternatives a chain of `??` and `?|` has.
fn alternatives(node: &Node) -> usize {
    match node {
        Node::First { left, right, .. } => alternatives(left) + alternatives(right),
        _ => 1,
    }
}

fn noted(node: &Node) -> Noted {
    match node {
        Node::Nothing | Node::Constant(_) => Noted::Constant,
        Node::Slot(slot) | Node::KeptSlot(slot) => Noted::Slot(*slot),
        Node::Item(slot) | Node::KeptItem(slot) => Noted::ItemSlot(*slot),
        Node::Fact(fact) | Node::Millis(fact) => Noted::Fact(match fact {
            Fact::MessageId => "$.messageId",
            Fact::Timestamp => "$.timestamp",
            Fact::ReceivedAt => "$.receivedAt",
            Fact::Kind => "$.type",
            Fact::Ip(_) => "$.context.ip",
        }),
        Node::First { left, right, .. } => {
            let left = alternatives(left);
            Noted::First { left, all: left + alternatives(right) }
        }
        Node::Template { .. } => Noted::Template,
        Node::Call(call) => Noted::Call(call.function.as_str()),
        Node::Need(need) => Noted::Call(need.wanted.function()),
        Node::Table(_) => Noted::Call("map"),
        Node::Place => Noted::Engine("the place of the item in its list"),
        Node::Object(_) => Noted::Object,
        Node::List(_) => Noted::List { all: false },
        Node::KeptList(_) => Noted::List { all: true },
        Node::Each(each) => Noted::Each { all: each.exact },
        Node::With(_) => Noted::With,
        Node::Choice(_) => Noted::Choice { then: false },
    }
}

impl<'a> Run<'a> {
    /// The value of a node, with a note of it.
    #[cold]
    pub(super) fn noted_value(&mut self, node: &'a Node, level: u8) -> Value {
        let Some(trace) = &mut self.scratch.trace else { return self.value_of(node, level) };
        trace.count += 1;
        if trace.count > NOTE_LIMIT {
            trace.cut_off = true;
            return self.value_of(node, level);
        }
        trace.open.push(Note::of(noted(node), address(node)));
        let value = self.value_of(node, level);
        let (gave, object) = (!value.is_nothing(), self.json(value).first() == Some(&b'{'));
        let Some(trace) = &mut self.scratch.trace else { return value };
        let Some(mut note) = trace.open.pop() else { return value };
        (note.gave, note.object) = (gave, object);
        match node {
            Node::Choice(choice) => {
                let then = note.inner.last().map(|last| last.address) == Some(address(&choice.1));
                note.what = Noted::Choice { then };
            }
            Node::Each(each) | Node::With(each) => name_items(&mut note, each),
            // The client's address stands for one that the event has not.
            Node::Fact(Fact::Ip(_)) if !matches!(value, Value::Event(_)) => {
                note.what = Noted::Engine("the client's address, as the collector saw it");
            }
            Node::Millis(_) => {
                let inner = std::mem::replace(&mut note.what, Noted::Call("time"));
                let gave = Note { gave, ..Note::of(inner, 0) };
                note.inner.push(gave);
            }
            _ => {}
        }
        if let Some(outer) = trace.open.last_mut() {
            outer.inner.push(note);
        }
        value
    }

    /// Notes which entry brought the members gathered since `from`.
    pub(super) fn note_brought(&mut self, from: usize) {
        let to = self.scratch.pending.len();
        let Some(trace) = &mut self.scratch.trace else { return };
        let note = trace.open.last_mut().and_then(|open| open.inner.pop());
        if let (Some(note), true) = (note, to > from) {
            trace.brought.push((from..to, note));
        }
    }

    /// Notes that a row begins.
    #[inline]
    pub(super) fn note_row(&mut self) {
        if let (true, Some(trace)) = (self.noting, &mut self.scratch.trace) {
            trace.row_begins();
        }
    }

    /// Notes a field of the row: what was looked at since the last one gave it. With `written`
    /// false it is not there.
    #[inline]
    pub(super) fn note_field(&mut self, at: &[&str], field: Field, written: bool) {
        if self.noting {
            self.scratch.note_field(at, field, written);
        }
    }

    /// Notes a field that has the value of one that was noted before.
    pub(super) fn note_same(&mut self, at: &[&str], as_field: Field) {
        let Some(trace) = &mut self.scratch.trace else { return };
        let same = trace.fields.iter().rev().find(|field| {
            let written = |action: &ActionNote| {
                action.written.iter().any(|one| one.field == as_field && one.place == field.place)
            };
            trace.action.as_ref().is_some_and(written)
        });
        let notes = same.map(|field| field.notes.clone()).unwrap_or_default();
        trace.field_of(at, as_field, notes, Vec::new());
    }

    /// Notes what the action's `ids` or another field gave, as one of several.
    pub(super) fn note_group_id(&mut self) {
        if let Some(trace) = &mut self.scratch.trace {
            trace.group_id = trace.take();
        }
    }

    /// Notes the group's id, which was looked at once for all rows.
    pub(super) fn note_group_id_field(&mut self) {
        let Some(trace) = &mut self.scratch.trace else { return };
        let notes = trace.group_id.clone();
        trace.field_of(&["$group_id"], Field::GroupId, notes, Vec::new());
    }

    /// Notes a field that the engine writes by itself.
    pub(super) fn note_engine(&mut self, at: &[&str], field: Field, said: &str) {
        let Some(trace) = &mut self.scratch.trace else { return };
        trace.take();
        trace.field_of(at, field, Vec::new(), vec![said.to_owned()]);
    }

    /// Notes the time of an event row: as the blueprint says, or the event's own.
    pub(super) fn note_time(&mut self, given: bool, millis: i64) {
        let facts = self.event.facts;
        let corrected = millis == self.event.received_at.0;
        let Some(trace) = &mut self.scratch.trace else { return };
        let at = ["properties", "time"];
        let ahead = "it lay ahead of its receipt and became the time of receipt";
        if given {
            trace.field(&at, Field::Time, Vec::new());
            return;
        }
        trace.take();
        let own = Note { gave: true, ..Note::of(Noted::Fact("$.timestamp"), 0) };
        let (notes, said) = match facts.time_source {
            TimeSource::Receipt => (vec![], vec!["the time of receipt: the event has none"]),
            _ if corrected && facts.time.0 != millis => (vec![own], vec![ahead]),
            TimeSource::Client => (vec![own], vec!["the event's own time"]),
            TimeSource::Corrected => {
                (vec![own], vec!["the event's own time, corrected by how far its clock was off"])
            }
        };
        trace.field_of(&at, Field::Time, notes, said.into_iter().map(str::to_owned).collect());
    }

    /// Notes the insert id of an event row: as the blueprint says, or made from the message id.
    pub(super) fn note_insert_id(&mut self, given: Option<InsertId>, id: &InsertId, row: u32) {
        let base = given.unwrap_or_else(|| InsertId::from_message_id(&self.event.facts.message_id));
        let different = (*id != base)
            .then(|| format!("made different for row {} of the event", row.saturating_add(1)));
        if given.is_none() {
            self.note_own_id(different);
        } else if let Some(trace) = &mut self.scratch.trace {
            trace.field(&INSERT_ID, Field::InsertId, different.into_iter().collect());
        }
    }

    /// Notes the insert id of a link event.
    pub(super) fn note_link_id(&mut self, place: u32) {
        let different = match place {
            0 => "made different for the link event".to_owned(),
            place => format!("made different for link event {}", place.saturating_add(1)),
        };
        self.note_own_id(Some(different));
    }

    /// Notes an insert id that was made from the message id.
    fn note_own_id(&mut self, different: Option<String>) {
        let message_id = &self.event.facts.message_id;
        let base = InsertId::from_message_id(message_id);
        let Some(trace) = &mut self.scratch.trace else { return };
        trace.take();
        let own = Note { gave: true, ..Note::of(Noted::Fact("$.messageId"), 0) };
        let mut said = vec![if base.as_str() == message_id {
            "the message id".to_owned()
        } else if message_id.ends_with(base.as_str()) {
            "the UUID at the end of the message id, which Mixpanel does not take whole".to_owned()
        } else {
            "derived from the message id, which Mixpanel does not take".to_owned()
        }];
        said.extend(different);
        trace.field_of(&INSERT_ID, Field::InsertId, vec![own], said);
    }

    /// Notes the members that were written below a field of the row.
    pub(super) fn note_members(&mut self, at: &[&str]) {
        if let Some(trace) = &mut self.scratch.trace {
            trace.members(at);
        }
    }
}

fn name_items(note: &mut Note, each: &Each) {
    let names = each.trie.path_texts("");
    // The first one is the list, which belongs to what is around.
    for item in note.inner.iter_mut().skip(1) {
        item.name_items(&names);
    }
}

impl Scratch {
    #[cold]
    fn note_field(&mut self, at: &[&str], field: Field, written: bool) {
        let Some(trace) = &mut self.trace else { return };
        if written { trace.field(at, field, Vec::new()) } else { drop(trace.take()) }
    }

    /// Notes that a row is complete.
    pub(super) fn note_row_end(&mut self, row: &Row, body: &[u8]) {
        if let Some(trace) = &mut self.trace {
            trace.row_ends(row, body);
        }
    }
}

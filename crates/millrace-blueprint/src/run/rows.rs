//! What the actions write, in the form that Mixpanel takes (reference/mixpanel-api.md 2.1, 3.1,
//! 4.3), and the checks of what it would refuse (2.4).

use millrace_model::code::Code;
use millrace_model::correction::Correction;
use millrace_model::id::InsertId;
use millrace_model::row::{Endpoint, Lanes, ProjectKey, Row, RowRole, Rows};
use millrace_model::time::UnixMillis;

use super::object::{Layout, Members};
use super::profiles::Beside;
use super::value::Value;
use super::{FIRST_TIME, Run, Stop, not_ahead, person_lane};
use crate::json::cursor::MEMBER_LIMIT;
use crate::json::sizes::TEXT_LIMIT;
use crate::json::text;
use crate::plan::node::{Action, Event, Node, Object, What};
use crate::syntax::ast::{BlankNames, Field, IdleRows, Nobody, TimeBefore, Verb, WideValues};

/// The most that Mixpanel takes for one row, in bytes (reference/mixpanel-api.md 2.3).
const ROW_LIMIT: usize = 1_000_000;

/// Names that are no events to Mixpanel: it joins identities by them, or refuses the whole request
/// (reference/mixpanel-api.md 2.3). The actions `identify`, `alias` and `merge` write them; a name
/// that comes from an event must never, because anyone who has a write key can send one.
const IDENTITY_VERBS: [&str; 3] = ["$identify", "$create_alias", "$merge"];

/// A row that is being written.
pub(super) struct Draft {
    pub(super) endpoint: Endpoint,
    pub(super) role: RowRole,
    pub(super) repeatable: bool,
    pub(super) lanes: Lanes,
    pub(super) insert_id: Option<InsertId>,
    pub(super) start: usize,
}

impl<'a> Run<'a> {
    /// Writes the rows of an action, for each item of its list if it has one.
    pub(super) fn action(&mut self, action: &'a Action, out: &mut Rows) -> Result<(), Stop> {
        match &action.each {
            Some(each) => self.action_each(action, each, out),
            None => self.one_action(action, out),
        }
    }

    /// Writes the rows of an action if its condition holds.
    pub(super) fn one_action(&mut self, action: &'a Action, out: &mut Rows) -> Result<(), Stop> {
        let done = if self.holds(&action.test) { self.write(action, out) } else { Ok(()) };
        // A value of the wrong kind counts as nothing, so that it may be missed where it stood:
        // that it was refused says more.
        match self.refused.take() {
            Some(stop) => Err(stop),
            None => done.and_then(|()| self.within_bounds()),
        }
    }

    fn write(&mut self, action: &'a Action, out: &mut Rows) -> Result<(), Stop> {
        self.project = self.project_of(&action.token);
        self.alone = action.alone;
        if let Some(trace) = &mut self.scratch.trace {
            trace.action(action);
        }
        match &action.what {
            What::Event(event) => self.event_row(event, out),
            What::Join { verb, name, ids, properties } => {
                self.join_row(*verb, name, ids, properties.as_deref(), out)
            }
            What::Profile { distinct_id, ip, time, ignore_time, operators } => {
                for (field, operand) in operators {
                    let beside = Beside { ip, time, ignore_time };
                    self.profile_row(distinct_id, beside, *field, operand, out)?;
                }
                Ok(())
            }
            What::Delete { distinct_id, ignore_alias } => {
                self.delete_row(distinct_id, *ignore_alias, out)
            }
            What::Group { key, id, operators } => {
                for id in self.group_ids(id)? {
                    for (field, operand) in operators {
                        self.group_row(key, id, *field, operand, out)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// The project of a token; none for the integration's own, which needs no token. What is no
    /// text stands for no project, and must not pass for the integration's own.
    fn project_of(&mut self, token: &'a Node) -> Option<ProjectKey> {
        let value = self.value(token, 1);
        if self.is_blank(value) {
            return None;
        }
        let mut spare = String::new();
        // The empty token is that of no project.
        Some(ProjectKey::of(self.text(value, &mut spare).unwrap_or_default()))
    }

    /// The lanes of the event, then those of the row's own ids.
    pub(super) fn lanes_with(&self, ids: &[Value]) -> Lanes {
        let mut lanes = self.lanes;
        for id in ids {
            let mut spare = String::new();
            if let Some(text) = self.identifier_text(*id, &mut spare) {
                lanes.add(person_lane(text));
            }
        }
        lanes
    }

    /// The id that a node gives; nothing when it is not usable.
    pub(super) fn id(&mut self, node: &'a Node) -> Value {
        let value = self.value(node, 1);
        let mut spare = String::new();
        if self.identifier_text(value, &mut spare).is_some() {
            return value;
        }
        self.left_out(value);
        Value::Nothing
    }

    /// True for a text that can be an event's name; an error for one that would be a verb.
    fn is_name(&self, value: Value) -> Result<bool, Stop> {
        let mut spare = String::new();
        let Some(name) = self.text(value, &mut spare) else { return Ok(false) };
        let verb = name.trim();
        if IDENTITY_VERBS.contains(&verb) {
            let message = format!("an event cannot have the name {verb}");
            return Err(Stop::new(Code::ReservedName, message));
        }
        let blank = verb.is_empty() && self.plan.checks.blank_names == BlankNames::SetAside;
        Ok(!name.is_empty() && !blank)
    }

    /// Writes the name of an event.
    fn write_name(&self, name: Value, out: &mut Vec<u8>) {
        let start = out.len();
        self.copy(name, 1, out);
        if out.len() - start > TEXT_LIMIT + 2 {
            self.notice_texts(out.get(start..).unwrap_or_default());
        }
        self.corrected.name(b"event");
    }

    /// Why there is no distinct id: the event is nobody's, or its ids cannot stand for anybody.
    pub(super) fn no_distinct_id(&self) -> Stop {
        let [user, anonymous, _] = self.plan.ids.map(|slot| self.slot(slot));
        if [user, anonymous].iter().all(|id| matches!(self.json(*id), b"" | b"null" | b"\"\"")) {
            let message = "the event has neither a userId nor an anonymousId";
            return Stop::new(Code::NoIdentity, message);
        }
        let message = "neither the user id nor another id can stand as distinct id";
        Stop::new(Code::BadDistinctId, message)
    }

    /// Writes an id, which Mixpanel takes as a text only.
    pub(super) fn write_id(&self, key: &[u8], id: Value, out: &mut Vec<u8>) {
        out.extend_from_slice(key);
        out.push(b'"');
        self.put_text(id, out);
        out.push(b'"');
    }

    /// The insert id of the event's own rows.
    fn base_id(&mut self) -> InsertId {
        let message_id = &self.event.facts.message_id;
        *self.insert_id.get_or_insert_with(|| {
            let id = InsertId::from_message_id(message_id);
            self.corrected.insert_id(message_id, id);
            id
        })
    }

    /// The milliseconds of a time that Mixpanel takes.
    fn checked_time(&self, time: UnixMillis) -> Result<i64, Stop> {
        if time < FIRST_TIME && self.plan.checks.time_before == TimeBefore::SetAside {
            let message = format!("the event's time {time} lies before 1971");
            return Err(Stop::new(Code::TimeOutOfRange, message));
        }
        let checked = not_ahead(self.plan.checks, time, self.event.received_at);
        // The event's own time was checked when the run began.
        let own = time == self.time && self.time != self.event.facts.time;
        if own || checked != time {
            self.corrected.add_for(Correction::TimeAhead, b"time");
        }
        Ok(checked.0)
    }

    fn event_row(&mut self, event: &'a Event, out: &mut Rows) -> Result<(), Stop> {
        self.note_row();
        let name = self.value(&event.name, 1);
        self.note_field(&["event"], Field::Name, true);
        let mut spare = String::new();
        if !self.is_name(name)? {
            return Err(Stop::new(Code::NoMappedName, "the event has no name after mapping"));
        }
        let distinct_id = self.id(&event.distinct_id);
        self.corrected.name(b"distinct_id");
        let nobody = self.plan.checks.nobody;
        if distinct_id.is_nothing() && nobody == Nobody::SetAside {
            return Err(self.no_distinct_id());
        }
        self.note_field(&["properties", "distinct_id"], Field::DistinctId, true);
        let time = self.value(&event.time, 1);
        let millis = self.float(time).filter(|millis| millis.abs() < 9e15);
        let time = match millis {
            // Whole milliseconds in the range of times; `time(..)` gives nothing else.
            Some(millis) => self.checked_time(UnixMillis(millis as i64))?,
            None => self.checked_time(self.time)?,
        };
        if self.noting {
            self.note_time(millis.is_some(), time);
        }
        let given = self.value(&event.insert_id, 1);
        let given = self.text(given, &mut spare).map(|given| {
            let id = InsertId::from_message_id(given);
            self.corrected.insert_id(given, id);
            id
        });
        let insert_id = match given {
            Some(id) => id,
            None => self.base_id().further(self.event_rows),
        };
        if self.noting {
            self.note_insert_id(given.is_some(), &insert_id, self.event_rows);
        }
        self.event_rows = self.event_rows.saturating_add(1);
        let user_id = self.id(&event.user_id);
        self.corrected.name(b"$user_id");
        self.note_field(&["properties", "$user_id"], Field::UserId, !user_id.is_nothing());
        let device_id = self.id(&event.device_id);
        self.corrected.name(b"$device_id");
        self.note_field(&["properties", "$device_id"], Field::DeviceId, !device_id.is_nothing());
        let ip = self.value(&event.ip, 1);
        if self.noting {
            let known = self.address(ip, &mut spare).is_some();
            self.note_field(&["properties", "ip"], Field::Ip, known);
        }
        let base = self.gather(&event.properties, 1);

        let start = out.bytes.len();
        let bytes = &mut out.bytes;
        bytes.extend_from_slice(b"{\"event\":");
        self.write_name(name, bytes);
        bytes.extend_from_slice(b",\"properties\":{\"time\":");
        bytes.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
        if !distinct_id.is_nothing() || nobody == Nobody::Empty {
            self.write_id(b",\"distinct_id\":", distinct_id, bytes);
        }
        write_text(b",\"$insert_id\":", insert_id.as_str(), bytes);
        let mut fixed = 4;
        for (key, id) in [(b",\"$device_id\":".as_slice(), device_id), (b",\"$user_id\":", user_id)]
        {
            if !id.is_nothing() {
                self.write_id(key, id, bytes);
                fixed += 1;
            }
        }
        self.write_ip(b",\"ip\":", ip, bytes);
        // Where wide values are refused as elsewhere, what is counted there counts here.
        let refused = self.plan.checks.wide_values == WideValues::SetAside;
        fixed += usize::from(refused && self.address(ip, &mut spare).is_some());
        let layout = Layout { members: Members::Any, level: 1, first: false };
        let count = self.write_members(&event.properties, base, layout, bytes);
        bytes.extend_from_slice(b"}}");
        self.note_members(&["properties"]);
        self.within_bounds()?;
        if count + fixed >= MEMBER_LIMIT {
            let message = format!("the event has {} properties", count + fixed);
            return Err(Stop::new(Code::TooManyProperties, message));
        }
        let draft = Draft {
            endpoint: Endpoint::Import,
            role: RowRole::Plain,
            repeatable: true,
            lanes: self.lanes_with(&[distinct_id, user_id, device_id]),
            insert_id: Some(insert_id),
            start,
        };
        self.finish(&draft, out)
    }

    /// The address that Mixpanel looks up, where one is known. Without one it would take that of
    /// the sender, which is ours; every request says `ip=0` so that it does not
    /// (reference/mixpanel-api.md 5.3).
    pub(super) fn write_ip(&self, key: &[u8], ip: Value, out: &mut Vec<u8>) {
        let mut spare = String::new();
        if let Some(ip) = self.address(ip, &mut spare) {
            write_text(key, ip, out);
        }
    }

    /// The text of an address; none for what is blank or no text.
    pub(super) fn address<'s>(&'s self, ip: Value, spare: &'s mut String) -> Option<&'s str> {
        self.text(ip, spare).filter(|ip| !ip.trim().is_empty())
    }

    /// A row that joins two ids. Nothing is joined, and no row written, when one of them is not
    /// usable or both are the same.
    fn join_row(
        &mut self,
        verb: Verb,
        name: &'a Node,
        [first, second]: &'a [Node; 2],
        properties: Option<&'a Object>,
        out: &mut Rows,
    ) -> Result<(), Stop> {
        self.note_row();
        let name = self.value(name, 1);
        self.note_field(&["event"], Field::Name, verb == Verb::Link);
        let named = verb != Verb::Link || self.is_name(name)?;
        let first = self.id(first);
        let (first_at, second_at) = join_fields(verb);
        self.note_field(first_at.0, first_at.1, true);
        let second = self.id(second);
        self.note_field(second_at.0, second_at.1, true);
        let (mut spare, mut other) = (String::new(), String::new());
        let lanes = self.lanes_with(&[first, second]);
        let idle = self.plan.checks.idle_rows == IdleRows::Send;
        match (self.identifier_text(first, &mut spare), self.identifier_text(second, &mut other)) {
            (Some(first), Some(second)) if named && (first != second || idle) => {}
            _ => return Ok(()),
        }
        if verb != Verb::Link {
            self.note_engine(&["event"], Field::Name, "the identity verb of the action");
        }
        let start = out.bytes.len();
        let mut insert_id = None;
        out.bytes.extend_from_slice(b"{\"event\":");
        self.write_name(name, &mut out.bytes);
        out.bytes.extend_from_slice(b",\"properties\":{");
        // A link event is an event like any other. The verbs have their ids and nothing else: they
        // need neither a time nor an insert id (reference/mixpanel-api.md 4.3).
        let keys: [&[u8]; 2] = match verb {
            Verb::Identify => [b"\"$identified_id\":", b",\"$anon_id\":"],
            Verb::Alias => [b"\"distinct_id\":", b",\"alias\":"],
            Verb::Merge => [b"\"$distinct_ids\":[", b","],
            Verb::Event | Verb::Link | Verb::Profile | Verb::Group | Verb::Join | Verb::Delete => {
                let time = self.checked_time(self.time)?;
                let id = self.base_id().beside(verb.as_str());
                insert_id = Some(id);
                self.note_time(false, time);
                self.note_insert_id(false, &id, self.event_rows);
                self.note_same(&["properties", "distinct_id"], Field::UserId);
                out.bytes.extend_from_slice(b"\"time\":");
                out.bytes.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
                write_text(b",\"$insert_id\":", id.as_str(), &mut out.bytes);
                self.write_id(b",\"distinct_id\":", first, &mut out.bytes);
                [b",\"$user_id\":", b",\"$device_id\":"]
            }
        };
        for (key, id) in keys.into_iter().zip([first, second]) {
            self.write_id(key, id, &mut out.bytes);
        }
        if verb == Verb::Merge {
            out.bytes.push(b']');
        }
        if let Some(properties) = properties {
            let base = self.gather(properties, 1);
            let layout = Layout { members: Members::Any, level: 1, first: false };
            self.write_members(properties, base, layout, &mut out.bytes);
            self.note_members(&["properties"]);
            self.within_bounds()?;
        }
        out.bytes.extend_from_slice(b"}}");
        let draft = Draft {
            endpoint: Endpoint::Import,
            role: RowRole::Joins,
            repeatable: true,
            lanes,
            insert_id,
            start,
        };
        self.finish(&draft, out)
    }

    /// Stops the event when a bound was met while its values were made.
    pub(super) fn within_bounds(&self) -> Result<(), Stop> {
        match self.overflow.get() {
            None => Ok(()),
            Some(code) => Err(Stop::new(code, "the event maps to more than a row can hold")),
        }
    }

    /// Adds the row that was written.
    pub(super) fn finish(&mut self, draft: &Draft, out: &mut Rows) -> Result<(), Stop> {
        let body = draft.start..out.bytes.len();
        if body.len() > ROW_LIMIT {
            let message = format!("the mapped row has {} bytes", body.len());
            return Err(Stop::new(Code::RowTooLarge, message));
        }
        let row = Row {
            endpoint: draft.endpoint,
            role: draft.role,
            repeatable: draft.repeatable,
            lanes: draft.lanes,
            insert_id: draft.insert_id,
            project: self.project,
            alone: self.alone,
            body,
        };
        if self.noting {
            self.scratch.note_row_end(&row, out.bytes.get(row.body.clone()).unwrap_or_default());
        }
        out.rows.push(row);
        Ok(())
    }
}

/// Where an id stands in a row, and the field that gives it.
type IdField = (&'static [&'static str], Field);

/// The fields of a join's two ids, and where they stand in the row.
fn join_fields(verb: Verb) -> (IdField, IdField) {
    match verb {
        Verb::Identify => (
            (&["properties", "$identified_id"], Field::UserId),
            (&["properties", "$anon_id"], Field::AnonymousId),
        ),
        Verb::Alias => (
            (&["properties", "distinct_id"], Field::DistinctId),
            (&["properties", "alias"], Field::Alias),
        ),
        Verb::Merge => (
            (&["properties", "$distinct_ids", "0"], Field::Ids),
            (&["properties", "$distinct_ids", "1"], Field::Ids),
        ),
        Verb::Event | Verb::Link | Verb::Profile | Verb::Group | Verb::Join | Verb::Delete => (
            (&["properties", "$user_id"], Field::UserId),
            (&["properties", "$device_id"], Field::DeviceId),
        ),
    }
}

fn write_text(key: &[u8], value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    text::write(value, out);
}

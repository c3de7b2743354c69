//! What the actions write, in the form that Mixpanel takes (reference/mixpanel-api.md 2.1, 3.1,
//! 4.3), and the checks of what it would refuse (2.4).

use millrace_model::code::Code;
use millrace_model::correction::Correction;
use millrace_model::id::InsertId;
use millrace_model::row::{Endpoint, Lanes, ProjectKey, Row, RowRole, Rows};
use millrace_model::time::UnixMillis;

use super::object::{Layout, Members};
use super::value::Value;
use super::{FIRST_TIME, Run, Stop, not_ahead, person_lane};
use crate::json::cursor::MEMBER_LIMIT;
use crate::json::sizes::TEXT_LIMIT;
use crate::json::text;
use crate::plan::node::{Action, Event, Node, What};
use crate::syntax::ast::{BlankNames, Field, Nobody, TimeBefore, WideValues};

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

/// What an event row is made of.
struct EventParts {
    name: Value,
    distinct_id: Value,
    /// Unix milliseconds.
    time: i64,
    insert_id: InsertId,
    user_id: Value,
    device_id: Value,
    ip: Value,
    /// Where the properties begin among the gathered members.
    members: usize,
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
            What::Profile { distinct_id, beside, operators } => {
                for (field, operand) in operators {
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
    pub(super) fn is_name(&self, value: Value) -> Result<bool, Stop> {
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
    pub(super) fn write_name(&self, name: Value, out: &mut Vec<u8>) {
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
    pub(super) fn base_id(&mut self) -> InsertId {
        let message_id = &self.event.facts.message_id;
        *self.insert_id.get_or_insert_with(|| {
            let id = InsertId::from_message_id(message_id);
            self.corrected.insert_id(message_id, id);
            id
        })
    }

    /// The milliseconds of a time that Mixpanel takes.
    pub(super) fn checked_time(&self, time: UnixMillis) -> Result<i64, Stop> {
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
        let parts = self.event_parts(event)?;
        let start = out.bytes.len();
        let count = self.write_event(event, &parts, &mut out.bytes);
        self.note_members(&["properties"]);
        self.within_bounds()?;
        if count >= MEMBER_LIMIT {
            let message = format!("the event has {count} properties");
            return Err(Stop::new(Code::TooManyProperties, message));
        }
        let draft = Draft {
            endpoint: Endpoint::Import,
            role: RowRole::Plain,
            repeatable: true,
            lanes: self.lanes_with(&[parts.distinct_id, parts.user_id, parts.device_id]),
            insert_id: Some(parts.insert_id),
            start,
        };
        self.finish(&draft, out)
    }

    /// What an event row is made of, in the order in which `explain` tells it.
    fn event_parts(&mut self, event: &'a Event) -> Result<EventParts, Stop> {
        self.note_row();
        let name = self.value(&event.name, 1);
        self.note_field(&["event"], Field::Name, true);
        if !self.is_name(name)? {
            return Err(Stop::new(Code::NoMappedName, "the event has no name after mapping"));
        }
        let distinct_id = self.id(&event.distinct_id);
        self.corrected.name(b"distinct_id");
        if distinct_id.is_nothing() && self.plan.checks.nobody == Nobody::SetAside {
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
        let insert_id = self.insert_id(&event.insert_id);
        let user_id = self.id(&event.user_id);
        self.corrected.name(b"$user_id");
        self.note_field(&["properties", "$user_id"], Field::UserId, !user_id.is_nothing());
        let device_id = self.id(&event.device_id);
        self.corrected.name(b"$device_id");
        self.note_field(&["properties", "$device_id"], Field::DeviceId, !device_id.is_nothing());
        let ip = self.value(&event.ip, 1);
        if self.noting {
            let known = self.address(ip, &mut String::new()).is_some();
            self.note_field(&["properties", "ip"], Field::Ip, known);
        }
        let members = self.gather(&event.properties, 1);
        Ok(EventParts { name, distinct_id, time, insert_id, user_id, device_id, ip, members })
    }

    /// Writes an event row; tells how many properties it has.
    fn write_event(&mut self, event: &'a Event, parts: &EventParts, out: &mut Vec<u8>) -> usize {
        out.extend_from_slice(b"{\"event\":");
        self.write_name(parts.name, out);
        out.extend_from_slice(b",\"properties\":{\"time\":");
        out.extend_from_slice(itoa::Buffer::new().format(parts.time).as_bytes());
        if !parts.distinct_id.is_nothing() || self.plan.checks.nobody == Nobody::Empty {
            self.write_id(b",\"distinct_id\":", parts.distinct_id, out);
        }
        write_text(b",\"$insert_id\":", parts.insert_id.as_str(), out);
        let mut fixed = 4;
        let device = (b",\"$device_id\":".as_slice(), parts.device_id);
        for (key, id) in [device, (b",\"$user_id\":", parts.user_id)] {
            if !id.is_nothing() {
                self.write_id(key, id, out);
                fixed += 1;
            }
        }
        self.write_ip(b",\"ip\":", parts.ip, out);
        // Where wide values are refused as elsewhere, what is counted there counts here.
        let refused = self.plan.checks.wide_values == WideValues::SetAside;
        fixed += usize::from(refused && self.address(parts.ip, &mut String::new()).is_some());
        let layout = Layout { members: Members::Any, level: 1, first: false };
        let count = self.write_members(&event.properties, parts.members, layout, out);
        out.extend_from_slice(b"}}");
        count + fixed
    }

    /// The insert id of an event row: the one that the blueprint gives, else the next of the
    /// event's own. Mixpanel would take a second row with the same one for a repetition and drop
    /// it, so no two rows of an event have the same.
    fn insert_id(&mut self, given: &'a Node) -> InsertId {
        let given = self.value(given, 1);
        let mut spare = String::new();
        let given = self.text(given, &mut spare).map(|given| {
            let id = InsertId::from_message_id(given);
            self.corrected.insert_id(given, id);
            id
        });
        let wanted = match given {
            Some(id) => id,
            None => self.base_id().further(self.event_rows),
        };
        let id = self.unlike_the_others(wanted);
        if self.noting {
            self.note_insert_id(given, &id, self.event_rows);
        }
        self.event_rows = self.event_rows.saturating_add(1);
        id
    }

    /// The id, made different when an event row has it already.
    fn unlike_the_others(&mut self, id: InsertId) -> InsertId {
        let Some(first) = self.first_id else {
            self.first_id = Some(id);
            return id;
        };
        let taken = &mut self.scratch.insert_ids;
        if taken.is_empty() {
            taken.insert(first);
        }
        if taken.insert(id) {
            return id;
        }
        let own = InsertId::derived(&format!("row {}:{id}", self.event_rows));
        taken.insert(own);
        own
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

/// Writes a member that is a text.
pub(super) fn write_text(key: &[u8], value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    text::write(value, out);
}

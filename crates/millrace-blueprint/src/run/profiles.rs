//! The rows about profiles: updates of users and groups, one operator a row, and deletions
//! (reference/mixpanel-api.md 3.1).

use millrace_model::code::Code;
use millrace_model::row::{Endpoint, LaneKey, Lanes, RowRole, Rows};

use super::object::{GATHER_LIMIT, Layout, Members};
use super::rows::Draft;
use super::value::Value;
use super::{Run, Stop};
use crate::plan::node::{Beside, Node, Operand};
use crate::syntax::ast::{Field, GroupIds, IdleRows};

/// How many groups Mixpanel takes from one event (reference/mixpanel-api.md 3.2).
const GROUP_LIMIT: usize = 300;

impl<'a> Run<'a> {
    /// Writes one operator of a profile update.
    pub(super) fn profile_row(
        &mut self,
        distinct_id: &'a Node,
        beside: &'a Beside,
        field: Field,
        operand: &'a Operand,
        out: &mut Rows,
    ) -> Result<(), Stop> {
        let start = out.bytes.len();
        self.note_row();
        let distinct_id = self.id(distinct_id);
        self.corrected.name(b"$distinct_id");
        self.note_field(&["$distinct_id"], Field::DistinctId, true);
        let ip = self.value(&beside.ip, 1);
        if self.noting {
            let known = self.address(ip, &mut String::new()).is_some();
            self.note_field(&["$ip"], Field::Ip, known);
        }
        let time = self.value(&beside.time, 1);
        if self.noting {
            let timed = self.json(time) == b"null"
                || self.float(time).is_some_and(|millis| millis.abs() < 9e15);
            self.note_field(&["$time"], Field::Time, timed);
        }
        self.write_id(b"{\"$distinct_id\":", distinct_id, &mut out.bytes);
        self.write_ip(b",\"$ip\":", ip, &mut out.bytes);
        if let Some(millis) = self.float(time).filter(|millis| millis.abs() < 9e15) {
            out.bytes.extend_from_slice(b",\"$time\":");
            out.bytes.extend_from_slice(itoa::Buffer::new().format(millis as i64).as_bytes());
        } else if self.json(time) == b"null" {
            // Only a blueprint that says null in so many words comes here.
            out.bytes.extend_from_slice(b",\"$time\":null");
        }
        self.write_modifiers(beside, &mut out.bytes);
        if !self.operator(field, operand, &mut out.bytes)? {
            out.bytes.truncate(start);
            return Ok(());
        }
        if distinct_id.is_nothing() {
            return Err(self.no_distinct_id());
        }
        let draft = Draft {
            endpoint: Endpoint::Engage,
            role: RowRole::Plain,
            repeatable: !matches!(field, Field::Add | Field::Append),
            lanes: self.lanes_with(&[distinct_id]),
            insert_id: None,
            start,
        };
        self.finish(&draft, out)
    }

    /// Writes what is left out unless it is true, or a number.
    fn write_modifiers(&mut self, beside: &'a Beside, out: &mut Vec<u8>) {
        let switches = [
            ("$ignore_time", Field::IgnoreTime, &beside.ignore_time),
            ("$ignore_alias", Field::IgnoreAlias, &beside.ignore_alias),
        ];
        for (name, field, node) in switches {
            let value = self.value(node, 1);
            let is_on = self.json(value) == b"true";
            self.note_field(&[name], field, is_on);
            if is_on {
                write_key(name, out);
                out.extend_from_slice(b"true");
            }
        }
        let numbers = [
            ("$latitude", Field::Latitude, &beside.latitude),
            ("$longitude", Field::Longitude, &beside.longitude),
        ];
        for (name, field, node) in numbers {
            let value = self.value(node, 1);
            let is_number = self.float(value).is_some();
            self.note_field(&[name], field, is_number);
            if is_number {
                write_key(name, out);
                self.copy(value, 1, out);
            }
        }
    }

    /// The ids of a group action: a list gives one group for each of its values.
    pub(super) fn group_ids(&mut self, id: &'a Node) -> Result<Vec<Value>, Stop> {
        let id = self.value(id, 1);
        self.note_group_id();
        if self.json(id).first() != Some(&b'[') {
            return Ok(vec![id]);
        }
        let mut items: Vec<Vec<u8>> = Vec::new();
        self.items(id, &mut |item, _| {
            items.push(item.to_vec());
            items.len() <= GROUP_LIMIT
        });
        if items.len() > GROUP_LIMIT {
            let message = format!("the event names more than {GROUP_LIMIT} groups");
            return Err(Stop::new(Code::TooManyProperties, message));
        }
        let made = items
            .into_iter()
            .map(|item| {
                self.make(|_, out| {
                    crate::json::careful::copy(&item, 1, out);
                    true
                })
            })
            .collect();
        Ok(made)
    }

    /// Writes one operator of a group's update.
    pub(super) fn group_row(
        &mut self,
        key: &'a Node,
        id: Value,
        field: Field,
        operand: &'a Operand,
        out: &mut Rows,
    ) -> Result<(), Stop> {
        self.note_row();
        let key = self.id(key);
        self.corrected.name(b"$group_key");
        self.note_field(&["$group_key"], Field::GroupKey, true);
        self.note_group_id_field();
        let mut lanes = Lanes::default();
        let (mut spare, mut other) = (String::new(), String::new());
        match (self.identifier_text(key, &mut spare), self.identifier_text(id, &mut other)) {
            (Some(key), Some(id)) => lanes.add(LaneKey::group(key, id)),
            (Some(_), None) => {
                self.left_out(id);
                self.corrected.name(b"$group_id");
                return Ok(());
            }
            (None, _) => return Ok(()),
        }
        let start = out.bytes.len();
        self.write_id(b"{\"$group_key\":", key, &mut out.bytes);
        if self.plan.checks.group_ids == GroupIds::Keep && self.float(id).is_some() {
            out.bytes.extend_from_slice(b",\"$group_id\":");
            self.copy(id, 1, &mut out.bytes);
        } else {
            self.write_id(b",\"$group_id\":", id, &mut out.bytes);
        }
        if !self.operator(field, operand, &mut out.bytes)? {
            out.bytes.truncate(start);
            return Ok(());
        }
        let draft = Draft {
            endpoint: Endpoint::Groups,
            role: RowRole::Plain,
            repeatable: true,
            lanes,
            insert_id: None,
            start,
        };
        self.finish(&draft, out)
    }

    /// Writes the deletion of a profile.
    pub(super) fn delete_row(
        &mut self,
        distinct_id: &'a Node,
        ignore_alias: bool,
        out: &mut Rows,
    ) -> Result<(), Stop> {
        self.note_row();
        let distinct_id = self.id(distinct_id);
        self.corrected.name(b"$distinct_id");
        self.note_field(&["$distinct_id"], Field::DistinctId, true);
        if distinct_id.is_nothing() {
            return Err(self.no_distinct_id());
        }
        let start = out.bytes.len();
        self.write_id(b"{\"$distinct_id\":", distinct_id, &mut out.bytes);
        self.note_engine(&["$delete"], Field::Delete, "the deletion that the action is");
        if ignore_alias {
            self.note_engine(&["$ignore_alias"], Field::IgnoreAlias, "the switch of the action");
            out.bytes.extend_from_slice(b",\"$ignore_alias\":true");
        }
        out.bytes.extend_from_slice(b",\"$delete\":\"\"}");
        let draft = Draft {
            endpoint: Endpoint::Engage,
            role: RowRole::Plain,
            repeatable: true,
            lanes: self.lanes_with(&[distinct_id]),
            insert_id: None,
            start,
        };
        self.finish(&draft, out)
    }

    /// Writes the operator of a profile update; false when it would change nothing.
    fn operator(
        &mut self,
        field: Field,
        operand: &'a Operand,
        out: &mut Vec<u8>,
    ) -> Result<bool, Stop> {
        out.extend_from_slice(b",\"$");
        out.extend_from_slice(field.as_str().as_bytes());
        out.extend_from_slice(b"\":");
        match operand {
            Operand::Object(object) => {
                let members = match field {
                    Field::Add => Members::Numbers,
                    Field::Union => Members::Lists,
                    Field::Append => Members::Values,
                    _ => Members::Any,
                };
                let base = self.gather(object, 1);
                out.push(b'{');
                let layout = Layout { members, level: 1, first: true };
                let count = self.write_members(object, base, layout, out);
                out.extend_from_slice(b"}}");
                self.note_members(&[operator_name(field)]);
                self.within_bounds()?;
                if count > GATHER_LIMIT {
                    let message = format!("the profile update has {count} properties");
                    return Err(Stop::new(Code::TooManyProperties, message));
                }
                Ok(count > 0 || self.plan.checks.idle_rows == IdleRows::Send)
            }
            Operand::Value(node) => {
                let value = self.value(node, 1);
                self.note_field(&[operator_name(field)], field, true);
                self.copy(value, 1, out);
                out.push(b'}');
                Ok(!value.is_nothing())
            }
        }
    }
}

fn write_key(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// The operator of a profile update in a row.
fn operator_name(field: Field) -> &'static str {
    match field {
        Field::Set => "$set",
        Field::SetOnce => "$set_once",
        Field::Add => "$add",
        Field::Append => "$append",
        Field::Union => "$union",
        Field::Remove => "$remove",
        Field::Unset => "$unset",
        Field::Delete => "$delete",
        _ => "",
    }
}

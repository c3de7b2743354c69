//! Rows that join two ids: a link event, and the verbs `$identify`, `$create_alias` and `$merge`
//! (reference/mixpanel-api.md 4.3).

use millrace_model::id::InsertId;
use millrace_model::row::{Endpoint, RowRole, Rows};

use super::object::{Layout, Members};
use super::rows::{Draft, write_text};
use super::value::Value;
use super::{Run, Stop};
use crate::plan::node::{Node, Object};
use crate::syntax::ast::{Field, IdleRows, Verb};

impl<'a> Run<'a> {
    /// A row that joins two ids. Nothing is joined, and no row written, when one of them is not
    /// usable or both are the same.
    pub(super) fn join_row(
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
        let lanes = self.lanes_with(&[first, second]);
        if !named || !self.can_join(first, second) {
            return Ok(());
        }
        if verb != Verb::Link {
            self.note_engine(&["event"], Field::Name, "the identity verb of the action");
        }
        let start = out.bytes.len();
        out.bytes.extend_from_slice(b"{\"event\":");
        self.write_name(name, &mut out.bytes);
        out.bytes.extend_from_slice(b",\"properties\":{");
        let insert_id = self.write_joined(verb, [first, second], &mut out.bytes)?;
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

    /// True for two usable ids that are different, or may be the same.
    fn can_join(&self, first: Value, second: Value) -> bool {
        let idle = self.plan.checks.idle_rows == IdleRows::Send;
        let (mut spare, mut other) = (String::new(), String::new());
        match (self.identifier_text(first, &mut spare), self.identifier_text(second, &mut other)) {
            (Some(first), Some(second)) => first != second || idle,
            _ => false,
        }
    }

    /// Writes the two ids and what the form of the row has beside them; gives its insert id.
    fn write_joined(
        &mut self,
        verb: Verb,
        ids: [Value; 2],
        out: &mut Vec<u8>,
    ) -> Result<Option<InsertId>, Stop> {
        let mut insert_id = None;
        // A link event is an event like any other. The verbs have their ids and nothing else: they
        // need neither a time nor an insert id.
        let keys: [&[u8]; 2] = match verb {
            Verb::Identify => [b"\"$identified_id\":", b",\"$anon_id\":"],
            Verb::Alias => [b"\"distinct_id\":", b",\"alias\":"],
            Verb::Merge => [b"\"$distinct_ids\":[", b","],
            Verb::Event | Verb::Link | Verb::Profile | Verb::Group | Verb::Join | Verb::Delete => {
                let time = self.checked_time(self.time)?;
                self.note_time(false, time);
                let id = self.link_id();
                insert_id = Some(id);
                self.note_same(&["properties", "distinct_id"], Field::UserId);
                out.extend_from_slice(b"\"time\":");
                out.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
                write_text(b",\"$insert_id\":", id.as_str(), out);
                let [first, _] = ids;
                self.write_id(b",\"distinct_id\":", first, out);
                [b",\"$user_id\":", b",\"$device_id\":"]
            }
        };
        for (key, id) in keys.into_iter().zip(ids) {
            self.write_id(key, id, out);
        }
        if verb == Verb::Merge {
            out.push(b']');
        }
        Ok(insert_id)
    }

    /// The insert id of a link event, which no other row of the event has. One user may be linked
    /// with many devices: with one id for all, Mixpanel would keep the first link alone.
    fn link_id(&mut self) -> InsertId {
        let place = self.link_rows;
        self.link_rows = place.saturating_add(1);
        let base = self.base_id();
        self.note_link_id(place);
        if place == 0 { base.beside("link") } else { base.beside(&format!("link {place}")) }
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

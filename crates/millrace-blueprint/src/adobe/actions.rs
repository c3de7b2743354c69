//! The actions of the Mixpanel extension: Track Event, Mixpanel Identify, Mixpanel Alias
//! (reference/datafly-adobe.md 2.2, 2.3).
//!
//! Under original identity merge each becomes what it says. Under simplified identity merge there
//! is neither `$identify` nor `$create_alias`: both become a link event of the device with the
//! user, and a distinct id that stands for a device goes as one.

use std::collections::{BTreeSet, HashSet};

use millrace_model::code::Code;

use super::elements::{Elements, Reference, call};
use super::shapes;
use crate::syntax::Problems;
use crate::syntax::ast::{Action, Condition, Expression, Field, Part, Place, Step, Verb, Written};
use crate::syntax::functions::Function;
use crate::syntax::parts::{known_keys, map, member};
use crate::syntax::tree::{Key, Node, NodeValue};

/// The setting that names the identity mode of the project.
pub(super) const IDENTITY: &str = "identity";
/// The setting that names the link event.
pub(super) const LINK_EVENT: &str = "link_event";

const DEVICE: &str = "$device:";

const ACTIONS: [&str; 3] = ["track_event", "identify", "alias"];
const TRACK_KEYS: [&str; 6] =
    ["token", "event_type", "event_time", "distinct_id", "insert_id", "event_properties"];
const JOIN_KEYS: [&str; 3] = ["token", "known_user_id", "distinct_id"];

/// What one rule after the other is read into.
pub(super) struct Reader<'a> {
    pub(super) elements: &'a mut Elements,
    pub(super) problems: &'a mut Problems,
    /// The texts that stand as distinct id of an identify or an alias anywhere in the file: they
    /// are devices.
    pub(super) devices: &'a HashSet<String>,
    /// The secrets that stand as tokens.
    pub(super) secrets: &'a mut BTreeSet<String>,
}

/// The distinct ids of the identify and alias actions of a list.
pub(super) fn devices(actions: &Node, found: &mut HashSet<String>) {
    let NodeValue::List(items) = &actions.value else { return };
    for item in items {
        if let NodeValue::Map(members) = &item.value
            && let [(key, body)] = members.as_slice()
            && key.text != "track_event"
            && let NodeValue::Map(fields) = &body.value
            && let Some(Node { value: NodeValue::Scalar(one), .. }) = member(fields, "distinct_id")
        {
            found.insert(one.text.clone());
        }
    }
}

type Members<'n> = &'n [(Key, Node)];

impl Reader<'_> {
    /// Reads the actions of a rule. One of them must be a Track Event: without it, Adobe's
    /// extension sends nothing.
    pub(super) fn actions(&mut self, node: &Node) -> Vec<Action> {
        let NodeValue::List(items) = &node.value else {
            let message = format!("`actions` takes a list, not {}", node.describe());
            self.problems.add(node.place, Code::BadValue, message, None);
            return Vec::new();
        };
        let mut actions = Vec::new();
        let mut tracks = false;
        let mut linked = Vec::new();
        for item in items {
            let Some((key, fields)) = self.action(item) else { continue };
            match key.text.as_str() {
                "track_event" => {
                    tracks = true;
                    known_keys(fields, &TRACK_KEYS, "`track_event`", self.problems);
                    actions.extend(self.track(key.place, fields));
                }
                name => {
                    known_keys(fields, &JOIN_KEYS, &format!("`{name}`"), self.problems);
                    let ids = JOIN_KEYS.map(|name| source(fields, name));
                    let again = linked.contains(&ids);
                    linked.push(ids);
                    let verb = if name == "alias" { Verb::Alias } else { Verb::Identify };
                    self.join(verb, key.place, fields, again, &mut actions);
                }
            }
        }
        if !tracks {
            let message = "a rule without a Track Event sends nothing at Adobe";
            let hint = Some("add a `track_event`, or take the rule out".to_owned());
            self.problems.add(node.place, Code::MissingKey, message, hint);
        }
        actions
    }

    /// The name and the fields of an action.
    fn action<'n>(&mut self, node: &'n Node) -> Option<(&'n Key, Members<'n>)> {
        let members = map(node, "an action", self.problems)?;
        let [(key, body)] = members else {
            let message = "an action is a map with one key, its name";
            self.problems.add(node.place, Code::BadValue, message, None);
            return None;
        };
        match key.text.as_str() {
            "custom_code" => {
                let message = "custom code is not run";
                self.problems.add(key.place, Code::NotTakenOver, message, None);
                return None;
            }
            name if ACTIONS.contains(&name) => {}
            other => {
                let what = "the action";
                self.problems.unknown(key.place, Code::UnknownKey, what, other, &ACTIONS);
                return None;
            }
        }
        Some((key, map(body, "an action", self.problems)?))
    }

    /// A field as an expression; none when it is absent or empty, which is the same to Adobe.
    fn field(&mut self, fields: Members<'_>, name: &str) -> Option<Expression> {
        match member(fields, name) {
            None => None,
            Some(Node { value: NodeValue::Scalar(one), place }) => {
                let text = one.text.trim();
                (!text.is_empty()).then(|| self.elements.value(*place, text, self.problems))
            }
            Some(other) => {
                let message = format!("`{name}` takes a text");
                self.problems.add(other.place, Code::BadValue, message, None);
                None
            }
        }
    }

    fn needed(&mut self, place: Place, fields: Members<'_>, name: &str) -> Option<Expression> {
        let before = self.problems.count();
        let found = self.field(fields, name);
        if found.is_none() && self.problems.count() == before {
            let message = format!("the action needs `{name}`");
            self.problems.add(place, Code::MissingKey, message, None);
        }
        found
    }

    fn track(&mut self, place: Place, fields: Members<'_>) -> Option<Action> {
        let name = self.needed(place, fields, "event_type");
        let time = self.field(fields, "event_time");
        let insert_id = self.field(fields, "insert_id");
        let given = self.field(fields, "distinct_id");
        let device = source(fields, "distinct_id").is_none_or(|text| self.devices.contains(&text));
        let properties = member(fields, "event_properties")
            .map(|node| shapes::properties(node, self.elements, self.problems));
        let mut out = vec![(Field::Name, call(Function::Text, name?))];
        if device {
            let person = Person::of(given);
            out.push((Field::DistinctId, person.distinct_id()));
            out.push((Field::UserId, simplified(person.user.clone(), Expression::Nothing)));
            out.push((Field::DeviceId, simplified(person.device, Expression::Nothing)));
        } else {
            out.push((Field::DistinctId, or_visitor(given)));
        }
        out.extend(time.map(|time| (Field::Time, call(Function::Time, time))));
        out.extend(insert_id.map(|id| {
            let text = call(Function::Text, id);
            (Field::InsertId, call(Function::Nonblank, text))
        }));
        out.extend(properties.map(|properties| (Field::Properties, properties)));
        let token = self.token(fields);
        Some(self.finished(Verb::Event, place, Condition::Always, fields, out, token))
    }

    /// An identify or an alias; `again` when the rule has joined the same ids already.
    fn join(
        &mut self,
        verb: Verb,
        place: Place,
        fields: Members<'_>,
        again: bool,
        actions: &mut Vec<Action>,
    ) {
        let user = self.needed(place, fields, "known_user_id");
        let given = self.field(fields, "distinct_id");
        let token = self.token(fields);
        let Some(user) = user else { return };
        let device = Person::of(given.clone()).device;
        let distinct_id = or_visitor(given);
        let of_mode = |mode: &str| {
            let setting = Expression::Setting(IDENTITY.to_owned());
            Condition::Equal(setting, Expression::Text(mode.to_owned()))
        };
        // `$identify` does nothing in legacy projects; an alias does, there and in original ones.
        let (when, ids) = match verb {
            Verb::Alias => (
                Condition::Not(Box::new(of_mode("simplified"))),
                vec![(Field::DistinctId, distinct_id), (Field::Alias, user.clone())],
            ),
            _ => (
                of_mode("original"),
                vec![(Field::UserId, user.clone()), (Field::AnonymousId, distinct_id)],
            ),
        };
        if !again {
            let link = vec![
                (Field::Name, Expression::Setting(LINK_EVENT.to_owned())),
                (Field::UserId, user),
                (Field::DeviceId, device),
            ];
            let when = of_mode("simplified");
            actions.push(self.finished(Verb::Link, place, when, fields, link, token.clone()));
        }
        actions.push(self.finished(verb, place, when, fields, ids, token));
    }

    /// The token of an action's project. A secret is a parameter: what a library's environment is
    /// at Adobe is a pipeline here.
    fn token(&mut self, fields: Members<'_>) -> Option<Expression> {
        let node = member(fields, "token")?;
        let NodeValue::Scalar(one) = &node.value else {
            self.problems.add(node.place, Code::BadValue, "`token` takes a text", None);
            return None;
        };
        match self.elements.reference(node.place, one.text.trim(), self.problems) {
            Reference::Value(token) => Some(token),
            Reference::Secret(secret) => {
                self.secrets.insert(secret.clone());
                Some(Expression::Parameter(secret))
            }
        }
    }

    fn finished(
        &self,
        verb: Verb,
        place: Place,
        when: Condition,
        fields: Members<'_>,
        mut values: Vec<(Field, Expression)>,
        token: Option<Expression>,
    ) -> Action {
        values.extend(token.map(|token| (Field::Token, token)));
        let written = values.iter().map(|(field, _)| {
            let name = written_as(verb, *field);
            let node = fields.iter().find(|(key, _)| key.text == name);
            Written {
                field: *field,
                place: node.map_or(place, |(key, _)| key.place),
                source: node.map_or_else(String::new, |(_, node)| node.source()),
            }
        });
        let written = written.collect();
        Action { verb, place, when, for_each: None, each: None, written, fields: values }
    }
}

/// The field of Adobe's action from which a field of ours comes.
fn written_as(verb: Verb, field: Field) -> &'static str {
    match (verb, field) {
        (Verb::Event, Field::Name) => "event_type",
        (_, Field::Time) => "event_time",
        (_, Field::InsertId) => "insert_id",
        (_, Field::Properties) => "event_properties",
        (_, Field::Token) => "token",
        (Verb::Event, Field::UserId) | (_, Field::Name) => "",
        (_, Field::UserId | Field::Alias) => "known_user_id",
        _ => "distinct_id",
    }
}

/// The text of a field; none when it is absent or empty.
fn source(fields: Members<'_>, name: &str) -> Option<String> {
    let text = member(fields, name)?.source();
    (!text.trim().is_empty()).then_some(text)
}

/// The ids under simplified identity merge, and the one id under the others.
struct Person {
    user: Expression,
    device: Expression,
    single: Expression,
}

impl Person {
    /// The person of a distinct id that stands for a device. Where it is absent or unusable that is
    /// the page's Mixpanel visitor, else the ECID.
    fn of(given: Option<Expression>) -> Person {
        let cookie = |name| identifier(path(&["context", "mixpanel", name]));
        let device = first(cookie("device_id"), identifier(path(&["anonymousId"])));
        Person {
            user: match given {
                Some(_) => Expression::Nothing,
                None => cookie("user_id"),
            },
            device: match given.clone() {
                Some(given) => first(bare(identifier(given)), device),
                None => device,
            },
            single: or_visitor(given),
        }
    }

    /// What stands as distinct id.
    fn distinct_id(&self) -> Expression {
        let parts = vec![Part::Text(DEVICE.to_owned()), Part::Hole(self.device.clone())];
        let device = Expression::Template { strict: true, parts };
        simplified(first(self.user.clone(), device), self.single.clone())
    }
}

/// A distinct id as it was given, else the visitor's.
fn or_visitor(given: Option<Expression>) -> Expression {
    let cookie = identifier(path(&["context", "mixpanel", "distinct_id"]));
    let visitor = first(cookie, identifier(path(&["anonymousId"])));
    match given {
        Some(given) => first(identifier(given), visitor),
        None => visitor,
    }
}

/// One value under simplified identity merge, another under the others.
fn simplified(then: Expression, otherwise: Expression) -> Expression {
    let setting = Expression::Setting(IDENTITY.to_owned());
    let when = Condition::Equal(setting, Expression::Text("simplified".to_owned()));
    let (then, otherwise) = (Box::new(then), Box::new(otherwise));
    Expression::Choice { when: Box::new(when), then, otherwise }
}

fn path(names: &[&str]) -> Expression {
    Expression::Path(names.iter().map(|name| Step::Key((*name).to_owned())).collect())
}

fn first(left: Expression, right: Expression) -> Expression {
    Expression::First { left: Box::new(left), blank: false, right: Box::new(right) }
}

fn identifier(value: Expression) -> Expression {
    call(Function::Identifier, value)
}

/// Without the prefix that marks a device.
fn bare(value: Expression) -> Expression {
    let arguments = vec![value, Expression::Text(DEVICE.to_owned())];
    Expression::Call { function: Function::WithoutPrefix, arguments, words: Vec::new() }
}

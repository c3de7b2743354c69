//! Target paths: what each of them means for Mixpanel, and the values gathered by target.
//!
//! The payload that a config describes is Mixpanel's event with the operators of a profile update
//! beside it: `event`, ids and `time` at the root, `properties.x`, `$set.x` and so on. Inside of an
//! event (its own mappings, `defaults`, `global_event`) a name that is none of these is a property.

use millrace_model::code::Code;
use millrace_model::diagnostic::nearest;

use super::nodes;
use super::transform::{Format, Transform};
use crate::syntax::ast::{Place, words};
use crate::syntax::problems::Problems;
use crate::syntax::tree::{Key, Node, NodeValue};

words! {
    /// A single value of a row, by the name of the blueprint's field.
    Single {
        Name = "name",
        DistinctId = "distinct_id",
        UserId = "user_id",
        DeviceId = "device_id",
        Time = "time",
        InsertId = "insert_id",
        Ip = "ip",
        ProfileId = "profile_id",
        GroupKey = "group_key",
        GroupId = "group_id",
    }
}

/// The operators of updates: as the payload has them, and as a blueprint has them.
const OPERATORS: [(&str, &str); 6] = [
    ("$set", "set"),
    ("$set_once", "set_once"),
    ("$add", "add"),
    ("$append", "append"),
    ("$union", "union"),
    ("$remove", "remove"),
];

/// The words at the root of a payload, for suggestions.
const ROOTS: [&str; 17] = [
    "event",
    "properties",
    "distinct_id",
    "$user_id",
    "$device_id",
    "time",
    "$insert_id",
    "ip",
    "$distinct_id",
    "$group_key",
    "$group_id",
    "$set",
    "$set_once",
    "$add",
    "$append",
    "$union",
    "$remove",
];

/// Names that are forms of the blueprint language where they stand as members.
const FORMS: [&str; 5] = ["each", "as", "then", "else", "map"];

/// What a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Single(Single),
    /// A property, or all of them when the path is empty.
    Property(Vec<String>),
    /// A member of an operator by its blueprint name, or all of them when the path is empty.
    Update(&'static str, Vec<String>),
}

/// Reads a target path. `inner`: it stands inside of an event.
pub(super) fn read(
    place: Place,
    text: &str,
    inner: bool,
    problems: &mut Problems,
) -> Option<Target> {
    let path: Vec<String> = text.split('.').map(str::to_owned).collect();
    let odd = path.iter().find(|name| {
        name.trim() != *name
            || name.is_empty()
            || FORMS.contains(&name.as_str())
            || name.starts_with('@')
            || name.contains(['[', ']'])
    });
    if let Some(odd) = odd {
        let message = format!("`{text}` is no target: `{odd}` cannot be a name there");
        let hint = "lists are mapped as a whole: products[].sku to properties.SKUs".to_owned();
        problems.add(place, Code::BadValue, message, Some(hint));
        return None;
    }
    let (root, rest) = path.split_first()?;
    let rest = rest.to_vec();
    if root == "properties" {
        return match rest.as_slice() {
            [name] => match single(name) {
                Some(found) => found_single(place, text, found, problems),
                None => Some(Target::Property(rest)),
            },
            _ => Some(Target::Property(rest)),
        };
    }
    if let Some((_, operator)) = OPERATORS.iter().find(|(name, _)| name == root) {
        return Some(Target::Update(operator, rest));
    }
    if rest.is_empty()
        && let Some(found) = single(root).or_else(|| root_single(root))
    {
        return found_single(place, text, found, problems);
    }
    if matches!(root.as_str(), "$unset" | "$delete") {
        let message = format!("`{root}` takes no mapped value");
        let hint = "write a blueprint for it: docs/blueprints.md".to_owned();
        problems.add(place, Code::UnknownField, message, Some(hint));
        return None;
    }
    // A misspelt operator would become a property in silence: what looks like one is told.
    let operators = OPERATORS.iter().map(|(name, _)| *name);
    if inner && (!root.starts_with('$') || nearest(root, operators).is_none()) {
        return Some(Target::Property(path));
    }
    problems.unknown(place, Code::UnknownField, "the target", root, &ROOTS);
    None
}

fn found_single(
    place: Place,
    text: &str,
    found: Option<Single>,
    problems: &mut Problems,
) -> Option<Target> {
    if found.is_none() {
        let message = format!("`{text}` is no target");
        let hint = "the token is added when the row is sent".to_owned();
        problems.add(place, Code::UnknownField, message, Some(hint));
    }
    found.map(Target::Single)
}

/// Names that stand at the root of a payload or among its properties, with one meaning; the inner
/// none is the token's, which nobody maps.
fn single(name: &str) -> Option<Option<Single>> {
    Some(match name {
        "distinct_id" => Some(Single::DistinctId),
        "$user_id" => Some(Single::UserId),
        "$device_id" => Some(Single::DeviceId),
        "time" => Some(Single::Time),
        "$insert_id" => Some(Single::InsertId),
        "ip" => Some(Single::Ip),
        "token" | "$token" => None,
        _ => return None,
    })
}

/// Names with a meaning at the root alone.
fn root_single(name: &str) -> Option<Option<Single>> {
    Some(Some(match name {
        "event" => Single::Name,
        "user_id" => Single::UserId,
        "device_id" => Single::DeviceId,
        "insert_id" => Single::InsertId,
        "$distinct_id" => Single::ProfileId,
        "$group_key" => Single::GroupKey,
        "$group_id" => Single::GroupId,
        _ => return None,
    }))
}

/// The values of one event, by target. A later value stands over an earlier one of its target, and
/// where it comes to nothing the earlier one remains.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    singles: Vec<(Single, Node)>,
    pub(super) properties: Tree,
    pub(super) updates: Vec<(&'static str, Tree)>,
}

/// Members by name; what is in them is a value or more members.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree(Vec<(Key, Branch)>);

#[derive(Clone, Debug)]
enum Branch {
    Values(Vec<Node>),
    Members(Tree),
}

/// The key of all members of an object.
const SPREAD: &str = "...";

impl Slots {
    /// Adds a value.
    pub(super) fn put(
        &mut self,
        target: &Target,
        place: Place,
        value: Node,
        problems: &mut Problems,
    ) {
        match target {
            Target::Single(single) => self.singles.push((*single, value)),
            Target::Property(path) => self.properties.put(path, place, value, problems),
            Target::Update(operator, path) => {
                let found = self.updates.iter_mut().find(|(name, _)| name == operator);
                match found {
                    Some((_, tree)) => tree.put(path, place, value, problems),
                    None => {
                        let mut tree = Tree::default();
                        tree.put(path, place, value, problems);
                        self.updates.push((operator, tree));
                    }
                }
            }
        }
    }

    /// Puts a transform around all values of a target.
    pub(super) fn change(
        &mut self,
        target: &Target,
        place: Place,
        transform: Transform,
        problems: &mut Problems,
    ) {
        let values = self.values(target);
        if values.is_empty() {
            let message = "no mapping gives this target a value to transform";
            problems.add(place, Code::UnknownReference, message, None);
        }
        for value in values {
            if !wrap(value, transform) {
                let message = "a value map cannot be transformed";
                let hint = "put the transform into the mapping: it comes before the value map";
                problems.add(place, Code::BadValue, message, Some(hint.to_owned()));
            }
        }
    }

    fn values(&mut self, target: &Target) -> Vec<&mut Node> {
        match target {
            Target::Single(single) => self
                .singles
                .iter_mut()
                .filter(|(have, _)| have == single)
                .map(|(_, node)| node)
                .collect(),
            Target::Property(path) => self.properties.values(path),
            Target::Update(operator, path) => {
                let found = self.updates.iter_mut().find(|(name, _)| name == operator);
                found.map(|(_, tree)| tree.values(path)).unwrap_or_default()
            }
        }
    }

    /// The values of a target that are expressions.
    pub(super) fn texts(&mut self, target: &Target) -> Vec<String> {
        let values = self.values(target);
        values.iter().filter_map(|node| scalar_text(node).map(str::to_owned)).collect()
    }

    /// The value of a single target: the last that was given, else the one before.
    pub(super) fn single(&self, wanted: Single) -> Option<Node> {
        let values = self.singles.iter().filter(|(single, _)| *single == wanted);
        let values: Vec<&Node> = values.map(|(_, node)| node).rev().collect();
        let texts: Option<Vec<&str>> = values.iter().map(|node| scalar_text(node)).collect();
        let last = values.first()?;
        match texts {
            Some(texts) => Some(nodes::scalar(last.place, texts.join(" ?? "))),
            // A value map stands alone.
            None => Some((*last).clone()),
        }
    }
}

impl Tree {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn put(&mut self, path: &[String], place: Place, value: Node, problems: &mut Problems) {
        let (name, rest) = match path {
            [] => (SPREAD, &[][..]),
            [name, rest @ ..] => (name.as_str(), rest),
        };
        let found = self.0.iter_mut().find(|(key, _)| key.text == name);
        match (found, rest.is_empty()) {
            (None, true) => {
                self.0.push((nodes::key(place, name), Branch::Values(vec![value])));
            }
            (None, false) => {
                let mut inner = Tree::default();
                inner.put(rest, place, value, problems);
                self.0.push((nodes::key(place, name), Branch::Members(inner)));
            }
            (Some((_, Branch::Values(values))), true) => values.push(value),
            (Some((_, Branch::Members(inner))), false) => inner.put(rest, place, value, problems),
            (Some((key, _)), _) => {
                let message = format!(
                    "`{name}` is a value and an object at once, see line {}",
                    key.place.line
                );
                problems.add(place, Code::DuplicateName, message, None);
            }
        }
    }

    fn values(&mut self, path: &[String]) -> Vec<&mut Node> {
        let (name, rest) = match path {
            [] => (SPREAD, &[][..]),
            [name, rest @ ..] => (name.as_str(), rest),
        };
        match self.0.iter_mut().find(|(key, _)| key.text == name) {
            Some((_, Branch::Values(values))) if rest.is_empty() => values.iter_mut().collect(),
            Some((_, Branch::Members(inner))) if !rest.is_empty() => inner.values(rest),
            _ => Vec::new(),
        }
    }

    /// The members as a node, a member for each value: the last that is something wins.
    pub(super) fn node(&self, place: Place) -> Node {
        let mut members = Vec::new();
        for (key, branch) in &self.0 {
            match branch {
                Branch::Values(values) => {
                    members.extend(values.iter().map(|value| (key.clone(), value.clone())));
                }
                Branch::Members(inner) => members.push((key.clone(), inner.node(key.place))),
            }
        }
        nodes::map(place, members)
    }
}

fn scalar_text(node: &Node) -> Option<&str> {
    match &node.value {
        NodeValue::Scalar(scalar) => Some(&scalar.text),
        NodeValue::List(_) | NodeValue::Map(_) => None,
    }
}

/// Puts a transform around a value, or around each item of a list.
fn wrap(node: &mut Node, transform: Transform) -> bool {
    match &mut node.value {
        NodeValue::Scalar(scalar) => {
            scalar.text = transform.of(&scalar.text);
            true
        }
        NodeValue::Map(members) => {
            let shape = members.iter_mut().find(|(key, _)| key.text == "as");
            shape.is_some_and(|(_, shape)| wrap(shape, transform))
        }
        NodeValue::List(_) => false,
    }
}

/// The transform as it suits the target: the time of an event is a moment in whatever form.
pub(super) fn suited(target: &Target, transform: Transform) -> Transform {
    match (target, transform) {
        (Target::Single(Single::Time), Transform::Date(_)) => Transform::Date(Format::EpochMillis),
        (_, transform) => transform,
    }
}

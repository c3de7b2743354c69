//! The older form of a config: steps that filter, map, transform, enrich and compute.
//!
//! It becomes the same rules as a config of version 2 that says the same: filters and what stops an
//! event first, then one rule with all that the steps gathered. Steps read the event and never each
//! other's results, but for transforms, which change what the steps above them gave. reference/datafly-adobe.md
//! 1.6 names the types of steps and their keys; where it is silent, the form is that of version 2.

use millrace_model::code::Code;

use super::condition::{self, Read};
use super::layer::Lists;
use super::nodes;
use super::rules;
use super::source::Mistake;
use super::target::{self, Slots, Target};
use super::transform;
use crate::syntax::ast::{Place, words};
use crate::syntax::parts::{known_keys, map, member, text};
use crate::syntax::problems::Problems;
use crate::syntax::tree::{Key, Node, NodeValue};

const TOP_KEYS: [&str; 5] = ["version", "name", "description", "steps", "on_error"];

words! {
    /// The types of steps.
    Kind {
        Filter = "filter",
        Map = "map",
        Transform = "transform",
        Enrich = "enrich",
        Compute = "compute",
    }
}

words! {
    /// What becomes of a field, or of the event, when a value is missing or of another kind.
    Policy {
        /// The field is left out.
        Skip = "skip",
        /// The event is filtered.
        Drop = "drop",
        /// The event is set aside.
        Fail = "fail",
    }
}

words! {
    /// What a computed value becomes.
    ValueType {
        Text = "string",
        Number = "number",
        Boolean = "boolean",
    }
}

/// Translates a config with steps into the tree of a blueprint.
pub(super) fn read(root: &Node, members: &[(Key, Node)], problems: &mut Problems) -> Option<Node> {
    known_keys(members, &TOP_KEYS, "a config with steps", problems);
    let name = match member(members, "name") {
        Some(node) => text(node, "`name`", problems).unwrap_or_default(),
        None => "datafly-config".to_owned(),
    };
    if let Some(node) = member(members, "description") {
        text(node, "`description`", problems);
    }
    let on_error = policy(members, "on_error", Policy::Skip, problems);
    let node = member(members, "steps")?;
    let NodeValue::List(steps) = &node.value else {
        let message = format!("`steps` takes a list, not {}", node.describe());
        problems.add(node.place, Code::BadValue, message, None);
        return None;
    };
    let lists = Lists { problems, parameters: &[] };
    let mut reader = Steps { lists, slots: Slots::default(), stops: Vec::new(), on_error };
    for (number, step) in (1_u32..).zip(steps) {
        reader.step(number, step);
    }
    let Steps { slots, mut stops, .. } = reader;
    stops.push(rules::all_calls(root.place, &slots));
    Some(nodes::named(
        root.place,
        vec![
            ("blueprint", nodes::scalar(root.place, name)),
            ("settings", rules::settings(root.place)),
            ("rules", nodes::list(root.place, stops)),
        ],
    ))
}

fn policy(
    members: &[(Key, Node)],
    key: &str,
    otherwise: Policy,
    problems: &mut Problems,
) -> Policy {
    let Some(node) = member(members, key) else { return otherwise };
    let Some(word) = text(node, &format!("`{key}`"), problems) else { return otherwise };
    Policy::parse(&word).unwrap_or_else(|| {
        problems.unknown(node.place, Code::BadValue, &format!("`{key}`"), &word, Policy::WORDS);
        otherwise
    })
}

struct Steps<'a> {
    lists: Lists<'a>,
    slots: Slots,
    /// The rules that keep events from being sent.
    stops: Vec<Node>,
    on_error: Policy,
}

impl Steps<'_> {
    fn step(&mut self, number: u32, node: &Node) {
        let Some(members) = map(node, "a step", self.lists.problems) else { return };
        let Some(kind) = member(members, "type") else {
            let hint = Some(format!("known are {}", Kind::WORDS.join(", ")));
            let message = "a step needs the key `type`";
            self.lists.problems.add(node.place, Code::MissingKey, message, hint);
            return;
        };
        let Some(word) = text(kind, "`type`", self.lists.problems) else { return };
        let Some(kind_of) = Kind::parse(&word) else {
            let what = "the type of a step";
            self.lists.problems.unknown(kind.place, Code::BadValue, what, &word, Kind::WORDS);
            return;
        };
        let keys: &[&str] = match kind_of {
            Kind::Filter => &["type", "condition"],
            Kind::Map => &["type", "mappings", "on_missing", "on_error"],
            Kind::Transform | Kind::Compute => &["type", "fields", "on_error"],
            Kind::Enrich => &["type", "fields"],
        };
        known_keys(members, keys, &format!("the step {word}"), self.lists.problems);
        let on_error = policy(members, "on_error", self.on_error, self.lists.problems);
        match kind_of {
            Kind::Filter => self.filter(number, node, members),
            Kind::Map => {
                let on_missing = policy(members, "on_missing", Policy::Skip, self.lists.problems);
                self.each(node, members, "mappings", |own, target, key, value| {
                    own.mapping(number, target, key, value, on_missing);
                });
            }
            Kind::Transform => self.each(node, members, "fields", |own, target, key, value| {
                own.transform(number, target, key, value, on_error);
            }),
            Kind::Enrich => self.each(node, members, "fields", |own, target, key, value| {
                if let Some(value) = own.lists.constant(value) {
                    own.slots.put(target, key.place, value, own.lists.problems);
                }
            }),
            Kind::Compute => self.each(node, members, "fields", |own, target, key, value| {
                own.compute(number, target, key, value, on_error);
            }),
        }
    }

    /// Goes over a map of destinations.
    fn each(
        &mut self,
        node: &Node,
        members: &[(Key, Node)],
        key: &str,
        mut work: impl FnMut(&mut Self, &Target, &Key, &Node),
    ) {
        let Some(fields) = member(members, key) else {
            let message = format!("the step needs the key `{key}`");
            self.lists.problems.add(node.place, Code::MissingKey, message, None);
            return;
        };
        let what = format!("`{key}`");
        for (key, value) in map(fields, &what, self.lists.problems).unwrap_or_default() {
            if let Some(target) = target::read(key.place, &key.text, false, self.lists.problems) {
                work(self, &target, key, value);
            }
        }
    }

    fn filter(&mut self, number: u32, node: &Node, members: &[(Key, Node)]) {
        let Some((place, text)) = self.lists.required(node, members, "condition", "a filter step")
        else {
            return;
        };
        match condition::read(&text) {
            Ok(read) => {
                let when = format!("not ({})", read.condition());
                let name = format!("Step {number}: filter");
                self.stops.push(rules::stop(place, &name, when, None));
            }
            Err(mistake) => self.wrong(place, mistake),
        }
    }

    fn mapping(
        &mut self,
        number: u32,
        target: &Target,
        key: &Key,
        node: &Node,
        on_missing: Policy,
    ) {
        let Some(source) = text(node, "a source", self.lists.problems) else { return };
        if source.starts_with('\'') {
            match condition::quoted_text(&source) {
                Ok((text, "")) => {
                    let value = nodes::scalar(node.place, nodes::quoted(&text));
                    self.slots.put(target, key.place, value, self.lists.problems);
                }
                Ok((_, behind)) => self.wrong(node.place, Mistake::left_over(behind)),
                Err(mistake) => self.wrong(node.place, mistake),
            }
            return;
        }
        let source = match condition::path(&source) {
            Ok(source) => source,
            Err(mistake) => return self.wrong(node.place, mistake),
        };
        let wanted = source.list.as_ref().unwrap_or(&source.value);
        let missing = format!("not exists({wanted})");
        self.stop(number, key, on_missing, missing, "the source of the field is missing");
        let mut value = nodes::scalar(node.place, source.value);
        if let Some(list) = source.list {
            let list = nodes::scalar(node.place, list);
            value = nodes::named(node.place, vec![("each", list), ("as", value)]);
        }
        self.slots.put(target, key.place, value, self.lists.problems);
    }

    fn transform(&mut self, number: u32, target: &Target, key: &Key, node: &Node, on: Policy) {
        // The same words as beside a mapping of version 2: a name, or a map of type and format.
        let named = [(nodes::key(node.place, "transform"), node.clone())];
        let Some(change) = transform::read(&named, self.lists.problems) else { return };
        let change = target::suited(target, change);
        let lost = |value: &String| format!("exists({value}) and not exists({})", change.of(value));
        let lost: Vec<String> = self.slots.texts(target).iter().map(lost).collect();
        if !lost.is_empty() {
            let why = "the value of the field cannot be transformed";
            self.stop(number, key, on, lost.join(" or "), why);
        }
        self.slots.change(target, key.place, change, self.lists.problems);
    }

    fn compute(&mut self, number: u32, target: &Target, key: &Key, node: &Node, on: Policy) {
        let Some(members) = map(node, "a computed field", self.lists.problems) else { return };
        known_keys(members, &["expression", "type"], "a computed field", self.lists.problems);
        let wanted = self.lists.required(node, members, "expression", "a computed field");
        let kind = member(members, "type").and_then(|node| {
            let word = text(node, "`type`", self.lists.problems)?;
            let found = ValueType::parse(&word);
            if found.is_none() {
                let what = "the type of a value";
                let known = ValueType::WORDS;
                self.lists.problems.unknown(node.place, Code::BadValue, what, &word, known);
            }
            found
        });
        let Some((place, expression)) = wanted else { return };
        let value = match condition::read(&expression) {
            Ok(Read::Value { text, constant }) => {
                let function = match kind {
                    Some(ValueType::Text) => "text",
                    Some(ValueType::Number) => "number",
                    Some(ValueType::Boolean) | None => "",
                };
                match kind {
                    Some(ValueType::Boolean) => self.boolean(number, key, place, &text, on),
                    None => nodes::scalar(place, text),
                    Some(ValueType::Text | ValueType::Number) => {
                        let typed = format!("{function}({text})");
                        if !constant {
                            let lost = format!("exists({text}) and not exists({typed})");
                            let why = "the computed value is of another type";
                            self.stop(number, key, on, lost, why);
                        }
                        nodes::scalar(place, typed)
                    }
                }
            }
            Ok(Read::Condition(when)) => {
                let (yes, no) = match kind {
                    Some(ValueType::Text) => ("\"true\"", "\"false\""),
                    Some(ValueType::Number) => ("1", "0"),
                    Some(ValueType::Boolean) | None => ("true", "false"),
                };
                choice(place, &when, yes, Some(no))
            }
            Err(mistake) => return self.wrong(place, mistake),
        };
        self.slots.put(target, key.place, value, self.lists.problems);
    }

    /// A value that is true or false, else nothing.
    fn boolean(&mut self, number: u32, key: &Key, place: Place, text: &str, on: Policy) -> Node {
        let is = format!("{text} in [true, false]");
        let lost = format!("exists({text}) and not ({is})");
        self.stop(number, key, on, lost, "the computed value is of another type");
        choice(place, &is, text, None)
    }

    /// Keeps events for which `when` holds from being sent, if the policy says so.
    fn stop(&mut self, number: u32, key: &Key, policy: Policy, when: String, why: &str) {
        let name = format!("Step {number}: {}", key.text);
        let message = match policy {
            Policy::Skip => return,
            Policy::Drop => None,
            Policy::Fail => Some(format!("{why}: {}", key.text)),
        };
        self.stops.push(rules::stop(key.place, &name, when, message));
    }

    fn wrong(&mut self, place: Place, mistake: Mistake) {
        self.lists.problems.add(place, Code::BadExpression, mistake.message, mistake.suggestion);
    }
}

fn choice(place: Place, when: &str, then: &str, otherwise: Option<&str>) -> Node {
    let mut members =
        vec![("when", nodes::scalar(place, when)), ("then", nodes::scalar(place, then))];
    members.extend(otherwise.map(|text| ("else", nodes::scalar(place, text))));
    nodes::named(place, members)
}

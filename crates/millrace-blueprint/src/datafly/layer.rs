//! A layer of a config: its mappings, enrichments and transforms.

use millrace_model::code::Code;

use super::nodes;
use super::source;
use super::target::{self, Slots, Target};
use super::transform::{self, Transform};
use crate::syntax::ast::Place;
use crate::syntax::parts::{known_keys, map, member, text};
use crate::syntax::problems::Problems;
use crate::syntax::tree::{Key, Node, NodeValue, Scalar};

/// The parameters that are the connection's: no payload may hold them.
pub(super) const CREDENTIALS: [&str; 3] = ["project_token", "api_secret", "eu_data_residency"];

/// The keys of a layer.
pub(super) const KEYS: [&str; 3] = ["mappings", "enrichments", "transforms"];

const MAPPING_KEYS: [&str; 5] = ["source", "target", "transform", "format", "value_map"];

/// What the lists of a config are read against.
pub(super) struct Lists<'a> {
    pub(super) problems: &'a mut Problems,
    /// The names of the pipeline's parameters.
    pub(super) parameters: &'a [String],
}

/// Values and changes in the order of the text, ready to be laid over what is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    values: Vec<(Target, Place, Node)>,
    changes: Vec<(Target, Place, Transform)>,
}

impl Layer {
    /// Lays the layer over the values of an event.
    pub(super) fn onto(&self, slots: &mut Slots, problems: &mut Problems) {
        for (target, place, value) in &self.values {
            slots.put(target, *place, value.clone(), problems);
        }
        for (target, place, change) in &self.changes {
            slots.change(target, *place, *change, problems);
        }
    }
}

impl Lists<'_> {
    /// Reads the lists of a map. `inner`: they stand inside of an event.
    pub(super) fn layer(&mut self, members: &[(Key, Node)], inner: bool) -> Layer {
        let mut layer = Layer::default();
        for (key, node) in members {
            let read: fn(&mut Self, &Node, bool, &mut Layer) = match key.text.as_str() {
                "mappings" => Self::mapping,
                "enrichments" => Self::enrichment,
                "transforms" => Self::transform,
                _ => continue,
            };
            let NodeValue::List(items) = &node.value else {
                let message = format!("`{}` takes a list, not {}", key.text, node.describe());
                self.problems.add(node.place, Code::BadValue, message, None);
                continue;
            };
            for item in items {
                read(self, item, inner, &mut layer);
            }
        }
        layer
    }

    fn mapping(&mut self, node: &Node, inner: bool, layer: &mut Layer) {
        let Some(members) = map(node, "a mapping", self.problems) else { return };
        known_keys(members, &MAPPING_KEYS, "a mapping", self.problems);
        let source = self.required(node, members, "source", "a mapping");
        let target = self.target(node, members, inner, "a mapping");
        let change = transform::read(members, self.problems);
        let value_map = member(members, "value_map").map(|node| self.value_map(node));
        let (Some((at, source)), Some((target_at, target))) = (source, target) else { return };
        let source = match source::read(&source) {
            Ok(source) => source,
            Err(mistake) => {
                self.problems.add(at, Code::BadExpression, mistake.message, mistake.suggestion);
                return;
            }
        };
        let text = match change.map(|change| target::suited(&target, change)) {
            Some(change) => change.of(&source.value),
            None => source.value,
        };
        let mut value = nodes::scalar(at, text);
        if let Some(to) = value_map {
            value = nodes::named(at, vec![("map", value), ("to", to)]);
        }
        if let Some(list) = source.list {
            let list = nodes::scalar(at, list);
            value = nodes::named(at, vec![("each", list), ("as", value)]);
        }
        layer.values.push((target, target_at, value));
    }

    fn enrichment(&mut self, node: &Node, inner: bool, layer: &mut Layer) {
        let Some(members) = map(node, "an enrichment", self.problems) else { return };
        known_keys(members, &["target", "value"], "an enrichment", self.problems);
        let target = self.target(node, members, inner, "an enrichment");
        let Some(value) = member(members, "value") else {
            let message = "an enrichment needs the key `value`";
            self.problems.add(node.place, Code::MissingKey, message, None);
            return;
        };
        let value = self.constant(value);
        if let (Some((at, target)), Some(value)) = (target, value) {
            layer.values.push((target, at, value));
        }
    }

    fn transform(&mut self, node: &Node, inner: bool, layer: &mut Layer) {
        let Some(members) = map(node, "a transform", self.problems) else { return };
        known_keys(members, &["target", "transform", "format"], "a transform", self.problems);
        let target = self.target(node, members, inner, "a transform");
        if member(members, "transform").is_none() {
            let message = "a transform needs the key `transform`";
            self.problems.add(node.place, Code::MissingKey, message, None);
        }
        let change = transform::read(members, self.problems);
        if let (Some((at, target)), Some(change)) = (target, change) {
            let change = target::suited(&target, change);
            layer.changes.push((target, at, change));
        }
    }

    pub(super) fn required(
        &mut self,
        node: &Node,
        members: &[(Key, Node)],
        name: &str,
        what: &str,
    ) -> Option<(Place, String)> {
        let Some(found) = member(members, name) else {
            let message = format!("{what} needs the key `{name}`");
            self.problems.add(node.place, Code::MissingKey, message, None);
            return None;
        };
        text(found, &format!("`{name}`"), self.problems).map(|text| (found.place, text))
    }

    fn target(
        &mut self,
        node: &Node,
        members: &[(Key, Node)],
        inner: bool,
        what: &str,
    ) -> Option<(Place, Target)> {
        let (place, text) = self.required(node, members, "target", what)?;
        target::read(place, &text, inner, self.problems).map(|target| (place, target))
    }

    fn value_map(&mut self, node: &Node) -> Node {
        let members = map(node, "`value_map`", self.problems).unwrap_or_default();
        let constants = members
            .iter()
            .filter_map(|(key, node)| Some((key.clone(), self.constant(node)?)))
            .collect();
        nodes::map(node.place, constants)
    }

    /// A value that stands in the config itself: a text, a number, true, false, or a list of them.
    pub(super) fn constant(&mut self, node: &Node) -> Option<Node> {
        match &node.value {
            NodeValue::Scalar(Scalar { text, plain: true, .. })
                if matches!(text.as_str(), "true" | "false")
                    || crate::json::number::is_finite_number(text.as_bytes()) =>
            {
                Some(node.clone())
            }
            NodeValue::Scalar(Scalar { text, plain: true, .. })
                if matches!(text.as_str(), "" | "null" | "~") =>
            {
                Some(nodes::scalar(node.place, "null"))
            }
            NodeValue::Scalar(scalar) => self.filled(node.place, &scalar.text),
            NodeValue::List(items) => {
                let items = items.iter().map(|item| self.constant(item)).collect::<Option<_>>()?;
                Some(nodes::list(node.place, items))
            }
            NodeValue::Map(_) => {
                let message = "a value is a text, a number, true, false or a list of them";
                self.problems.add(node.place, Code::BadValue, message, None);
                None
            }
        }
    }

    /// A text in which `{{name}}` and `${name}` stand for parameters of the pipeline.
    pub(super) fn filled(&mut self, place: Place, text: &str) -> Option<Node> {
        let mut whole = String::from("\"");
        let mut rest = text;
        loop {
            let next = [("{{", "}}"), ("${", "}")]
                .into_iter()
                .filter_map(|(open, close)| rest.find(open).map(|at| (at, open, close)))
                .min_by_key(|(at, ..)| *at);
            let Some((at, open, close)) = next else { break };
            let (before, behind) = rest.split_at_checked(at).unwrap_or((rest, ""));
            let inner = behind.strip_prefix(open).and_then(|inner| inner.split_once(close));
            let Some((name, behind)) = inner else {
                let message = format!("`{open}` is not closed");
                let hint = Some("write {{name}} for a parameter of the pipeline".to_owned());
                self.problems.add(place, Code::BadExpression, message, hint);
                return None;
            };
            whole.push_str(&nodes::escaped(before));
            let name = name.trim();
            self.check_parameter(place, name)?;
            whole.push_str(&format!("{{{{parameters.{name}}}}}"));
            rest = behind;
        }
        whole.push_str(&nodes::escaped(rest));
        whole.push('"');
        Some(nodes::scalar(place, whole))
    }

    fn check_parameter(&mut self, place: Place, name: &str) -> Option<()> {
        if CREDENTIALS.contains(&name) {
            let message = format!("`{name}` belongs to the connection and to no payload");
            let hint = Some("leave it out: the token is added when the row is sent".to_owned());
            self.problems.add(place, Code::UnknownReference, message, hint);
            return None;
        }
        if self.parameters.iter().any(|have| have == name) {
            return Some(());
        }
        let known: Vec<&str> = self.parameters.iter().map(String::as_str).collect();
        self.problems.unknown(place, Code::UnknownReference, "the parameter", name, &known);
        None
    }
}

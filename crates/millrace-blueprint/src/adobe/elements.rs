//! Data elements, and the texts that refer to them as `{{name}}`.

use std::collections::BTreeMap;

use millrace_model::code::Code;

use super::shapes;
use crate::segment::Path;
use crate::syntax::Problems;
use crate::syntax::ast::{Expression, Part, Place};
use crate::syntax::functions::Function;
use crate::syntax::parts::{known_keys, map, member, switch, text};
use crate::syntax::readings::{self, Reading};
use crate::syntax::tree::{Key, Node};

const TYPES: [&str; 4] = ["path", "constant", "secret", "custom_code"];
const KEYS: [&str; 6] = ["type", "path", "value", "secret", "default", "force_lower_case"];

/// The members of an event that rules can read (reference/datafly-adobe.md 2.1).
const ROOTS: [&str; 2] = ["xdm", "data"];

/// How many values a file may come to, with what its references stand for.
const SIZE_LIMIT: usize = 50_000;

/// What a path counts for: numbers in it make it several (`segment::Path`).
const PATH_SIZE: usize = 8;

/// What a data element stands for.
enum Element {
    Value {
        expression: Expression,
        size: usize,
    },
    /// The name of a secret. It can stand as a token only.
    Secret(String),
    /// It was told what is wrong with it; that it is not known would only confuse.
    Wrong,
}

/// The data elements of a file, and how large it has become.
pub(super) struct Elements {
    elements: BTreeMap<String, Element>,
    size: usize,
}

/// What a text comes to.
pub(super) enum Reference {
    Value(Expression),
    /// A secret alone.
    Secret(String),
}

impl Elements {
    /// Reads the map of data elements.
    pub(super) fn read(node: Option<&Node>, problems: &mut Problems) -> Elements {
        let mut elements = Elements { elements: BTreeMap::new(), size: 0 };
        let Some(members) = node.and_then(|node| map(node, "`data_elements`", problems)) else {
            return elements;
        };
        for (key, node) in members {
            if key.text.trim() != key.text || key.text.is_empty() || key.text.contains(['{', '}']) {
                let message = "the name of a data element has no braces and no blanks around it";
                problems.add(key.place, Code::BadValue, message, None);
            }
            let element = element(key, node, problems).unwrap_or(Element::Wrong);
            elements.elements.insert(key.text.clone(), element);
        }
        elements
    }

    /// Counts values; false when there are too many.
    pub(super) fn grow(&mut self, place: Place, by: usize, problems: &mut Problems) -> bool {
        let fits = self.size.saturating_add(by) <= SIZE_LIMIT;
        if fits {
            self.size += by;
        } else {
            problems.add(place, Code::BadValue, "the file is too large", None);
        }
        fits
    }

    /// The value of a text: a reference alone gives the value with its type, and among other text
    /// it stands as text. A text without references is itself.
    pub(super) fn value(
        &mut self,
        place: Place,
        text: &str,
        problems: &mut Problems,
    ) -> Expression {
        match self.reference(place, text, problems) {
            Reference::Value(expression) => expression,
            Reference::Secret(_) => {
                let message = "a secret can stand as `token` only";
                problems.add(place, Code::NotTakenOver, message, None);
                Expression::Nothing
            }
        }
    }

    /// The same, where a secret may stand. Notes how the text was read.
    pub(super) fn reference(
        &mut self,
        place: Place,
        text: &str,
        problems: &mut Problems,
    ) -> Reference {
        let found = self.read_reference(place, text, problems);
        problems.reading(|| match &found {
            Reference::Value(value) => noted(place, text, readings::kind(value), value.to_string()),
            Reference::Secret(name) => noted(place, text, "secret", format!("parameters.{name}")),
        });
        found
    }

    fn read_reference(&mut self, place: Place, text: &str, problems: &mut Problems) -> Reference {
        if !self.grow(place, 1, problems) {
            return Reference::Value(Expression::Nothing);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else {
                problems.add(place, Code::BadExpression, "the braces are not closed", None);
                return Reference::Value(Expression::Nothing);
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            rest = behind;
            match self.named(place, name.trim(), problems) {
                Some(Reference::Value(value)) => parts.push(Part::Hole(value)),
                Some(secret) if parts.is_empty() && rest.is_empty() => return secret,
                Some(Reference::Secret(_)) => {
                    let message = "a secret cannot be a part of a text";
                    problems.add(place, Code::NotTakenOver, message, None);
                }
                None => return Reference::Value(Expression::Nothing),
            }
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Reference::Value(match <[Part; 1]>::try_from(parts) {
            Ok([Part::Hole(value)]) => value,
            Ok([Part::Text(text)]) => Expression::Text(text),
            Err(parts) if parts.is_empty() => Expression::Text(String::new()),
            Err(parts) => Expression::Template { strict: false, parts },
        })
    }

    /// What stands between braces: a data element, or a path.
    fn named(&mut self, place: Place, name: &str, problems: &mut Problems) -> Option<Reference> {
        match self.elements.get(name) {
            Some(Element::Secret(secret)) => return Some(Reference::Secret(secret.clone())),
            Some(Element::Value { expression, size }) => {
                let (expression, size) = (expression.clone(), *size);
                return self.grow(place, size, problems).then_some(Reference::Value(expression));
            }
            Some(Element::Wrong) => return Some(Reference::Value(Expression::Nothing)),
            None => {}
        }
        if name == "arc" || name.starts_with("arc.") {
            let path = path(place, name, problems)?;
            return self.grow(place, PATH_SIZE, problems).then_some(Reference::Value(path));
        }
        let known: Vec<&str> = self.elements.keys().map(String::as_str).collect();
        problems.unknown(place, Code::UnknownReference, "the data element", name, &known);
        None
    }
}

fn element(key: &Key, node: &Node, problems: &mut Problems) -> Option<Element> {
    let members = map(node, "a data element", problems)?;
    known_keys(members, &KEYS, "a data element", problems);
    let needed = |name: &str, problems: &mut Problems| match member(members, name) {
        Some(node) => Some(node),
        None => {
            let message = format!("the data element needs `{name}`");
            problems.add(key.place, Code::MissingKey, message, None);
            None
        }
    };
    let kind_node = needed("type", problems)?;
    let kind = text(kind_node, "`type`", problems)?;
    let own: &[&str] = match kind.as_str() {
        "path" => &["path", "default", "force_lower_case"],
        "constant" => &["value"],
        "secret" => &["secret"],
        "custom_code" => {
            let hint = "write what it does as a rule of a blueprint: docs/blueprints.md".to_owned();
            let message = "custom code is not run";
            problems.add(kind_node.place, Code::NotTakenOver, message, Some(hint));
            return None;
        }
        other => {
            let what = "the type of data element";
            problems.unknown(kind_node.place, Code::BadValue, what, other, &TYPES);
            return None;
        }
    };
    for (key, _) in members {
        let name = key.text.as_str();
        if KEYS.contains(&name) && name != "type" && !own.contains(&name) {
            let message = format!("a data element of the type {kind} has no `{name}`");
            problems.add(key.place, Code::UnknownKey, message, None);
        }
    }
    if kind == "secret" {
        let node = needed("secret", problems)?;
        let name = text(node, "`secret`", problems)?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let message = "the name of a secret has letters, digits and _ only";
            problems.add(node.place, Code::BadValue, message, None);
        }
        return Some(Element::Secret(name));
    }
    if kind == "constant" {
        let (expression, size) = shapes::literal(needed("value", problems)?);
        return Some(Element::Value { expression, size });
    }
    let node = needed("path", problems)?;
    let written = text(node, "`path`", problems)?;
    let mut expression = path(node.place, &written, problems)?;
    problems.reading(|| noted(node.place, &written, "path", expression.to_string()));
    let mut size = PATH_SIZE;
    if let Some(node) = member(members, "default") {
        let (default, more) = shapes::literal(node);
        size += more;
        let (left, right) = (Box::new(expression), Box::new(default));
        expression = Expression::First { left, blank: false, right };
    }
    if member(members, "force_lower_case")
        .is_some_and(|node| switch(node, "`force_lower_case`", problems))
    {
        expression = call(Function::Lower, expression);
    }
    Some(Element::Value { expression, size })
}

/// How a scalar was read.
pub(super) fn noted(place: Place, text: &str, read_as: &'static str, meaning: String) -> Reading {
    let Place { line, column } = place;
    Reading { line, column, text: text.to_owned(), read_as, meaning }
}

/// A call of a function of one value.
pub(super) fn call(function: Function, value: Expression) -> Expression {
    Expression::Call { function, arguments: vec![value], words: Vec::new() }
}

/// Reads a path of the resource context: `arc.event.xdm.web.webPageDetails.URL`.
fn path(place: Place, text: &str, problems: &mut Problems) -> Option<Expression> {
    let mut refuse = |code: Code, message: String, hint: Option<String>| {
        problems.add(place, code, message, hint);
        None
    };
    let Some(below) = text.strip_prefix("arc.event.") else {
        if text.starts_with("arc.ruleStash") {
            let message = "there is no rule stash: actions send rows and give nothing back";
            return refuse(Code::NotTakenOver, message.to_owned(), None);
        }
        if text.starts_with("arc.request") {
            let message = "the request is not kept, only the event is";
            return refuse(Code::NotTakenOver, message.to_owned(), None);
        }
        let hint = Some("paths begin with arc.event.xdm or arc.event.data".to_owned());
        return refuse(Code::BadExpression, format!("`{text}` is no path here"), hint);
    };
    let root = below.split(['.', '[']).next().unwrap_or_default();
    if !ROOTS.contains(&root) {
        let hint = Some("known are arc.event.xdm and arc.event.data".to_owned());
        let message = format!("an event has no `{root}`");
        return refuse(Code::UnknownReference, message, hint);
    }
    match Path::read(below) {
        Ok(path) => Some(path.into_expression(false)),
        Err(message) => refuse(Code::BadExpression, message, None),
    }
}

//! YAML (or JSON, which is YAML in flow style) to a tree in which every key and value has its
//! place. Knows nothing of blueprints.
//!
//! Anchors, aliases, tags and a second document are refused: a blueprint must have one canonical
//! JSON form, and sharing is what `shared` is for.

use granit_parser::{Event, Marker, Parser, ScalarStyle, options};
use millrace_model::code::Code;

use super::ast::Place;
use super::problems::Problems;

/// How deep a blueprint may be nested. The stages behind this one may recurse.
const DEPTH_LIMIT: usize = 48;

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: NodeValue,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum NodeValue {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A scalar: its text and how it was written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// False when it stands in quotes or as a block, so that `"12"` is a text.
    pub(crate) plain: bool,
    /// How many characters after its place the text begins; none when columns do not follow it.
    pub(crate) indent: Option<u32>,
}

impl Scalar {
    /// The scalar as JSON: what is written without quotes is a number, `true`, `false` or null
    /// where it reads as one.
    pub(crate) fn json(&self) -> String {
        match self.text.as_str() {
            "" | "null" | "~" | "Null" | "NULL" if self.plain => "null".to_owned(),
            "true" | "false" if self.plain => self.text.clone(),
            text if self.plain && crate::json::number::is_finite_number(text.as_bytes()) => {
                text.to_owned()
            }
            text => json_text(text),
        }
    }
}

/// A text as JSON.
pub(crate) fn json_text(text: &str) -> String {
    let mut json = Vec::new();
    crate::json::text::write(text, &mut json);
    String::from_utf8(json).unwrap_or_default()
}

/// The key of a map.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// How much of a nested value is shown where it is named.
const SOURCE_LIMIT: usize = 160;

impl Node {
    /// The value as it is written; a nested one in one line, as JSON and cut where it is long.
    pub(crate) fn source(&self) -> String {
        match &self.value {
            NodeValue::Scalar(scalar) => scalar.text.clone(),
            NodeValue::List(_) | NodeValue::Map(_) => {
                let mut json = String::new();
                self.write_json(&mut json, SOURCE_LIMIT);
                if json.chars().count() > SOURCE_LIMIT {
                    json = json.chars().take(SOURCE_LIMIT).collect();
                    json.push_str("...");
                }
                json
            }
        }
    }

    /// Appends the value as JSON without blanks, in the order of the text; stops when there is
    /// more than `limit`.
    pub(crate) fn write_json(&self, out: &mut String, limit: usize) {
        if out.len() > limit {
            return;
        }
        match &self.value {
            NodeValue::Scalar(scalar) => out.push_str(&scalar.json()),
            NodeValue::List(items) => {
                out.push('[');
                for (item, place) in items.iter().zip(0..) {
                    if place > 0 {
                        out.push(',');
                    }
                    item.write_json(out, limit);
                }
                out.push(']');
            }
            NodeValue::Map(members) => {
                out.push('{');
                for ((key, value), place) in members.iter().zip(0..) {
                    if place > 0 {
                        out.push(',');
                    }
                    out.push_str(&json_text(&key.text));
                    out.push(':');
                    value.write_json(out, limit);
                }
                out.push('}');
            }
        }
    }

    /// What it is, in a word.
    pub(crate) fn describe(&self) -> &'static str {
        match self.value {
            NodeValue::Scalar(_) => "a scalar",
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "a map",
        }
    }
}

/// A container that is being read.
struct Open {
    place: Place,
    content: OpenContent,
}

enum OpenContent {
    List(Vec<Node>),
    Map { members: Vec<(Key, Node)>, key: Option<Key> },
}

/// Reads the one document of the text. None when a problem was added.
pub(crate) fn read(text: &str, problems: &mut Problems) -> Option<Node> {
    let options = options! {
        emit_comments: false,
        flow_nesting_limit: DEPTH_LIMIT,
        block_nesting_limit: DEPTH_LIMIT,
    };
    let before = problems.count();
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Node> = None;
    let mut documents = 0;
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match next {
            Ok(pair) => pair,
            Err(error) => {
                let at = place(error.marker());
                problems.add(at, Code::BadSyntax, error.info(), flow_hint(text, at));
                return None;
            }
        };
        let at = place(&span.start);
        refuse_extras(at, &event, problems);
        match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    problems.add(at, Code::BadSyntax, "a blueprint is one document", None);
                    return None;
                }
            }
            Event::Scalar(text, style, ..) => {
                let scalar = scalar(text.into_owned(), style);
                if let Some(key) = expects_key(&mut open) {
                    *key = Some(Key { text: scalar.text, place: at });
                } else {
                    let node = Node { place: at, value: NodeValue::Scalar(scalar) };
                    add(&mut open, &mut root, node, problems);
                }
            }
            Event::SequenceStart(..) | Event::MappingStart(..)
                if expects_key(&mut open).is_some() =>
            {
                problems.add(at, Code::BadSyntax, "a key must be a text", None);
                return None;
            }
            Event::SequenceStart(..) => {
                open.push(Open { place: at, content: OpenContent::List(Vec::new()) });
            }
            Event::MappingStart(..) => open.push(Open {
                place: at,
                content: OpenContent::Map { members: Vec::new(), key: None },
            }),
            Event::SequenceEnd | Event::MappingEnd => close(&mut open, &mut root, problems),
            Event::Alias(_) => {
                problems.add(
                    at,
                    Code::BadSyntax,
                    "aliases are not taken here",
                    Some("put what is shared under `shared` and refer to it as shared.NAME".into()),
                );
                return None;
            }
            _ => {}
        }
    }
    if root.is_none() && problems.count() == before {
        problems.add(Place { line: 1, column: 1 }, Code::BadSyntax, "the text is empty", None);
    }
    root
}

fn place(mark: &Marker) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: number(mark.line()), column: number(mark.col()).saturating_add(1) }
}

/// What is most often wrong in a line with braces or brackets.
fn flow_hint(text: &str, at: Place) -> Option<String> {
    let line = text.lines().nth(usize::try_from(at.line).ok()?.saturating_sub(1))?;
    let hint = "inside { } and [ ] a text with ?, :, a comma or a bracket must stand in quotes";
    line.contains(['{', '[']).then(|| hint.to_owned())
}

fn scalar(text: String, style: ScalarStyle) -> Scalar {
    let indent = match style {
        ScalarStyle::Plain => Some(0),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Some(1),
        ScalarStyle::Literal | ScalarStyle::Folded => None,
    };
    Scalar { text, plain: style == ScalarStyle::Plain, indent }
}

fn refuse_extras(at: Place, event: &Event<'_>, problems: &mut Problems) {
    let (anchor, tag) = match event {
        Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(_, anchor, tag)
        | Event::MappingStart(_, anchor, tag) => (*anchor, tag.is_some()),
        _ => return,
    };
    if anchor != 0 || tag {
        problems.add(
            at,
            Code::BadSyntax,
            "anchors and tags are not taken here",
            Some("a text that starts with & or ! must stand in quotes".into()),
        );
    }
}

/// The place of the next key, when the innermost container is a map that waits for one.
fn expects_key(open: &mut [Open]) -> Option<&mut Option<Key>> {
    match open.last_mut() {
        Some(Open { content: OpenContent::Map { key, .. }, .. }) if key.is_none() => Some(key),
        _ => None,
    }
}

/// Closes the innermost container.
fn close(open: &mut Vec<Open>, root: &mut Option<Node>, problems: &mut Problems) {
    let Some(done) = open.pop() else { return };
    let value = match done.content {
        OpenContent::List(items) => NodeValue::List(items),
        OpenContent::Map { members, .. } => NodeValue::Map(members),
    };
    add(open, root, Node { place: done.place, value }, problems);
}

/// Puts a value into the innermost container.
fn add(open: &mut [Open], root: &mut Option<Node>, node: Node, problems: &mut Problems) {
    match open.last_mut().map(|open| &mut open.content) {
        None => *root = Some(node),
        Some(OpenContent::List(items)) => items.push(node),
        Some(OpenContent::Map { members, key }) => {
            let Some(key) = key.take() else { return };
            if let Some((first, _)) = members.iter().find(|(have, _)| have.text == key.text) {
                let message = format!(
                    "the key `{}` stands twice in this map, first on line {}",
                    key.text, first.place.line
                );
                problems.add(key.place, Code::DuplicateName, message, None);
            } else {
                members.push((key, node));
            }
        }
    }
}

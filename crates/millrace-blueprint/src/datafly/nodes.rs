//! Making nodes of a blueprint's tree at places of a config.

use crate::syntax::ast::Place;
use crate::syntax::tree::{Key, Node, NodeValue, Scalar};

/// A scalar that is read as an expression or as a word of the language.
pub(super) fn scalar(place: Place, text: impl Into<String>) -> Node {
    // Columns inside of it are not those of the config.
    let scalar = Scalar { text: text.into(), plain: true, indent: None };
    Node { place, value: NodeValue::Scalar(scalar) }
}

pub(super) fn list(place: Place, items: Vec<Node>) -> Node {
    Node { place, value: NodeValue::List(items) }
}

pub(super) fn map(place: Place, members: Vec<(Key, Node)>) -> Node {
    Node { place, value: NodeValue::Map(members) }
}

/// A map with these members, all of them at its place.
pub(super) fn named(place: Place, members: Vec<(&str, Node)>) -> Node {
    map(place, members.into_iter().map(|(name, node)| (key(place, name), node)).collect())
}

pub(super) fn key(place: Place, text: &str) -> Key {
    Key { text: text.to_owned(), place }
}

/// A text in the quotes of an expression: that text, whatever stands in it.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// A text as it stands between such quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '"' | '\\' | '$' | '{' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// An expression as a hole of a strict template, between these texts.
pub(super) fn around(before: &str, expression: &str, after: &str) -> String {
    format!("?\"{before}{{{{{}}}}}{after}\"", expression.replace('"', "\\\""))
}

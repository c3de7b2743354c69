//! The one form in which a blueprint is compared and numbered.
//!
//! YAML and JSON texts of the same meaning have the same canonical JSON: without comments, blanks
//! and quotes that change nothing, with the keys whose order means nothing in one order. Members of
//! objects keep theirs, because a later one replaces an earlier one. Tests do not belong to it: they
//! change nothing that is sent.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::Blueprint;
use crate::syntax::tree::{self, Key, Node, NodeValue, json_text};
use crate::syntax::{Problems, parts};

/// Keys whose order means nothing, in the order in which they are written. A map with other keys
/// than those of one line keeps its own order.
const ORDERS: [&[&str]; 8] = [
    &["name", "about", "when", "continue", "send", "drop", "set_aside"],
    &["kind", "of", "default", "about"],
    &["each", "as"],
    &["with", "as"],
    &["when", "then", "else"],
    &["map", "to"],
    &["code", "message"],
    &["what", "why"],
];

/// The order of the keys of a blueprint.
const TOP: [&str; 10] = [
    "blueprint",
    "about",
    "replaces",
    "deviations",
    "checks",
    "parameters",
    "settings",
    "variants",
    "shared",
    "rules",
];

/// The key of the tests, which are no part of what a blueprint means.
const TESTS: &str = "tests";

/// The SHA-256 of a blueprint's canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest of a text.
    #[must_use]
    pub fn of(text: &str) -> Digest {
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(text.as_bytes()) {
            hex.push_str(&format!("{byte:02x}"));
        }
        Digest(hex)
    }

    /// A digest that was written down before: 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Digest> {
        let hexadecimal = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 64 && text.bytes().all(hexadecimal)).then(|| Digest(text.to_owned()))
    }

    /// All 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or_default()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Blueprint {
    /// The canonical JSON of the blueprint: one line, the same for every text of the same meaning.
    /// A variant is told by its name in the member `variant`.
    #[must_use]
    pub fn canonical_json(&self) -> String {
        let Some(root) = self.tree() else { return String::new() };
        let NodeValue::Map(members) = &root.value else { return String::new() };
        let mut kept: Vec<&(Key, Node)> =
            members.iter().filter(|(key, _)| key.text != TESTS).collect();
        kept.sort_by_key(|(key, _)| {
            TOP.iter().position(|name| *name == key.text).unwrap_or(TOP.len())
        });
        let mut out = "{".to_owned();
        for (key, value) in kept {
            if out.len() > 1 {
                out.push(',');
            }
            write_member(&key.text, value, &mut out);
        }
        let named = ["blueprint", "name"]
            .iter()
            .find_map(|key| parts::member(members, key))
            .map(Node::source)
            .unwrap_or_default();
        if named != self.name() {
            out.push_str(&format!(",\"variant\":{}", json_text(self.name())));
        }
        out.push('}');
        out
    }

    /// The digest of [`Blueprint::canonical_json`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical_json())
    }

    /// The blueprint as a tree, as it is written.
    pub(crate) fn tree(&self) -> Option<Node> {
        tree::read(&self.text, &mut Problems::new(&self.file))
    }
}

fn write_member(key: &str, value: &Node, out: &mut String) {
    out.push_str(&json_text(key));
    out.push(':');
    write(value, out);
}

/// Appends a value in its canonical form.
pub(crate) fn write(node: &Node, out: &mut String) {
    match &node.value {
        NodeValue::Scalar(scalar) => out.push_str(&scalar.json()),
        NodeValue::List(items) => {
            out.push('[');
            for (item, place) in items.iter().zip(0..) {
                if place > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        NodeValue::Map(members) => {
            out.push('{');
            for ((key, value), place) in ordered(members).into_iter().zip(0..) {
                if place > 0 {
                    out.push(',');
                }
                write_member(&key.text, value, out);
            }
            out.push('}');
        }
    }
}

/// The members in the order in which they are written.
fn ordered(members: &[(Key, Node)]) -> Vec<&(Key, Node)> {
    let mut ordered: Vec<&(Key, Node)> = members.iter().collect();
    let all_in = |order: &&&[&str]| {
        members.len() > 1 && members.iter().all(|(key, _)| order.contains(&key.text.as_str()))
    };
    if let Some(order) = ORDERS.iter().find(all_in) {
        ordered.sort_by_key(|(key, _)| order.iter().position(|name| *name == key.text));
    }
    ordered
}

/// The canonical text of a value alone.
pub(crate) fn text_of(node: &Node) -> String {
    let mut text = String::new();
    write(node, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "
# A comment.
blueprint: one
rules:
  - when: type = \"track\"   # the kind
    name: All
    send:
      - event:
          name: $.event
          distinct_id: '$.userId'
          properties: { b: 1, a: \"1\", each_one: { as: .x, each: $.list } }
";
    const JSON: &str = r#"{"rules": [{"name": "All", "when": "type = \"track\"", "send": [
        {"event": {"name": "$.event", "distinct_id": "$.userId", "properties": {
            "b": 1, "a": "1", "each_one": {"each": "$.list", "as": ".x"}}}}]}],
        "blueprint": "one", "tests": []}"#;

    fn read(text: &str) -> Blueprint {
        Blueprint::parse("test", text).expect("right")
    }

    #[test]
    fn texts_of_the_same_meaning_have_one_form() {
        let (yaml, json) = (read(YAML), read(JSON));
        assert_eq!(yaml.canonical_json(), json.canonical_json());
        assert_eq!(yaml.digest(), json.digest());
        assert!(serde_json::from_str::<serde_json::Value>(&yaml.canonical_json()).is_ok());
        // What is canonical stays so.
        assert_eq!(read(&yaml.canonical_json()).canonical_json(), yaml.canonical_json());
    }

    #[test]
    fn what_means_something_else_has_another_form() {
        let base = read(YAML).digest();
        for (from, to) in
            [("b: 1, a: \"1\"", "a: \"1\", b: 1"), ("b: 1", "b: \"1\""), ("$.event", "$.name")]
        {
            assert_ne!(read(&YAML.replacen(from, to, 1)).digest(), base, "{from}");
        }
    }

    #[test]
    fn the_digest_is_sha_256() {
        let digest = Digest::of("abc");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((digest.as_str(), digest.short()), (known, "ba7816bf8f01"));
        assert_eq!(Digest::parse(known), Some(digest));
        assert_eq!(Digest::parse("BA"), None);
    }

    #[test]
    fn every_built_in_and_variant_has_its_own_digest() {
        let mut seen = std::collections::BTreeSet::new();
        for name in Blueprint::built_in_names() {
            let blueprint = Blueprint::built_in(name).expect("there").expect("right");
            assert!(seen.insert(blueprint.digest()), "{name}");
        }
    }
}

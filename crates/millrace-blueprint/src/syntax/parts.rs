//! The parts of which the frame of a blueprint is made: maps with known keys, texts and switches that are no
//! expressions.

use millrace_model::code::Code;

use super::problems::Problems;
use super::tree::{Key, Node, NodeValue, Scalar};

/// The members of a map; a problem for anything else.
pub(crate) fn map<'a>(
    node: &'a Node,
    what: &str,
    problems: &mut Problems,
) -> Option<&'a [(Key, Node)]> {
    match &node.value {
        NodeValue::Map(members) => Some(members),
        NodeValue::Scalar(_) | NodeValue::List(_) => {
            let message = format!("{what} is a map, not {}", node.describe());
            problems.add(node.place, Code::BadValue, message, None);
            None
        }
    }
}

pub(crate) fn member<'a>(members: &'a [(Key, Node)], name: &str) -> Option<&'a Node> {
    members.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
}

/// Adds a problem for each key that is not known.
pub(crate) fn known_keys(
    members: &[(Key, Node)],
    known: &[&str],
    what: &str,
    problems: &mut Problems,
) {
    for (key, _) in members {
        if !known.contains(&key.text.as_str()) {
            let what = format!("the key of {what}");
            problems.unknown(key.place, Code::UnknownKey, &what, &key.text, known);
        }
    }
}

/// A text that is not empty.
pub(crate) fn text(node: &Node, what: &str, problems: &mut Problems) -> Option<String> {
    match &node.value {
        NodeValue::Scalar(Scalar { text, .. }) if !text.is_empty() => Some(text.clone()),
        _ => {
            problems.add(node.place, Code::BadValue, format!("{what} takes a text"), None);
            None
        }
    }
}

/// True or false, written plainly.
pub(crate) fn switch(node: &Node, what: &str, problems: &mut Problems) -> bool {
    match &node.value {
        NodeValue::Scalar(Scalar { text, plain: true, .. }) if text == "true" => true,
        NodeValue::Scalar(Scalar { text, plain: true, .. }) if text == "false" => false,
        _ => {
            problems.add(node.place, Code::BadValue, format!("{what} takes true or false"), None);
            false
        }
    }
}

//! `like: RULE NAME` in an action: the fields of the first action of the same verb in that rule.
//!
//! What an action inherits is put into its map before anything is read, so that an inherited field
//! is checked and compiled like a written one.

use millrace_model::code::Code;

use super::forms::is_form;
use super::parts::{member, text};
use super::tree::{Key, Node, NodeValue};
use super::values::Reader;

/// The key of an action that inherits.
pub(super) const LIKE: &str = "like";

/// Over how many rules an action may inherit.
const CHAIN_LIMIT: usize = 16;

/// The members of an action, with those that it inherits in front. Own members take the place of
/// inherited ones; of two maps of members the own ones follow the inherited ones.
pub(super) fn with_inherited(
    verb: &str,
    members: &[(Key, Node)],
    reader: &mut Reader<'_>,
) -> Vec<(Key, Node)> {
    let mut chain = vec![members];
    let mut names: Vec<String> = Vec::new();
    while let Some(node) = chain.last().and_then(|members| member(members, LIKE)) {
        let Some(name) = text(node, "`like`", reader.problems) else { break };
        if names.contains(&name) {
            let message = format!("the rule `{name}` inherits from itself");
            reader.problems.add(node.place, Code::BadValue, message, None);
            break;
        }
        if names.len() >= CHAIN_LIMIT {
            let message = format!("`like` goes over more than {CHAIN_LIMIT} rules");
            let hint = "inherit from the rule that has the fields".to_owned();
            reader.problems.add(node.place, Code::BadValue, message, Some(hint));
            break;
        }
        match first_action(verb, &name, node, reader) {
            // What is copied counts before it is copied.
            Some(inherited) if reader.grow(node.place, weight(inherited)) => chain.push(inherited),
            _ => break,
        }
        names.push(name);
    }
    let mut all: Vec<(Key, Node)> = Vec::new();
    for members in chain.into_iter().rev() {
        for (key, node) in members.iter().filter(|(key, _)| key.text != LIKE) {
            match all.iter_mut().find(|(have, _)| have.text == key.text) {
                Some(inherited) => replace(inherited, key, node),
                None => all.push((key.clone(), node.clone())),
            }
        }
    }
    all
}

/// How many keys and values there are in a map.
fn weight(members: &[(Key, Node)]) -> usize {
    members.iter().map(|(_, node)| node_weight(node)).sum()
}

fn node_weight(node: &Node) -> usize {
    match &node.value {
        NodeValue::Scalar(_) => 1,
        NodeValue::List(items) => 1 + items.iter().map(node_weight).sum::<usize>(),
        NodeValue::Map(members) => 1 + weight(members),
    }
}

/// The members of the first action of a verb in a rule.
fn first_action<'r>(
    verb: &str,
    rule: &str,
    node: &Node,
    reader: &mut Reader<'r>,
) -> Option<&'r [(Key, Node)]> {
    let rules = reader.rules;
    let members = |node: &'r Node| match &node.value {
        NodeValue::Map(members) => Some(members.as_slice()),
        NodeValue::Scalar(_) | NodeValue::List(_) => None,
    };
    let name = |members: &'r [(Key, Node)]| match member(members, "name").map(|node| &node.value) {
        Some(NodeValue::Scalar(name)) => name.text.as_str(),
        _ => "",
    };
    let known: Vec<&'r [(Key, Node)]> = rules.iter().filter_map(members).collect();
    let Some(found) = known.iter().find(|members| name(members) == rule) else {
        let names: Vec<&str> = known.iter().map(|members| name(members)).collect();
        reader.problems.unknown(node.place, Code::UnknownReference, "the rule", rule, &names);
        return None;
    };
    let actions = match member(found, "send").map(|node| &node.value) {
        Some(NodeValue::List(actions)) => actions.as_slice(),
        _ => &[],
    };
    let of_verb = |action: &'r Node| member(members(action)?, verb).and_then(members);
    let found = actions.iter().find_map(of_verb);
    if found.is_none() {
        let message = format!("the rule `{rule}` has no action `{verb}`");
        reader.problems.add(node.place, Code::UnknownReference, message, None);
    }
    found
}

fn replace(inherited: &mut (Key, Node), key: &Key, node: &Node) {
    match (&mut inherited.1.value, &node.value) {
        (NodeValue::Map(base), NodeValue::Map(own)) if !is_form(base) && !is_form(own) => {
            base.extend(own.iter().cloned());
        }
        _ => *inherited = (key.clone(), node.clone()),
    }
}

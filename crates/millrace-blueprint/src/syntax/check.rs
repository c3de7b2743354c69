//! The blueprint as a whole: its keys, shared blocks and rules.

use std::collections::HashMap;

use millrace_model::code::Code;
use millrace_model::diagnostic::Diagnostic;

use super::ast::{Checked, Checks, Condition, Outcome, Place, Rule};
use super::parts::{known_keys, map, member, switch, text};
use super::problems::Problems;
use super::shared::shared_blocks;
use super::tree::{self, Key, Node, NodeValue, Scalar};
use super::values::{Declared, Reader};
use super::{actions, declared, reach};
use crate::{adobe, cases, datafly};

const TOP_KEYS: [&str; 11] = [
    "blueprint",
    "about",
    "replaces",
    "deviations",
    "checks",
    "settings",
    "parameters",
    "variants",
    "shared",
    "rules",
    "tests",
];
const RULE_KEYS: [&str; 7] = ["name", "about", "when", "continue", "send", "drop", "set_aside"];
const SET_ASIDE_KEYS: [&str; 2] = ["code", "message"];

/// How many rules a blueprint may have: each event tries them one by one.
const RULE_LIMIT: usize = 5_000;

/// Reads and checks a blueprint.
pub(crate) fn read(file: &str, text: &str) -> Result<Checked, Vec<Diagnostic>> {
    let mut problems = Problems::new(file);
    let checked = tree::read(text, &mut problems).and_then(|root| whole(&root, &mut problems));
    match checked {
        Some(checked) if problems.count() == 0 => Ok(checked),
        _ => Err(problems.into_list()),
    }
}

/// Checks a tree that was read. Adobe's rules and Datafly's configurations are blueprints, too.
pub(super) fn whole(root: &Node, problems: &mut Problems) -> Option<Checked> {
    if adobe::is_rules(root) {
        adobe::read(root, problems)
    } else if datafly::is_config(root) {
        let root = datafly::read(root, problems).filter(|_| problems.count() == 0)?;
        top(&root, problems)
    } else {
        top(root, problems)
    }
}

fn top(root: &Node, problems: &mut Problems) -> Option<Checked> {
    let members = map(root, "a blueprint", problems)?;
    known_keys(members, &TOP_KEYS, "a blueprint", problems);
    let name = match member(members, "blueprint") {
        Some(node) => text(node, "`blueprint`", problems).unwrap_or_default(),
        None => {
            let hint = Some("start with blueprint: NAME".to_owned());
            problems.add(root.place, Code::MissingKey, "the blueprint has no name", hint);
            String::new()
        }
    };
    let said = |key: &str, problems: &mut Problems| match member(members, key) {
        Some(node) => text(node, &format!("`{key}`"), problems).unwrap_or_default(),
        None => String::new(),
    };
    let about = said("about", problems);
    let replaces = said("replaces", problems);
    let deviations = member(members, "deviations")
        .map(|node| declared::deviations(node, problems))
        .unwrap_or_default();
    let checks = member(members, "checks")
        .map(|node| declared::checks(node, Checks::default(), problems))
        .unwrap_or_default();
    let settings = member(members, "settings")
        .map(|node| declared::settings(node, problems))
        .unwrap_or_default();
    let parameters = member(members, "parameters")
        .map(|node| declared::parameters(node, problems))
        .unwrap_or_default();
    let variants = member(members, "variants")
        .map(|node| declared::variants(node, &name, &settings, checks, problems))
        .unwrap_or_default();
    let mut shared = HashMap::new();
    let mut size = 0;
    let declared = Declared { settings: &settings, parameters: &parameters };
    if let Some(node) = member(members, "shared") {
        shared_blocks(node, declared, &mut shared, &mut size, problems);
    }
    if let Some(node) = member(members, "tests") {
        cases::read(node, problems);
    }
    let nodes = rule_nodes(root, members, problems);
    let mut reader = Reader::new(problems, declared, &shared, &mut size);
    reader.rules = nodes;
    let rules: Vec<Rule> = nodes.iter().filter_map(|node| rule(node, &mut reader)).collect();
    reach::check(&rules, problems);
    Some(Checked {
        name,
        about,
        replaces,
        deviations,
        checks,
        settings,
        parameters,
        variants,
        rules,
    })
}

/// The rules as they are written.
fn rule_nodes<'n>(
    root: &'n Node,
    members: &'n [(Key, Node)],
    problems: &mut Problems,
) -> &'n [Node] {
    let Some(node) = member(members, "rules") else {
        problems.add(root.place, Code::MissingKey, "the blueprint has no rules", None);
        return &[];
    };
    let NodeValue::List(rules) = &node.value else {
        let message = format!("`rules` takes a list, not {}", node.describe());
        problems.add(node.place, Code::BadValue, message, None);
        return &[];
    };
    if rules.is_empty() {
        let hint = "for one that sends nothing write a rule with drop: true".to_owned();
        problems.add(node.place, Code::MissingKey, "the blueprint has no rules", Some(hint));
    }
    if rules.len() > RULE_LIMIT {
        let message = format!("the blueprint has {} rules, of {RULE_LIMIT} at most", rules.len());
        problems.add(node.place, Code::BadValue, message, None);
        return &[];
    }
    rules
}

fn rule(node: &Node, reader: &mut Reader<'_>) -> Option<Rule> {
    let members = map(node, "a rule", reader.problems)?;
    known_keys(members, &RULE_KEYS, "a rule", reader.problems);
    let name = match member(members, "name") {
        Some(node) => text(node, "`name`", reader.problems).unwrap_or_default(),
        None => {
            reader.problems.add(node.place, Code::MissingKey, "the rule needs a name", None);
            String::new()
        }
    };
    if let Some(node) = member(members, "about") {
        text(node, "`about`", reader.problems);
    }
    let before = reader.problems.count();
    let when = match member(members, "when") {
        Some(node) => reader.condition(node),
        None => Condition::Always,
    };
    let readable = reader.problems.count() == before;
    let go_on =
        member(members, "continue").is_some_and(|node| switch(node, "`continue`", reader.problems));
    let outcome = outcome(node.place, members, reader)?;
    // Which events a rule takes is unknown while its condition is wrong: others are not held against it.
    readable.then(|| Rule { name, place: node.place, when, go_on, outcome })
}

fn outcome(place: Place, members: &[(Key, Node)], reader: &mut Reader<'_>) -> Option<Outcome> {
    let found = (member(members, "send"), member(members, "drop"), member(members, "set_aside"));
    match found {
        (Some(send), None, None) => match &send.value {
            NodeValue::List(items) if !items.is_empty() => Some(Outcome::Send(
                items.iter().filter_map(|item| actions::read(item, reader)).collect(),
            )),
            _ => {
                reader.problems.add(
                    send.place,
                    Code::BadValue,
                    "`send` takes a list of actions",
                    Some("for a rule that sends nothing write drop: true".to_owned()),
                );
                None
            }
        },
        (None, Some(node), None) => {
            let on = matches!(&node.value,
                NodeValue::Scalar(Scalar { text, plain: true, .. }) if text == "true");
            if !on {
                let message = "`drop` can only be true";
                reader.problems.add(node.place, Code::BadValue, message, None);
            }
            Some(Outcome::Drop)
        }
        (None, None, Some(node)) => {
            let members = map(node, "`set_aside`", reader.problems)?;
            known_keys(members, &SET_ASIDE_KEYS, "`set_aside`", reader.problems);
            let message = match member(members, "message") {
                Some(node) => text(node, "`message`", reader.problems).unwrap_or_default(),
                None => String::new(),
            };
            let code_node = member(members, "code");
            let code = code_node.and_then(|node| text(node, "`code`", reader.problems));
            match code.as_deref().map(Code::parse) {
                Some(Some(code)) => Some(Outcome::SetAside { code, message }),
                Some(None) => {
                    let place = code_node.map_or(place, |node| node.place);
                    let hint = Some("codes look like MR2001".to_owned());
                    reader.problems.add(place, Code::UnknownReference, "no such code", hint);
                    None
                }
                None => {
                    let message = "`set_aside` needs a code";
                    reader.problems.add(node.place, Code::MissingKey, message, None);
                    None
                }
            }
        }
        _ => {
            let message = "a rule has exactly one of `send`, `drop` and `set_aside`";
            reader.problems.add(place, Code::MissingKey, message, None);
            None
        }
    }
}

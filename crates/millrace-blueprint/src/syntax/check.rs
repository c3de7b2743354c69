//! The blueprint as a whole: its keys, settings, shared blocks and rules.

use std::collections::HashMap;

use millrace_model::code::Code;
use millrace_model::diagnostic::Diagnostic;
use serde_json::Value;

use super::actions;
use super::ast::{Checked, Condition, Kinds, Outcome, Place, Rule};
use super::problems::Problems;
use super::tree::{self, Key, Node, NodeValue, Scalar};
use super::values::{Block, Reader};
use crate::settings::{Setting, SettingKind};

const TOP_KEYS: [&str; 5] = ["blueprint", "about", "settings", "shared", "rules"];
const SETTING_KEYS: [&str; 4] = ["kind", "of", "default", "about"];
const SETTING_KINDS: [&str; 6] = ["text", "number", "switch", "choice", "list", "ignored"];
const RULE_KEYS: [&str; 7] = ["name", "about", "when", "continue", "send", "drop", "set_aside"];
const SET_ASIDE_KEYS: [&str; 2] = ["code", "message"];

/// Reads and checks a blueprint.
pub(crate) fn read(file: &str, text: &str) -> Result<Checked, Vec<Diagnostic>> {
    let mut problems = Problems::new(file);
    let checked = tree::read(text, &mut problems).and_then(|root| top(&root, &mut problems));
    match checked {
        Some(checked) if problems.count() == 0 => Ok(checked),
        _ => Err(problems.into_list()),
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
    if let Some(node) = member(members, "about") {
        text(node, "`about`", problems);
    }
    let settings = match member(members, "settings") {
        Some(node) => settings(node, problems),
        None => Vec::new(),
    };
    let mut shared = HashMap::new();
    let mut size = 0;
    if let Some(node) = member(members, "shared") {
        shared_blocks(node, &settings, &mut shared, &mut size, problems);
    }
    let mut rules = Vec::new();
    match member(members, "rules").map(|node| (&node.value, node)) {
        Some((NodeValue::List(items), _)) => {
            for item in items {
                let mut reader = Reader {
                    problems,
                    settings: &settings,
                    shared: &shared,
                    items: 0,
                    size: &mut size,
                };
                rules.extend(rule(item, &mut reader));
            }
        }
        Some((_, node)) => {
            let message = format!("`rules` takes a list, not {}", node.describe());
            problems.add(node.place, Code::BadValue, message, None);
        }
        None => problems.add(root.place, Code::MissingKey, "the blueprint has no rules", None),
    }
    reachable(&rules, problems);
    Some(Checked { name, settings, rules })
}

fn map<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<&'a [(Key, Node)]> {
    match &node.value {
        NodeValue::Map(members) => Some(members),
        NodeValue::Scalar(_) | NodeValue::List(_) => {
            let message = format!("{what} is a map, not {}", node.describe());
            problems.add(node.place, Code::BadValue, message, None);
            None
        }
    }
}

fn member<'a>(members: &'a [(Key, Node)], name: &str) -> Option<&'a Node> {
    members.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
}

fn known_keys(members: &[(Key, Node)], known: &[&str], what: &str, problems: &mut Problems) {
    for (key, _) in members {
        if !known.contains(&key.text.as_str()) {
            let what = format!("the key of {what}");
            problems.unknown(key.place, Code::UnknownKey, &what, &key.text, known);
        }
    }
}

fn text(node: &Node, what: &str, problems: &mut Problems) -> Option<String> {
    match &node.value {
        NodeValue::Scalar(Scalar { text, .. }) if !text.is_empty() => Some(text.clone()),
        _ => {
            problems.add(node.place, Code::BadValue, format!("{what} takes a text"), None);
            None
        }
    }
}

fn switch(node: &Node, what: &str, problems: &mut Problems) -> bool {
    match &node.value {
        NodeValue::Scalar(Scalar { text, plain: true, .. }) if text == "true" => true,
        NodeValue::Scalar(Scalar { text, plain: true, .. }) if text == "false" => false,
        _ => {
            problems.add(node.place, Code::BadValue, format!("{what} takes true or false"), None);
            false
        }
    }
}

fn settings(node: &Node, problems: &mut Problems) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (key, node) in map(node, "`settings`", problems).unwrap_or_default() {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if key.text.is_empty() || !key.text.chars().all(plain) {
            let message = "a setting's name has letters, digits and _ only";
            problems.add(key.place, Code::BadValue, message, None);
        }
        settings.extend(setting(key, node, problems));
    }
    settings
}

fn setting(key: &Key, node: &Node, problems: &mut Problems) -> Option<Setting> {
    let members = map(node, "a setting", problems)?;
    known_keys(members, &SETTING_KEYS, "a setting", problems);
    let about = match member(members, "about") {
        Some(node) => text(node, "`about`", problems).unwrap_or_default(),
        None => String::new(),
    };
    let Some(kind_node) = member(members, "kind") else {
        let hint = Some(format!("known are {}", SETTING_KINDS.join(", ")));
        problems.add(key.place, Code::MissingKey, "the setting needs a kind", hint);
        return None;
    };
    let kind = match text(kind_node, "`kind`", problems)?.as_str() {
        "text" => SettingKind::Text,
        "number" => SettingKind::Number,
        "switch" => SettingKind::Switch,
        "choice" => SettingKind::Choice(choices(key, members, problems)),
        "list" => SettingKind::List,
        "ignored" => SettingKind::Ignored,
        other => {
            let what = "the kind";
            problems.unknown(kind_node.place, Code::BadValue, what, other, &SETTING_KINDS);
            return None;
        }
    };
    if let Some(of) = member(members, "of")
        && !matches!(kind, SettingKind::Choice(_))
    {
        problems.add(of.place, Code::UnknownKey, "only a choice has `of`", None);
    }
    if kind == SettingKind::Ignored && member(members, "default").is_none() {
        return Some(Setting { name: key.text.clone(), kind, default: Value::Null, about });
    }
    let Some(default_node) = member(members, "default") else {
        problems.add(key.place, Code::MissingKey, "the setting needs a default", None);
        return None;
    };
    let default = plain_value(default_node);
    if !kind.takes(&default) {
        let message = format!("the default must be {}", kind.describe());
        problems.add(default_node.place, Code::BadValue, message, None);
        return None;
    }
    Some(Setting { name: key.text.clone(), kind, default, about })
}

fn choices(key: &Key, members: &[(Key, Node)], problems: &mut Problems) -> Vec<String> {
    let items = match member(members, "of").map(|node| &node.value) {
        Some(NodeValue::List(items)) if !items.is_empty() => items.as_slice(),
        _ => {
            problems.add(key.place, Code::MissingKey, "a choice needs a list `of` texts", None);
            &[]
        }
    };
    items.iter().filter_map(|item| text(item, "a choice", problems)).collect()
}

/// A scalar as plain data, without any expression in it.
fn plain_value(node: &Node) -> Value {
    let scalar = match &node.value {
        NodeValue::Scalar(scalar) => scalar,
        NodeValue::List(items) => return items.iter().map(plain_value).collect(),
        NodeValue::Map(_) => return Value::Null,
    };
    match scalar.text.as_str() {
        "true" if scalar.plain => Value::Bool(true),
        "false" if scalar.plain => Value::Bool(false),
        text if scalar.plain && crate::json::number::is_finite_number(text.as_bytes()) => {
            serde_json::from_str(text).unwrap_or(Value::Null)
        }
        text => Value::String(text.to_owned()),
    }
}

/// Reads the blocks of `shared` from top to bottom; a block may use those above it.
fn shared_blocks(
    node: &Node,
    settings: &[Setting],
    shared: &mut HashMap<String, Block>,
    size: &mut usize,
    problems: &mut Problems,
) {
    for (key, node) in map(node, "`shared`", problems).unwrap_or_default() {
        let Some(members) = map(node, "a shared block", problems) else { continue };
        let before = *size;
        let mut reader = Reader { problems, settings, shared, items: 0, size };
        let entries = reader.entries(members);
        shared.insert(key.text.clone(), Block { entries, size: size.saturating_sub(before) });
    }
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
    let when = match member(members, "when") {
        Some(node) => reader.condition(node),
        None => Condition::Always,
    };
    let go_on =
        member(members, "continue").is_some_and(|node| switch(node, "`continue`", reader.problems));
    let outcome = outcome(node.place, members, reader)?;
    Some(Rule { name, place: node.place, when, go_on, outcome })
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

/// Rules are tried from the top, and the first that matches ends the search: a rule that comes
/// after ones that take all of its kinds of events can never be reached. Names must be unique,
/// since the ledger refers to rules by name.
fn reachable(rules: &[Rule], problems: &mut Problems) {
    let mut taken = Kinds::NONE;
    for (place, rule) in rules.iter().enumerate() {
        let above = rules.get(..place).unwrap_or_default();
        if !rule.name.is_empty() && above.iter().any(|other| other.name == rule.name) {
            let message = format!("there is a rule `{}` above", rule.name);
            problems.add(rule.place, Code::DuplicateName, message, None);
        }
        let (can, surely) = rule.when.kinds();
        let same = above.iter().find(|other| !other.go_on && other.when == rule.when);
        let unreachable = format!("the rule `{}` can never be reached", rule.name);
        if can == Kinds::NONE {
            let hint = "its `when` holds for no type of event".to_owned();
            problems.add(rule.place, Code::UnreachableRule, unreachable, Some(hint));
        } else if let Some(other) = same {
            let hint = format!("the rule `{}` above takes the same events", other.name);
            problems.add(rule.place, Code::UnreachableRule, unreachable, Some(hint));
        } else if can.within(taken) {
            let hint = "the rules above take all events of its types; move it up".to_owned();
            problems.add(rule.place, Code::UnreachableRule, unreachable, Some(hint));
        }
        if !rule.go_on {
            taken = taken.or(surely);
        }
    }
}

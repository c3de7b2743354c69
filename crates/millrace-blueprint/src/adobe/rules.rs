//! A file of rules as a whole.

use std::collections::{BTreeSet, HashSet};

use millrace_model::code::Code;
use serde_json::Value;

use super::actions::{self, IDENTITY, LINK_EVENT};
use super::elements::Elements;
use super::{KEY, conditions};
use crate::settings::{Parameter, Setting, SettingKind};
use crate::syntax::Problems;
use crate::syntax::ast::{Checked, Checks, Outcome, Rule};
use crate::syntax::parts::{known_keys, map, member, text};
use crate::syntax::tree::{Node, NodeValue, Scalar};

/// The version of the form that is read here.
const VERSION: &str = "1";

const TOP_KEYS: [&str; 7] = [KEY, "name", "about", "identity", "data_elements", "rules", "tests"];
const RULE_KEYS: [&str; 5] = ["name", "about", "conditions", "exceptions", "actions"];
const MODES: [&str; 3] = ["original", "simplified", "legacy"];

/// Reads a file of rules.
pub(crate) fn read(root: &Node, problems: &mut Problems) -> Option<Checked> {
    let members = map(root, "a file of rules", problems)?;
    known_keys(members, &TOP_KEYS, "a file of rules", problems);
    match member(members, KEY).map(|node| (&node.value, node)) {
        Some((NodeValue::Scalar(Scalar { text, .. }), _)) if text == VERSION => {}
        Some((_, node)) => {
            let hint = Some("write adobe: 1".to_owned());
            let message = "this version of the form is not known";
            problems.add(node.place, Code::BadValue, message, hint);
        }
        None => {}
    }
    let name = match member(members, "name") {
        Some(node) => text(node, "`name`", problems).unwrap_or_default(),
        None => {
            problems.add(root.place, Code::MissingKey, "the rules need a `name`", None);
            String::new()
        }
    };
    let about = member(members, "about").and_then(|node| text(node, "`about`", problems));
    let settings = settings(member(members, "identity"), problems);
    let mut elements = Elements::read(member(members, "data_elements"), problems);
    let mut rules = Vec::new();
    let mut secrets = BTreeSet::new();
    match member(members, "rules").map(|node| (&node.value, node)) {
        Some((NodeValue::List(items), _)) => {
            let devices = devices(items);
            for item in items {
                if let Some(rule) =
                    rule(item, &mut elements, &devices, &mut secrets, &rules, problems)
                {
                    rules.push(rule);
                }
            }
        }
        Some((_, node)) => {
            let message = format!("`rules` takes a list, not {}", node.describe());
            problems.add(node.place, Code::BadValue, message, None);
        }
        None => problems.add(root.place, Code::MissingKey, "there are no `rules`", None),
    }
    Some(Checked {
        name,
        about: about.unwrap_or_default(),
        replaces: String::new(),
        deviations: Vec::new(),
        checks: Checks::default(),
        settings,
        parameters: parameters(secrets),
        variants: Vec::new(),
        rules,
    })
}

/// The secrets as parameters. One alone need not be given: it is the integration's own token. Of
/// several, nothing here could tell which that is.
fn parameters(secrets: BTreeSet<String>) -> Vec<Parameter> {
    let default = (secrets.len() == 1).then(String::new);
    let about = "The token of a project; empty for the integration's own";
    secrets
        .into_iter()
        .map(|name| Parameter { name, default: default.clone(), about: about.to_owned() })
        .collect()
}

/// The two settings that every file of rules has. The mode of the project is original unless the
/// file says otherwise: Adobe's extension wants ID merge switched on.
fn settings(node: Option<&Node>, problems: &mut Problems) -> Vec<Setting> {
    let mut mode = "original".to_owned();
    if let Some(node) = node
        && let Some(written) = text(node, "`identity`", problems)
    {
        if MODES.contains(&written.as_str()) {
            mode = written;
        } else {
            let what = "the identity mode";
            problems.unknown(node.place, Code::BadValue, what, &written, &MODES);
        }
    }
    vec![
        Setting {
            name: IDENTITY.to_owned(),
            kind: SettingKind::Choice(MODES.map(str::to_owned).to_vec()),
            default: Value::String(mode),
            about: "The identity mode of the Mixpanel project".to_owned(),
        },
        Setting {
            name: LINK_EVENT.to_owned(),
            kind: SettingKind::Text,
            default: Value::String("Identity Linked".to_owned()),
            about: "The event that joins a device to a user under simplified identity".to_owned(),
        },
    ]
}

/// The texts that stand for devices, in all rules.
fn devices(rules: &[Node]) -> HashSet<String> {
    let mut found = HashSet::new();
    for rule in rules {
        if let NodeValue::Map(members) = &rule.value
            && let Some(node) = member(members, "actions")
        {
            actions::devices(node, &mut found);
        }
    }
    found
}

fn rule(
    node: &Node,
    elements: &mut Elements,
    devices: &HashSet<String>,
    secrets: &mut BTreeSet<String>,
    above: &[Rule],
    problems: &mut Problems,
) -> Option<Rule> {
    let members = map(node, "a rule", problems)?;
    known_keys(members, &RULE_KEYS, "a rule", problems);
    let name = match member(members, "name") {
        Some(node) => text(node, "`name`", problems).unwrap_or_default(),
        None => {
            problems.add(node.place, Code::MissingKey, "the rule needs a name", None);
            String::new()
        }
    };
    if !name.is_empty() && above.iter().any(|other| other.name == name) {
        let message = format!("there is a rule `{name}` above");
        problems.add(node.place, Code::DuplicateName, message, None);
    }
    if let Some(node) = member(members, "about") {
        text(node, "`about`", problems);
    }
    let (when, unless) = (member(members, "conditions"), member(members, "exceptions"));
    let when = conditions::read(when, unless, elements, problems);
    let Some(list) = member(members, "actions") else {
        problems.add(node.place, Code::MissingKey, "the rule needs `actions`", None);
        return None;
    };
    let actions = actions::Reader { elements, problems, devices, secrets }.actions(list);
    // Every event is offered to every rule (reference/datafly-adobe.md 2.1).
    let outcome = Outcome::Send(actions);
    Some(Rule { name, place: node.place, when, go_on: true, outcome })
}

//! What a blueprint declares about itself: its settings, parameters and variants, what it replaces and how it
//! differs from that, and which checks it wants otherwise.
//!
//! All of this is plain data: there is no expression in it.

use millrace_model::code::Code;
use serde_json::Value;

use super::ast::{
    BlankNames, Checks, DeepValues, GroupIds, IdleRows, Nobody, TimeAhead, TimeBefore, WideValues,
};
use super::parts::{known_keys, map, member, text};
use super::problems::Problems;
use super::tree::{Key, Node, NodeValue};
use crate::blueprint::{Deviation, Variant};
use crate::settings::{Parameter, Setting, SettingKind};

const SETTING_KEYS: [&str; 4] = ["kind", "of", "default", "about"];
const SETTING_KINDS: [&str; 6] = ["text", "number", "switch", "choice", "list", "ignored"];
const PARAMETER_KEYS: [&str; 2] = ["about", "default"];
const DEVIATION_KEYS: [&str; 2] = ["what", "why"];
const VARIANT_KEYS: [&str; 3] = ["about", "settings", "checks"];
const CHECK_KEYS: [&str; 8] = [
    "time_ahead",
    "time_before",
    "wide_values",
    "nobody",
    "blank_names",
    "idle_rows",
    "group_ids",
    "deep_values",
];

/// Reads the settings that a blueprint declares.
pub(super) fn settings(node: &Node, problems: &mut Problems) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (key, node) in map(node, "`settings`", problems).unwrap_or_default() {
        plain_name(key, "a setting", problems);
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
    if kind == SettingKind::Text && is_null(default_node) {
        return Some(Setting { name: key.text.clone(), kind, default: Value::Null, about });
    }
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
    let mut choices = Vec::new();
    for item in items {
        let Some(choice) = text(item, "a choice", problems) else { continue };
        if choices.contains(&choice) {
            let message = format!("the choice `{choice}` stands twice");
            problems.add(item.place, Code::DuplicateName, message, None);
        }
        choices.push(choice);
    }
    choices
}

/// True for a null that is written as one: a text that nobody gives.
fn is_null(node: &Node) -> bool {
    matches!(&node.value, NodeValue::Scalar(scalar) if scalar.plain && scalar.text == "null")
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

/// Reads the texts that a blueprint wants from each pipeline.
pub(super) fn parameters(node: &Node, problems: &mut Problems) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for (key, node) in map(node, "`parameters`", problems).unwrap_or_default() {
        plain_name(key, "a parameter", problems);
        let Some(members) = map(node, "a parameter", problems) else { continue };
        known_keys(members, &PARAMETER_KEYS, "a parameter", problems);
        let about = match member(members, "about") {
            Some(node) => text(node, "`about`", problems).unwrap_or_default(),
            None => {
                let message = "a parameter needs `about`, which says what it is for";
                problems.add(key.place, Code::MissingKey, message, None);
                String::new()
            }
        };
        let default = member(members, "default").and_then(|node| match &node.value {
            NodeValue::Scalar(scalar) => Some(scalar.text.clone()),
            NodeValue::List(_) | NodeValue::Map(_) => {
                problems.add(node.place, Code::BadValue, "the default must be a text", None);
                None
            }
        });
        parameters.push(Parameter { name: key.text.clone(), default, about });
    }
    parameters
}

/// A name that can stand behind a dot in an expression.
fn plain_name(key: &Key, what: &str, problems: &mut Problems) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if key.text.is_empty() || !key.text.chars().all(plain) {
        let message = format!("the name of {what} has letters, digits and _ only");
        problems.add(key.place, Code::BadValue, message, None);
    }
}

/// Reads how a blueprint differs from what it replaces.
pub(super) fn deviations(node: &Node, problems: &mut Problems) -> Vec<Deviation> {
    let NodeValue::List(items) = &node.value else {
        let message = format!("`deviations` takes a list, not {}", node.describe());
        problems.add(node.place, Code::BadValue, message, None);
        return Vec::new();
    };
    let mut deviations = Vec::new();
    for item in items {
        let Some(members) = map(item, "a deviation", problems) else { continue };
        known_keys(members, &DEVIATION_KEYS, "a deviation", problems);
        let mut said = |key: &str| match member(members, key) {
            Some(node) => text(node, &format!("`{key}`"), problems).unwrap_or_default(),
            None => {
                let message = format!("a deviation needs the text `{key}`");
                problems.add(item.place, Code::MissingKey, message, None);
                String::new()
            }
        };
        deviations.push(Deviation { what: said("what"), why: said("why") });
    }
    deviations
}

/// Reads which checks are done otherwise than in `usual`.
pub(super) fn checks(node: &Node, usual: Checks, problems: &mut Problems) -> Checks {
    let mut checks = usual;
    let members = map(node, "`checks`", problems).unwrap_or_default();
    known_keys(members, &CHECK_KEYS, "`checks`", problems);
    if let Some(node) = member(members, "time_ahead") {
        let known = TimeAhead::WORDS;
        checks.time_ahead = word(node, TimeAhead::parse, known, problems).unwrap_or_default();
    }
    if let Some(node) = member(members, "time_before") {
        let known = TimeBefore::WORDS;
        checks.time_before = word(node, TimeBefore::parse, known, problems).unwrap_or_default();
    }
    if let Some(node) = member(members, "nobody") {
        let known = Nobody::WORDS;
        checks.nobody = word(node, Nobody::parse, known, problems).unwrap_or_default();
    }
    if let Some(node) = member(members, "blank_names") {
        let known = BlankNames::WORDS;
        checks.blank_names = word(node, BlankNames::parse, known, problems).unwrap_or_default();
    }
    if let Some(node) = member(members, "idle_rows") {
        let known = IdleRows::WORDS;
        checks.idle_rows = word(node, IdleRows::parse, known, problems).unwrap_or_default();
    }
    if let Some(node) = member(members, "group_ids") {
        let known = GroupIds::WORDS;
        checks.group_ids = word(node, GroupIds::parse, known, problems).unwrap_or_default();
    }
    if let Some(node) = member(members, "deep_values") {
        let known = DeepValues::WORDS;
        checks.deep_values = word(node, DeepValues::parse, known, problems).unwrap_or_default();
    }
    if let Some(node) = member(members, "wide_values") {
        let known = WideValues::WORDS;
        checks.wide_values = word(node, WideValues::parse, known, problems).unwrap_or_default();
    }
    checks
}

fn word<T>(
    node: &Node,
    parse: fn(&str) -> Option<T>,
    known: &[&str],
    problems: &mut Problems,
) -> Option<T> {
    let word = text(node, "a check", problems)?;
    let found = parse(&word);
    if found.is_none() {
        problems.unknown(node.place, Code::BadValue, "the choice", &word, known);
    }
    found
}

/// Reads the variants: the same blueprint with other defaults and checks.
pub(super) fn variants(
    node: &Node,
    blueprint: &str,
    settings: &[Setting],
    usual: Checks,
    problems: &mut Problems,
) -> Vec<Variant> {
    let mut variants = Vec::new();
    for (key, node) in map(node, "`variants`", problems).unwrap_or_default() {
        if key.text == blueprint {
            let message = "a variant needs another name than its blueprint";
            problems.add(key.place, Code::DuplicateName, message, None);
        }
        let Some(members) = map(node, "a variant", problems) else { continue };
        known_keys(members, &VARIANT_KEYS, "a variant", problems);
        let about = match member(members, "about") {
            Some(node) => text(node, "`about`", problems).unwrap_or_default(),
            None => {
                let message = "a variant needs `about`, which says what it is for";
                problems.add(key.place, Code::MissingKey, message, None);
                String::new()
            }
        };
        let checks = match member(members, "checks") {
            Some(node) => checks(node, usual, problems),
            None => usual,
        };
        let mut defaults = Vec::new();
        if let Some(node) = member(members, "settings") {
            for (key, node) in map(node, "`settings`", problems).unwrap_or_default() {
                defaults.extend(other_default(key, node, settings, problems));
            }
        }
        variants.push(Variant { name: key.text.clone(), about, defaults, checks });
    }
    variants
}

/// The default that a setting has in a variant.
fn other_default(
    key: &Key,
    node: &Node,
    settings: &[Setting],
    problems: &mut Problems,
) -> Option<(String, Value)> {
    let Some(setting) = settings.iter().find(|setting| setting.name == key.text) else {
        let known: Vec<&str> = settings.iter().map(|setting| setting.name.as_str()).collect();
        problems.unknown(key.place, Code::UnknownSetting, "the setting", &key.text, &known);
        return None;
    };
    let value = plain_value(node);
    if !setting.kind.takes(&value) {
        let message = format!("the setting `{}` takes {}", key.text, setting.kind.describe());
        problems.add(node.place, Code::BadValue, message, None);
        return None;
    }
    Some((key.text.clone(), value))
}

//! Where the fields of rows can come from, read off the blueprint without running it.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::Blueprint;
use crate::path_text::{below, path_text};
use crate::syntax::SETTING_PREFIX;
use crate::syntax::ast::{
    Action, Condition, Entry, EntryKind, Expression, Outcome, Part, Place, Rule,
};

/// The name of a member that stands for all members of a spread.
pub const ANY_MEMBER: &str = "...";
/// The name of the items of a list.
pub const ANY_ITEM: &str = "[]";

/// What can reach what, for every rule, action and field of a blueprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// The rules, from the top.
    pub rules: Vec<RuleLineage>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleLineage {
    /// Its name.
    pub name: String,
    /// Where it stands, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What decides whether it takes an event.
    pub when: Sources,
    /// `send`, `drop` or `set_aside`.
    pub outcome: &'static str,
    /// What it sends.
    pub actions: Vec<ActionLineage>,
}

/// An action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionLineage {
    /// Its verb.
    pub verb: &'static str,
    /// Where it stands, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What decides whether it sends anything, and how often.
    pub when: Sources,
    /// Its fields, members inside of members included.
    pub fields: Vec<FieldLineage>,
}

/// A field of an action, or a member below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldLineage {
    /// The way to it: the field of the action, then names; [`ANY_MEMBER`] for a spread and
    /// [`ANY_ITEM`] for the items of a list.
    pub at: Vec<String>,
    /// The expression as it is written.
    pub source: String,
    /// Where it stands, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What can reach it.
    pub sources: Sources,
}

/// Paths of the event and settings, each once, in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Paths such as `$.properties.total`; `[]` stands for the items of a list.
    pub paths: Vec<String>,
    /// Names of settings.
    pub settings: Vec<String>,
    /// The functions that are applied on the way.
    pub functions: Vec<&'static str>,
}

impl Blueprint {
    /// Which paths and settings can reach each rule, action and field.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        Lineage { rules: self.checked.rules.iter().map(rule).collect() }
    }
}

impl Lineage {
    /// The settings, and with their prefix the parameters, that anything looks at.
    pub(crate) fn settings(&self) -> HashSet<String> {
        let actions = || self.rules.iter().flat_map(|rule| &rule.actions);
        let of_fields = actions().flat_map(|action| action.fields.iter().map(|one| &one.sources));
        let tests = self.rules.iter().map(|rule| &rule.when);
        let all = tests.chain(actions().map(|action| &action.when)).chain(of_fields);
        all.flat_map(|sources| sources.settings.iter().cloned()).collect()
    }

    /// The lineage as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let field = |field: &FieldLineage| {
            json!({
                "field": field.at.join("."), "from": field.source, "line": field.line,
                "column": field.column, "sources": field.sources.to_json(),
            })
        };
        let action = |action: &ActionLineage| {
            let fields: Vec<Value> = action.fields.iter().map(field).collect();
            json!({
                "verb": action.verb, "line": action.line, "column": action.column,
                "when": action.when.to_json(), "fields": fields,
            })
        };
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|rule| {
                let actions: Vec<Value> = rule.actions.iter().map(action).collect();
                json!({
                    "rule": rule.name, "line": rule.line, "column": rule.column,
                    "when": rule.when.to_json(), "outcome": rule.outcome, "actions": actions,
                })
            })
            .collect();
        json!({ "rules": rules })
    }
}

impl Sources {
    /// True when nothing of the event and no setting can reach it.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.paths.is_empty() && self.settings.is_empty()
    }

    fn to_json(&self) -> Value {
        json!({ "paths": self.paths, "settings": self.settings, "functions": self.functions })
    }

    fn path(&mut self, path: String) {
        if !self.paths.contains(&path) {
            self.paths.push(path);
        }
    }

    fn setting(&mut self, name: &str) {
        if !self.settings.iter().any(|have| have == name) {
            self.settings.push(name.to_owned());
        }
    }
}

fn rule(rule: &Rule) -> RuleLineage {
    let (outcome, actions) = match &rule.outcome {
        Outcome::Send(actions) => ("send", actions.iter().map(action).collect()),
        Outcome::Drop => ("drop", Vec::new()),
        Outcome::SetAside { .. } => ("set_aside", Vec::new()),
    };
    let mut when = Sources::default();
    Walk::default().condition(&rule.when, &mut when);
    let Place { line, column } = rule.place;
    RuleLineage { name: rule.name.clone(), line, column, when, outcome, actions }
}

fn action(action: &Action) -> ActionLineage {
    let mut when = Sources::default();
    let mut walk = Walk::default();
    if let Some(list) = &action.each {
        walk.expression(list, &mut when);
        walk = walk.of_items(list, true);
    }
    walk.condition(&action.when, &mut when);
    if let Some(list) = &action.for_each {
        when.setting(list);
    }
    let mut fields = Vec::new();
    for (field, value) in &action.fields {
        let written = action.written.iter().find(|written| written.field == *field);
        let at = vec![field.as_str().to_owned()];
        if let Expression::Object(entries) = value {
            walk.entries(&at, entries, &mut fields);
            continue;
        }
        let mut sources = Sources::default();
        walk.expression(value, &mut sources);
        let Place { line, column } = written.map_or(action.place, |written| written.place);
        let source = written.map(|written| written.source.clone()).unwrap_or_default();
        fields.push(FieldLineage { at: at.clone(), source, line, column, sources });
        walk.inside(&at, value, &mut fields);
    }
    let Place { line, column } = action.place;
    ActionLineage { verb: action.verb.as_str(), line, column, when, fields }
}

/// How a parameter is told from a setting among the names of [`Sources::settings`].
const PARAMETER_PREFIX: &str = "parameters.";

/// A walk over expressions, with the paths of the items around.
#[derive(Clone, Debug, Default)]
struct Walk {
    items: Vec<String>,
}

impl Walk {
    fn entries(&self, above: &[String], entries: &[Entry], fields: &mut Vec<FieldLineage>) {
        for entry in entries {
            let mut sources = Sources::default();
            let (name, value) = match &entry.what {
                EntryKind::Member { key, value } => (key.as_str(), value),
                EntryKind::Spread(value) => (ANY_MEMBER, value),
            };
            if let Some(setting) = name.strip_prefix(SETTING_PREFIX) {
                sources.setting(setting);
            }
            self.expression(value, &mut sources);
            let mut at = above.to_vec();
            at.push(name.to_owned());
            fields.push(FieldLineage {
                at: at.clone(),
                source: entry.source.clone(),
                line: entry.place.line,
                column: entry.place.column,
                sources,
            });
            self.inside(&at, value, fields);
        }
    }

    /// The members of objects inside a value.
    fn inside(&self, at: &[String], value: &Expression, fields: &mut Vec<FieldLineage>) {
        match value {
            Expression::Object(entries) => self.entries(at, entries, fields),
            Expression::Exact(inner) => self.inside(at, inner, fields),
            Expression::List(items) => {
                let at = [at, &[ANY_ITEM.to_owned()]].concat();
                items.iter().for_each(|item| self.inside(&at, item, fields));
            }
            Expression::Each { list, shape } => {
                let at = [at, &[ANY_ITEM.to_owned()]].concat();
                self.of_items(list, true).inside(&at, shape, fields);
            }
            Expression::With { value, shape } => {
                self.of_items(value, false).inside(at, shape, fields);
            }
            Expression::First { left, right, .. } => {
                self.inside(at, left, fields);
                self.inside(at, right, fields);
            }
            Expression::Table { rows, other, .. } => {
                rows.iter().for_each(|(_, one)| self.inside(at, one, fields));
                self.inside(at, other, fields);
            }
            Expression::Choice { then, otherwise, .. } => {
                self.inside(at, then, fields);
                self.inside(at, otherwise, fields);
            }
            _ => {}
        }
    }

    /// The walk inside a shape over these values, or over their items.
    fn of_items(&self, value: &Expression, items: bool) -> Walk {
        let mut sources = Sources::default();
        self.expression(value, &mut sources);
        let end = if items { ANY_ITEM } else { "" };
        Walk { items: sources.paths.iter().map(|path| format!("{path}{end}")).collect() }
    }

    fn expression(&self, expression: &Expression, sources: &mut Sources) {
        match expression {
            Expression::Nothing
            | Expression::Null
            | Expression::Text(_)
            | Expression::Number(_)
            | Expression::Bool(_) => {}
            Expression::Path(steps) => sources.path(path_text("$", steps)),
            Expression::Item(steps) => {
                let item = path_text("", steps);
                self.items.iter().for_each(|base| sources.path(below(base, &item)));
            }
            Expression::Setting(name) => sources.setting(name),
            Expression::Parameter(name) => sources.setting(&format!("{PARAMETER_PREFIX}{name}")),
            Expression::Table { value, rows, other } => {
                self.expression(value, sources);
                rows.iter().for_each(|(_, one)| self.expression(one, sources));
                self.expression(other, sources);
            }
            Expression::Place => {
                if !sources.functions.contains(&"place") {
                    sources.functions.push("place");
                }
            }
            Expression::First { left, right, .. } => {
                self.expression(left, sources);
                self.expression(right, sources);
            }
            Expression::Template { parts, .. } => {
                for part in parts {
                    if let Part::Hole(inner) = part {
                        self.expression(inner, sources);
                    }
                }
            }
            Expression::Call { function, arguments, words } => {
                arguments.iter().for_each(|one| self.expression(one, sources));
                for name in words.iter().filter_map(|word| word.strip_prefix(SETTING_PREFIX)) {
                    sources.setting(name);
                }
                if !sources.functions.contains(&function.as_str()) {
                    sources.functions.push(function.as_str());
                }
            }
            Expression::Exact(inner) => self.expression(inner, sources),
            Expression::List(list) => list.iter().for_each(|one| self.expression(one, sources)),
            Expression::Object(entries) => {
                for entry in entries {
                    match &entry.what {
                        EntryKind::Member { value, .. } | EntryKind::Spread(value) => {
                            self.expression(value, sources);
                        }
                    }
                }
            }
            Expression::Each { list, shape } => {
                self.expression(list, sources);
                self.of_items(list, true).expression(shape, sources);
            }
            Expression::With { value, shape } => {
                self.expression(value, sources);
                self.of_items(value, false).expression(shape, sources);
            }
            Expression::Choice { when, then, otherwise } => {
                self.condition(when, sources);
                self.expression(then, sources);
                self.expression(otherwise, sources);
            }
        }
    }

    fn condition(&self, condition: &Condition, sources: &mut Sources) {
        match condition {
            Condition::Always => {}
            Condition::Any(parts) | Condition::All(parts) => {
                parts.iter().for_each(|part| self.condition(part, sources));
            }
            Condition::Not(inner) => self.condition(inner, sources),
            Condition::Equal(left, right)
            | Condition::Order { left, right, .. }
            | Condition::Compared { left, right, .. }
            | Condition::Text { value: left, other: right, .. } => {
                self.expression(left, sources);
                self.expression(right, sources);
            }
            Condition::In(value, list) => {
                self.expression(value, sources);
                list.iter().for_each(|one| self.expression(one, sources));
            }
            Condition::Matches(value, _)
            | Condition::Exists(value)
            | Condition::UuidShaped(value)
            | Condition::True(value) => self.expression(value, sources),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_settings_reach_fields_through_everything() {
        let text = r#"
blueprint: lineage
settings:
  key: { kind: text, default: group, about: a name }
  names: { kind: list, default: [a], about: names }
shared:
  block: { settings.key: upper($.a) }
rules:
  - name: Orders
    when: type = "track" and $.total > 3
    send:
      - event:
          when: exists(settings.key)
          name: '"Shop: $.event"'
          distinct_id: $.userId ?? $.anonymousId
          properties:
            "...": [ shared.block, 'omit($.properties, settings.names)' ]
            items: { each: '$.items ?? $.products', as: { id: .id, when: { when: '.x = 1', then: $.y } } }
"#;
        let lineage = Blueprint::parse("test", text).expect("right").lineage();
        let rule = &lineage.rules[0];
        assert_eq!(rule.when.paths, ["$.type", "$.total"]);
        assert_eq!(rule.actions[0].when.settings, ["key"]);
        let field = |name: &str| {
            let found = rule.actions[0].fields.iter().find(|field| field.at.join(".") == name);
            &found.unwrap_or_else(|| panic!("{name}")).sources
        };
        assert_eq!(field("distinct_id").paths, ["$.userId", "$.anonymousId"]);
        assert_eq!(field("properties.settings.key").settings, ["key"]);
        assert_eq!(field("properties.settings.key").functions, ["upper"]);
        assert_eq!(field("properties....").paths, ["$.properties"]);
        assert_eq!(field("properties....").settings, ["names"]);
        assert_eq!(field("properties.items.[].id").paths, ["$.items[].id", "$.products[].id"]);
        let of_items = &field("properties.items").paths;
        assert!(of_items.contains(&"$.y".to_owned()), "{of_items:?}");
    }
}

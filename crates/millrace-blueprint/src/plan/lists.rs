//! List settings written out, before anything else is compiled.
//!
//! What a blueprint says over a list (`for_each`, `pick(x, settings.LIST)`, `"a" in settings.LIST`)
//! is said once for each of its texts, as if its author had known them. So neither plan nor run
//! knows of lists, and an empty one costs nothing. The action `join` becomes what the identity mode
//! makes of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fold::{Folded, Values, settled};
use crate::settings::{SettingKind, list_texts};
use crate::syntax::SETTING_PREFIX;
use crate::syntax::ast::{
    Action, Checked, Condition, Entry, EntryKind, Expression, Field, Outcome, Part, Step, Verb,
};
use crate::syntax::functions::Function;

/// The blueprint with its lists written out.
pub(crate) fn written_out(checked: &Checked, values: &Values<'_>) -> Checked {
    let writer = Writer { values, one: None };
    let mut checked = checked.clone();
    for rule in &mut checked.rules {
        rule.when = writer.condition(&rule.when);
        if let Outcome::Send(actions) = &mut rule.outcome {
            let together = |a: &Action, b: &Action| a.for_each == b.for_each;
            *actions = actions.chunk_by(together).flat_map(|run| writer.actions(run)).collect();
        }
    }
    checked
}

struct Writer<'a> {
    values: &'a Values<'a>,
    /// The setting that `for_each` goes over, and its text at the moment.
    one: Option<(&'a str, &'a str)>,
}

impl Writer<'_> {
    /// The texts of a list setting; none for other settings.
    fn list(&self, name: &str) -> Option<Vec<String>> {
        if let Some((each, text)) = self.one
            && each == name
        {
            return Some(vec![text.to_owned()]);
        }
        let found = self.values.find(name);
        let (_, value) = found.filter(|(setting, _)| setting.kind == SettingKind::List)?;
        Some(list_texts(value))
    }

    /// The text of a setting, under `for_each` that of the list's place.
    fn text(&self, name: &str) -> Option<String> {
        match self.one {
            Some((each, text)) if each == name => Some(text.to_owned()),
            _ => self.values.setting(name).and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// Neighbours that go over the same list, or over none: all of them for one text, then all of
    /// them for the next.
    fn actions(&self, run: &[Action]) -> Vec<Action> {
        let Some(name) = run.first().and_then(|action| action.for_each.as_ref()) else {
            return run.iter().filter_map(|action| self.one_action(action)).collect();
        };
        let texts = self.list(name).unwrap_or_default();
        let one = |text| Writer { values: self.values, one: Some((name, text)) };
        texts
            .iter()
            .flat_map(|text| run.iter().filter_map(|action| one(text).one_action(action)))
            .collect()
    }

    /// An action; none when it is a join and the identity mode has nothing to join by.
    fn one_action(&self, action: &Action) -> Option<Action> {
        let mut written = Action {
            verb: action.verb,
            place: action.place,
            when: self.condition(&action.when),
            for_each: None,
            written: action.written.clone(),
            each: action.each.as_ref().map(|list| self.expression(list)),
            fields: action
                .fields
                .iter()
                .map(|(field, value)| (*field, self.expression(value)))
                .collect(),
        };
        if action.verb != Verb::Join {
            return Some(written);
        }
        let mode = action.field(Field::Identity).map(|value| settled(value, self.values));
        match mode.as_ref().map(Folded::get) {
            Some(Expression::Text(mode)) if mode == "simplified" => written.verb = Verb::Link,
            Some(Expression::Text(mode)) if mode == "original" => {
                written.verb = Verb::Identify;
                for (field, _) in &mut written.fields {
                    if *field == Field::DeviceId {
                        *field = Field::AnonymousId;
                    }
                }
            }
            _ => return None,
        }
        let verb = written.verb;
        let beside = |field| match field {
            Field::Identity => false,
            Field::Name => verb == Verb::Link,
            _ => true,
        };
        written.fields.retain(|(field, _)| beside(*field));
        Some(written)
    }

    fn expressions(&self, list: &[Expression]) -> Vec<Expression> {
        list.iter().map(|one| self.expression(one)).collect()
    }

    fn boxed(&self, expression: &Expression) -> Box<Expression> {
        Box::new(self.expression(expression))
    }

    fn expression(&self, expression: &Expression) -> Expression {
        match expression {
            Expression::Setting(name) => match (self.one, self.list(name)) {
                (Some((each, text)), _) if each == name => Expression::Text(text.to_owned()),
                (_, Some(texts)) if texts.is_empty() => Expression::Nothing,
                (_, Some(texts)) => {
                    Expression::List(texts.into_iter().map(Expression::Text).collect())
                }
                (_, None) => expression.clone(),
            },
            Expression::First { left, blank, right } => Expression::First {
                left: self.boxed(left),
                blank: *blank,
                right: self.boxed(right),
            },
            Expression::Template { strict, parts } => Expression::Template {
                strict: *strict,
                parts: parts
                    .iter()
                    .map(|part| match part {
                        Part::Text(text) => Part::Text(text.clone()),
                        Part::Hole(inner) => Part::Hole(self.expression(inner)),
                    })
                    .collect(),
            },
            Expression::Call { function, arguments, words } => {
                self.call(*function, arguments, words)
            }
            Expression::Object(entries) => Expression::Object(self.entries(entries)),
            Expression::List(list) => Expression::List(self.expressions(list)),
            Expression::Each { list, shape } => {
                Expression::Each { list: self.boxed(list), shape: self.boxed(shape) }
            }
            Expression::With { value, shape } => {
                Expression::With { value: self.boxed(value), shape: self.boxed(shape) }
            }
            Expression::Table { value, rows, other } => Expression::Table {
                value: self.boxed(value),
                rows: rows.iter().map(|(key, one)| (key.clone(), self.expression(one))).collect(),
                other: self.boxed(other),
            },
            Expression::Exact(inner) => Expression::Exact(self.boxed(inner)),
            Expression::Choice { when, then, otherwise } => Expression::Choice {
                when: Box::new(self.condition(when)),
                then: self.boxed(then),
                otherwise: self.boxed(otherwise),
            },
            Expression::Nothing
            | Expression::Null
            | Expression::Text(_)
            | Expression::Number(_)
            | Expression::Bool(_)
            | Expression::Place
            | Expression::Parameter(_)
            | Expression::Path(_)
            | Expression::Item(_) => expression.clone(),
        }
    }

    fn entries(&self, entries: &[Entry]) -> Vec<Entry> {
        entries
            .iter()
            .map(|entry| Entry {
                place: entry.place,
                source: entry.source.clone(),
                what: match &entry.what {
                    EntryKind::Member { key, value } => {
                        EntryKind::Member { key: self.key(key), value: self.expression(value) }
                    }
                    EntryKind::Spread(value) => EntryKind::Spread(self.expression(value)),
                },
            })
            .collect()
    }

    /// A member's name that stands for the text of the list; others stay for the lowering.
    fn key(&self, key: &str) -> String {
        match (key.strip_prefix(SETTING_PREFIX), self.one) {
            (Some(name), Some((each, text))) if name == each => text.to_owned(),
            _ => key.to_owned(),
        }
    }

    fn call(&self, function: Function, arguments: &[Expression], words: &[String]) -> Expression {
        match (function, arguments, words) {
            (Function::At, [Expression::Path(steps)], [word]) => {
                let name = word.strip_prefix(SETTING_PREFIX).unwrap_or(word);
                match self.text(name).filter(|text| !text.is_empty()) {
                    Some(text) => Expression::Path(below(steps, &text)),
                    None => Expression::Nothing,
                }
            }
            (Function::Fill, [Expression::Setting(name), paths @ ..], _) => {
                let template = self.text(name).unwrap_or_default();
                let parts = holes(&template, paths);
                let filled = vec![Expression::Template { strict: false, parts }];
                Expression::Call { function, arguments: filled, words: Vec::new() }
            }
            (Function::Pick | Function::Omit, [object], _) => self.members(function, object, words),
            _ => Expression::Call {
                function,
                arguments: self.expressions(arguments),
                words: words.to_vec(),
            },
        }
    }

    /// `pick` and `omit` with lists. A text with dots is a path below the object: `pick` gives its
    /// value under the path's last name, `omit` takes it out of the object that holds it.
    fn members(&self, function: Function, object: &Expression, words: &[String]) -> Expression {
        let mut plain = Vec::new();
        let mut dotted = Vec::new();
        for word in words {
            let list = word.strip_prefix(SETTING_PREFIX).and_then(|name| self.list(name));
            match list {
                Some(texts) => {
                    let (deep, flat): (Vec<String>, Vec<String>) =
                        texts.into_iter().partition(|text| text.contains('.'));
                    plain.extend(flat);
                    dotted.extend(deep);
                }
                None => plain.push(word.clone()),
            }
        }
        match (self.expression(object), function == Function::Pick) {
            (Expression::Path(steps), true) => picked(&steps, plain, &dotted),
            (Expression::Path(steps), false) => without(&steps, plain, &dotted, 0),
            (object, keep) => filtered(object, plain, keep),
        }
    }

    fn conditions(&self, parts: &[Condition]) -> Vec<Condition> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    fn condition(&self, condition: &Condition) -> Condition {
        match condition {
            Condition::Always => Condition::Always,
            Condition::Any(parts) => Condition::Any(self.conditions(parts)),
            Condition::All(parts) => Condition::All(self.conditions(parts)),
            Condition::Not(inner) => Condition::Not(Box::new(self.condition(inner))),
            Condition::Equal(left, right) => {
                Condition::Equal(self.expression(left), self.expression(right))
            }
            Condition::Order { left, order, right } => Condition::Order {
                left: self.expression(left),
                order: *order,
                right: self.expression(right),
            },
            Condition::In(value, list) => {
                let mut texts = Vec::new();
                for one in list {
                    match one {
                        Expression::Setting(name) => match self.list(name) {
                            Some(list) => texts.extend(list.into_iter().map(Expression::Text)),
                            None => texts.push(one.clone()),
                        },
                        other => texts.push(self.expression(other)),
                    }
                }
                Condition::In(self.expression(value), texts)
            }
            Condition::Text { test, value, other } => Condition::Text {
                test: *test,
                value: self.expression(value),
                other: self.expression(other),
            },
            Condition::Matches(value, pattern) => {
                Condition::Matches(self.expression(value), pattern.clone())
            }
            Condition::Exists(Expression::Setting(name)) if self.list(name).is_some() => {
                let empty = self.list(name).is_some_and(|texts| texts.is_empty());
                // Nothing at all holds for none of the events.
                if empty { Condition::Any(Vec::new()) } else { Condition::Always }
            }
            Condition::Exists(value) => Condition::Exists(self.expression(value)),
            Condition::UuidShaped(value) => Condition::UuidShaped(self.expression(value)),
            Condition::True(value) => Condition::True(self.expression(value)),
            Condition::Compared { operator, left, right } => Condition::Compared {
                operator: operator.clone(),
                left: self.expression(left),
                right: self.expression(right),
            },
        }
    }
}

/// How deep a path with dots takes a member out; a longer one takes out nothing.
const DEEPEST_OMISSION: u8 = 16;

/// `pick` or `omit` of plain names.
fn filtered(object: Expression, names: Vec<String>, keep: bool) -> Expression {
    match (names.is_empty(), keep) {
        (true, true) => Expression::Nothing,
        (true, false) => object,
        _ => {
            let function = if keep { Function::Pick } else { Function::Omit };
            Expression::Call { function, arguments: vec![object], words: names }
        }
    }
}

/// The members of an object with these names, and what stands at the paths below it.
fn picked(steps: &[Step], plain: Vec<String>, dotted: &[String]) -> Expression {
    let flat = filtered(Expression::Path(steps.to_vec()), plain, true);
    if dotted.is_empty() {
        return flat;
    }
    let last = |path: &String| path.rsplit('.').next().unwrap_or(path).to_owned();
    let members = dotted.iter().map(|path| (last(path), Expression::Path(below(steps, path))));
    spread_with(flat, members.collect())
}

/// An object without the members of these names, and without what stands at the paths below it.
fn without(steps: &[Step], mut plain: Vec<String>, dotted: &[String], level: u8) -> Expression {
    let mut holders: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (holder, rest) in dotted.iter().filter_map(|path| path.split_once('.')) {
        if !plain.iter().any(|name| name == holder) {
            holders.entry(holder).or_default().push(rest.to_owned());
        }
    }
    if holders.is_empty() || level == DEEPEST_OMISSION {
        return filtered(Expression::Path(steps.to_vec()), plain, false);
    }
    plain.extend(holders.keys().map(|holder| (*holder).to_owned()));
    let members = holders.into_iter().map(|(holder, rest)| {
        let inner = below(steps, holder);
        let there =
            rest.iter().map(|path| Condition::Exists(Expression::Path(below(&inner, path))));
        let when = Box::new(Condition::Any(there.collect()));
        let (deep, flat) = rest.into_iter().partition(|path| path.contains('.'));
        let then: Box<Expression> = Box::new(without(&inner, flat, &deep, level + 1));
        let otherwise = Box::new(Expression::Path(inner));
        (holder.to_owned(), Expression::Choice { when, then, otherwise })
    });
    let members = members.collect();
    spread_with(filtered(Expression::Path(steps.to_vec()), plain, false), members)
}

/// An object with the members of another and further ones.
fn spread_with(object: Expression, members: Vec<(String, Expression)>) -> Expression {
    let entry =
        |what| Entry { place: crate::syntax::ast::Place::default(), source: String::new(), what };
    let mut entries = vec![entry(EntryKind::Spread(object))];
    for (key, value) in members {
        entries.push(entry(EntryKind::Member { key, value }));
    }
    Expression::Object(entries)
}

/// The path of a dotted text below another path.
fn below(steps: &[Step], dotted: &str) -> Vec<Step> {
    let more = dotted.split('.').map(|name| Step::Key(name.to_owned()));
    steps.iter().cloned().chain(more).collect()
}

/// The parts of a template whose holes are named after the last step of one of the paths.
fn holes(template: &str, paths: &[Expression]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        parts.push(Part::Text(before.to_owned()));
        let wanted = |path: &&Expression| match path {
            Expression::Path(steps) => {
                matches!(steps.last(), Some(Step::Key(key)) if key == name.trim())
            }
            _ => false,
        };
        if let Some(path) = paths.iter().find(wanted) {
            parts.push(Part::Hole(path.clone()));
        }
        rest = behind;
    }
    parts.push(Part::Text(rest.to_owned()));
    parts
}

//! Which paths a blueprint reads: what the tries are built from.

use crate::plan::fold::{Values, constant};
use crate::syntax::ast::{Action, Checked, Condition, EntryKind, Expression, Outcome, Part, Step};
use crate::syntax::functions::Function;

/// The paths that expressions read: from the event's root, and from the item around them.
#[derive(Default)]
pub(crate) struct Paths<'a> {
    /// What is chosen: branches that it switches off read nothing. Without it all branches count.
    values: Option<&'a Values<'a>>,
    pub(crate) event: Vec<&'a [Step]>,
    pub(crate) item: Vec<&'a [Step]>,
    /// From the event's root, where no fact may stand over the event's bytes.
    pub(crate) sent: Vec<&'a [Step]>,
}

impl<'a> Paths<'a> {
    /// No paths yet.
    pub(crate) fn under(values: &'a Values<'a>) -> Paths<'a> {
        Paths { values: Some(values), ..Paths::default() }
    }

    /// Whether the settings decide a condition, and how.
    fn decided(&self, condition: &Condition) -> Option<bool> {
        self.values.and_then(|values| constant(condition, values))
    }

    /// All paths of what the settings leave of a blueprint.
    pub(crate) fn of(checked: &'a Checked, values: &'a Values<'a>) -> Paths<'a> {
        let mut paths = Paths::under(values);
        for rule in &checked.rules {
            if constant(&rule.when, values) == Some(false) {
                continue;
            }
            paths.condition(&rule.when);
            let Outcome::Send(actions) = &rule.outcome else { continue };
            for action in actions {
                if constant(&action.when, values) == Some(false) {
                    continue;
                }
                match &action.each {
                    None => paths.action(action),
                    Some(list) => {
                        paths.expression(list);
                        let mut inner = Paths::under(values);
                        inner.action(action);
                        paths.event.append(&mut inner.event);
                        paths.sent.append(&mut inner.sent);
                    }
                }
            }
        }
        paths
    }

    /// The paths of an action's condition and fields.
    pub(crate) fn action(&mut self, action: &'a Action) {
        self.condition(&action.when);
        for (_, value) in &action.fields {
            self.expression(value);
        }
    }

    pub(crate) fn expression(&mut self, expression: &'a Expression) {
        match expression {
            Expression::Nothing
            | Expression::Text(_)
            | Expression::Number(_)
            | Expression::Bool(_)
            | Expression::Null
            | Expression::Place
            | Expression::Parameter(_)
            | Expression::Setting(_) => {}
            Expression::Table { value, rows, other } => {
                self.expression(value);
                for (_, one) in rows {
                    self.expression(one);
                }
                self.expression(other);
            }
            Expression::Exact(inner) => self.expression(inner),
            Expression::Path(steps) => self.event.push(steps),
            Expression::Item(steps) => self.item.push(steps),
            Expression::First { left, right, .. } => {
                self.expression(left);
                self.expression(right);
            }
            Expression::Template { parts, .. } => {
                for part in parts {
                    if let Part::Hole(inner) = part {
                        self.expression(inner);
                    }
                }
            }
            Expression::Call { function: Function::AsSent, arguments, .. } => {
                match arguments.as_slice() {
                    [Expression::Path(steps)] => self.sent.push(steps),
                    other => other.iter().for_each(|one| self.expression(one)),
                }
            }
            Expression::Call { arguments: list, .. } | Expression::List(list) => {
                for one in list {
                    self.expression(one);
                }
            }
            Expression::Object(entries) => {
                for entry in entries {
                    match &entry.what {
                        EntryKind::Member { value, .. } | EntryKind::Spread(value) => {
                            self.expression(value);
                        }
                    }
                }
            }
            Expression::Each { list, shape } | Expression::With { value: list, shape } => {
                self.expression(list);
                let mut inner = Paths { values: self.values, ..Paths::default() };
                inner.expression(shape);
                self.event.append(&mut inner.event);
                self.sent.append(&mut inner.sent);
            }
            Expression::Choice { when, then, otherwise } => {
                let decided = self.decided(when);
                self.condition(when);
                if decided != Some(false) {
                    self.expression(then);
                }
                if decided != Some(true) {
                    self.expression(otherwise);
                }
            }
        }
    }

    pub(crate) fn condition(&mut self, condition: &'a Condition) {
        if self.decided(condition).is_some() {
            return;
        }
        match condition {
            Condition::Always => {}
            Condition::Any(parts) | Condition::All(parts) => {
                for part in parts {
                    self.condition(part);
                }
            }
            Condition::Not(inner) => self.condition(inner),
            Condition::Equal(left, right)
            | Condition::Order { left, right, .. }
            | Condition::Compared { left, right, .. } => {
                self.expression(left);
                self.expression(right);
            }
            Condition::In(value, list) => {
                self.expression(value);
                for one in list {
                    self.expression(one);
                }
            }
            Condition::Text { value, other, .. } => {
                self.expression(value);
                self.expression(other);
            }
            Condition::Matches(value, _)
            | Condition::Exists(value)
            | Condition::UuidShaped(value)
            | Condition::True(value) => self.expression(value),
        }
    }
}

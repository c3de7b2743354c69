//! From the checked tree to the nodes of a plan.

use super::Plan;
use super::expressions::json_text;
use super::fold::{self, Values, constant};
use super::node::{
    Action, Beside, Event, Fact, Items, Node, Object, Operand, Outcome, Rule, Test, What,
};
use super::paths::Paths;
use super::trie::Trie;
use crate::reserved::Home;
use crate::syntax::ast::{self, Checked, Checks, Condition, Expression, Field, Step, Verb};
use crate::syntax::is_operator;

/// Compiles a blueprint with its settings.
pub(crate) fn lower(checked: &Checked, values: &Values<'_>) -> Plan {
    let ids: [Vec<Step>; 3] =
        ["userId", "anonymousId", "previousId"].map(|name| vec![Step::Key(name.to_owned())]);
    let paths = Paths::of(checked, values);
    let event = paths.event.into_iter().chain(ids.iter().map(Vec::as_slice));
    let event = event.filter(|path| !is_overlaid(path));
    let trie = Trie::build(event.chain(paths.sent));
    let slots = ids.each_ref().map(|path| trie.slot(path).unwrap_or(u16::MAX));
    let mut lowering = Lowering {
        values,
        trie: &trie,
        items: Vec::new(),
        constants: Vec::new(),
        facts: true,
        exact: false,
    };
    let rules = checked.rules.iter().filter_map(|rule| lowering.rule(rule)).collect();
    let constants = lowering.constants;
    Plan { rules, trie, constants, ids: slots, checks: checked.checks }
}

/// Compiles a condition alone, for bare JSON over which no facts stand.
pub(crate) fn condition_alone(condition: &Condition) -> (Plan, Test) {
    let values = Values::default();
    let mut paths = Paths::under(&values);
    paths.condition(condition);
    alone(&paths, |lowering| lowering.test(condition))
}

/// Compiles an expression alone, for bare JSON over which no facts stand.
pub(crate) fn expression_alone(expression: &Expression) -> (Plan, Node) {
    let values = Values::default();
    let mut paths = Paths::under(&values);
    paths.expression(expression);
    alone(&paths, |lowering| lowering.expression(expression))
}

fn alone<T>(paths: &Paths<'_>, lower: impl FnOnce(&mut Lowering<'_>) -> T) -> (Plan, T) {
    let trie = Trie::build(paths.event.iter().chain(&paths.sent).copied());
    let mut lowering = Lowering {
        values: &Values::default(),
        trie: &trie,
        items: Vec::new(),
        constants: Vec::new(),
        facts: false,
        exact: false,
    };
    let lowered = lower(&mut lowering);
    let constants = lowering.constants;
    let (rules, ids, checks) = (Vec::new(), [u16::MAX; 3], Checks::default());
    (Plan { rules, trie, constants, ids, checks }, lowered)
}

/// True for the paths that facts of admission answer without the event's bytes.
fn is_overlaid(path: &[Step]) -> bool {
    matches!(fact(path), Some(Fact::MessageId | Fact::Timestamp | Fact::ReceivedAt | Fact::Kind))
}

/// The fact that stands over a path.
pub(super) fn fact(path: &[Step]) -> Option<Fact> {
    match path {
        [Step::Key(key)] => match key.as_str() {
            "messageId" => Some(Fact::MessageId),
            "timestamp" => Some(Fact::Timestamp),
            "receivedAt" => Some(Fact::ReceivedAt),
            "type" => Some(Fact::Kind),
            _ => None,
        },
        [Step::Key(context), Step::Key(ip)] if context == "context" && ip == "ip" => {
            Some(Fact::Ip(u16::MAX))
        }
        _ => None,
    }
}

/// What is compiled, and against what.
pub(super) struct Lowering<'a> {
    pub(super) values: &'a Values<'a>,
    pub(super) trie: &'a Trie,
    /// The tries of the items around, the innermost last.
    pub(super) items: Vec<Trie>,
    pub(super) constants: Vec<Box<[u8]>>,
    /// False where no facts of admission stand over the bytes.
    pub(super) facts: bool,
    /// True inside of [`Expression::Exact`].
    pub(super) exact: bool,
}

impl Lowering<'_> {
    fn rule(&mut self, rule: &ast::Rule) -> Option<Rule> {
        if constant(&rule.when, self.values) == Some(false) {
            return None;
        }
        let outcome = match &rule.outcome {
            ast::Outcome::Drop => Outcome::Drop,
            ast::Outcome::SetAside { code, message } => {
                Outcome::SetAside { code: *code, message: message.clone() }
            }
            ast::Outcome::Send(actions) => {
                Outcome::Send(actions.iter().filter_map(|action| self.action(action)).collect())
            }
        };
        Some(Rule {
            name: rule.name.clone(),
            place: rule.place,
            kinds: rule.when.kinds().0,
            test: self.test(&rule.when),
            go_on: rule.go_on,
            outcome,
        })
    }

    fn action(&mut self, action: &ast::Action) -> Option<Action> {
        if constant(&action.when, self.values) == Some(false) {
            return None;
        }
        let Some(list) = &action.each else { return Some(self.one_action(action)) };
        let list = self.expression(list);
        let mut paths = Paths::under(self.values);
        paths.action(action);
        self.items.push(Trie::build(paths.item));
        let mut lowered = self.one_action(action);
        let trie = self.items.pop().unwrap_or_default();
        lowered.each = Some(Box::new(Items { list, trie }));
        Some(lowered)
    }

    fn one_action(&mut self, action: &ast::Action) -> Action {
        let what = match action.verb {
            Verb::Event => What::Event(Box::new(Event {
                name: self.field(action, Field::Name),
                distinct_id: self.field(action, Field::DistinctId),
                user_id: self.field(action, Field::UserId),
                device_id: self.field(action, Field::DeviceId),
                time: self.field(action, Field::Time),
                insert_id: self.field(action, Field::InsertId),
                ip: self.field(action, Field::Ip),
                properties: match action.field(Field::Properties) {
                    Some(Expression::Object(entries)) => self.object(entries, Some(Home::Event)),
                    _ => Object::default(),
                },
            })),
            Verb::Link | Verb::Identify | Verb::Alias | Verb::Merge | Verb::Join => {
                self.join(action)
            }
            Verb::Delete => What::Delete {
                distinct_id: self.field(action, Field::DistinctId),
                ignore_alias: self.is_on(action, Field::IgnoreAlias),
            },
            Verb::Profile => What::Profile {
                distinct_id: self.field(action, Field::DistinctId),
                beside: Box::new(Beside {
                    ip: self.field(action, Field::Ip),
                    time: self.field(action, Field::Time),
                    ignore_time: self.field(action, Field::IgnoreTime),
                    ignore_alias: self.field(action, Field::IgnoreAlias),
                    latitude: self.field(action, Field::Latitude),
                    longitude: self.field(action, Field::Longitude),
                }),
                operators: self.operators(action),
            },
            Verb::Group => What::Group {
                key: self.field(action, Field::GroupKey),
                id: self.field(action, Field::GroupId),
                operators: self.operators(action),
            },
        };
        Action {
            verb: action.verb,
            place: action.place,
            written: action.written.clone().into(),
            each: None,
            test: self.test(&action.when),
            token: self.field(action, Field::Token),
            alone: self.is_on(action, Field::Alone),
            what,
        }
    }

    /// True for a switch that is on.
    fn is_on(&self, action: &ast::Action, field: Field) -> bool {
        let value = match action.field(field) {
            Some(Expression::Choice { when, then, otherwise }) => {
                Some(if constant(when, self.values) == Some(true) { &**then } else { &**otherwise })
            }
            other => other,
        };
        let value = value.map(|value| fold::settled(value, self.values));
        value.is_some_and(|value| *value.get() == Expression::Bool(true))
    }

    fn join(&mut self, action: &ast::Action) -> What {
        let (name, first, second) = match action.verb {
            Verb::Identify => ("$identify", Field::UserId, Field::AnonymousId),
            Verb::Alias => ("$create_alias", Field::DistinctId, Field::Alias),
            _ => ("$merge", Field::UserId, Field::DeviceId),
        };
        let name = match action.field(Field::Name) {
            Some(name) => self.expression(name),
            None => self.constant(json_text(name)),
        };
        let (first, second) = match action.field(Field::Ids) {
            Some(Expression::List(ids)) => {
                let mut ids = ids.iter().map(|id| self.expression(id));
                (ids.next().unwrap_or(Node::Nothing), ids.next().unwrap_or(Node::Nothing))
            }
            _ => (self.field(action, first), self.field(action, second)),
        };
        let properties = match action.field(Field::Properties) {
            Some(Expression::Object(entries)) => {
                Some(Box::new(self.object(entries, Some(Home::Event))))
            }
            _ => None,
        };
        What::Join { verb: action.verb, name, ids: [first, second], properties }
    }

    fn operators(&mut self, action: &ast::Action) -> Vec<(Field, Operand)> {
        let operators = action.fields.iter().filter(|(field, _)| is_operator(*field));
        operators
            .map(|(field, value)| match value {
                Expression::Object(entries) => {
                    (*field, Operand::Object(self.object(entries, Some(Home::Profile))))
                }
                other => (*field, Operand::Value(self.expression(other))),
            })
            .collect()
    }

    fn field(&mut self, action: &ast::Action, field: Field) -> Node {
        action.field(field).map_or(Node::Nothing, |value| self.expression(value))
    }
}

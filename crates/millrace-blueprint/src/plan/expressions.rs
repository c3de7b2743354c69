//! From the expressions and conditions of the checked tree to the nodes and tests of a plan.

use std::borrow::Cow;

use super::fold::{self, constant, settled};
use super::keys::Keys;
use super::lower::{Lowering, fact};
use super::node::{
    BLOCKED, Call, Each, Entry, EntryKind, FORBIDDEN, Fact, Filter, KNOWN, Need, Node, Object,
    Part, Table, Test,
};
use super::paths::Paths;
use super::trie::Trie;
use crate::json::{name, text};
use crate::reserved::{self, Home};
use crate::syntax::ast::{self, Condition, Expression, Kinds, Step, kind_text};
use crate::syntax::functions::Function;
use crate::syntax::reserved_names;

impl Lowering<'_> {
    pub(super) fn constant(&mut self, json: Vec<u8>) -> Node {
        let json = json.into_boxed_slice();
        let at = self.constants.iter().position(|have| *have == json).unwrap_or_else(|| {
            self.constants.push(json);
            self.constants.len() - 1
        });
        u32::try_from(at).map_or(Node::Nothing, Node::Constant)
    }

    pub(super) fn expression(&mut self, expression: &Expression) -> Node {
        match settled(expression, self.values).get() {
            Expression::Nothing | Expression::Setting(_) | Expression::Parameter(_) => {
                Node::Nothing
            }
            Expression::Table { value, rows, other } => self.table(value, rows, other),
            Expression::Null if self.exact => self.constant(b"null".to_vec()),
            Expression::Null => Node::Nothing,
            Expression::Place => Node::Place,
            Expression::Exact(inner) => {
                let outer = std::mem::replace(&mut self.exact, true);
                let node = self.expression(inner);
                self.exact = outer;
                node
            }
            Expression::Text(text) => self.constant(json_text(text)),
            Expression::Number(number) => self.constant(number.as_bytes().to_vec()),
            Expression::Bool(on) => self.constant(on.to_string().into_bytes()),
            Expression::Path(steps) => self.path(steps),
            Expression::Item(steps) => {
                let slot = self.items.last().and_then(|trie| trie.slot(steps));
                slot.map_or(Node::Nothing, if self.exact { Node::KeptItem } else { Node::Item })
            }
            Expression::First { left, blank, right } => match self.expression(left) {
                Node::Nothing => self.expression(right),
                left => Node::First {
                    left: Box::new(left),
                    blank: *blank,
                    right: Box::new(self.expression(right)),
                },
            },
            Expression::Template { strict, parts } => Node::Template {
                strict: *strict,
                parts: parts
                    .iter()
                    .map(|part| match part {
                        ast::Part::Text(text) => {
                            let mut json = Vec::new();
                            text::write_inner(text, &mut json);
                            Part::Text(json.into())
                        }
                        ast::Part::Hole(inner) => Part::Hole(self.expression(inner)),
                    })
                    .collect(),
            },
            Expression::Call { function, arguments, words } => {
                self.call(*function, arguments, words)
            }
            Expression::Object(entries) => Node::Object(Box::new(self.object(entries, None))),
            Expression::List(list) => {
                let list = list.iter().map(|one| self.expression(one)).collect();
                if self.exact { Node::KeptList(list) } else { Node::List(list) }
            }
            Expression::Each { list, shape } => Node::Each(self.each(list, shape)),
            Expression::With { value, shape } => Node::With(self.each(value, shape)),
            Expression::Choice { when, then, otherwise } => match constant(when, self.values) {
                Some(true) => self.expression(then),
                Some(false) => self.expression(otherwise),
                None => Node::Choice(Box::new((
                    self.test(when),
                    self.expression(then),
                    self.expression(otherwise),
                ))),
            },
        }
    }

    /// A map of values; only the row that is meant when the value is known.
    fn table(
        &mut self,
        value: &Expression,
        rows: &[(String, Expression)],
        other: &Expression,
    ) -> Node {
        let known = settled(value, self.values);
        let text = match known.get() {
            Expression::Nothing => return Node::Nothing,
            Expression::Text(text) | Expression::Number(text) => Some(text.clone()),
            Expression::Bool(on) => Some(on.to_string()),
            _ => None,
        };
        if let Some(text) = text {
            let row = rows.iter().find(|(key, _)| *key == text);
            return self.expression(row.map_or(other, |(_, one)| one));
        }
        let mut keys = Keys::default();
        for ((key, _), number) in rows.iter().zip(0_u16..) {
            let mut json = Vec::new();
            text::write_inner(key, &mut json);
            keys.add(&json, number);
        }
        let value = self.expression(value);
        let rows = rows.iter().map(|(_, one)| self.expression(one)).collect();
        Node::Table(Box::new(Table { value, keys, rows, other: self.expression(other) }))
    }

    fn each(&mut self, list: &Expression, shape: &Expression) -> Box<Each> {
        let list = self.expression(list);
        let mut paths = Paths::under(self.values);
        paths.expression(shape);
        self.items.push(Trie::build(paths.item));
        let shape = self.expression(shape);
        let trie = self.items.pop().unwrap_or_default();
        Box::new(Each { exact: self.exact, list, trie, shape })
    }

    fn path(&self, steps: &[Step]) -> Node {
        let slot = self.trie.slot(steps);
        match fact(steps).filter(|_| self.facts) {
            Some(Fact::Ip(_)) => Node::Fact(Fact::Ip(slot.unwrap_or(u16::MAX))),
            Some(fact) => Node::Fact(fact),
            None if self.exact => slot.map_or(Node::Nothing, Node::KeptSlot),
            None => slot.map_or(Node::Nothing, Node::Slot),
        }
    }

    fn call(&mut self, function: Function, arguments: &[Expression], words: &[String]) -> Node {
        if let (Function::AsSent, [Expression::Path(steps)]) = (function, arguments) {
            return self.trie.slot(steps).map_or(Node::Nothing, Node::Slot);
        }
        let path = match function.wanted() {
            Some(_) => arguments.first().map(Expression::to_string).unwrap_or_default(),
            None => String::new(),
        };
        let mut arguments = arguments.iter().map(|argument| self.expression(argument));
        let argument = arguments.next().unwrap_or(Node::Nothing);
        let second = arguments.next().unwrap_or(Node::Nothing);
        if let Some(wanted) = function.wanted() {
            let path = path.into();
            return Node::Need(Box::new(Need { wanted, of: argument, path }));
        }
        if let (Function::Time, Node::Fact(fact @ (Fact::Timestamp | Fact::ReceivedAt))) =
            (function, &argument)
        {
            return Node::Millis(*fact);
        }
        let keep = function == Function::Pick;
        let filter = matches!(function, Function::Omit | Function::Pick)
            .then(|| Filter { names: names(words), keep });
        let mut renames = Vec::new();
        let names = match function {
            Function::Rename => self.pairs(words, &mut renames),
            _ => names(words),
        };
        Node::Call(Box::new(Call {
            function,
            argument,
            second,
            names,
            renames: renames.into(),
            filter,
            words: words.into(),
            exact: self.exact,
        }))
    }

    /// The old names of `rename` by pair, and in `renames` the new ones.
    fn pairs(&mut self, words: &[String], renames: &mut Vec<u32>) -> Keys {
        let mut keys = Keys::default();
        for (pair, number) in words.chunks_exact(2).zip(0_u16..) {
            let [old, new] = pair else { continue };
            let (mut from, mut to) = (Vec::new(), Vec::new());
            text::write_inner(old, &mut from);
            text::write_inner(new, &mut to);
            keys.add(&from, number);
            if let Node::Constant(at) = self.constant(to) {
                renames.push(at);
            }
        }
        keys
    }

    pub(super) fn object(&mut self, entries: &[ast::Entry], home: Option<Home>) -> Object {
        let blocked: &[&str] = if home == Some(Home::Event) { &reserved_names() } else { &[] };
        let mut keys = Keys::default();
        let mut count: u16 = 0;
        let mut lowered = Vec::new();
        for entry in entries {
            let what = match &entry.what {
                ast::EntryKind::Member { key, value } => {
                    let key = fold::member_name(key, self.values);
                    if key.is_empty() || blocked.contains(&key.as_ref()) {
                        // Only a setting can come to such a name; the check refuses written ones.
                        continue;
                    }
                    let unknown = home.is_some_and(|home| home.is_unknown(&key));
                    let key = name_to_send(&key, home);
                    let mut json = Vec::new();
                    text::write_inner(&key, &mut json);
                    let number = keys.add(&json, count);
                    count += u16::from(number == count);
                    let value = self.expression(value);
                    EntryKind::Member { key: json.into(), number, value, unknown }
                }
                ast::EntryKind::Spread(value) => self.spread(value),
            };
            lowered.push(Entry { place: entry.place, source: entry.source.as_str().into(), what });
        }
        for name in blocked {
            keys.add(name.as_bytes(), BLOCKED);
        }
        if home == Some(Home::Event) {
            for (name, _) in reserved::FORBIDDEN {
                keys.add(name.as_bytes(), FORBIDDEN);
            }
        }
        for name in home.into_iter().flat_map(Home::names) {
            keys.add(name.as_bytes(), KNOWN);
        }
        Object { entries: lowered.into(), keys, names: usize::from(count), home, exact: self.exact }
    }

    /// `omit` and `pick` right under a spread only filter its members; no object is built.
    fn spread(&mut self, value: &Expression) -> EntryKind {
        match value {
            Expression::Call { function, arguments, words }
                if matches!(function, Function::Omit | Function::Pick) =>
            {
                let value = arguments.first().map_or(Node::Nothing, |one| self.expression(one));
                let keep = *function == Function::Pick;
                EntryKind::Spread { value, filter: Some(Filter { names: names(words), keep }) }
            }
            Expression::Choice { when, then, otherwise } => match constant(when, self.values) {
                Some(true) => self.spread(then),
                Some(false) => self.spread(otherwise),
                None => EntryKind::Spread { value: self.expression(value), filter: None },
            },
            other => EntryKind::Spread { value: self.expression(other), filter: None },
        }
    }

    fn open_tests(&mut self, parts: &[Condition]) -> Vec<Test> {
        let tests = parts.iter().map(|part| self.test(part));
        tests.filter(|test| !matches!(test, Test::Constant(_))).collect()
    }

    pub(super) fn test(&mut self, condition: &Condition) -> Test {
        if let Some(holds) = constant(condition, self.values) {
            return Test::Constant(holds);
        }
        let (can, surely) = condition.kinds();
        if can == surely && self.facts {
            return Test::Kind(can);
        }
        match condition {
            Condition::Always => Test::Constant(true),
            // What the settings decide of a whole that they do not decide changes nothing.
            Condition::Any(parts) => Test::Any(self.open_tests(parts)),
            Condition::All(parts) => Test::All(self.open_tests(parts)),
            Condition::Not(inner) => Test::Not(Box::new(self.test(inner))),
            Condition::Equal(left, right) => match kind_text(left, right) {
                Some(_) if self.facts => Test::Kind(Kinds::NONE),
                _ => Test::Equal(self.expression(left), self.expression(right)),
            },
            Condition::Order { left, order, right } => Test::Order {
                left: self.expression(left),
                order: *order,
                right: self.expression(right),
            },
            Condition::In(value, list) => Test::In(
                self.expression(value),
                list.iter().map(|one| self.expression(one)).collect(),
            ),
            Condition::Text { test, value, other } => Test::Text {
                test: *test,
                value: self.expression(value),
                other: self.expression(other),
            },
            Condition::Matches(value, pattern) => {
                Test::Matches(self.expression(value), pattern.clone())
            }
            Condition::Exists(value) => Test::Exists(self.expression(value)),
            Condition::UuidShaped(value) => Test::UuidShaped(self.expression(value)),
            Condition::True(value) => Test::True(self.expression(value)),
            Condition::Compared { operator, left, right } => Test::Compared {
                operator: operator.clone(),
                left: self.expression(left),
                right: self.expression(right),
            },
        }
    }
}

/// The name under which a member is written: Mixpanel forbids some, and cuts long ones.
fn name_to_send(key: &str, home: Option<Home>) -> Cow<'_, str> {
    let other = reserved::permitted(key).filter(|_| home == Some(Home::Event));
    match (other, name::shortened(key)) {
        (Some(other), _) => Cow::Borrowed(other),
        (None, Some(short)) => Cow::Owned(short),
        (None, None) => Cow::Borrowed(key),
    }
}

/// A text as JSON.
pub(super) fn json_text(text: &str) -> Vec<u8> {
    let mut json = Vec::new();
    text::write(text, &mut json);
    json
}

fn names(words: &[String]) -> Keys {
    let mut keys = Keys::default();
    for word in words {
        let mut json = Vec::new();
        text::write_inner(word, &mut json);
        keys.add(&json, 0);
    }
    keys
}

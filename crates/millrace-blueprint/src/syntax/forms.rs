//! The maps that are no objects: `each`/`as`, `with`/`as`, `when`/`then`/`else` and `map`/`to`.

use millrace_model::code::Code;

use super::ast::Expression;
use super::tree::{Key, Node, NodeValue};
use super::values::Reader;
use crate::segment;

/// Keys that make an object a form of the language.
const FORM_KEYS: [&str; 4] = ["each", "as", "then", "else"];

/// The key of a map of values for every value that has no key of its own.
const ANY_KEY: &str = "*";

const FORMS: &str = "the forms are {each, as}, {with, as}, {when, then, else} and {map, to}";

impl Reader<'_> {
    /// An object, or one of the forms.
    pub(super) fn map(&mut self, node: &Node, members: &[(Key, Node)]) -> Expression {
        if segment::is_directive(members) {
            return segment::read(node, self);
        }
        if is_table(members) {
            return self.table(node, members);
        }
        if !is_form(members) {
            return Expression::Object(self.entries(members));
        }
        let member = |name: &str| members.iter().find(|(key, _)| key.text == name).map(|(_, n)| n);
        let only =
            |known: &[&str]| members.iter().all(|(key, _)| known.contains(&key.text.as_str()));
        match (member("each"), member("as"), member("when"), member("then")) {
            (Some(list), Some(shape), None, None) if members.len() == 2 => self.each(list, shape),
            (None, Some(shape), None, None) if only(&["with", "as"]) => {
                let value = member("with").map_or(Expression::Nothing, |node| self.value(node));
                self.items += 1;
                let shape = self.value(shape);
                self.items -= 1;
                Expression::With { value: Box::new(value), shape: Box::new(shape) }
            }
            (None, None, Some(when), Some(then)) if only(&["when", "then", "else"]) => {
                let when = self.condition(when);
                let then = self.value(then);
                let otherwise = member("else").map_or(Expression::Nothing, |node| self.value(node));
                Expression::Choice {
                    when: Box::new(when),
                    then: Box::new(then),
                    otherwise: Box::new(otherwise),
                }
            }
            _ => {
                self.problems.add(
                    node.place,
                    Code::BadExpression,
                    "this map is neither an object nor a form of the language",
                    Some(FORMS.to_owned()),
                );
                Expression::Nothing
            }
        }
    }

    /// `{map: value, to: {key: value, "*": value}}`.
    fn table(&mut self, node: &Node, members: &[(Key, Node)]) -> Expression {
        let member = |name: &str| members.iter().find(|(key, _)| key.text == name).map(|(_, n)| n);
        let (Some(value), Some(to), 2) = (member("map"), member("to"), members.len()) else {
            let message = "a map of values has the keys `map` and `to` only";
            self.problems.add(node.place, Code::BadExpression, message, Some(FORMS.to_owned()));
            return Expression::Nothing;
        };
        let value = Box::new(self.value(value));
        let NodeValue::Map(keys) = &to.value else {
            let message = format!("`to` takes a map of keys and values, not {}", to.describe());
            self.problems.add(to.place, Code::BadExpression, message, None);
            return Expression::Nothing;
        };
        if keys.is_empty() {
            let message = "the map of values has no rows and would give nothing";
            let hint = "write KEY: value, and \"*\": value for all other keys".to_owned();
            self.problems.add(to.place, Code::BadExpression, message, Some(hint));
        }
        let (mut rows, mut other) = (Vec::new(), Expression::Nothing);
        for (key, node) in keys {
            let value = self.value(node);
            if key.text == ANY_KEY { other = value } else { rows.push((key.text.clone(), value)) }
        }
        Expression::Table { value, rows, other: Box::new(other) }
    }

    fn each(&mut self, list: &Node, shape: &Node) -> Expression {
        let list = self.list(list);
        let shape = self.of_item(|inner| inner.value(shape));
        Expression::Each { list: Box::new(list), shape: Box::new(shape) }
    }

    /// Reads what stands inside of an `each`.
    pub(crate) fn of_item<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        self.items += 1;
        self.lists += 1;
        let done = read(self);
        self.items -= 1;
        self.lists -= 1;
        done
    }

    /// Reads the list that an `each` goes over.
    pub(crate) fn list(&mut self, list: &Node) -> Expression {
        let place = list.place;
        let list = self.value(list);
        if !is_paths(&list) {
            self.problems.add(
                place,
                Code::BadExpression,
                "`each` takes a path to a list",
                Some("paths can be joined by ??".to_owned()),
            );
        }
        if self.items > 0 && !is_of_item(&list) {
            // Over a list of the event, the work would grow with the power of its length.
            self.problems.add(
                place,
                Code::BadExpression,
                "an `each` inside another one goes over a list of the item",
                Some("write a path that starts with a dot".to_owned()),
            );
        }
        list
    }
}

fn is_table(members: &[(Key, Node)]) -> bool {
    let has = |name: &str| members.iter().any(|(key, _)| key.text == name);
    has("map") && has("to")
}

/// True for a map that is a form of the language or a directive, and no object.
pub(crate) fn is_form(members: &[(Key, Node)]) -> bool {
    segment::is_directive(members)
        || is_table(members)
        || members.iter().any(|(key, _)| FORM_KEYS.contains(&key.text.as_str()))
}

/// True for paths and `??` of paths.
fn is_paths(expression: &Expression) -> bool {
    match expression {
        Expression::Path(_) | Expression::Item(_) | Expression::Nothing => true,
        Expression::First { left, right, .. } => is_paths(left) && is_paths(right),
        _ => false,
    }
}

/// True for paths of the item.
fn is_of_item(expression: &Expression) -> bool {
    match expression {
        Expression::First { left, right, .. } => is_of_item(left) && is_of_item(right),
        Expression::Path(_) => false,
        _ => true,
    }
}

//! How each scalar of a blueprint was read: noted by the reading itself, so that nobody has to guess
//! whether a text is a path, a call or just a text.

use super::ast::{Expression, Place};
use super::problems::Problems;
use super::tree::{self, Node, NodeValue, Scalar};

/// One scalar of a blueprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Where it begins, in lines from 1.
    pub line: u32,
    /// And in characters from 1.
    pub column: u32,
    /// As it is written, without the quotes of YAML.
    pub text: String,
    /// What it was read as: `path`, `text`, `call` and so on.
    pub read_as: &'static str,
    /// What that means, with every bracket and every default in its place; empty for plain data.
    pub meaning: String,
}

/// What stands in a scalar that is no expression: names, codes, defaults.
const PLAIN: &str = "plain data";

/// The readings of all scalars of a text, in its order.
pub(crate) fn of(text: &str) -> Vec<Reading> {
    let mut problems = Problems::new("");
    problems.note_readings();
    let Some(root) = tree::read(text, &mut problems) else { return Vec::new() };
    let _ = super::check::whole(&root, &mut problems);
    let mut readings = problems.into_readings();
    let mut plain = Vec::new();
    scalars(&root, &mut plain);
    // Stable: of two readings of one scalar the noted one stands first.
    readings.extend(plain);
    readings.sort_by_key(|one| (one.line, one.column));
    readings.dedup_by_key(|one| (one.line, one.column));
    readings
}

fn scalars(node: &Node, found: &mut Vec<Reading>) {
    match &node.value {
        NodeValue::Scalar(scalar) => found.push(reading(node.place, scalar, PLAIN, String::new())),
        NodeValue::List(items) => items.iter().for_each(|item| scalars(item, found)),
        NodeValue::Map(members) => members.iter().for_each(|(_, value)| scalars(value, found)),
    }
}

/// The reading of a scalar.
pub(super) fn reading(
    place: Place,
    scalar: &Scalar,
    read_as: &'static str,
    meaning: String,
) -> Reading {
    let Place { line, column } = place;
    Reading { line, column, text: scalar.text.clone(), read_as, meaning }
}

/// What an expression is, in a word or two.
pub(crate) fn kind(expression: &Expression) -> &'static str {
    match expression {
        Expression::Nothing | Expression::Null => "nothing",
        Expression::Text(_) => "text",
        Expression::Number(_) => "number",
        Expression::Bool(_) => "true or false",
        Expression::Path(_) => "path",
        Expression::Item(_) => "path of the item",
        Expression::Setting(_) => "setting",
        Expression::Parameter(_) => "parameter",
        Expression::Place => "place of the item",
        Expression::First { .. } => "first present",
        Expression::Template { strict: true, .. } => "strict template",
        Expression::Template { strict: false, .. } => "template",
        Expression::Call { .. } => "call",
        Expression::Object(_) => "object",
        Expression::List(_) => "list",
        Expression::Each { .. } | Expression::With { .. } => "shape",
        Expression::Exact(_) => "directive",
        Expression::Table { .. } => "map of values",
        Expression::Choice { .. } => "choice",
    }
}

//! Conditions and exceptions: value comparisons, named as in the UI or in the API.

use millrace_model::code::Code;
use millrace_model::diagnostic::nearest;

use super::compare::Operator;
use super::elements::{Elements, call};
use super::pattern::Pattern;
use crate::syntax::Problems;
use crate::syntax::ast::{Condition, Expression};
use crate::syntax::functions::Function;
use crate::syntax::parts::{known_keys, map, member, switch, text};
use crate::syntax::tree::{Node, NodeValue};

const KEYS: [&str; 5] =
    ["left_operand", "operator", "right_operand", "case_insensitive", "custom_code"];

/// What an operator compares with, and whether it is the opposite.
#[derive(Clone, Copy)]
enum Word {
    /// A comparison of two values.
    Two(Kind, bool),
    Pattern(bool),
    /// A real boolean.
    Is(bool),
    Truthy(bool),
}

#[derive(Clone, Copy)]
enum Kind {
    Equal,
    Contains,
    StartsWith,
    EndsWith,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The 18 operators, as the UI and the API name them (reference/datafly-adobe.md 2.1).
const OPERATORS: [(&str, &str, Word); 18] = [
    ("Equal", "equals", Word::Two(Kind::Equal, false)),
    ("Does Not Equal", "doesNotEqual", Word::Two(Kind::Equal, true)),
    ("Contains", "contains", Word::Two(Kind::Contains, false)),
    ("Does Not Contain", "doesNotContain", Word::Two(Kind::Contains, true)),
    ("Starts With", "startsWith", Word::Two(Kind::StartsWith, false)),
    ("Does Not Start With", "doesNotStartWith", Word::Two(Kind::StartsWith, true)),
    ("Ends With", "endsWith", Word::Two(Kind::EndsWith, false)),
    ("Does Not End With", "doesNotEndWith", Word::Two(Kind::EndsWith, true)),
    ("Matches Regex", "matchesRegex", Word::Pattern(false)),
    ("Does Not Match Regex", "doesNotMatchRegex", Word::Pattern(true)),
    ("Is Less Than", "lessThan", Word::Two(Kind::Less, false)),
    ("Is Less Than Or Equal To", "lessThanOrEqual", Word::Two(Kind::LessOrEqual, false)),
    ("Is Greater Than", "greaterThan", Word::Two(Kind::Greater, false)),
    ("Is Greater Than Or Equal To", "greaterThanOrEqual", Word::Two(Kind::GreaterOrEqual, false)),
    ("Is True", "isTrue", Word::Is(true)),
    ("Is False", "isFalse", Word::Is(false)),
    ("Is Truthy", "isTruthy", Word::Truthy(false)),
    ("Is Falsy", "isFalsy", Word::Truthy(true)),
];

/// A rule's condition: all of its conditions hold, and none of its exceptions.
pub(super) fn read(
    conditions: Option<&Node>,
    exceptions: Option<&Node>,
    elements: &mut Elements,
    problems: &mut Problems,
) -> Condition {
    let mut all = list(conditions, "conditions", elements, problems);
    let except = list(exceptions, "exceptions", elements, problems);
    all.extend(except.into_iter().map(not));
    match <[Condition; 1]>::try_from(all) {
        Ok([one]) => one,
        Err(none) if none.is_empty() => Condition::Always,
        Err(all) => Condition::All(all),
    }
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

fn list(
    node: Option<&Node>,
    name: &str,
    elements: &mut Elements,
    problems: &mut Problems,
) -> Vec<Condition> {
    match node.map(|node| (&node.value, node)) {
        None => Vec::new(),
        Some((NodeValue::List(items), _)) => {
            items.iter().filter_map(|item| comparison(item, elements, problems)).collect()
        }
        Some((_, node)) => {
            let message = format!("`{name}` takes a list, not {}", node.describe());
            problems.add(node.place, Code::BadValue, message, None);
            Vec::new()
        }
    }
}

fn comparison(node: &Node, elements: &mut Elements, problems: &mut Problems) -> Option<Condition> {
    let members = map(node, "a condition", problems)?;
    known_keys(members, &KEYS, "a condition", problems);
    if let Some(code) = member(members, "custom_code") {
        let hint = "write it as a value comparison, or the rule as one of a blueprint".to_owned();
        let message = "custom code is not run";
        problems.add(code.place, Code::NotTakenOver, message, Some(hint));
        return None;
    }
    let Some(operator_node) = member(members, "operator") else {
        problems.add(node.place, Code::MissingKey, "the condition needs an `operator`", None);
        return None;
    };
    let word = operator(operator_node, problems);
    let ignore_case = member(members, "case_insensitive")
        .is_some_and(|node| switch(node, "`case_insensitive`", problems));
    let mut operand = |name: &str, problems: &mut Problems| match member(members, name) {
        Some(Node { value: NodeValue::Scalar(one), place }) => {
            // Whatever is typed is a text: `true` and `null` are words.
            Some(elements.value(*place, &one.text, problems))
        }
        Some(other) => {
            let message = format!("`{name}` takes a text");
            problems.add(other.place, Code::BadValue, message, None);
            None
        }
        None => {
            let message = format!("the operator needs a `{name}`");
            problems.add(node.place, Code::MissingKey, message, None);
            None
        }
    };
    let left = operand("left_operand", problems);
    let Some(word) = word else {
        // What is wrong with the operands should be told in the same go.
        if member(members, "right_operand").is_some() {
            operand("right_operand", problems);
        }
        return None;
    };
    let (condition, opposite) = match word {
        Word::Two(kind, opposite) => {
            let (left, right) = (left?, operand("right_operand", problems)?);
            (two(kind, ignore_case, left, right), opposite)
        }
        Word::Pattern(opposite) => {
            let operator = Operator::Matches(pattern(node, ignore_case, problems)?);
            let right = Expression::Nothing;
            (Condition::Compared { operator, left: left?, right }, opposite)
        }
        Word::Is(on) => {
            no_right(members, problems);
            (Condition::Equal(left?, Expression::Bool(on)), false)
        }
        Word::Truthy(opposite) => {
            no_right(members, problems);
            let (operator, right) = (Operator::Truthy, Expression::Nothing);
            (Condition::Compared { operator, left: left?, right }, opposite)
        }
    };
    Some(if opposite { not(condition) } else { condition })
}

fn two(kind: Kind, ignore_case: bool, left: Expression, right: Expression) -> Condition {
    let operator = match kind {
        Kind::Equal => Operator::Equal,
        Kind::Contains => Operator::Contains,
        Kind::StartsWith => Operator::StartsWith,
        Kind::EndsWith => Operator::EndsWith,
        Kind::Less => Operator::Less,
        Kind::LessOrEqual => Operator::LessOrEqual,
        Kind::Greater => Operator::Greater,
        Kind::GreaterOrEqual => Operator::GreaterOrEqual,
    };
    let lower = |value| if ignore_case { call(Function::Lower, value) } else { value };
    Condition::Compared { operator, left: lower(left), right: lower(right) }
}

/// Finds an operator by either name; case, blanks and marks do not count.
fn operator(node: &Node, problems: &mut Problems) -> Option<Word> {
    let written = text(node, "`operator`", problems)?;
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    };
    let wanted = plain(&written);
    let found = OPERATORS.iter().find(|(ui, api, _)| plain(ui) == wanted || plain(api) == wanted);
    if found.is_none() {
        let known = OPERATORS.map(|(ui, _, _)| ui);
        let hint = match nearest(&written, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        let message = format!("the operator `{written}` is not known");
        problems.add(node.place, Code::BadValue, message, Some(hint));
    }
    found.map(|(_, _, word)| *word)
}

/// The pattern of a condition: a text that is known when the file is read.
fn pattern(node: &Node, ignore_case: bool, problems: &mut Problems) -> Option<Pattern> {
    let NodeValue::Map(members) = &node.value else { return None };
    let Some(right) = member(members, "right_operand") else {
        let message = "the operator needs a pattern as `right_operand`";
        problems.add(node.place, Code::MissingKey, message, None);
        return None;
    };
    let NodeValue::Scalar(one) = &right.value else {
        problems.add(right.place, Code::BadValue, "a pattern is a text", None);
        return None;
    };
    if one.text.contains("{{") {
        let message = "a pattern has no references: it is checked when the rules are read";
        problems.add(right.place, Code::NotTakenOver, message, None);
        return None;
    }
    match Pattern::read(&one.text, ignore_case) {
        Ok(pattern) => Some(pattern),
        Err(message) => {
            problems.add(right.place, Code::NotTakenOver, message, None);
            None
        }
    }
}

fn no_right(members: &[(crate::syntax::tree::Key, Node)], problems: &mut Problems) {
    if let Some(right) = member(members, "right_operand") {
        let message = "this operator looks at the left operand alone";
        problems.add(right.place, Code::UnknownKey, message, None);
    }
}

//! Rules and actions that no event can ever reach.
//!
//! Found is what can be told from the conditions alone, whatever the settings are: a rule whose
//! kinds of events the rules above take, one whose condition implies that of a rule above, and
//! conditions that contradict themselves. What is not found here is not wrong, only of no use.

use millrace_model::code::Code;

use super::ast::{Condition, Expression, Kinds, Outcome, Rule};
use super::problems::Problems;

/// With how many of the rules above a rule is compared.
const COMPARED_RULES: usize = 300;

/// Rules are tried from the top, and the first that matches ends the search: a rule that comes
/// after ones that take all of its kinds of events can never be reached. Names must be unique,
/// since the ledger refers to rules by name.
pub(super) fn check(rules: &[Rule], problems: &mut Problems) {
    let mut taken = Kinds::NONE;
    for (place, rule) in rules.iter().enumerate() {
        let above = rules.get(..place).unwrap_or_default();
        if !rule.name.is_empty() && above.iter().any(|other| other.name == rule.name) {
            let message = format!("there is a rule `{}` above", rule.name);
            problems.add(rule.place, Code::DuplicateName, message, None);
        }
        let (can, surely) = rule.when.kinds();
        let compared = above.get(..above.len().min(COMPARED_RULES)).unwrap_or_default();
        let same = compared.iter().find(|other| !other.go_on && implies(&rule.when, &other.when));
        let unreachable = format!("the rule `{}` can never be reached", rule.name);
        if never(&rule.when) {
            let hint = "its `when` holds for no event".to_owned();
            problems.add(rule.place, Code::UnreachableRule, unreachable, Some(hint));
        } else if can == Kinds::NONE {
            let hint = "its `when` holds for no type of event".to_owned();
            problems.add(rule.place, Code::UnreachableRule, unreachable, Some(hint));
        } else if let Some(other) = same {
            let hint = format!("the rule `{}` above takes all of its events", other.name);
            problems.add(rule.place, Code::UnreachableRule, unreachable, Some(hint));
        } else if can.within(taken) {
            let hint = "the rules above take all events of its types; move it up".to_owned();
            problems.add(rule.place, Code::UnreachableRule, unreachable, Some(hint));
        }
        if let Outcome::Send(actions) = &rule.outcome {
            for action in actions.iter().filter(|action| never(&action.when)) {
                let message = "the action can never be reached";
                let hint = "its `when` holds for no event".to_owned();
                problems.add(action.place, Code::UnreachableRule, message, Some(hint));
            }
        }
        if !rule.go_on {
            taken = taken.or(surely);
        }
    }
}

/// True when the first condition surely holds for no event for which the second does not.
fn implies(one: &Condition, other: &Condition) -> bool {
    if *other == Condition::Always || one.kinds().0.within(other.kinds().1) {
        return true;
    }
    match (one, other) {
        (Condition::Any(parts), _) if !parts.is_empty() => {
            parts.iter().all(|part| implies(part, other))
        }
        (_, Condition::All(parts)) => parts.iter().all(|part| implies(one, part)),
        (_, Condition::Any(parts)) if parts.iter().any(|part| implies(one, part)) => true,
        (Condition::All(parts), _) => parts.iter().any(|part| implies(part, other)),
        (Condition::Not(one), Condition::Not(other)) => implies(other, one),
        _ => match (values(one), values(other)) {
            (Some((left, some)), Some((right, all))) => {
                left == right && some.iter().all(|value| all.contains(value))
            }
            (Some((left, some)), None) => {
                matches!(other, Condition::Exists(right) if left == right)
                    && some.iter().all(|value| **value != Expression::Nothing)
            }
            _ => one == other,
        },
    }
}

/// True for a condition that asks one value to be two different ones.
fn never(condition: &Condition) -> bool {
    let parts = match condition {
        Condition::All(parts) => parts,
        Condition::Any(parts) => return !parts.is_empty() && parts.iter().all(never),
        _ => return false,
    };
    let wanted: Vec<_> = parts.iter().filter_map(values).collect();
    let other = |left: &Expression, some: &[&Expression]| {
        wanted
            .iter()
            .any(|(right, all)| left == *right && !some.iter().any(|one| all.contains(one)))
    };
    parts.iter().any(never) || wanted.iter().any(|(left, some)| other(left, some))
}

/// The constants of which a value must be one.
fn values(condition: &Condition) -> Option<(&Expression, Vec<&Expression>)> {
    let constant = |one: &Expression| {
        matches!(one, Expression::Nothing | Expression::Text(_) | Expression::Bool(_))
    };
    match condition {
        Condition::Equal(left, right) if constant(right) => Some((left, vec![right])),
        Condition::Equal(left, right) if constant(left) => Some((right, vec![left])),
        Condition::In(left, list) if !list.is_empty() && list.iter().all(constant) => {
            Some((left, list.iter().collect()))
        }
        _ => None,
    }
}

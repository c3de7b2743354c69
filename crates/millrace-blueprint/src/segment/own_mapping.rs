//! A mapping of one's own for an action of Segment's destination, written into the built-in
//! blueprint of that name.
//!
//! Segment keeps for each subscription a mapping: which value, in its notation, fills which field of
//! the action. The built-in blueprints have these fields as shared blocks, one member a field. So
//! another mapping is another text of such a block, and what comes of it is an ordinary blueprint:
//! checked, compiled and explained like every other, and to be saved as a file.

use millrace_model::diagnostic::Diagnostic;
use serde_json::{Map, Value, json};

use crate::{Blueprint, built_in};

/// How much of the built-in mapping stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// The fields that the own mapping does not name.
    Stays,
    /// Nothing: the own mapping is the whole one.
    Goes,
}

/// The actions, and the blocks that hold their fields.
const BLOCKS: [(&str, &str); 6] = [
    ("trackEvent", "track_fields"),
    ("trackPurchase", "track_fields"),
    ("identifyUser", "identify_fields"),
    ("groupIdentifyUser", "group_fields"),
    ("alias", "alias_fields"),
    ("incrementProperties", "increment_fields"),
];

/// The built-in blueprint or variant of a name, with a mapping of one's own for an action. None when
/// there is no such blueprint, or when it has not got the action.
///
/// # Errors
///
/// Every mistake in the mapping at once, at the places that it has in the text of the blueprint.
#[must_use]
pub fn with_mapping(
    name: &str,
    action: &str,
    mapping: &Map<String, Value>,
    rest: Rest,
) -> Option<Result<Blueprint, Vec<Diagnostic>>> {
    let (base, text) = built_in::find(name)?;
    let (_, block) = BLOCKS.iter().find(|(known, _)| *known == action)?;
    let text = with_block(text, block, mapping, rest)?;
    Some(Blueprint::parse(&format!("{base}-with-own-{action}"), &text).map(|blueprint| {
        let variant = if base == name { None } else { blueprint.variant(name) };
        variant.unwrap_or(blueprint)
    }))
}

/// The text with other members in a shared block. The built-in texts indent their blocks by two
/// and their members by four; a member goes on while lines are indented deeper.
fn with_block(text: &str, block: &str, mapping: &Map<String, Value>, rest: Rest) -> Option<String> {
    let head = format!("  {block}:\n");
    let start = text.find(&head)? + head.len();
    let (before, after) = text.split_at_checked(start)?;
    let is_member = |line: &str| line.starts_with("    ");
    let length: usize =
        after.split_inclusive('\n').take_while(|line| is_member(line)).map(str::len).sum();
    let (members, after) = after.split_at_checked(length)?;
    let mut out = String::with_capacity(text.len() + 256);
    out.push_str(before);
    let mut keeps = false;
    for line in members.split_inclusive('\n') {
        let own = line.get(4..).unwrap_or_default();
        if !own.starts_with(' ') {
            let name = own.split(':').next().unwrap_or_default();
            keeps = rest == Rest::Stays && !mapping.contains_key(name);
        }
        if keeps {
            out.push_str(line);
        }
    }
    for (name, value) in mapping {
        // Inside of a directive everything is Segment's notation; JSON is YAML.
        let line = format!("    {}: {}\n", json!(name), json!({ "@literal": value }));
        out.push_str(&line);
    }
    out.push_str(after);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_field_is_put_in_place_of_the_built_in_one() {
        let text = "shared:\n  a_fields:\n    x: $.x\n    y:\n      z: $.z\n  b:\n    x: $.b\n";
        let own = mapping(&json!({"y": {"@path": "$.y"}}));
        let changed = with_block(text, "a_fields", &own, Rest::Stays);
        let wanted = "shared:\n  a_fields:\n    x: $.x\n    \"y\": {\"@literal\":{\"@path\":\"$.y\"}}\n  b:\n    x: $.b\n";
        assert_eq!(changed.as_deref(), Some(wanted));
        let changed = with_block(text, "a_fields", &own, Rest::Goes).expect("the block is there");
        assert!(!changed.contains("$.x\n") && changed.contains("$.b\n"), "{changed}");
        assert_eq!(with_block(text, "c", &own, Rest::Stays), None);
    }

    #[test]
    fn what_is_wrong_with_a_mapping_is_said() {
        let right = mapping(&json!({"event": {"@template": "[{{type}}] {{event}}"}}));
        for name in ["segment", "segment-classic", "syft-classic"] {
            let blueprint = with_mapping(name, "trackEvent", &right, Rest::Stays);
            assert_eq!(blueprint.expect("there").expect("right").name(), name);
        }
        let wrong = mapping(&json!({"event": {"@nope": "x"}}));
        let mistakes = with_mapping("segment-classic", "trackEvent", &wrong, Rest::Stays);
        assert!(mistakes.expect("there").is_err());
        assert!(with_mapping("segment", "other", &right, Rest::Stays).is_none());
        assert!(with_mapping("default", "trackEvent", &right, Rest::Stays).is_none());
        assert!(with_mapping("syft", "incrementProperties", &right, Rest::Stays).is_none());
    }
}

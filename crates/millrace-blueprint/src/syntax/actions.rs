//! What a rule sends: the actions, the fields that each of them takes, and what must be there.

use millrace_model::code::Code;

use super::ast::{Action, Condition, Entry, EntryKind, Expression, Field, Verb, Written};
use super::tree::{Node, NodeValue};
use super::values::Reader;

/// The fields of an action: those that it needs, then those that it may have.
const fn fields(verb: Verb) -> (&'static [Field], &'static [Field]) {
    match verb {
        Verb::Event => (
            &[Field::Name, Field::DistinctId],
            &[
                Field::UserId,
                Field::DeviceId,
                Field::Time,
                Field::InsertId,
                Field::Ip,
                Field::Properties,
            ],
        ),
        Verb::Link => (&[Field::Name, Field::UserId, Field::DeviceId], &[]),
        Verb::Identify => (&[Field::UserId, Field::AnonymousId], &[]),
        Verb::Alias => (&[Field::DistinctId, Field::Alias], &[]),
        Verb::Merge => (&[Field::Ids], &[]),
        Verb::Profile => (
            &[Field::DistinctId],
            &[
                Field::Ip,
                Field::Time,
                Field::IgnoreTime,
                Field::Set,
                Field::SetOnce,
                Field::Add,
                Field::Append,
                Field::Union,
                Field::Remove,
                Field::Unset,
                Field::Delete,
            ],
        ),
        Verb::Group => (
            &[Field::GroupKey, Field::GroupId],
            &[Field::Set, Field::SetOnce, Field::Union, Field::Remove, Field::Unset, Field::Delete],
        ),
    }
}

/// True for the fields that are an operator of a profile update.
pub(crate) const fn is_operator(field: Field) -> bool {
    match field {
        Field::Set
        | Field::SetOnce
        | Field::Add
        | Field::Append
        | Field::Union
        | Field::Remove
        | Field::Unset
        | Field::Delete => true,
        Field::Name
        | Field::DistinctId
        | Field::UserId
        | Field::DeviceId
        | Field::AnonymousId
        | Field::Alias
        | Field::Ids
        | Field::Time
        | Field::InsertId
        | Field::Ip
        | Field::IgnoreTime
        | Field::Properties
        | Field::GroupKey
        | Field::GroupId => false,
    }
}

/// Names that the engine writes itself: no member of `properties` may take their place
/// (reference/mixpanel-api.md 2.1).
const RESERVED: [(&str, &str); 8] = [
    ("distinct_id", "distinct_id"),
    ("time", "time"),
    ("$insert_id", "insert_id"),
    ("$user_id", "user_id"),
    ("$device_id", "device_id"),
    ("ip", "ip"),
    ("token", ""),
    ("$token", ""),
];

/// The reserved names alone.
pub(crate) fn reserved_names() -> [&'static str; 8] {
    RESERVED.map(|(name, _)| name)
}

/// Reads one item of `send`: a map with the action's verb as its only key.
pub(crate) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Action> {
    let NodeValue::Map(members) = &node.value else {
        let message = format!("an action is expected, not {}", node.describe());
        let hint = format!("write one of {}", Verb::WORDS.join(", "));
        reader.problems.add(node.place, Code::BadValue, message, Some(hint));
        return None;
    };
    let [(key, body)] = members.as_slice() else {
        reader.problems.add(
            node.place,
            Code::BadValue,
            "an action is a map with one key, the verb",
            Some("start a new item of the list for each action".to_owned()),
        );
        return None;
    };
    let Some(verb) = Verb::parse(&key.text) else {
        reader.problems.unknown(key.place, Code::UnknownKey, "the action", &key.text, Verb::WORDS);
        return None;
    };
    let NodeValue::Map(members) = &body.value else {
        let message = format!("`{}` takes a map of fields, not {}", key.text, body.describe());
        reader.problems.add(body.place, Code::BadValue, message, None);
        return None;
    };
    let (required, optional) = fields(verb);
    let mut action = Action {
        verb,
        place: key.place,
        when: Condition::Always,
        for_each: None,
        fields: Vec::new(),
        written: Vec::new(),
    };
    for (name, value) in members {
        if name.text == "for_each" {
            action.for_each = reader.list_setting(value);
            continue;
        }
        if name.text == "when" {
            action.when = reader.condition(value);
            continue;
        }
        let known = Field::parse(&name.text)
            .filter(|field| required.contains(field) || optional.contains(field));
        match known {
            Some(field) => {
                action.fields.push((field, self::field(field, value, reader)));
                let source = value.source();
                action.written.push(Written { field, place: name.place, source });
            }
            None => {
                let mut words: Vec<&str> =
                    required.iter().chain(optional).map(|field| field.as_str()).collect();
                words.extend(["when", "for_each"]);
                let what = format!("the field of `{}`", verb.as_str());
                reader.problems.unknown(name.place, Code::UnknownField, &what, &name.text, &words);
            }
        }
    }
    for field in required {
        if action.field(*field).is_none() {
            let message = format!("`{}` needs the field `{}`", verb.as_str(), field.as_str());
            reader.problems.add(key.place, Code::MissingKey, message, None);
        }
    }
    let operators = action.fields.iter().filter(|(field, _)| is_operator(*field)).count();
    if matches!(verb, Verb::Profile | Verb::Group) && operators == 0 {
        let message = format!("`{}` updates nothing", verb.as_str());
        let hint = "give it set, set_once, union or another operator".to_owned();
        reader.problems.add(key.place, Code::MissingKey, message, Some(hint));
    }
    Some(action)
}

/// Reads the value of a field and checks its form.
fn field(field: Field, node: &Node, reader: &mut Reader<'_>) -> Expression {
    let object = match field {
        Field::Properties
        | Field::Set
        | Field::SetOnce
        | Field::Add
        | Field::Append
        | Field::Union
        | Field::Remove => true,
        Field::Name
        | Field::DistinctId
        | Field::UserId
        | Field::DeviceId
        | Field::AnonymousId
        | Field::Alias
        | Field::Ids
        | Field::Time
        | Field::InsertId
        | Field::Ip
        | Field::IgnoreTime
        | Field::GroupKey
        | Field::GroupId
        | Field::Unset
        | Field::Delete => false,
    };
    let list = matches!(field, Field::Ids | Field::Unset);
    let fits = match &node.value {
        NodeValue::Map(_) => object,
        NodeValue::List(items) => list && (field != Field::Ids || items.len() == 2),
        NodeValue::Scalar(_) => !object && !list,
    };
    let choice = matches!(&node.value, NodeValue::Map(members)
        if members.iter().any(|(key, _)| key.text == "then")
            || crate::segment::is_directive(members));
    if !fits && (object || !choice) {
        let wanted = match (object, field) {
            (true, _) => "a map of members",
            (false, Field::Ids) => "a list of two ids",
            (false, Field::Unset) => "a list of names",
            (false, _) => "one value",
        };
        let message = format!("`{}` takes {wanted}", field.as_str());
        reader.problems.add(node.place, Code::BadValue, message, None);
        return Expression::Nothing;
    }
    if field == Field::Properties
        && let NodeValue::Map(members) = &node.value
    {
        for (key, _) in members {
            if let Some((name, field)) = RESERVED.iter().find(|(name, _)| *name == key.text) {
                let message = format!("`{name}` is no property");
                let hint = match *field {
                    "" => "the token is added when the row is sent".to_owned(),
                    field => format!("use the field `{field}` of the event"),
                };
                reader.problems.add(key.place, Code::UnknownField, message, Some(hint));
            }
        }
    }
    match reader.value(node) {
        // A directive gives the object as a whole.
        whole @ Expression::Exact(_) if object => {
            let what = EntryKind::Spread(whole);
            Expression::Object(vec![Entry { place: node.place, source: String::new(), what }])
        }
        value => value,
    }
}

//! What a rule sends: the actions, the fields that each of them takes, and what must be there.

use millrace_model::code::Code;

use super::ast::{Action, Condition, Entry, EntryKind, Expression, Field, Verb, Written};
use super::forms::is_form;
use super::like;
use super::tree::{Key, Node, NodeValue};
use super::values::{Reader, visit};
use crate::settings::SettingKind;

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
        Verb::Identify => (&[Field::UserId, Field::AnonymousId], &[Field::Properties]),
        Verb::Alias => (&[Field::DistinctId, Field::Alias], &[Field::Properties]),
        Verb::Merge => (&[Field::Ids], &[]),
        Verb::Profile => (
            &[Field::DistinctId],
            &[
                Field::Ip,
                Field::Time,
                Field::IgnoreTime,
                Field::IgnoreAlias,
                Field::Latitude,
                Field::Longitude,
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
        Verb::Join => (&[Field::Identity, Field::UserId, Field::DeviceId], &[Field::Name]),
        Verb::Delete => (&[Field::DistinctId], &[Field::IgnoreAlias]),
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
        | Field::Latitude
        | Field::Longitude
        | Field::Properties
        | Field::GroupKey
        | Field::GroupId
        | Field::Identity
        | Field::IgnoreAlias
        | Field::Token
        | Field::Alone => false,
    }
}

/// The fields that every action may have.
const EVERYWHERE: [Field; 2] = [Field::Token, Field::Alone];

/// The keys of every action that are no fields.
const KEYS: [&str; 4] = ["when", "for_each", "each", like::LIKE];

/// The identity modes of a project (reference/mixpanel-api.md 4).
const MODES: [&str; 3] = ["simplified", "original", "legacy"];

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
    let before = reader.problems.count();
    let members = like::with_inherited(&key.text, members, reader);
    let members = members.as_slice();
    // What would have been inherited is not missed a second time.
    let inherits = reader.problems.count() == before;
    let (required, _) = fields(verb);
    let mut action = Action {
        verb,
        place: key.place,
        when: Condition::Always,
        for_each: None,
        each: None,
        fields: Vec::new(),
        written: Vec::new(),
    };
    let member =
        |name: &str| members.iter().find(|(key, _)| key.text == name).map(|(_, node)| node);
    action.for_each = member("for_each").and_then(|node| reader.list_setting(node));
    match member("each") {
        None => action_fields(members, &mut action, reader),
        Some(list) => {
            // What is made is made of one event, and bounded by it.
            let made = matches!(list.value, NodeValue::Map(_));
            action.each = Some(if made { reader.value(list) } else { reader.list(list) });
            reader.of_item(|reader| action_fields(members, &mut action, reader));
            one_id_for_all(&action, reader);
        }
    }
    if inherits {
        check_needs(&action, required, reader);
    }
    Some(action)
}

/// Tells which fields are missing.
fn check_needs(action: &Action, required: &[Field], reader: &mut Reader<'_>) {
    let (verb, place) = (action.verb, action.place);
    for field in required {
        if action.field(*field).is_none() {
            let message = format!("`{}` needs the field `{}`", verb.as_str(), field.as_str());
            reader.problems.add(place, Code::MissingKey, message, None);
        }
    }
    let operators = action.fields.iter().filter(|(field, _)| is_operator(*field)).count();
    if matches!(verb, Verb::Profile | Verb::Group) && operators == 0 {
        let message = format!("`{}` updates nothing", verb.as_str());
        let hint = "give it set, set_once, union or another operator".to_owned();
        reader.problems.add(place, Code::MissingKey, message, Some(hint));
    }
}

/// Reads the condition and the fields of an action.
fn action_fields(members: &[(Key, Node)], action: &mut Action, reader: &mut Reader<'_>) {
    let verb = action.verb;
    let (required, optional) = fields(verb);
    let all = || required.iter().chain(optional).chain(&EVERYWHERE).copied();
    for (name, value) in members {
        if name.text == "when" {
            action.when = reader.condition(value);
            continue;
        }
        if KEYS.contains(&name.text.as_str()) {
            continue;
        }
        match Field::parse(&name.text).filter(|field| all().any(|known| known == *field)) {
            Some(field) => {
                action.fields.push((field, self::field(verb, field, value, reader)));
                let source = value.source();
                action.written.push(Written { field, place: name.place, source });
            }
            None => {
                let mut words: Vec<&str> = all().map(Field::as_str).collect();
                words.extend(KEYS);
                let what = format!("the field of `{}`", verb.as_str());
                reader.problems.unknown(name.place, Code::UnknownField, &what, &name.text, &words);
            }
        }
    }
}

/// An insert id that does not change from item to item would make one event of all.
fn one_id_for_all(action: &Action, reader: &mut Reader<'_>) {
    let Some(id) = action.field(Field::InsertId) else { return };
    let mut changes = *id == Expression::Nothing;
    visit(id, &mut |part| {
        changes |= matches!(
            part,
            Expression::Item(_)
                | Expression::Place
                | Expression::Choice { .. }
                | Expression::Exact(_)
        )
    });
    if !changes {
        let message =
            "this insert id is the same for every item, so that one event is left of them";
        let hint = "leave it out, or write place() into it".to_owned();
        reader.problems.add(action.place, Code::BadValue, message, Some(hint));
    }
}

/// True or false, or a switch among the settings: what is the same for every event.
fn switch(field: Field, node: &Node, reader: &mut Reader<'_>) -> Expression {
    let value = reader.value(node);
    let fits = match &value {
        Expression::Bool(_) => true,
        Expression::Setting(name) => {
            reader.kind_of(name).is_none_or(|kind| *kind == SettingKind::Switch)
        }
        Expression::Choice { when, then, otherwise } => {
            let constant = |one: &Expression| matches!(one, Expression::Bool(_));
            let of_setting =
                matches!(&**when, Condition::True(of) if matches!(of, Expression::Setting(_)));
            of_setting && constant(then) && constant(otherwise)
        }
        _ => false,
    };
    if !fits {
        let message =
            format!("`{}` takes true, false or a setting that is a switch", field.as_str());
        reader.problems.add(node.place, Code::BadValue, message, None);
    }
    value
}

/// An identity mode, or a choice of them among the settings.
fn mode(node: &Node, reader: &mut Reader<'_>) -> Expression {
    let value = reader.value(node);
    let known = |text: &String| MODES.contains(&text.as_str());
    let fits = match &value {
        Expression::Text(text) => known(text),
        Expression::Setting(name) => match reader.kind_of(name) {
            Some(SettingKind::Choice(of)) => of.iter().all(known),
            found => found.is_none(),
        },
        _ => false,
    };
    if !fits {
        let message = "`identity` takes the identity mode of the project";
        let hint =
            format!("write one of {}, or a setting that is a choice of them", MODES.join(", "));
        reader.problems.add(node.place, Code::BadValue, message, Some(hint));
    }
    value
}

/// Reads the value of a field and checks its form.
fn field(verb: Verb, field: Field, node: &Node, reader: &mut Reader<'_>) -> Expression {
    match field {
        Field::Alone => return switch(field, node, reader),
        // A deletion says it once and for all; an update takes what the event says.
        Field::IgnoreAlias if verb == Verb::Delete => return switch(field, node, reader),
        Field::Identity => return mode(node, reader),
        _ => {}
    }
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
        | Field::Latitude
        | Field::Longitude
        | Field::GroupKey
        | Field::GroupId
        | Field::Unset
        | Field::Delete
        | Field::Identity
        | Field::IgnoreAlias
        | Field::Token
        | Field::Alone => false,
    };
    let list = matches!(field, Field::Ids | Field::Unset);
    let fits = match &node.value {
        NodeValue::Map(_) => object,
        NodeValue::List(items) => list && (field != Field::Ids || items.len() == 2),
        NodeValue::Scalar(_) => !object && !list,
    };
    let choice = matches!(&node.value, NodeValue::Map(members)
        if is_form(members) && members.iter().all(|(key, _)| key.text != "each"));
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

//! Rules and actions of the blueprint that a config becomes.
//!
//! Identity is not the config's business at Datafly but its worker's, so ids and joins are made as
//! the `datafly` blueprint makes them, by the same settings, unless the config maps ids itself.

use millrace_model::code::Code;

use super::nodes::{key, list, named, quoted, scalar};
use super::target::{Single, Slots, Target, Tree};
use crate::syntax::ast::Place;
use crate::syntax::problems::Problems;
use crate::syntax::tree::{Key, Node, NodeValue};

const USER: &str = "identifier($.userId ?| $.user_id)";
const DEVICE: &str = "without_prefix(identifier($.anonymousId ?| $.anonymous_id ?| \
                      $.context.anonymous_id), \"$device:\")";
const ANONYMOUS: &str = "identifier($.anonymousId ?| $.anonymous_id ?| $.context.anonymous_id)";
const SIMPLIFIED: &str = "settings.identity = \"simplified\"";
const ORIGINAL: &str = "settings.identity = \"original\"";

/// What kind of call the key of an event means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Page,
    Screen,
    Identify,
    Group,
    /// A track event of this name.
    Track(String),
}

impl Call {
    pub(super) fn of(name: &str) -> Call {
        match name {
            "page" => Call::Page,
            "screen" => Call::Screen,
            "identify" => Call::Identify,
            "group" => Call::Group,
            name => Call::Track(name.to_owned()),
        }
    }

    fn when(&self) -> String {
        match self {
            Call::Page => "type = \"page\"".to_owned(),
            Call::Screen => "type = \"screen\"".to_owned(),
            Call::Identify => "type = \"identify\"".to_owned(),
            Call::Group => "type = \"group\"".to_owned(),
            Call::Track(name) => format!("type = \"track\" and event = {}", quoted(name)),
        }
    }

    /// What the event is called where the config does not say.
    fn name(&self) -> String {
        match self {
            Call::Page => quoted("Page Viewed"),
            Call::Screen => quoted("Screen Viewed"),
            Call::Identify | Call::Group | Call::Track(_) => "$.event".to_owned(),
        }
    }
}

/// The settings that every config has here.
pub(super) fn settings(place: Place) -> Node {
    let text = |text: &str| scalar(place, text);
    let modes = ["simplified", "original", "legacy"].map(text).to_vec();
    let identity = vec![
        ("kind", text("choice")),
        ("of", list(place, modes)),
        ("default", text("simplified")),
        ("about", text("The identity mode of the Mixpanel project")),
    ];
    let link_event = vec![
        ("kind", text("text")),
        ("default", text("Identity Linked")),
        ("about", text("The event that joins a device to a user under simplified identity")),
    ];
    named(
        place,
        vec![("identity", named(place, identity)), ("link_event", named(place, link_event))],
    )
}

fn rule(place: Place, name: &str, when: Option<String>, outcome: (&str, Node)) -> Node {
    let mut members = vec![("name", scalar(place, name))];
    if let Some(when) = when {
        members.push(("when", scalar(place, when)));
    }
    members.push(outcome);
    named(place, members)
}

/// A rule for a listed event that is switched off.
pub(super) fn dropped(event: &Key, call: &Call) -> Node {
    let drop = ("drop", scalar(event.place, "true"));
    rule(event.place, &event.text, Some(call.when()), drop)
}

/// The name of the rule for what is not listed.
const REST: &str = "Events that are not listed";

pub(super) fn drop_the_rest(place: Place) -> Node {
    rule(place, REST, None, ("drop", scalar(place, "true")))
}

/// The rules that pass on what is not listed; groups and aliases mean nothing to a config.
pub(super) fn pass_the_rest(place: Place, slots: &Slots) -> Vec<Node> {
    let name = named(
        place,
        vec![
            ("when", scalar(place, "type = \"page\"")),
            ("then", scalar(place, Call::Page.name())),
            (
                "else",
                named(
                    place,
                    vec![
                        ("when", scalar(place, "type = \"screen\"")),
                        ("then", scalar(place, Call::Screen.name())),
                        ("else", scalar(place, "$.event")),
                    ],
                ),
            ),
        ],
    );
    let sent = list(place, actions(place, slots, Some(name), None));
    let kinds = "type in [\"track\", \"page\", \"screen\"]".to_owned();
    let traits = named(place, vec![("...", scalar(place, "$.traits"))]);
    let mut identify = joins(place);
    identify.push(profile(place, slots, vec![("set", traits)]));
    vec![
        rule(place, REST, Some(kinds), ("send", sent)),
        rule(
            place,
            "Identify calls that are not listed",
            Some(Call::Identify.when()),
            ("send", list(place, identify)),
        ),
        rule(place, "Other calls", None, ("drop", scalar(place, "true"))),
    ]
}

/// The rule of a config with steps, which has one payload for the calls of all types.
pub(super) fn all_calls(place: Place, slots: &Slots) -> Node {
    let own = [("page", Call::Page.name()), ("screen", Call::Screen.name())];
    let own = own.into_iter().rev().fold(scalar(place, "$.event"), |other, (kind, name)| {
        let when = format!("type = \"{kind}\"");
        let members =
            vec![("when", scalar(place, when)), ("then", scalar(place, name)), ("else", other)];
        named(place, members)
    });
    let mapped = slots.single(Single::Name);
    let kinds = "type in [\"track\", \"page\", \"screen\"]".to_owned();
    let (name, takes) = match mapped.as_ref().map(|node| (node, &node.value)) {
        Some((_, NodeValue::Scalar(name))) if name.text.starts_with('"') => {
            // A constant: identify calls have that name, too.
            let kinds = "type in [\"track\", \"page\", \"screen\", \"identify\"]".to_owned();
            (scalar(place, name.text.clone()), kinds)
        }
        Some((_, NodeValue::Scalar(name))) => {
            let exists = format!("exists({})", name.text);
            let members = vec![
                ("when", scalar(place, exists.clone())),
                ("then", scalar(place, name.text.clone())),
                ("else", own),
            ];
            (named(place, members), format!("{kinds} or (type = \"identify\" and {exists})"))
        }
        Some((node, _)) => ((*node).clone(), kinds),
        None => (own, kinds),
    };
    let update = "type in [\"track\", \"page\", \"screen\", \"identify\"]";
    let mut sent: Vec<Node> =
        joins(place).into_iter().map(|node| only_when(node, "type = \"identify\"")).collect();
    for node in actions(place, slots, Some(name), None) {
        let is_event = matches!(&node.value,
            NodeValue::Map(members) if members.iter().any(|(key, _)| key.text == "event"));
        sent.push(only_when(node, if is_event { &takes } else { update }));
    }
    if let Some(group_key) = slots.single(Single::GroupKey) {
        sent.push(only_when(group_action(place, slots, group_key), "type = \"group\""));
    }
    rule(place, "Calls", None, ("send", list(place, sent)))
}

/// An action for which another condition must hold, too.
fn only_when(mut node: Node, condition: &str) -> Node {
    if let NodeValue::Map(verb) = &mut node.value
        && let Some((_, Node { place, value: NodeValue::Map(members) })) = verb.first_mut()
    {
        let place = *place;
        match members.iter_mut().find(|(key, _)| key.text == "when") {
            Some((_, Node { value: NodeValue::Scalar(own), .. })) => {
                own.text = format!("({condition}) and ({})", own.text);
            }
            Some(_) => {}
            None => members.push((key(place, "when"), scalar(place, condition))),
        }
    }
    node
}

/// A rule that keeps events from being sent: with a message they are set aside.
pub(super) fn stop(place: Place, name: &str, when: String, message: Option<String>) -> Node {
    let outcome = match message {
        None => ("drop", scalar(place, "true")),
        Some(message) => {
            let code = scalar(place, Code::WrongKind.as_str());
            let members = vec![("code", code), ("message", scalar(place, message))];
            ("set_aside", named(place, members))
        }
    };
    rule(place, name, Some(when), outcome)
}

/// An event that is passed on keeps its properties.
pub(super) fn pass_on_everything(place: Place, slots: &mut Slots, problems: &mut Problems) {
    let all = scalar(place, "$.properties");
    slots.put(&Target::Property(Vec::new()), place, all, problems);
}

/// An event that the config lists.
pub(super) struct Listed<'a> {
    pub(super) key: &'a Key,
    pub(super) call: Call,
    /// What it is called at Mixpanel.
    pub(super) vendor_name: Option<Node>,
    pub(super) slots: &'a Slots,
}

impl Listed<'_> {
    /// Its rule.
    pub(super) fn rule(&self, problems: &mut Problems) -> Option<Node> {
        let place = self.key.place;
        let name = self.slots.single(Single::Name).or_else(|| self.vendor_name.clone());
        let mut sent = Vec::new();
        match self.call {
            Call::Group => sent.push(self.group(problems)?),
            Call::Identify => {
                sent.extend(joins(place));
                sent.extend(actions(place, self.slots, name, None));
            }
            Call::Page | Call::Screen | Call::Track(_) => {
                let own = scalar(place, self.call.name());
                sent.extend(actions(place, self.slots, name, Some(own)));
            }
        }
        let sent = ("send", list(place, sent));
        Some(rule(place, &self.key.text, Some(self.call.when()), sent))
    }

    fn group(&self, problems: &mut Problems) -> Option<Node> {
        let place = self.key.place;
        let Some(group_key) = self.slots.single(Single::GroupKey) else {
            let hint = "add an enrichment with target: $group_key and the key that the project has";
            let message = "group calls need the target `$group_key`";
            problems.add(place, Code::MissingKey, message, Some(hint.to_owned()));
            return None;
        };
        Some(group_action(place, self.slots, group_key))
    }
}

fn group_action(place: Place, slots: &Slots, group_key: Node) -> Node {
    let own = scalar(place, "identifier($.groupId ?| $.group_id)");
    let mut members =
        vec![("group_key", group_key), ("group_id", slots.single(Single::GroupId).unwrap_or(own))];
    members.extend(operators(place, slots));
    action(place, "group", members)
}

fn action(place: Place, verb: &str, members: Vec<(&str, Node)>) -> Node {
    named(place, vec![(verb, named(place, members))])
}

/// The event, when it has a name, and the update of the profile, when there is one.
fn actions(place: Place, slots: &Slots, name: Option<Node>, own: Option<Node>) -> Vec<Node> {
    let mut sent = Vec::new();
    if let Some(name) = name.or(own) {
        let mut members = vec![("name", name)];
        members.extend(ids(place, slots));
        for (single, field) in
            [(Single::Time, "time"), (Single::InsertId, "insert_id"), (Single::Ip, "ip")]
        {
            members.extend(slots.single(single).map(|node| (field, node)));
        }
        if slots.single(Single::Ip).is_none() {
            members.push(("ip", scalar(place, "$.context.ip")));
        }
        if !slots.properties.is_empty() {
            members.push(("properties", slots.properties.node(place)));
        }
        sent.push(action(place, "event", members));
    }
    let operators = operators(place, slots);
    if !operators.is_empty() {
        sent.push(profile(place, slots, operators));
    }
    sent
}

fn operators(place: Place, slots: &Slots) -> Vec<(&'static str, Node)> {
    let updates = slots.updates.iter().filter(|(_, tree): &&(&str, Tree)| !tree.is_empty());
    updates.map(|(operator, tree)| (*operator, tree.node(place))).collect()
}

fn profile(place: Place, slots: &Slots, operators: Vec<(&'static str, Node)>) -> Node {
    let id = slots.single(Single::ProfileId).or_else(|| slots.single(Single::DistinctId));
    let mut members = vec![("distinct_id", id.unwrap_or_else(|| own_id(place)))];
    members.push(("ip", scalar(place, "$.context.ip")));
    members.extend(operators);
    action(place, "profile", members)
}

/// The ids of an event: those that the config maps and no others, else those that it comes with.
fn ids(place: Place, slots: &Slots) -> Vec<(&'static str, Node)> {
    let wanted = [
        (Single::DistinctId, "distinct_id"),
        (Single::UserId, "user_id"),
        (Single::DeviceId, "device_id"),
    ];
    let mapped: Vec<(&'static str, Node)> = wanted
        .into_iter()
        .filter_map(|(single, field)| Some((field, slots.single(single)?)))
        .collect();
    if mapped.iter().any(|(field, _)| *field == "distinct_id") {
        return mapped;
    }
    let mut all = vec![("distinct_id", own_id(place))];
    if mapped.is_empty() {
        all.push(("user_id", scalar(place, USER)));
        let device = vec![("when", scalar(place, SIMPLIFIED)), ("then", scalar(place, DEVICE))];
        all.push(("device_id", named(place, device)));
    }
    all.extend(mapped);
    all
}

/// The user id, else the anonymous one in the form of the identity mode.
fn own_id(place: Place) -> Node {
    let device = DEVICE.replace('"', "\\\"");
    named(
        place,
        vec![
            ("when", scalar(place, SIMPLIFIED)),
            ("then", scalar(place, format!("{USER} ?? ?\"$device:{{{{{device}}}}}\""))),
            ("else", scalar(place, format!("{USER} ?? {ANONYMOUS}"))),
        ],
    )
}

/// What joins the device of an identify call to its user.
fn joins(place: Place) -> Vec<Node> {
    let link = vec![
        ("when", scalar(place, SIMPLIFIED)),
        ("name", scalar(place, "settings.link_event")),
        ("user_id", scalar(place, USER)),
        ("device_id", scalar(place, DEVICE)),
    ];
    let identify = vec![
        ("when", scalar(place, ORIGINAL)),
        ("user_id", scalar(place, USER)),
        ("anonymous_id", scalar(place, ANONYMOUS)),
    ];
    vec![action(place, "link", link), action(place, "identify", identify)]
}

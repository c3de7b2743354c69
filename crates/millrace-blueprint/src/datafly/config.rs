//! The document of a config: its keys, its layers, and the blueprint that comes of them.

use millrace_model::code::Code;

use super::layer::{self, CREDENTIALS, Layer, Lists};
use super::nodes;
use super::rules::{self, Call};
use super::steps;
use super::target::Slots;
use crate::syntax::ast::{Place, words};
use crate::syntax::parts::{known_keys, map, member, switch, text};
use crate::syntax::problems::Problems;
use crate::syntax::tree::{Key, Node, NodeValue, Scalar};

const TOP_KEYS: [&str; 9] = [
    "version",
    "name",
    "description",
    "delivery_mode",
    "parameters",
    "global",
    "global_event",
    "defaults",
    "events",
];
const EVENT_KEYS: [&str; 5] =
    ["vendor_event_name", "enabled", "mappings", "enrichments", "transforms"];

words! {
    /// What becomes of events that are not listed.
    DefaultAction {
        Drop = "drop",
        Pass = "pass",
    }
}

/// What holds for all events.
struct Frame {
    global: Layer,
    global_event: Layer,
}

/// Translates a config into the tree of a blueprint. None when it has mistakes that leave nothing
/// to go on with; others are added and the rest is looked at.
pub(crate) fn read(root: &Node, problems: &mut Problems) -> Option<Node> {
    let members = map(root, "a config", problems)?;
    if member(members, "steps").is_some() && !says_two(members) {
        return steps::read(root, members, problems);
    }
    if !is_version_two(root, members, problems) {
        return None;
    }
    known_keys(members, &TOP_KEYS, "a config of version 2", problems);
    let name = match member(members, "name") {
        Some(node) => text(node, "`name`", problems).unwrap_or_default(),
        None => "datafly-config".to_owned(),
    };
    if let Some(node) = member(members, "description") {
        text(node, "`description`", problems);
    }
    if let Some(node) = member(members, "delivery_mode") {
        delivery_mode(node, problems);
    }
    let declared =
        member(members, "parameters").map(|node| parameters(node, problems)).unwrap_or_default();
    let parameters: Vec<String> = declared.iter().map(|(key, _)| key.text.clone()).collect();
    let mut lists = Lists { problems, parameters: &parameters };
    let layer = |name: &str, inner: bool, lists: &mut Lists<'_>| match member(members, name) {
        Some(node) => {
            let what = format!("`{name}`");
            let inside = map(node, &what, lists.problems).unwrap_or_default();
            known_keys(inside, &layer::KEYS, &what, lists.problems);
            lists.layer(inside, inner)
        }
        None => Layer::default(),
    };
    let frame = Frame {
        global: layer("global", false, &mut lists),
        global_event: layer("global_event", true, &mut lists),
    };
    let mut all = Vec::new();
    if let Some(node) = member(members, "events") {
        for (key, node) in map(node, "`events`", lists.problems).unwrap_or_default() {
            all.extend(event(key, node, &frame, &mut lists));
        }
    }
    all.extend(defaults(root.place, member(members, "defaults"), &frame, &mut lists));
    Some(nodes::named(
        root.place,
        vec![
            ("blueprint", nodes::scalar(root.place, name)),
            ("parameters", nodes::map(root.place, declared)),
            ("settings", rules::settings(root.place)),
            ("rules", nodes::list(root.place, all)),
        ],
    ))
}

fn says_two(members: &[(Key, Node)]) -> bool {
    let version = member(members, "version").map(|node| &node.value);
    matches!(version, Some(NodeValue::Scalar(Scalar { text, .. })) if text == "2")
}

/// The version must be 2; the older form with steps has none.
fn is_version_two(root: &Node, members: &[(Key, Node)], problems: &mut Problems) -> bool {
    if let Some((key, _)) = members.iter().find(|(key, _)| key.text == "steps") {
        let hint = "take `version: 2` away: the older form with `steps` has no version";
        let message = "a config of version 2 has no `steps`";
        problems.add(key.place, Code::BadValue, message, Some(hint.to_owned()));
        return false;
    }
    if says_two(members) {
        return true;
    }
    let place = member(members, "version").map_or(root.place, |node| node.place);
    let hint = "configs of version 2 and those with `steps` are read; for another version save the \
                blueprint in Datafly's current editor";
    problems.add(
        place,
        Code::BadValue,
        "the version of the config is not 2",
        Some(hint.to_owned()),
    );
    false
}

fn delivery_mode(node: &Node, problems: &mut Problems) {
    let mode = text(node, "`delivery_mode`", problems);
    if mode.is_some_and(|mode| mode != "server_side") {
        let hint = Some("only server_side sends events from here".to_owned());
        problems.add(node.place, Code::BadValue, "this delivery mode is not taken", hint);
    }
}

/// The parameters as a blueprint declares them: what the config gives is the default, which a
/// pipeline may replace. Those of the connection have no place here.
fn parameters(node: &Node, problems: &mut Problems) -> Vec<(Key, Node)> {
    let mut parameters = Vec::new();
    for (key, node) in map(node, "`parameters`", problems).unwrap_or_default() {
        if CREDENTIALS.contains(&key.text.as_str()) {
            continue;
        }
        let about = nodes::scalar(key.place, "A parameter of Datafly's config");
        let mut members = vec![("about", about)];
        match &node.value {
            // Without a value the pipeline must give one.
            NodeValue::Scalar(scalar) if scalar.text.is_empty() => {}
            NodeValue::Scalar(_) => members.push(("default", node.clone())),
            NodeValue::List(_) | NodeValue::Map(_) => {
                let message = format!("the parameter `{}` takes a text", key.text);
                problems.add(node.place, Code::BadValue, message, None);
            }
        }
        parameters.push((key.clone(), nodes::named(key.place, members)));
    }
    parameters
}

/// The rule of a listed event.
fn event(key: &Key, node: &Node, frame: &Frame, lists: &mut Lists<'_>) -> Option<Node> {
    let members = match &node.value {
        // `page:` with nothing behind it is listed with the global mappings alone.
        NodeValue::Scalar(scalar) if scalar.plain && scalar.text.is_empty() => &[][..],
        _ => map(node, "an event", lists.problems)?,
    };
    known_keys(members, &EVENT_KEYS, "an event", lists.problems);
    let call = Call::of(&key.text);
    let enabled =
        member(members, "enabled").is_none_or(|node| switch(node, "`enabled`", lists.problems));
    let vendor_name = member(members, "vendor_event_name").and_then(|node| {
        let name = text(node, "`vendor_event_name`", lists.problems)?;
        lists.filled(node.place, &name)
    });
    let layer = lists.layer(members, true);
    let mut slots = Slots::default();
    frame.global.onto(&mut slots, lists.problems);
    frame.global_event.onto(&mut slots, lists.problems);
    layer.onto(&mut slots, lists.problems);
    if !enabled {
        return Some(rules::dropped(key, &call));
    }
    let event = rules::Listed { key, call, vendor_name, slots: &slots };
    event.rule(lists.problems)
}

/// The rules of all other events.
fn defaults(place: Place, node: Option<&Node>, frame: &Frame, lists: &mut Lists<'_>) -> Vec<Node> {
    let mut action = DefaultAction::Drop;
    let mut layer = Layer::default();
    let mut place = place;
    if let Some(node) = node {
        place = node.place;
        let members = map(node, "`defaults`", lists.problems).unwrap_or_default();
        known_keys(members, &["action", "mappings"], "`defaults`", lists.problems);
        if let Some(node) = member(members, "action")
            && let Some(word) = text(node, "`action`", lists.problems)
        {
            match DefaultAction::parse(&word) {
                Some(found) => action = found,
                None => lists.problems.unknown(
                    node.place,
                    Code::BadValue,
                    "the action",
                    &word,
                    DefaultAction::WORDS,
                ),
            }
        }
        layer = lists.layer(members, true);
    }
    let mut slots = Slots::default();
    rules::pass_on_everything(place, &mut slots, lists.problems);
    for one in [&frame.global, &frame.global_event, &layer] {
        one.onto(&mut slots, lists.problems);
    }
    match action {
        DefaultAction::Drop => vec![rules::drop_the_rest(place)],
        DefaultAction::Pass => rules::pass_the_rest(place, &slots),
    }
}

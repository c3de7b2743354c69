//! What two blueprints say differently: rules, actions, fields and settings, with old and new text.
//!
//! Compared are the trees as they are written. Rules are known by their names, actions of a rule by
//! verb and place among those of the verb. Tests and comments are not compared.

use serde_json::{Value, json};

use crate::Blueprint;
use crate::canonical::text_of;
use crate::syntax::parts::member;
use crate::syntax::tree::{Key, Node, NodeValue};

/// Keys of the blueprint that are compared in their own ways.
const OWN_WAYS: [&str; 2] = ["rules", "tests"];

/// Keys by which a map is one value: a form of the language, not an object.
const FORM_KEYS: [&str; 3] = ["as", "then", "map"];

/// The differences between two blueprints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlueprintDiff {
    /// What changed: the frame first, then the rules in the order of the new one.
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened to it.
    pub kind: ChangeKind,
    /// What it is: `setting currency`, `rule Orders`, `rule Orders, event: properties.total`.
    pub what: String,
    /// What the old one says; none when it is added.
    pub old: Option<String>,
    /// What the new one says; none when it is removed.
    pub new: Option<String>,
    /// Its line in the new blueprint; in the old one when it is removed.
    pub line: u32,
}

/// What happened to a part of a blueprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is only in the new one.
    Added,
    /// It is only in the old one.
    Removed,
    /// It stands elsewhere among its like, which changes who comes first.
    Moved,
    /// It says something else.
    Changed,
}

impl ChangeKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Moved => "moved",
            ChangeKind::Changed => "changed",
        }
    }
}

impl BlueprintDiff {
    /// What the new blueprint says otherwise than the old one.
    #[must_use]
    pub fn between(old: &Blueprint, new: &Blueprint) -> BlueprintDiff {
        let mut diff = BlueprintDiff::default();
        let (Some(old_tree), Some(new_tree)) = (old.tree(), new.tree()) else { return diff };
        if old.name() != new.name() {
            let names = (Some(old.name().to_owned()), Some(new.name().to_owned()));
            diff.add(ChangeKind::Changed, "name", names, new_tree.place.line);
        }
        diff.frames(members(&old_tree), members(&new_tree));
        let (old, new) = (rules(&old_tree), rules(&new_tree));
        diff.rules(&old, &new);
        diff
    }

    /// True when both say the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The differences as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.changes
            .iter()
            .map(|one| {
                json!({
                    "kind": one.kind.as_str(), "what": one.what, "old": one.old, "new": one.new,
                    "line": one.line,
                })
            })
            .collect()
    }

    fn add(
        &mut self,
        kind: ChangeKind,
        what: &str,
        (old, new): (Option<String>, Option<String>),
        line: u32,
    ) {
        self.changes.push(Change { kind, what: what.to_owned(), old, new, line });
    }

    /// Everything but the rules.
    fn frames(&mut self, old: &[(Key, Node)], new: &[(Key, Node)]) {
        let keys = old.iter().chain(new).map(|(key, _)| key.text.as_str());
        let mut seen: Vec<&str> = Vec::new();
        for key in keys {
            if seen.contains(&key) || OWN_WAYS.contains(&key) || key == "blueprint" {
                continue;
            }
            seen.push(key);
            let (old, new) = (member(old, key), member(new, key));
            let what = match key {
                "settings" => "setting ",
                "parameters" => "parameter ",
                "variants" => "variant ",
                "shared" => "shared ",
                other => {
                    self.fields(other, &leaves_of(old, ""), &leaves_of(new, ""));
                    continue;
                }
            };
            // Each setting and shared block on its own, so that its order is its own, too.
            let of = |node: Option<&Node>| node.map(members).unwrap_or_default().to_vec();
            let (old, new) = (of(old), of(new));
            let whole =
                |(key, node): &(Key, Node)| (key.text.clone(), key.place.line, text_of(node));
            let (old_all, new_all): (Vec<_>, Vec<_>) =
                (old.iter().map(whole).collect(), new.iter().map(whole).collect());
            self.presence(what, &old_all, &new_all);
            for (key, node) in &new {
                if let Some(before) = member(&old, &key.text) {
                    let what = format!("{what}{}", key.text);
                    self.fields(&what, &leaves_of(Some(before), ""), &leaves_of(Some(node), ""));
                }
            }
        }
    }

    /// What is only in one of two lists of named things.
    fn presence(
        &mut self,
        what: &str,
        old: &[(String, u32, String)],
        new: &[(String, u32, String)],
    ) {
        for (name, line, text) in old {
            if !new.iter().any(|(other, ..)| other == name) {
                let what = format!("{what}{name}");
                self.add(ChangeKind::Removed, &what, (Some(text.clone()), None), *line);
            }
        }
        for (name, line, text) in new {
            if !old.iter().any(|(other, ..)| other == name) {
                let what = format!("{what}{name}");
                self.add(ChangeKind::Added, &what, (None, Some(text.clone())), *line);
            }
        }
    }

    fn rules(&mut self, old: &[Rule<'_>], new: &[Rule<'_>]) {
        let named = |rule: &Rule<'_>| (rule.name.clone(), rule.line, text_of(rule.node));
        let (old_all, new_all): (Vec<_>, Vec<_>) =
            (old.iter().map(named).collect(), new.iter().map(named).collect());
        self.presence("rule ", &old_all, &new_all);
        let names = |rules: &[Rule<'_>], others: &[Rule<'_>]| -> Vec<String> {
            let both = |rule: &&Rule<'_>| others.iter().any(|other| other.name == rule.name);
            rules.iter().filter(both).map(|rule| rule.name.clone()).collect()
        };
        let moved = moved(&names(old, new), &names(new, old));
        for rule in new {
            let Some(before) = old.iter().find(|other| other.name == rule.name) else { continue };
            let what = format!("rule {}", rule.name);
            if moved.contains(&rule.name) {
                let behind = |rules: &[Rule<'_>]| {
                    let place = rules.iter().position(|one| one.name == rule.name);
                    let above = place.and_then(|place| rules.get(place.checked_sub(1)?));
                    Some(above.map_or("first".to_owned(), |above| format!("behind {}", above.name)))
                };
                self.add(ChangeKind::Moved, &what, (behind(old), behind(new)), rule.line);
            }
            self.fields(&what, &before.leaves(), &rule.leaves());
            self.actions(&rule.name, &before.actions(), &rule.actions());
        }
    }

    fn actions(&mut self, rule: &str, old: &[Action<'_>], new: &[Action<'_>]) {
        let what = format!("rule {rule}, ");
        let named = |one: &Action<'_>| (one.name.clone(), one.line, text_of(one.body));
        let (old_all, new_all): (Vec<_>, Vec<_>) =
            (old.iter().map(named).collect(), new.iter().map(named).collect());
        self.presence(&what, &old_all, &new_all);
        let names = |list: &[Action<'_>], others: &[Action<'_>]| -> Vec<String> {
            let both = |one: &&Action<'_>| others.iter().any(|other| other.name == one.name);
            list.iter().filter(both).map(|one| one.name.clone()).collect()
        };
        let moved = moved(&names(old, new), &names(new, old));
        for action in new {
            let Some(before) = old.iter().find(|one| one.name == action.name) else { continue };
            let what = format!("{what}{}", action.name);
            if moved.contains(&action.name) {
                self.add(ChangeKind::Moved, &what, (None, None), action.line);
            }
            let leaves = |body| leaves_of(Some(body), "");
            self.fields(&what, &leaves(before.body), &leaves(action.body));
        }
    }

    /// Compares what stands in two maps, member by member; then the order of the members, because
    /// a later one replaces an earlier one.
    fn fields(&mut self, what: &str, old: &[Leaf], new: &[Leaf]) {
        let name = |leaf: &Leaf| match leaf.at.as_str() {
            "" => what.to_owned(),
            at => format!("{what}: {at}"),
        };
        for leaf in old {
            if !new.iter().any(|other| other.at == leaf.at) {
                let text = (Some(leaf.text.clone()), None);
                self.add(ChangeKind::Removed, &name(leaf), text, leaf.line);
            }
        }
        for leaf in new {
            let before = old.iter().find(|other| other.at == leaf.at);
            let text = (before.map(|before| before.text.clone()), Some(leaf.text.clone()));
            match before {
                None => self.add(ChangeKind::Added, &name(leaf), text, leaf.line),
                Some(before) if before.text != leaf.text => {
                    self.add(ChangeKind::Changed, &name(leaf), text, leaf.line);
                }
                Some(_) => {}
            }
        }
        let common = |list: &[Leaf], others: &[Leaf]| -> Vec<String> {
            let both = |leaf: &&Leaf| leaf.ordered && others.iter().any(|one| one.at == leaf.at);
            list.iter().filter(both).map(|leaf| leaf.at.clone()).collect()
        };
        for at in moved(&common(old, new), &common(new, old)) {
            if let Some(leaf) = new.iter().find(|leaf| leaf.at == at) {
                self.add(ChangeKind::Moved, &name(leaf), (None, None), leaf.line);
            }
        }
    }
}

/// The names that stand elsewhere, so that the others keep their order: those outside of a longest
/// row that has the same order in both.
fn moved(old: &[String], new: &[String]) -> Vec<String> {
    let places: Vec<usize> =
        new.iter().filter_map(|name| old.iter().position(|other| other == name)).collect();
    // For each item: the length of the longest rising row that ends with it, and the one before.
    let mut best: Vec<(usize, Option<usize>)> = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let before = best
            .iter()
            .enumerate()
            .filter(|(other, _)| places.get(*other) < Some(place) && *other < at)
            .max_by_key(|(_, (length, _))| *length);
        best.push(before.map_or((1, None), |(other, (length, _))| (length + 1, Some(other))));
    }
    let mut stays = vec![false; places.len()];
    let mut at = best.iter().enumerate().max_by_key(|(_, (length, _))| *length).map(|(at, _)| at);
    while let Some(one) = at {
        if let Some(stay) = stays.get_mut(one) {
            *stay = true;
        }
        at = best.get(one).and_then(|(_, before)| *before);
    }
    new.iter().zip(stays).filter(|(_, stays)| !stays).map(|(name, _)| name.clone()).collect()
}

fn members(node: &Node) -> &[(Key, Node)] {
    match &node.value {
        NodeValue::Map(members) => members,
        NodeValue::Scalar(_) | NodeValue::List(_) => &[],
    }
}

/// A value that is compared as a whole.
struct Leaf {
    at: String,
    text: String,
    line: u32,
    /// True for the members of objects, whose order counts.
    ordered: bool,
}

fn leaves_of(node: Option<&Node>, at: &str) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    if let Some(node) = node {
        collect(node, at, 0, &mut leaves);
    }
    leaves
}

fn collect(node: &Node, at: &str, depth: u32, leaves: &mut Vec<Leaf>) {
    let form = |members: &[(Key, Node)]| {
        members.is_empty()
            || members
                .iter()
                .any(|(key, _)| FORM_KEYS.contains(&key.text.as_str()) || key.text.starts_with('@'))
    };
    match &node.value {
        NodeValue::Map(members) if !form(members) => {
            for (key, value) in members {
                let dot = if at.is_empty() { "" } else { "." };
                collect(value, &format!("{at}{dot}{}", key.text), depth + 1, leaves);
            }
        }
        NodeValue::Scalar(scalar) => leaves.push(Leaf {
            at: at.to_owned(),
            text: scalar.text.clone(),
            line: node.place.line,
            ordered: depth > 1,
        }),
        NodeValue::Map(_) | NodeValue::List(_) => leaves.push(Leaf {
            at: at.to_owned(),
            text: text_of(node),
            line: node.place.line,
            ordered: depth > 1,
        }),
    }
}

/// A rule as it is written.
struct Rule<'a> {
    name: String,
    line: u32,
    node: &'a Node,
}

fn rules(root: &Node) -> Vec<Rule<'_>> {
    let Some(NodeValue::List(items)) = member(members(root), "rules").map(|node| &node.value)
    else {
        return Vec::new();
    };
    let rule = |node| {
        let name = member(members(node), "name").map(Node::source).unwrap_or_default();
        Rule { name, line: node.place.line, node }
    };
    items.iter().map(rule).collect()
}

impl<'a> Rule<'a> {
    /// What it says beside its name and what it sends.
    fn leaves(&self) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        for (key, value) in members(self.node) {
            if key.text != "name" && key.text != "send" {
                collect(value, &key.text, 0, &mut leaves);
            }
        }
        leaves
    }

    /// Its actions. The second of a verb is called `event 2`.
    fn actions(&self) -> Vec<Action<'a>> {
        let send = member(members(self.node), "send").map(|node| &node.value);
        let Some(NodeValue::List(items)) = send else { return Vec::new() };
        let mut actions: Vec<Action<'a>> = Vec::new();
        let mut verbs: Vec<&str> = Vec::new();
        for item in items {
            let Some((key, body)) = members(item).first() else { continue };
            verbs.push(&key.text);
            let count = verbs.iter().filter(|verb| **verb == key.text).count();
            let name = if count > 1 { format!("{} {count}", key.text) } else { key.text.clone() };
            actions.push(Action { name, line: key.place.line, body });
        }
        actions
    }
}

/// An action as it is written.
struct Action<'a> {
    name: String,
    line: u32,
    body: &'a Node,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"
blueprint: shop
settings:
  currency: { kind: text, default: EUR, about: x }
shared:
  block: { a: $.a, b: $.b }
rules:
  - name: Tests
    when: userId = "t"
    drop: true
  - name: Orders
    when: type = "track"
    send:
      - event: { name: $.event, distinct_id: $.userId, properties: { total: $.total, x: $.x } }
      - profile: { distinct_id: $.userId, set: { a: $.a } }
  - name: Rest
    send: [ { event: { name: rest, distinct_id: $.userId } } ]
"#;

    fn changes(edits: &[(&str, &str)]) -> Vec<String> {
        let old = Blueprint::parse("old", OLD).expect("right");
        let text = edits.iter().fold(OLD.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let new = Blueprint::parse("new", &text).expect("right");
        let diff = BlueprintDiff::between(&old, &new);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        diff.changes
            .iter()
            .map(|one| {
                format!(
                    "{} {} [{}] [{}]",
                    one.kind.as_str(),
                    one.what,
                    text(&one.old),
                    text(&one.new)
                )
            })
            .collect()
    }

    #[test]
    fn what_changed_is_told_by_its_name() {
        let same: &[(&str, &str)] = &[];
        for (edits, expected) in [
            (same, vec![]),
            (&[("{ a: $.a, b: $.b }", "{a: '$.a', b: $.b} # c")], vec![]),
            (
                &[("default: EUR", "default: USD")],
                vec!["changed setting currency: default [EUR] [USD]"],
            ),
            (
                &[("total: $.total", "total: number($.total)")],
                vec!["changed rule Orders, event: properties.total [$.total] [number($.total)]"],
            ),
            (
                &[("total: $.total, x: $.x", "x: $.x, total: $.total")],
                vec!["moved rule Orders, event: properties.x [] []"],
            ),
            (&[(", b: $.b", "")], vec!["removed shared block: b [$.b] []"]),
            (
                &[("type = \"track\"", "type = \"page\"")],
                vec!["changed rule Orders: when [type = \"track\"] [type = \"page\"]"],
            ),
            (
                &[("      - profile: { distinct_id: $.userId, set: { a: $.a } }\n", "")],
                vec![
                    "removed rule Orders, profile [{\"distinct_id\":\"$.userId\",\"set\":{\"a\":\"$.a\"}}] []",
                ],
            ),
            (
                &[("name: Tests", "name: Testers")],
                vec![
                    "removed rule Tests [{\"name\":\"Tests\",\"when\":\"userId = \\\"t\\\"\",\"drop\":true}] []",
                    "added rule Testers [] [{\"name\":\"Testers\",\"when\":\"userId = \\\"t\\\"\",\"drop\":true}]",
                ],
            ),
        ] as [(&[(&str, &str)], Vec<&str>); 9]
        {
            assert_eq!(changes(edits), expected, "{edits:?}");
        }
    }

    #[test]
    fn a_rule_that_moved_is_told_once() {
        let tests = "  - name: Tests\n    when: userId = \"t\"\n    drop: true\n";
        let behind = "  - name: Rest\n";
        let told = changes(&[(tests, ""), (behind, &format!("{tests}{behind}"))]);
        assert_eq!(told, ["moved rule Orders [behind Tests] [first]"]);
    }

    #[test]
    fn the_fewest_are_told_to_have_moved() {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(moved(&names("a b c d"), &names("a b c d")).is_empty());
        assert_eq!(moved(&names("a b c d"), &names("d a b c")), ["d"]);
        assert_eq!(moved(&names("a b c d e"), &names("a c d b e")), ["b"]);
    }
}

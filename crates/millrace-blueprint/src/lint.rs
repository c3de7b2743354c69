//! What a blueprint says and probably does not mean: it can be used, and `check` tells of it.

use millrace_model::code::Code;
use millrace_model::diagnostic::{Diagnostic, Severity, nearest};

use crate::Blueprint;
use crate::json::name;
use crate::plan::paths::Paths;
use crate::reserved::{self, Home};
use crate::settings::SettingKind;
use crate::syntax::ast::{
    Action, Condition, Entry, EntryKind, Expression, Field, Kinds, Nobody, Outcome, Place, Rule,
    Step, Verb,
};
use crate::syntax::functions::Function;
use crate::syntax::parts::member;
use crate::syntax::tree::{Node, NodeValue};
use crate::syntax::{SETTING_PREFIX, is_operator, reserved_names};

impl Blueprint {
    /// What is doubtful about the blueprint, in the order of its lines. It can be used nonetheless.
    #[must_use]
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let mut lint = Lint { file: &self.file, found: Vec::new() };
        let nobody_is_set_aside = self.checked.checks.nobody == Nobody::SetAside;
        for rule in &self.checked.rules {
            let Outcome::Send(actions) = &rule.outcome else { continue };
            for action in actions {
                lint.members(action);
                lint.counting(rule, action);
                if nobody_is_set_aside {
                    lint.distinct_id(rule, action);
                }
            }
        }
        lint.unused(self);
        // A shared block stands wherever it is spread.
        lint.found.sort_by_key(|one| (one.line, one.column, one.message.clone()));
        lint.found.dedup();
        lint.found
    }
}

impl Blueprint {
    /// Where a name is declared, such as a setting among `settings`.
    fn place_of(&self, key: &str, name: &str) -> Place {
        let tree = self.tree();
        let map = |node: &Node| match &node.value {
            NodeValue::Map(members) => Some(members.clone()),
            NodeValue::Scalar(_) | NodeValue::List(_) => None,
        };
        let declared = tree.as_ref().and_then(map).and_then(|all| member(&all, key).and_then(map));
        let found = declared.iter().flatten().find(|(key, _)| key.text == name);
        found.map(|(key, _)| key.place).unwrap_or_default()
    }
}

struct Lint<'a> {
    file: &'a str,
    found: Vec<Diagnostic>,
}

impl Lint<'_> {
    fn add(&mut self, place: Place, message: String, suggestion: Option<String>) {
        self.found.push(Diagnostic {
            file: self.file.to_owned(),
            line: place.line,
            column: place.column,
            severity: Severity::Warning,
            code: Code::DoubtfulMapping,
            message,
            suggestion,
        });
    }

    /// Settings and parameters that nothing in the blueprint looks at.
    fn unused(&mut self, blueprint: &Blueprint) {
        let used = blueprint.lineage().settings();
        let settings = blueprint.settings().iter().filter(|one| one.kind != SettingKind::Ignored);
        let settings = settings.map(|one| ("settings", "the setting", one.name.clone()));
        let parameters = blueprint.parameters().iter();
        let parameters = parameters.map(|one| ("parameters", "the parameter", one.name.clone()));
        for (key, what, name) in settings.chain(parameters) {
            let path = if key == "settings" { name.clone() } else { format!("{key}.{name}") };
            if used.contains(&path) {
                continue;
            }
            let message = format!("{what} `{name}` changes nothing: no rule looks at it");
            let hint = match key {
                "settings" => "take it away, or give it the kind `ignored`",
                _ => "take it away",
            };
            self.add(blueprint.place_of(key, &name), message, Some(hint.to_owned()));
        }
    }

    /// The names that an action writes as properties.
    fn members(&mut self, action: &Action) {
        for (field, value) in &action.fields {
            let home = match field {
                Field::Properties => Home::Event,
                field if is_operator(*field) => Home::Profile,
                _ => continue,
            };
            if let Expression::Object(entries) = value {
                self.entries(home, entries);
            }
        }
    }

    fn entries(&mut self, home: Home, entries: &[Entry]) {
        for entry in entries {
            match &entry.what {
                EntryKind::Member { key, .. } if key.starts_with(SETTING_PREFIX) => {}
                EntryKind::Member { key, .. } => self.name(home, key, entry.place),
                EntryKind::Spread(value) => self.spread(home, value, entry.place),
            }
        }
    }

    /// The names that a spread is known to bring.
    fn spread(&mut self, home: Home, value: &Expression, place: Place) {
        match value {
            Expression::Object(entries) => self.entries(home, entries),
            Expression::Exact(inner) | Expression::With { shape: inner, .. } => {
                self.spread(home, inner, place);
            }
            Expression::First { left: one, right: other, .. }
            | Expression::Choice { then: one, otherwise: other, .. } => {
                self.spread(home, one, place);
                self.spread(home, other, place);
            }
            Expression::Call { function: Function::Rename, arguments, words } => {
                for new in words.iter().skip(1).step_by(2) {
                    self.name(home, new, place);
                    if home == Home::Event && reserved_names().contains(&new.as_str()) {
                        let message =
                            format!("a member renamed to `{new}` is left out: the row has its own");
                        self.add(place, message, Some("use the field of the action".to_owned()));
                    }
                }
                arguments.iter().for_each(|inner| self.spread(home, inner, place));
            }
            Expression::Call {
                function: Function::Omit | Function::Pick | Function::WithoutNulls,
                arguments,
                ..
            } => arguments.iter().for_each(|inner| self.spread(home, inner, place)),
            _ => {}
        }
    }

    fn name(&mut self, home: Home, name: &str, place: Place) {
        if home.is_unknown(name) {
            let suggestion = match nearest(name, home.names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "names of your own have no `$`".to_owned(),
            };
            let message = format!("Mixpanel knows no property `{name}` here");
            self.add(place, message, Some(suggestion));
        }
        if home == Home::Event
            && let Some(other) = reserved::permitted(name)
        {
            let message = format!("Mixpanel forbids the name `{name}`: it is sent as `{other}`");
            self.add(place, message, Some("choose a name of your own".to_owned()));
        }
        if name::shortened(name).is_some() {
            let message = "Mixpanel cuts names to 255 characters: this one is sent shortened";
            self.add(place, message.to_owned(), None);
        }
    }

    /// Operators that count on every event.
    fn counting(&mut self, rule: &Rule, action: &Action) {
        let always = rule.when == Condition::Always && action.when == Condition::Always;
        if action.verb != Verb::Profile || !always || action.for_each.is_some() {
            return;
        }
        for field in [Field::Add, Field::Append] {
            if action.field(field).is_some() {
                let message = format!("`{}` is done for every event", field.as_str());
                let hint = "say with `when` which events count; such rows cannot be repeated \
                            when an answer is unclear";
                self.add(action.place, message, Some(hint.to_owned()));
            }
        }
    }

    /// A distinct id that anonymous events do not have.
    fn distinct_id(&mut self, rule: &Rule, action: &Action) {
        let Some(id) = action.field(Field::DistinctId) else { return };
        let known = |condition: &Condition| {
            let mut paths = Paths::default();
            paths.condition(condition);
            paths.event.iter().any(|path| is_user_id(path))
        };
        let only_alias =
            rule.when.kinds().0.within(Kinds::of(millrace_model::event::EventKind::Alias));
        if matches!(action.verb, Verb::Event | Verb::Profile)
            && only_user_id(id)
            && !only_alias
            && !known(&rule.when)
            && !known(&action.when)
        {
            let message = "an event without a user id is set aside here".to_owned();
            let hint = "write `identifier($.userId) ?? identifier($.anonymousId)`, or \
                        `when: exists($.userId)`";
            self.add(action.place, message, Some(hint.to_owned()));
        }
    }
}

fn is_user_id(path: &[Step]) -> bool {
    matches!(path, [Step::Key(key)] if key == "userId")
}

fn only_user_id(id: &Expression) -> bool {
    match id {
        Expression::Path(path) => is_user_id(path),
        Expression::Call { function: Function::Identifier | Function::Text, arguments, .. } => {
            arguments.iter().all(only_user_id)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<String> {
        let blueprint = Blueprint::parse("b", text).expect("right");
        let warnings = blueprint.warnings();
        assert!(warnings.iter().all(|one| one.severity == Severity::Warning));
        warnings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_probably_not_meant_is_told() {
        let text = "\
blueprint: b
settings:
  key: { kind: text, default: $x, about: a name }
  idle: { kind: text, default: x, about: nobody looks at it }
  old: { kind: ignored, about: nobody looks at this either }
parameters:
  site: { about: nobody looks at it }
shared:
  block: { $osv: $.a, $os: $.b }
rules:
  - name: all
    send:
      - event:
          name: $.event
          distinct_id: identifier($.userId)
          properties:
            bucket: $.a
            settings.key: $.b
            inner: { $whatever: $.c }
            '...':
              - shared.block
              - { when: '$.a = 1', then: { $emial: $.e } }
              - 'rename($.properties, a, \"$cty\", b, \"time\")'
      - profile:
          distinct_id: identifier($.userId) ?? identifier($.anonymousId)
          set: { $firstName: $.f, $avator: $.a, $email: $.e, '...': shared.block }
          add: { count: 1 }
";
        assert_eq!(
            warnings(text),
            [
                "b:4:3: MR5113 the setting `idle` changes nothing: no rule looks at it (take it away, \
                 or give it the kind `ignored`)",
                "b:7:3: MR5113 the parameter `site` changes nothing: no rule looks at it (take it \
                 away)",
                "b:9:12: MR5113 Mixpanel knows no property `$osv` here (did you mean `$os`?)",
                "b:13:9: MR5113 an event without a user id is set aside here (write \
                 `identifier($.userId) ?? identifier($.anonymousId)`, or `when: exists($.userId)`)",
                "b:17:13: MR5113 Mixpanel forbids the name `bucket`: it is sent as `bucket_` \
                 (choose a name of your own)",
                "b:22:44: MR5113 Mixpanel knows no property `$emial` here (names of your own \
                 have no `$`)",
                "b:23:17: MR5113 Mixpanel knows no property `$cty` here (did you mean `$city`?)",
                "b:23:17: MR5113 a member renamed to `time` is left out: the row has its own (use \
                 the field of the action)",
                "b:24:9: MR5113 `add` is done for every event (say with `when` which events count; \
                 such rows cannot be repeated when an answer is unclear)",
                "b:26:18: MR5113 Mixpanel knows no property `$firstName` here (did you mean \
                 `$first_name`?)",
                "b:26:35: MR5113 Mixpanel knows no property `$avator` here (did you mean \
                 `$avatar`?)",
            ]
        );
    }

    #[test]
    fn what_is_meant_is_not_told() {
        let text = "\
blueprint: b
rules:
  - name: known
    when: exists($.userId)
    send:
      - event: { name: $.event, distinct_id: $.userId, properties: { $os: 1, mine: 2 } }
      - profile:
          when: $.properties.revenue > 0
          distinct_id: $.userId
          append: { $transactions: { $amount: $.properties.revenue } }
  - name: alias
    when: type = \"alias\"
    send:
      - alias: { distinct_id: $.userId, alias: $.previousId }
";
        assert_eq!(warnings(text), [""; 0]);
    }

    /// The built-in ones have nothing to be warned of, but names that their settings ask for and
    /// that the systems which they replace send.
    #[test]
    fn the_built_in_blueprints_are_meant_as_they_are() {
        for name in Blueprint::built_in_names() {
            let blueprint = Blueprint::built_in(name).expect("there").expect("right");
            for warning in blueprint.warnings() {
                let text = warning.to_string();
                assert!(text.contains("Mixpanel knows no property"), "{text}");
                assert!(!blueprint.replaces().is_empty(), "{text}");
            }
        }
    }
}

//! Nested values: objects, lists, `each`/`as`, `when`/`then`/`else`, spreads, and `shared` blocks.

use std::collections::HashMap;

use millrace_model::code::Code;

use super::ast::{Condition, Entry, EntryKind, Expression, Part, Place, Step};
use super::expression::UNKNOWN_FUNCTION;
use super::functions::Function;
use super::lexer::Mistake;
use super::matching;
use super::problems::Problems;
use super::readings;
use super::scalar::read_scalar;
use super::shared::{Block, SHARED_PREFIX};
use super::tree::{Key, Node, NodeValue, Scalar};
use crate::settings::{Parameter, Setting, SettingKind};

/// The key of a spread.
const SPREAD: &str = "...";

/// How a key begins that stands for the text of a setting.
pub(crate) const SETTING_PREFIX: &str = "settings.";

/// What values are read against.
pub(crate) struct Reader<'a> {
    pub(crate) problems: &'a mut Problems,
    pub(crate) declared: Declared<'a>,
    /// The rules of the blueprint, for `like`.
    pub(crate) rules: &'a [Node],
    /// The blocks of `shared`, by name.
    pub(crate) shared: &'a HashMap<String, Block>,
    /// In a shared block, itself and those below it, which it cannot use.
    pub(crate) further_down: &'a [(Key, Node)],
    /// How many `each` and `with` are around the value.
    pub(crate) items: u32,
    /// How many of them go over a list, so that there is a place in it.
    pub(crate) lists: u32,
    /// In a shared block, where it is not known yet whether there is an item around: whether a
    /// path of one was met.
    pub(crate) block: Option<bool>,
    /// How many values the blueprint has so far, copies of shared blocks included.
    pub(crate) size: &'a mut usize,
}

/// What a blueprint declares for its expressions.
#[derive(Clone, Copy, Default)]
pub(crate) struct Declared<'a> {
    pub(crate) settings: &'a [Setting],
    pub(crate) parameters: &'a [Parameter],
}

/// How many values a blueprint may have. Shared blocks that use shared blocks would otherwise
/// make a small text as large as they like; slots and names are numbered in 16 bits.
const SIZE_LIMIT: usize = 50_000;

impl<'a> Reader<'a> {
    /// A reader of values that stand in no `each`.
    pub(crate) fn new(
        problems: &'a mut Problems,
        declared: Declared<'a>,
        shared: &'a HashMap<String, Block>,
        size: &'a mut usize,
    ) -> Reader<'a> {
        Reader {
            problems,
            declared,
            rules: &[],
            shared,
            further_down: &[],
            items: 0,
            lists: 0,
            block: None,
            size,
        }
    }

    /// Counts values; false when there are too many.
    pub(crate) fn grow(&mut self, place: Place, by: usize) -> bool {
        let fits = self.size.saturating_add(by) <= SIZE_LIMIT;
        if fits {
            *self.size += by;
        } else {
            // From here on nothing fits, so that what is too large ends at once.
            *self.size = SIZE_LIMIT;
            let message = format!("the blueprint has more than {SIZE_LIMIT} values");
            let hint = "what `shared` and `like` bring counts wherever it stands".to_owned();
            self.problems.add(place, Code::BadValue, message, Some(hint));
        }
        fits
    }

    /// Reads any value. After a problem the result is a placeholder.
    pub(crate) fn value(&mut self, node: &Node) -> Expression {
        if !self.grow(node.place, 1) {
            return Expression::Nothing;
        }
        match &node.value {
            NodeValue::Scalar(scalar) => self.scalar(node.place, scalar),
            NodeValue::List(items) => {
                Expression::List(items.iter().map(|item| self.value(item)).collect())
            }
            NodeValue::Map(members) => self.map(node, members),
        }
    }

    /// The entries of an object, in the order of the text.
    pub(crate) fn entries(&mut self, members: &[(Key, Node)]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (key, node) in members {
            if key.text != SPREAD {
                self.check_name(key);
                let value = self.value(node);
                entries.push(Entry {
                    place: key.place,
                    source: node.source(),
                    what: EntryKind::Member { key: key.text.clone(), value },
                });
                continue;
            }
            match &node.value {
                NodeValue::List(list) => {
                    for one in list {
                        self.spread(one, &mut entries);
                    }
                }
                NodeValue::Scalar(_) | NodeValue::Map(_) => self.spread(node, &mut entries),
            }
        }
        entries
    }

    /// A name that stands for a setting needs one, of texts.
    fn check_name(&mut self, key: &Key) {
        let Some(name) = key.text.strip_prefix(SETTING_PREFIX) else { return };
        self.check(key.place, &Expression::Setting(name.to_owned()));
        let found = self.declared.settings.iter().find(|setting| setting.name == name);
        let texts =
            |setting: &Setting| setting.default.is_string() || setting.kind == SettingKind::List;
        if found.is_some_and(|setting| !texts(setting)) {
            let message = format!("the setting `{name}` is no text and cannot name a member");
            self.problems.add(key.place, Code::BadValue, message, None);
        }
    }

    fn spread(&mut self, node: &Node, entries: &mut Vec<Entry>) {
        if let NodeValue::Scalar(scalar) = &node.value
            && let Some(name) = scalar.text.strip_prefix(SHARED_PREFIX)
            && self
                .shared
                .get(name)
                .is_none_or(|block| matches!(block.value, Expression::Object(_)))
        {
            let read = || readings::reading(node.place, scalar, "shared block", String::new());
            self.problems.reading(read);
            let block = self.block(node.place, name);
            entries.extend(block.into_iter().flat_map(|block| block.entries.iter().cloned()));
            return;
        }
        let value = self.value(node);
        let object = match &value {
            Expression::Text(_)
            | Expression::Number(_)
            | Expression::Bool(_)
            | Expression::Null
            | Expression::Place
            | Expression::Parameter(_)
            | Expression::Template { .. }
            | Expression::List(_)
            | Expression::Each { .. } => false,
            Expression::Nothing
            | Expression::Path(_)
            | Expression::Item(_)
            | Expression::Setting(_)
            | Expression::First { .. }
            | Expression::Call { .. }
            | Expression::Object(_)
            | Expression::With { .. }
            | Expression::Exact(_)
            | Expression::Table { .. }
            | Expression::Choice { .. } => true,
        };
        if !object {
            let hint = "write a path, omit(..), pick(..) or shared.NAME".to_owned();
            let message = "a spread takes an object";
            self.problems.add(node.place, Code::BadExpression, message, Some(hint));
        }
        entries.push(Entry {
            place: node.place,
            source: node.source(),
            what: EntryKind::Spread(value),
        });
    }

    /// The name of a list setting, written `settings.NAME`.
    pub(crate) fn list_setting(&mut self, node: &Node) -> Option<String> {
        let name = match &node.value {
            NodeValue::Scalar(scalar) => scalar.text.strip_prefix(SETTING_PREFIX),
            NodeValue::List(_) | NodeValue::Map(_) => None,
        };
        let Some(name) = name else {
            let hint = Some("write settings.NAME".to_owned());
            let message = "`for_each` takes a list setting";
            self.problems.add(node.place, Code::BadValue, message, hint);
            return None;
        };
        self.setting_of(node.place, name, &SettingKind::List);
        Some(name.to_owned())
    }

    /// The kind of a setting; none for a setting that is not there.
    pub(crate) fn kind_of(&self, name: &str) -> Option<&SettingKind> {
        self.declared
            .settings
            .iter()
            .find(|setting| setting.name == name)
            .map(|setting| &setting.kind)
    }

    /// Checks that a setting is there and of a kind. Where one text is wanted, a list will do: its
    /// texts come one by one under `for_each`.
    fn setting_of(&mut self, place: Place, name: &str, kind: &SettingKind) {
        self.check(place, &Expression::Setting(name.to_owned()));
        let found = self.declared.settings.iter().find(|setting| setting.name == name);
        let fits = |have: &SettingKind| {
            have == kind || (*kind == SettingKind::Text && *have == SettingKind::List)
        };
        if found.is_some_and(|setting| !fits(&setting.kind)) {
            let message = format!("the setting `{name}` is not {}", kind.describe());
            self.problems.add(place, Code::BadValue, message, None);
        }
    }

    /// Reads a match text, or one of Segment: `{segment: '...'}`.
    pub(crate) fn condition(&mut self, node: &Node) -> Condition {
        if let NodeValue::Map(members) = &node.value
            && let [(key, inner)] = members.as_slice()
            && key.text == "segment"
        {
            return self.condition_in(inner, matching::read_segment);
        }
        self.condition_in(node, matching::read)
    }

    fn condition_in(
        &mut self,
        node: &Node,
        read: fn(&str) -> Result<Condition, Mistake>,
    ) -> Condition {
        let NodeValue::Scalar(scalar) = &node.value else {
            let message = format!("a match text is expected, not {}", node.describe());
            self.problems.add(node.place, Code::BadMatch, message, None);
            return Condition::Always;
        };
        match read(&scalar.text) {
            Ok(condition) => {
                let text = || readings::reading(node.place, scalar, "match text", String::new());
                self.problems.reading(text);
                visit_condition(&condition, &mut |part| self.check(node.place, part));
                self.check_choices(node.place, &condition);
                condition
            }
            Err(mistake) => {
                self.mistake(node.place, scalar, Code::BadMatch, mistake);
                Condition::Always
            }
        }
    }

    /// A setting that is a choice is never anything else.
    fn check_choices(&mut self, place: Place, condition: &Condition) {
        let (name, texts): (&String, &[Expression]) = match condition {
            Condition::Any(parts) | Condition::All(parts) => {
                return parts.iter().for_each(|part| self.check_choices(place, part));
            }
            Condition::Not(inner) => return self.check_choices(place, inner),
            Condition::Equal(Expression::Setting(name), text)
            | Condition::Equal(text, Expression::Setting(name)) => {
                (name, std::slice::from_ref(text))
            }
            Condition::In(Expression::Setting(name), texts) => (name, texts),
            _ => return,
        };
        let of = match self.kind_of(name) {
            Some(SettingKind::Choice(of)) => of.clone(),
            _ => return,
        };
        let known: Vec<&str> = of.iter().map(String::as_str).collect();
        for text in texts {
            if let Expression::Text(text) = text
                && !of.contains(text)
            {
                let what = format!("the choice of the setting `{name}`");
                self.problems.unknown(place, Code::BadMatch, &what, text, &known);
            }
        }
    }

    fn scalar(&mut self, place: Place, scalar: &Scalar) -> Expression {
        if let Some(name) = scalar.text.strip_prefix(SHARED_PREFIX) {
            let read = || readings::reading(place, scalar, "shared block", String::new());
            self.problems.reading(read);
            let block = self.block(place, name);
            return block.map_or(Expression::Nothing, |block| block.value.clone());
        }
        match read_scalar(scalar) {
            Ok(mut expression) => {
                self.put_shared_names(place, &mut expression);
                self.problems.expression(place, scalar, &expression);
                visit(&expression, &mut |part| self.check(place, part));
                expression
            }
            Err(mistake) => {
                self.mistake(place, scalar, Code::BadExpression, mistake);
                Expression::Nothing
            }
        }
    }

    /// Adds a mistake inside a scalar, at its own column where the text is on one line.
    fn mistake(&mut self, place: Place, scalar: &Scalar, code: Code, mistake: Mistake) {
        let place = match scalar.indent {
            Some(indent) if !scalar.text.contains('\n') => {
                Place { column: place.column + indent + mistake.at, ..place }
            }
            _ => place,
        };
        let function = mistake.message.starts_with(UNKNOWN_FUNCTION);
        let code = if function { Code::UnknownFunction } else { code };
        let open = |sign| scalar.text.matches(sign).count();
        let cut = scalar.plain && open('(') > open(')');
        let suggestion = match cut {
            true => Some("a text with a comma inside { } or [ ] must stand in quotes".to_owned()),
            false => mistake.suggestion,
        };
        self.problems.add(place, code, mistake.message, suggestion);
    }

    /// What can be wrong with a part of an expression that reads well.
    fn check(&mut self, place: Place, part: &Expression) {
        match part {
            Expression::Setting(name)
                if !self.declared.settings.iter().any(|setting| setting.name == *name) =>
            {
                let known: Vec<&str> =
                    self.declared.settings.iter().map(|setting| setting.name.as_str()).collect();
                self.problems.unknown(place, Code::UnknownSetting, "the setting", name, &known);
            }
            Expression::Parameter(name) => {
                let known: Vec<&str> =
                    self.declared.parameters.iter().map(|one| one.name.as_str()).collect();
                if !known.contains(&name.as_str()) {
                    let (code, what) = (Code::UnknownSetting, "the parameter");
                    self.problems.unknown(place, code, what, name, &known);
                }
            }
            Expression::Call { function, words, .. } => {
                for word in words {
                    let Some(name) = word.strip_prefix(SETTING_PREFIX) else { continue };
                    let kind = match function {
                        Function::At => SettingKind::Text,
                        _ => SettingKind::List,
                    };
                    self.setting_of(place, name, &kind);
                }
            }
            Expression::Item(_) if self.items == 0 && self.block.is_some() => {
                self.block = Some(true);
            }
            Expression::Item(_) if self.items == 0 => {
                self.problems.add(
                    place,
                    Code::BadExpression,
                    "a path that starts with a dot stands for an item, and there is no `each` here",
                    Some("write $. for a path from the event's root".to_owned()),
                );
            }
            Expression::Place if self.lists == 0 => {
                let message = "`place()` is the place of an item, and there is no `each` here";
                self.problems.add(place, Code::BadExpression, message, None);
            }
            Expression::Path(steps) if matches!(steps.first(), Some(Step::Index(_))) => {
                let message = "an event is an object, not a list";
                self.problems.add(place, Code::BadExpression, message, None);
            }
            _ => {}
        }
    }
}

/// Calls `see` for every part of an expression that comes from one scalar.
pub(crate) fn visit(expression: &Expression, see: &mut impl FnMut(&Expression)) {
    see(expression);
    match expression {
        Expression::First { left, right, .. } => {
            visit(left, see);
            visit(right, see);
        }
        Expression::Template { parts, .. } => {
            for part in parts {
                if let Part::Hole(inner) = part {
                    visit(inner, see);
                }
            }
        }
        Expression::Call { arguments, .. } => {
            for argument in arguments {
                visit(argument, see);
            }
        }
        _ => {}
    }
}

/// Calls `see` for every part of every expression of a condition.
fn visit_condition(condition: &Condition, see: &mut impl FnMut(&Expression)) {
    match condition {
        Condition::Always => {}
        Condition::Any(parts) | Condition::All(parts) => {
            for part in parts {
                visit_condition(part, see);
            }
        }
        Condition::Not(inner) => visit_condition(inner, see),
        Condition::Equal(left, right)
        | Condition::Order { left, right, .. }
        | Condition::Compared { left, right, .. } => {
            visit(left, see);
            visit(right, see);
        }
        Condition::In(value, list) => {
            visit(value, see);
            for one in list {
                visit(one, see);
            }
        }
        Condition::Text { value, other, .. } => {
            visit(value, see);
            visit(other, see);
        }
        Condition::Matches(value, _)
        | Condition::Exists(value)
        | Condition::UuidShaped(value)
        | Condition::True(value) => visit(value, see),
    }
}

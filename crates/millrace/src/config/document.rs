//! The raw step: a TOML document in which every key and value knows its place.
//!
//! A [`Section`] hands out [`Field`]s by key and remembers which keys were asked for; what is left
//! at its end is unknown. A [`Report`] gathers mistakes and warnings, so that reading never stops
//! at the first one. Readers give `None` after they have reported, and callers go on.

use std::ops::Range;
use std::path::{Path, PathBuf};

use millrace_model::code::Code;
use millrace_model::diagnostic::{Diagnostic, nearest};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Environment;
use super::quantity::NoQuantity;
use super::tree::{BlueprintUse, Place};

/// More mistakes than this help nobody.
const MAX_FOUND: usize = 100;

/// What was found while reading one file.
pub(super) struct Report<'a> {
    file: &'a str,
    text: &'a str,
    folder: &'a Path,
    environment: Environment<'a>,
    mistakes: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// The blueprints that integrations name, whatever else is wrong with those.
    pub(super) blueprints: Vec<BlueprintUse>,
    /// Where published revisions are.
    pub(super) blueprint_folder: PathBuf,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        file: &'a str,
        text: &'a str,
        folder: &'a Path,
        environment: Environment<'a>,
    ) -> Report<'a> {
        let (mistakes, warnings, blueprints) = (Vec::new(), Vec::new(), Vec::new());
        let blueprint_folder = folder.join(crate::revisions::DEFAULT_FOLDER);
        Report { file, text, folder, environment, mistakes, warnings, blueprints, blueprint_folder }
    }

    /// Line and column, from 1, of a byte of the file.
    pub(super) fn place(&self, at: usize) -> Place {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let before = self.text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
        Place {
            file: self.file.to_owned(),
            line: number(before.bytes().filter(|byte| *byte == b'\n').count()),
            column: number(in_line.chars().count()),
        }
    }

    pub(super) fn mistake(
        &mut self,
        at: usize,
        code: Code,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) {
        if self.mistakes.len() < MAX_FOUND {
            let found = self.place(at).diagnostic(code, message, suggestion);
            self.mistakes.push(found);
        }
    }

    pub(super) fn warning(
        &mut self,
        at: usize,
        code: Code,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) {
        if self.warnings.len() < MAX_FOUND {
            let found = self.place(at).diagnostic(code, message, suggestion).as_warning();
            self.warnings.push(found);
        }
    }

    /// After a syntax error the parser guesses: what then seems missing or dangling may be there.
    pub(super) fn keep_only_what_syntax_errors_do_not_explain(&mut self, lines: &[u32]) {
        self.mistakes.retain(|found| match found.code {
            Code::BadSyntax => true,
            Code::MissingKey | Code::UnknownReference => false,
            _ => !lines.contains(&found.line),
        });
    }

    /// A path of the file, relative to the file's folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    pub(super) fn environment(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    /// Mistakes and warnings in the order of their places.
    pub(super) fn finish(mut self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        for found in [&mut self.mistakes, &mut self.warnings] {
            found.sort_by_key(|one| (one.line, one.column));
        }
        (self.mistakes, self.warnings)
    }
}

/// One table of the document.
pub(super) struct Section<'d> {
    /// What messages call it, such as `log`; empty for the document itself.
    name: String,
    /// Where it begins.
    pub(super) at: usize,
    table: &'d DeTable<'d>,
    asked: Vec<&'static str>,
}

impl<'d> Section<'d> {
    pub(super) fn new(name: impl Into<String>, at: usize, table: &'d DeTable<'d>) -> Section<'d> {
        Section { name: name.into(), at, table, asked: Vec::new() }
    }

    /// The value of a key, if it is there.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Field<'d>> {
        self.asked.push(key);
        let value = self.table.get(key)?;
        Some(Field::new(self.name_of(key), value))
    }

    /// The value of a key that must be there.
    pub(super) fn required(
        &mut self,
        report: &mut Report<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<Field<'d>> {
        let field = self.optional(key);
        if field.is_none() {
            let message = match self.name.as_str() {
                "" => format!("the file needs `{key}`"),
                name => format!("`{name}` needs `{key}`"),
            };
            report.mistake(self.at, Code::MissingKey, message, Some(format!("add {example}")));
        }
        field
    }

    /// A table inside this one, if it is there.
    pub(super) fn table(
        &mut self,
        report: &mut Report<'_>,
        key: &'static str,
    ) -> Option<Section<'d>> {
        self.optional(key)?.table(report)
    }

    /// The tables of an array of tables; none when the key is missing.
    pub(super) fn tables(
        &mut self,
        report: &mut Report<'_>,
        key: &'static str,
    ) -> Vec<Section<'d>> {
        let Some(field) = self.optional(key) else { return Vec::new() };
        let DeValue::Array(items) = field.value else {
            let header = format!("[[{}]]", self.name_of(key));
            field.wrong_kind(report, &format!("tables, each under {header}"), Some(header));
            return Vec::new();
        };
        let items = items.iter();
        items.filter_map(|item| Field::new(field.name.clone(), item).table(report)).collect()
    }

    /// Every key with its value: for tables whose keys are the user's own.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'d str, usize, Field<'d>)> + '_ {
        self.table.iter().map(|(key, value)| {
            let name: &'d str = key.get_ref();
            (name, key.span().start, Field::new(self.name_of(name), value))
        })
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(&self, report: &mut Report<'_>) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let message = match self.name.as_str() {
                "" => format!("the key `{name}` is not known"),
                section => format!("the key `{name}` is not known in `{section}`"),
            };
            let absent = self.asked.iter().filter(|asked| !self.table.contains_key(**asked));
            let suggestion = match nearest(name, absent.copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            report.mistake(key.span().start, Code::UnknownKey, message, Some(suggestion));
        }
    }

    fn name_of(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// One value of the document.
#[derive(Clone)]
pub(super) struct Field<'d> {
    /// What messages call it, such as `log.retention`.
    pub(super) name: String,
    pub(super) value: &'d DeValue<'d>,
    span: Range<usize>,
}

impl<'d> Field<'d> {
    fn new(name: String, value: &'d Spanned<DeValue<'d>>) -> Field<'d> {
        Field { name, value: value.get_ref(), span: value.span() }
    }

    /// Where the value begins.
    pub(super) fn at(&self) -> usize {
        self.span.start
    }

    pub(super) fn wrong_kind(
        &self,
        report: &mut Report<'_>,
        wanted: &str,
        suggestion: Option<String>,
    ) {
        let message = format!("`{}` must be {wanted}, not {}", self.name, kind(self.value));
        report.mistake(self.at(), Code::BadValue, message, suggestion);
    }

    /// Reports the value as wrong for a reason.
    pub(super) fn wrong(&self, report: &mut Report<'_>, reason: &str, suggestion: Option<String>) {
        let message = format!("`{}` {reason}", self.name);
        report.mistake(self.at(), Code::BadValue, message, suggestion);
    }

    /// A text.
    pub(super) fn text(&self, report: &mut Report<'_>, example: &str) -> Option<&'d str> {
        match self.value {
            DeValue::String(text) => Some(text.as_ref()),
            _ => {
                self.wrong_kind(report, "a text", Some(format!("write for example \"{example}\"")));
                None
            }
        }
    }

    /// True or false.
    pub(super) fn flag(&self, report: &mut Report<'_>) -> Option<bool> {
        match self.value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.wrong_kind(report, "true or false", None);
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, report: &mut Report<'_>, bounds: (u64, u64)) -> Option<u64> {
        let (low, high) = bounds;
        let number = match self.value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => {
                self.wrong_kind(report, "a whole number", Some(format!("{low} to {high}")));
                return None;
            }
        };
        let number = number.filter(|number| (low..=high).contains(number));
        if number.is_none() {
            self.wrong(report, &format!("must be {low} to {high}"), None);
        }
        number
    }

    /// A quantity within bounds, which are shown as the user would write them.
    pub(super) fn quantity<T: PartialOrd + Copy>(
        &self,
        report: &mut Report<'_>,
        read: fn(&str) -> Result<T, NoQuantity>,
        show: fn(T) -> String,
        bounds: (T, T),
    ) -> Option<T> {
        let DeValue::String(text) = self.value else {
            self.wrong_kind(report, "a text", read("").err().and_then(|wrong| wrong.suggestion));
            return None;
        };
        let quantity = match read(text) {
            Ok(quantity) => quantity,
            Err(wrong) => {
                self.wrong(report, &format!("is wrong: {}", wrong.message), wrong.suggestion);
                return None;
            }
        };
        if quantity < bounds.0 || quantity > bounds.1 {
            let reason = format!("must be {} to {}", show(bounds.0), show(bounds.1));
            self.wrong(report, &reason, None);
            return None;
        }
        Some(quantity)
    }

    /// The items of a list.
    pub(super) fn list(&self, report: &mut Report<'_>, of: &str) -> Option<Vec<Field<'d>>> {
        match self.value {
            DeValue::Array(items) => {
                Some(items.iter().map(|item| Field::new(self.name.clone(), item)).collect())
            }
            _ => {
                self.wrong_kind(report, &format!("a list of {of}"), Some("write [..]".to_owned()));
                None
            }
        }
    }

    /// A table.
    pub(super) fn table(&self, report: &mut Report<'_>) -> Option<Section<'d>> {
        match self.value {
            DeValue::Table(table) => Some(Section::new(self.name.clone(), self.at(), table)),
            _ => {
                self.wrong_kind(report, "a table", Some(format!("write [{}]", self.name)));
                None
            }
        }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

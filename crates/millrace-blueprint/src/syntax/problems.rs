//! Collects every mistake of a text, so that its author sees them all at once.

use millrace_model::code::Code;
use millrace_model::diagnostic::{Diagnostic, Severity, nearest};

use super::ast::{Expression, Place};
use super::readings::{self, Reading};
use super::tree::Scalar;

/// More mistakes than this are not listed: the first ones tell enough.
const LIST_LIMIT: usize = 200;

/// The mistakes found so far.
#[derive(Debug)]
pub(crate) struct Problems {
    file: String,
    found: Vec<Diagnostic>,
    /// How scalars were read, where somebody wants to know.
    readings: Option<Vec<Reading>>,
}

impl Problems {
    pub(crate) fn new(file: &str) -> Problems {
        Problems { file: file.to_owned(), found: Vec::new(), readings: None }
    }

    /// From here on the readings of scalars are kept.
    pub(crate) fn note_readings(&mut self) {
        self.readings.get_or_insert_default();
    }

    /// Notes how a scalar was read.
    pub(crate) fn reading(&mut self, reading: impl FnOnce() -> Reading) {
        if let Some(readings) = &mut self.readings {
            readings.push(reading());
        }
    }

    /// Notes the expression that a scalar was read as.
    pub(crate) fn expression(&mut self, place: Place, scalar: &Scalar, read: &Expression) {
        self.reading(|| readings::reading(place, scalar, readings::kind(read), read.to_string()));
    }

    /// The readings that were noted.
    pub(crate) fn into_readings(self) -> Vec<Reading> {
        self.readings.unwrap_or_default()
    }

    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    pub(crate) fn add(
        &mut self,
        place: Place,
        code: Code,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) {
        let message = message.into();
        // What is inherited or shared is read more than once.
        let known = |one: &Diagnostic| {
            (one.line, one.column, one.code) == (place.line, place.column, code)
                && one.message == message
        };
        if self.found.len() < LIST_LIMIT && !self.found.iter().any(known) {
            self.found.push(Diagnostic {
                file: self.file.clone(),
                line: place.line,
                column: place.column,
                severity: Severity::Error,
                code,
                message,
                suggestion,
            });
        }
    }

    /// Adds an unknown word, with the nearest known one or all of them.
    pub(crate) fn unknown(
        &mut self,
        place: Place,
        code: Code,
        what: &str,
        word: &str,
        known: &[&str],
    ) {
        let suggestion = match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "there are none".to_owned(),
            None => format!("known are {}", known.join(", ")),
        };
        self.add(place, code, format!("{what} `{word}` is not known"), Some(suggestion));
    }

    /// All mistakes in the order of the text.
    pub(crate) fn into_list(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|one| (one.line, one.column));
        self.found
    }
}

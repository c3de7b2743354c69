//! Collects every mistake of a text, so that its author sees them all at once.

use millrace_model::code::Code;
use millrace_model::diagnostic::{Diagnostic, Severity, nearest};

use super::ast::Place;

/// More mistakes than this are not listed: the first ones tell enough.
const LIST_LIMIT: usize = 200;

/// The mistakes found so far.
#[derive(Debug)]
pub(crate) struct Problems {
    file: String,
    found: Vec<Diagnostic>,
}

impl Problems {
    pub(crate) fn new(file: &str) -> Problems {
        Problems { file: file.to_owned(), found: Vec::new() }
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
        if self.found.len() < LIST_LIMIT {
            self.found.push(Diagnostic {
                file: self.file.clone(),
                line: place.line,
                column: place.column,
                severity: Severity::Error,
                code,
                message: message.into(),
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

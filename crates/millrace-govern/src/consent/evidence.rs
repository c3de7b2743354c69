//! What an event and its request say about consent, gathered from all their sources.
//!
//! Sources are asked in a fixed order, the event's own words first. A category is decided by the
//! first source that says something about it; where one source says two things about it, because
//! several of its codes mean the same category, the denial counts.
//!
//! Invariants: bounded ([`MOST_CODES`]); what is no code or no answer is counted, never kept.

use std::collections::BTreeMap;

use super::vocabulary::{Category, Vocabulary, normalised};

/// At most this many codes of an event are kept; the rest is counted.
pub(super) const MOST_CODES: usize = 64;
/// At most this many unknown codes are named in the trace.
const NAMED_UNKNOWN: usize = 4;

/// What one source says: codes and whether they are granted.
#[derive(Clone, Debug, Default)]
pub(super) struct Statement {
    said: Vec<(String, bool)>,
    /// How many codes or answers could not be read, or were too many.
    unreadable: usize,
}

impl Statement {
    /// Takes up what is said of a code.
    pub(super) fn say(&mut self, code: &str, granted: bool) {
        match normalised(code) {
            Some(code) if self.said.len() < MOST_CODES => self.said.push((code, granted)),
            _ => self.unreadable += 1,
        }
    }

    /// Takes up an answer in words; what is no answer is counted as unreadable.
    pub(super) fn say_in_words(&mut self, code: &str, answer: &str) {
        match granted(answer) {
            Some(granted) => self.say(code, granted),
            None => self.unreadable += 1,
        }
    }

    /// Takes up another statement.
    pub(super) fn join(&mut self, other: Statement) {
        self.unreadable += other.unreadable;
        for (code, granted) in other.said {
            self.say(&code, granted);
        }
    }

    /// Counts something that cannot be read.
    pub(super) fn unreadable(&mut self) {
        self.unreadable += 1;
    }

    /// True when nothing was found, readable or not.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.said.is_empty() && self.unreadable == 0
    }
}

/// What the answers of platforms mean. Answers that mean neither, such as "pending", give none.
#[must_use]
pub(super) fn granted(answer: &str) -> Option<bool> {
    let answer = answer.trim();
    let is = |words: &[&str]| words.iter().any(|word| answer.eq_ignore_ascii_case(word));
    if is(&[
        "true", "1", "yes", "y", "grant", "granted", "accept", "accepted", "allow", "allowed",
        "in", "on", "opt_in", "optin", "opt-in",
    ]) {
        return Some(true);
    }
    let denied = is(&[
        "false",
        "0",
        "no",
        "n",
        "deny",
        "denied",
        "reject",
        "rejected",
        "disallow",
        "disallowed",
        "out",
        "off",
        "opt_out",
        "optout",
        "opt-out",
    ]);
    denied.then_some(false)
}

/// All statements together.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    codes: BTreeMap<String, bool>,
    decided: BTreeMap<Category, bool>,
    sources: Vec<&'static str>,
    unknown: Vec<String>,
    more_unknown: usize,
    unreadable: usize,
}

impl Evidence {
    /// Takes up the next source.
    pub(super) fn take(&mut self, source: &'static str, said: Statement, vocabulary: &Vocabulary) {
        if said.is_empty() {
            return;
        }
        self.sources.push(source);
        self.unreadable += said.unreadable;
        let mut of_source: BTreeMap<Category, bool> = BTreeMap::new();
        for (code, granted) in said.said {
            match vocabulary.meaning(&code, granted) {
                Some(categories) => {
                    for category in categories {
                        let decided = of_source.entry(*category).or_insert(granted);
                        *decided = *decided && granted;
                    }
                }
                None => self.note_unknown(&code),
            }
            self.keep(code, granted);
        }
        for (category, granted) in of_source {
            self.decided.entry(category).or_insert(granted);
        }
    }

    /// Denies categories, whatever was said of them.
    pub(super) fn deny(&mut self, source: &'static str, categories: &[Category]) {
        if categories.is_empty() {
            return;
        }
        self.sources.push(source);
        for category in categories {
            self.decided.insert(*category, false);
        }
    }

    fn keep(&mut self, code: String, granted: bool) {
        if Category::parse(&code).is_some() {
            return;
        }
        if self.codes.len() < MOST_CODES || self.codes.contains_key(&code) {
            self.codes.entry(code).or_insert(granted);
        } else {
            self.unreadable += 1;
        }
    }

    fn note_unknown(&mut self, code: &str) {
        if self.unknown.iter().any(|known| known == code) {
            return;
        }
        if self.unknown.len() < NAMED_UNKNOWN {
            self.unknown.push(code.to_owned());
        } else {
            self.more_unknown += 1;
        }
    }

    /// Every code and category with what was said of it.
    #[must_use]
    pub(super) fn categories(&self) -> BTreeMap<String, bool> {
        let mut categories = self.codes.clone();
        for (category, granted) in &self.decided {
            categories.insert(category.as_str().to_owned(), *granted);
        }
        categories
    }

    /// What was decided about the canonical categories.
    #[must_use]
    pub(super) fn canonical(&self) -> &BTreeMap<Category, bool> {
        &self.decided
    }

    /// True when some source said something.
    #[must_use]
    pub(super) fn is_something_said(&self) -> bool {
        !self.codes.is_empty() || !self.decided.is_empty()
    }

    /// The sources and what is to be remarked about them, for the trace. Holds no value of the
    /// event but the names of codes without a meaning.
    #[must_use]
    pub(super) fn describe(&self) -> String {
        let mut text = self.sources.join(", ");
        if !self.unknown.is_empty() {
            text.push_str("; unknown: ");
            text.push_str(&self.unknown.join(", "));
            if self.more_unknown > 0 {
                text.push_str(&format!(" and {} more", self.more_unknown));
            }
        }
        if self.unreadable > 0 {
            text.push_str(&format!("; {} unreadable", self.unreadable));
        }
        text
    }

    /// True when anything at all was found, readable or not.
    #[must_use]
    pub(super) fn has_sources(&self) -> bool {
        !self.sources.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(said: &[(&str, bool)]) -> Statement {
        let mut statement = Statement::default();
        for (code, granted) in said {
            statement.say(code, *granted);
        }
        statement
    }

    #[test]
    fn the_first_source_decides_and_within_one_the_denial() {
        let vocabulary = Vocabulary::default();
        let mut evidence = Evidence::default();
        evidence.take("a", statement(&[("C0004", true), ("C0005", false)]), &vocabulary);
        evidence.take("b", statement(&[("marketing", true), ("analytics", true)]), &vocabulary);
        evidence.take("c", statement(&[("analytics", false), ("Heat Maps", true)]), &vocabulary);
        let categories = evidence.categories();
        for (name, wanted) in [
            ("marketing", Some(false)),
            ("analytics", Some(true)),
            ("c0004", Some(true)),
            ("c0005", Some(false)),
            ("heat_maps", Some(true)),
            ("functional", None),
        ] {
            assert_eq!(categories.get(name).copied(), wanted, "{name}");
        }
        assert_eq!(evidence.describe(), "a, b, c; unknown: heat_maps");
        evidence.deny("gpc", &[Category::Analytics]);
        assert!(!evidence.categories()["analytics"]);
    }

    #[test]
    fn codes_without_end_are_counted_and_not_kept() {
        let vocabulary = Vocabulary::default();
        let mut evidence = Evidence::default();
        for source in 0..3 {
            let mut many = Statement::default();
            for number in 0..1000 {
                many.say(&format!("code{source}x{number}"), true);
            }
            many.say_in_words("c0002", "perhaps");
            evidence.take("many", many, &vocabulary);
        }
        assert_eq!(evidence.categories().len(), MOST_CODES);
        assert!(evidence.describe().len() < 200, "{}", evidence.describe());
        assert!(evidence.describe().contains("unreadable"));
    }

    #[test]
    fn answers_in_words() {
        for (answer, wanted) in [
            ("GRANTED", Some(true)),
            ("1", Some(true)),
            (" y ", Some(true)),
            ("in", Some(true)),
            ("denied", Some(false)),
            ("DENY", Some(false)),
            ("0", Some(false)),
            ("out", Some(false)),
            ("pending", None),
            ("", None),
        ] {
            assert_eq!(granted(answer), wanted, "{answer}");
        }
    }
}

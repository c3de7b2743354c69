//! What mapping has changed or noticed, summed for an integration: each kind is told of once, with
//! the name of a field as an example and never a value.

use millrace_model::correction::{Correction, CorrectionSums};
use millrace_model::id::IntegrationId;
use millrace_model::row::Rows;

/// How much of a field's name is told. Names come from the events of anybody who has a write key.
const NAME_LIMIT: usize = 80;

/// The corrections of some events.
#[derive(Debug, Default)]
pub(crate) struct Corrected {
    sums: CorrectionSums,
    /// For each kind the field that had it first.
    examples: Vec<(Correction, String)>,
}

impl Corrected {
    /// Adds those of an event that is sent.
    pub(crate) fn add(&mut self, rows: &mut Rows) {
        if rows.examples.is_empty() {
            return;
        }
        self.sums.add(&rows.corrections);
        for (what, field) in rows.examples.drain(..) {
            self.add_example(what, field);
        }
    }

    /// Adds those of more events. Gives the kinds that were not there before, with their examples.
    pub(super) fn merge(&mut self, more: Corrected) -> Vec<(Correction, String)> {
        self.sums.add_sums(&more.sums);
        let mut first = more.examples;
        first.retain(|(what, field)| self.add_example(*what, field.clone()));
        first
    }

    pub(super) fn sums(&self) -> CorrectionSums {
        self.sums
    }

    /// False when the kind has an example.
    fn add_example(&mut self, what: Correction, field: String) -> bool {
        let first = self.examples.iter().all(|(have, _)| *have != what);
        if first {
            self.examples.push((what, field));
        }
        first
    }
}

/// Tells of a kind of correction for the first time.
pub(super) fn tell(integration: &IntegrationId, what: Correction, field: &str) {
    let field: String = field.chars().take(NAME_LIMIT).collect();
    tracing::warn!(
        %integration,
        kind = what.as_str(),
        ?field,
        "mapping:{} Told once; /api/v1/integrations counts on",
        what.summary()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_of_once() {
        let mut rows = Rows::default();
        let mut portion = |kinds: &[(Correction, &str)]| {
            let mut portion = Corrected::default();
            for (what, field) in kinds {
                rows.clear();
                rows.corrections.add(*what);
                rows.examples.push((*what, (*field).to_owned()));
                portion.add(&mut rows);
            }
            portion
        };
        let mut all = Corrected::default();
        let long = (Correction::LongText, "a");
        let first = all.merge(portion(&[long, (Correction::LongText, "b")]));
        assert_eq!(first, [(Correction::LongText, "a".to_owned())]);
        let first = all.merge(portion(&[long, (Correction::TimeAhead, "time")]));
        assert_eq!(first, [(Correction::TimeAhead, "time".to_owned())]);
        let sums: Vec<_> = all.sums().iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(sums, [(Correction::TimeAhead, 1), (Correction::LongText, 3)]);
    }
}

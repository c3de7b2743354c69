//! Seeded chance in the forms that the traffic needs.

use millrace_model::entropy::{Entropy as _, SeededEntropy};

/// A source of choices.
#[derive(Debug)]
pub(super) struct Dice(SeededEntropy);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(SeededEntropy::new(seed))
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn number(&self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high.saturating_sub(low)).unwrap_or(0).saturating_add(1);
        low.saturating_add(i64::try_from(self.0.below(span)).unwrap_or(0))
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&self, of_hundred: u64) -> bool {
        self.0.below(100) < of_hundred
    }

    /// One of these.
    pub(super) fn pick<T: Copy + Default>(&self, from: &[T]) -> T {
        let index = self.0.below(u64::try_from(from.len()).unwrap_or(0));
        usize::try_from(index).ok().and_then(|index| from.get(index)).copied().unwrap_or_default()
    }

    pub(super) fn uuid(&self) -> String {
        self.0.uuid().to_string()
    }

    /// An hour of the day (UTC): few at night, most in the evening.
    pub(super) fn hour(&self) -> i64 {
        self.pick(&[
            5, 6, 7, 8, 9, 10, 10, 11, 12, 12, 13, 14, 15, 16, 17, 17, 18, 18, 19, 19, 20, 21,
        ])
    }
}

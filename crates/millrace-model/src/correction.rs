//! What mapping changed so that Mixpanel takes a row, or noticed about it: counted, never fatal.
//!
//! What cannot be corrected sets the event aside instead, with a [`Code`](crate::code::Code).

macro_rules! corrections {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// A kind of correction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Correction { $($(#[doc = $doc])+ $name,)+ }

        impl Correction {
            /// Every kind, in the order of the list.
            pub const ALL: &'static [Correction] = &[$(Correction::$name,)+];

            /// The name of the kind in metrics and answers; it never changes.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Correction::$name => $text,)+ }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Correction::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

corrections! {
    /// A list or object that Mixpanel refuses for its depth or size went as its JSON text.
    ShapeAsText = "shape_as_text",
    /// A number beyond 64-bit floats went as the text of its digits.
    NumberAsText = "number_as_text",
    /// Half a surrogate pair became U+FFFD.
    BrokenUnicode = "broken_unicode",
    /// A time too far ahead became the time of receipt.
    TimeAhead = "time_ahead",
    /// A text is longer than the 255 bytes that Mixpanel stores.
    LongText = "long_text",
    /// A property name longer than Mixpanel takes was cut.
    LongName = "long_name",
    /// An id that Mixpanel refuses, such as `undefined`, was left out.
    UnusableId = "unusable_id",
    /// An insert id was made from one that Mixpanel does not take.
    DerivedInsertId = "derived_insert_id",
    /// A property starts with `$` and is none that Mixpanel reserves.
    UnknownDollarName = "unknown_dollar_name",
    /// A property with a name that Mixpanel forbids went under another name.
    ForbiddenName = "forbidden_name",
    /// A list or object is larger than what Mixpanel says it stores for one value.
    LargeValue = "large_value",
}

/// How often each kind of correction was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Corrections([u32; Correction::ALL.len()]);

impl Corrections {
    /// Counts one.
    pub fn add(&mut self, what: Correction) {
        self.add_many(what, 1);
    }

    /// Counts several.
    pub fn add_many(&mut self, what: Correction, times: u32) {
        if let Some(count) = self.0.get_mut(what as usize) {
            *count = count.saturating_add(times);
        }
    }

    /// How often this kind was made.
    #[must_use]
    pub fn count(&self, what: Correction) -> u32 {
        self.0.get(what as usize).copied().unwrap_or_default()
    }

    /// The kinds that were made, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Correction, u32)> + '_ {
        Correction::ALL
            .iter()
            .map(|what| (*what, self.count(*what)))
            .filter(|(_, count)| *count > 0)
    }

    /// True when nothing was corrected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// The corrections of many events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorrectionSums([u64; Correction::ALL.len()]);

impl CorrectionSums {
    /// Adds the corrections of an event.
    pub fn add(&mut self, corrections: &Corrections) {
        for (sum, count) in self.0.iter_mut().zip(corrections.0) {
            *sum = sum.saturating_add(u64::from(count));
        }
    }

    /// Adds other sums.
    pub fn add_sums(&mut self, other: &CorrectionSums) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(count);
        }
    }

    /// Every kind with its sum, in the order of [`Correction::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Correction, u64)> + '_ {
        Correction::ALL.iter().copied().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_on_its_own() {
        let mut corrections = Corrections::default();
        assert!(corrections.is_empty());
        corrections.add(Correction::UnknownDollarName);
        corrections.add(Correction::UnknownDollarName);
        corrections.add(Correction::ShapeAsText);
        let counts: Vec<_> = corrections.iter().collect();
        assert_eq!(counts, [(Correction::ShapeAsText, 1), (Correction::UnknownDollarName, 2)]);
        let mut sums = CorrectionSums::default();
        sums.add(&corrections);
        sums.add_sums(&sums.clone());
        let counts: Vec<_> = sums.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [(Correction::ShapeAsText, 2), (Correction::UnknownDollarName, 4)]);
    }
}

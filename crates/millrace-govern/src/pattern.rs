//! Patterns of texts: `*` stands for anything, also nothing; the whole text must fit; letters of
//! ASCII are equal in both cases.

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// The pieces between the stars, in lower case; one more than there are stars.
    pieces: Vec<String>,
}

impl Pattern {
    /// Every text is a pattern.
    #[must_use]
    pub fn new(text: &str) -> Pattern {
        let pieces = text.split('*').map(str::to_ascii_lowercase).collect();
        Pattern { text: text.to_owned(), pieces }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True when the whole text fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        let Some((first, others)) = self.pieces.split_first() else { return false };
        let Some((last, middle)) = others.split_last() else { return text == *first };
        let Some(rest) = text.strip_prefix(first.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        for piece in middle {
            match rest.split_once(piece.as_str()) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_anything_and_the_whole_must_fit() {
        let table = [
            ("internal-monitor/*", "Internal-Monitor/2.1", true),
            ("internal-monitor/*", "x internal-monitor/2.1", false),
            ("*monitor*", "x internal-monitor/2.1", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "ac", false),
            ("aa*aa", "aaa", false),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
            ("localhost", "localhost", true),
            ("localhost", "localhost.example", false),
            ("*.staging.shop.example", "a.staging.shop.example", true),
            ("caf\u{e9}*", "CAF\u{e9} noir", true),
        ];
        for (pattern, text, fits) in table {
            assert_eq!(Pattern::new(pattern).fits(text), fits, "{pattern} {text}");
        }
    }
}

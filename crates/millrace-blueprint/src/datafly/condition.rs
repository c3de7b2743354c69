//! Expressions of the older form: `event.type = 'track' AND COALESCE(event.properties.total, 0) > 5`.
//!
//! They become texts of the blueprint language, which is read and checked as everywhere. The words
//! may be in either case. An absent value is null; as everywhere here, a comparison with it does
//! not hold and its negation does.

use super::nodes::quoted;
use super::source::{self, Mistake, mistake};

/// How deep brackets, `NOT` and calls may be nested.
const DEPTH_LIMIT: u32 = 16;

/// What an expression became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A value. A constant is never missing.
    Value { text: String, constant: bool },
    /// Something that holds or does not.
    Condition(String),
}

impl Read {
    /// As a condition: a value holds when it is true.
    pub(super) fn condition(self) -> String {
        match self {
            Read::Value { text, .. } => text,
            Read::Condition(text) => text,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word or a path.
    Word(String),
    Text(String),
    Number(String),
    Sign(&'static str),
}

const SIGNS: [&str; 11] = ["<=", ">=", "!=", "<>", "=", "<", ">", "(", ")", ",", "=="];

/// Reads a whole expression.
pub(super) fn read(text: &str) -> Result<Read, Mistake> {
    let mut reader = Reader { tokens: tokens(text)?, next: 0, depth: 0 };
    let read = reader.any()?;
    match reader.tokens.get(reader.next) {
        None => Ok(read),
        Some(token) => {
            let message = format!("{} is left over", shown(Some(token)));
            Err(mistake(message, "write AND or OR in front of it"))
        }
    }
}

/// A path below `event.`, as the blueprint has it.
pub(super) fn path(text: &str) -> Result<source::Source, Mistake> {
    match text.strip_prefix("event.") {
        Some(rest) => source::read(rest),
        None => Err(mistake(
            format!("`{text}` is no source"),
            format!("sources begin with event., texts stand in quotes: event.{text} or '{text}'"),
        )),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let taken = if first == '\'' {
            let (inner, behind) = quoted_text(rest)?;
            tokens.push(Token::Text(inner));
            behind
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            // `==` is no sign of the notation, but what is meant is plain.
            tokens.push(Token::Sign(sign));
            let behind = rest.strip_prefix(*sign).unwrap_or("");
            if *sign == "=" { behind.strip_prefix('=').unwrap_or(behind) } else { behind }
        } else {
            let inside = |c: char| c.is_alphanumeric() || "_$.[]*-+".contains(c);
            let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
            let (word, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
            if word.is_empty() {
                let message = format!("`{first}` means nothing here");
                return Err(mistake(message, "texts stand in single quotes"));
            }
            let number = crate::json::number::is_finite_number(word.as_bytes());
            let word = word.to_owned();
            tokens.push(if number { Token::Number(word) } else { Token::Word(word) });
            behind
        };
        rest = taken.trim_start();
    }
    Ok(tokens)
}

/// A text in single quotes, two of which stand for one, and what comes after it.
pub(super) fn quoted_text(text: &str) -> Result<(String, &str), Mistake> {
    let mut rest = text.strip_prefix('\'').unwrap_or(text);
    let mut inner = String::new();
    loop {
        let Some((before, behind)) = rest.split_once('\'') else {
            return Err(mistake("the quote is not closed", "write '' for a quote in a text"));
        };
        inner.push_str(before);
        match behind.strip_prefix('\'') {
            Some(more) => {
                inner.push('\'');
                rest = more;
            }
            None => return Ok((inner, behind)),
        }
    }
}

fn shown(token: Option<&Token>) -> String {
    match token {
        None => "the end".to_owned(),
        Some(Token::Word(text) | Token::Number(text)) => format!("`{text}`"),
        Some(Token::Text(text)) => format!("the text '{text}'"),
        Some(Token::Sign(sign)) => format!("`{sign}`"),
    }
}

struct Reader {
    tokens: Vec<Token>,
    next: usize,
    depth: u32,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn word(&mut self, wanted: &str) -> bool {
        let found =
            matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted));
        self.next += usize::from(found);
        found
    }

    fn sign(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(sign)) if *sign == wanted);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: &str) -> Result<(), Mistake> {
        if self.sign(wanted) {
            return Ok(());
        }
        let message = format!("`{wanted}` is expected before {}", shown(self.peek()));
        Err(mistake(message, "brackets come in pairs, and commas part a list"))
    }

    fn any(&mut self) -> Result<Read, Mistake> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            let message = format!("nested deeper than {DEPTH_LIMIT}");
            return Err(mistake(message, "use several steps"));
        }
        let read = self.chain("or", Reader::all)?;
        self.depth -= 1;
        Ok(read)
    }

    fn all(&mut self) -> Result<Read, Mistake> {
        self.chain("and", Reader::negation)
    }

    fn chain(
        &mut self,
        word: &str,
        part: fn(&mut Reader) -> Result<Read, Mistake>,
    ) -> Result<Read, Mistake> {
        let first = part(self)?;
        let mut parts = Vec::new();
        while self.word(word) {
            parts.push(part(self)?.condition());
        }
        if parts.is_empty() {
            return Ok(first);
        }
        parts.insert(0, first.condition());
        Ok(Read::Condition(format!("({})", parts.join(&format!(" {word} ")))))
    }

    fn negation(&mut self) -> Result<Read, Mistake> {
        let mut negated = false;
        while self.word("not") {
            negated = !negated;
        }
        let read = self.comparison()?;
        Ok(if negated { Read::Condition(not(&read.condition())) } else { read })
    }

    fn comparison(&mut self) -> Result<Read, Mistake> {
        let left = self.operand()?;
        let sign = match self.peek() {
            Some(Token::Sign(sign @ ("=" | "!=" | "<>" | "<" | "<=" | ">" | ">="))) => *sign,
            _ => "",
        };
        if !sign.is_empty() {
            self.next += 1;
            let (left, right) = (value(left)?, self.operand().and_then(value)?);
            let sign = if sign == "<>" { "!=" } else { sign };
            return Ok(Read::Condition(format!("{left} {sign} {right}")));
        }
        if self.word("is") {
            let negated = self.word("not");
            if !self.word("null") {
                return Err(mistake("behind IS comes NULL", "compare with = instead"));
            }
            let exists = format!("exists({})", value(left)?);
            return Ok(Read::Condition(if negated { exists } else { not(&exists) }));
        }
        let negated = self.word("not");
        if !self.word("in") {
            if negated {
                return Err(mistake("behind a value NOT needs IN", "write NOT in front of it"));
            }
            return Ok(left);
        }
        let left = value(left)?;
        self.expect("(")?;
        let list = self.operands()?;
        let within = format!("{left} in [{}]", list.join(", "));
        Ok(Read::Condition(if negated { not(&within) } else { within }))
    }

    /// Values with commas between them, and the closing bracket.
    fn operands(&mut self) -> Result<Vec<String>, Mistake> {
        let mut list = vec![self.operand().and_then(value)?];
        while self.sign(",") {
            list.push(self.operand().and_then(value)?);
        }
        self.expect(")")?;
        Ok(list)
    }

    fn operand(&mut self) -> Result<Read, Mistake> {
        let constant = |text: String| Ok(Read::Value { text, constant: true });
        match self.take() {
            Some(Token::Sign("(")) => {
                let inner = self.any()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(Token::Text(text)) => constant(quoted(&text)),
            Some(Token::Number(text)) => constant(text),
            Some(Token::Word(word)) => {
                let lower = word.to_ascii_lowercase();
                if matches!(lower.as_str(), "true" | "false" | "null") {
                    return Ok(Read::Value { constant: lower != "null", text: lower });
                }
                if self.sign("(") {
                    return self.call(&word, &lower);
                }
                let source = path(&word)?;
                if source.list.is_some() {
                    let message = format!("`{word}` goes over a list");
                    return Err(mistake(message, "only a map step can do that"));
                }
                let text = if source.value.contains(" ?") {
                    format!("({})", source.value)
                } else {
                    source.value
                };
                Ok(Read::Value { text, constant: false })
            }
            other => {
                let message = format!("a value is expected before {}", shown(other.as_ref()));
                Err(mistake(message, "write event.properties.x, 'text' or a number"))
            }
        }
    }

    fn call(&mut self, word: &str, lower: &str) -> Result<Read, Mistake> {
        if lower != "coalesce" {
            let message = format!("the function `{word}` is not known");
            return Err(mistake(message, "known is COALESCE"));
        }
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            let message = format!("nested deeper than {DEPTH_LIMIT}");
            return Err(mistake(message, "use several steps"));
        }
        let list = self.operands()?;
        self.depth -= 1;
        Ok(Read::Value { text: format!("({})", list.join(" ?? ")), constant: false })
    }
}

fn not(condition: &str) -> String {
    format!("not ({condition})")
}

fn value(read: Read) -> Result<String, Mistake> {
    match read {
        Read::Value { text, .. } => Ok(text),
        Read::Condition(_) => {
            Err(mistake("a comparison stands where a value must be", "compare values with values"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_become_those_of_the_language() {
        let condition = |text: &str| Read::Condition(text.to_owned());
        let value = |text: &str, constant: bool| Read::Value { text: text.to_owned(), constant };
        for (text, wanted) in [
            ("event.properties.a", value("$.properties.a", false)),
            ("event.userId", value("($.userId ?| $.user_id)", false)),
            ("'it''s \"$\"'", value("\"it's \\\"\\$\\\"\"", true)),
            ("-1.5", value("-1.5", true)),
            ("NULL", value("null", false)),
            (
                "event.type = 'track' AND event.event IN ('A', 'B') OR NOT event.name <> 'C'",
                condition(
                    "(($.type = \"track\" and $.event in [\"A\", \"B\"]) or \
                     not ($.name != \"C\"))",
                ),
            ),
            (
                "coalesce(event.properties.a, COALESCE(event.properties.b, 0)) >= 5",
                condition("($.properties.a ?? ($.properties.b ?? 0)) >= 5"),
            ),
            ("event.properties.a is not null", condition("exists($.properties.a)")),
            ("event.properties.a IS NULL", condition("not (exists($.properties.a))")),
            ("event.properties.a NOT IN (1)", condition("not ($.properties.a in [1])")),
            ("((event.properties.a))", value("$.properties.a", false)),
        ] {
            assert_eq!(read(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_says_why() {
        for (text, words) in [
            ("", "before the end"),
            ("event.type =", "before the end"),
            ("event.type = track", "event.track or 'track'"),
            ("properties.a = 1", "event.properties.a"),
            ("event.type = 'a", "not closed"),
            ("event.type 'a'", "left over"),
            ("(event.type = 'a'", "`)` is expected"),
            ("event.type IN 'a'", "`(` is expected"),
            ("event.type IN ()", "a value is expected"),
            ("event.type IS 'a'", "comes NULL"),
            ("event.type NOT 'a'", "needs IN"),
            ("(event.type = 'a') = true", "where a value must be"),
            ("LOWER(event.type) = 'a'", "known is COALESCE"),
            ("event.properties.a[].b = 1", "goes over a list"),
            ("event.propertes.a = 1", "did you mean `properties`"),
            ("event.type = \"a\"", "single quotes"),
            ("a ; b", "means nothing here"),
        ] {
            let mistake = read(text).unwrap_err();
            let told = format!("{} {}", mistake.message, mistake.suggestion.unwrap_or_default());
            assert!(told.contains(words), "{text}: {told}");
        }
        assert!(read(&"(".repeat(10_000)).is_err());
        assert!(read(&"COALESCE(".repeat(10_000)).is_err());
        assert!(read(&format!("{}event.name", "NOT ".repeat(10_000))).is_ok());
    }
}

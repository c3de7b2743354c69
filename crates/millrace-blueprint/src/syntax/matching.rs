//! Match texts: `type = "track" and (event in ["A", "B"] or not exists($.x))`.
//!
//! `not` binds tighter than `and`, `and` tighter than `or`; brackets nest. Comparisons are strict:
//! the number 5 is not the text "5". An absent value and `null` are the same: `= null` holds for
//! both, `!= null` for neither. `!=` is exactly the negation of `=`. `<` and its like hold for two
//! numbers only.
//!
//! A match text of Segment is read by the same parser. It means what it means there where the two
//! languages differ: a value that is no number fails `!= 5` too, and one that is no text fails
//! `contains` and `match` as well as their negations (reference/segment-syft.md 6).

use super::ast::{Condition, Expression, Order, TextTest, kind_text};
use super::expression::{Names, Parser, describe, plain_text};
use super::lexer::{Mistake, What};

/// Reads a match text.
pub(crate) fn read(text: &str) -> Result<Condition, Mistake> {
    read_as(text, Names::Match)
}

/// Reads a match text that was written for Segment.
pub(crate) fn read_segment(text: &str) -> Result<Condition, Mistake> {
    read_as(text, Names::Segment)
}

fn read_as(text: &str, names: Names) -> Result<Condition, Mistake> {
    let mut parser = Parser::over(text, names)?;
    let condition = parser.any()?;
    match parser.peek() {
        What::End => Ok(condition),
        other => {
            let message = format!("`and` or `or` is expected before {}", describe(other));
            let mistake = parser.mistake(message);
            Err(match other {
                What::Name { word, .. } if matches!(word.as_str(), "AND" | "OR") => {
                    mistake.hint(format!("write `{}`", word.to_lowercase()))
                }
                _ => mistake,
            })
        }
    }
}

impl Parser {
    fn any(&mut self) -> Result<Condition, Mistake> {
        self.enter()?;
        let mut parts = vec![self.all()?];
        while self.word("or") {
            parts.push(self.all()?);
        }
        self.leave();
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    fn all(&mut self) -> Result<Condition, Mistake> {
        let mut parts = vec![self.negation()?];
        while self.word("and") {
            parts.push(self.negation()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn negation(&mut self) -> Result<Condition, Mistake> {
        if self.word("not") || self.eat("!") {
            self.enter()?;
            let inner = self.negation()?;
            self.leave();
            return Ok(match inner {
                // At Segment a value that is no text fails a test of texts and its negation.
                Condition::All(parts) if self.names == Names::Segment => match parts.as_slice() {
                    [text, test] if is_text(text) => {
                        Condition::All(vec![text.clone(), Condition::Not(Box::new(test.clone()))])
                    }
                    _ => Condition::Not(Box::new(Condition::All(parts))),
                },
                inner => Condition::Not(Box::new(inner)),
            });
        }
        self.single()
    }

    /// Takes the word if it comes next.
    fn word(&mut self, wanted: &str) -> bool {
        let found = matches!(
            self.peek(), What::Name { word, steps } if word == wanted && steps.is_empty()
        );
        if found {
            self.take();
        }
        found
    }

    fn single(&mut self) -> Result<Condition, Mistake> {
        let start = self.place();
        if self.eat("(") {
            // A bracket opens a condition, or a value: `($.a ?? $.b) = 1`.
            let inner = self.any();
            if inner.is_ok() && self.eat(")") && !self.is_operator() {
                return inner;
            }
            self.back_to(start);
            let value = self.expression().and_then(|left| self.comparison(left));
            // When neither reads well, the reading that came further is the one that was meant.
            return match (inner, value) {
                (Err(first), Err(second)) if first.at >= second.at => Err(first),
                (_, value) => value,
            };
        }
        if let Some(condition) = self.predicate()? {
            return Ok(condition);
        }
        let left = self.expression()?;
        self.comparison(left)
    }

    fn is_operator(&self) -> bool {
        match self.peek() {
            What::Sign(sign) => {
                matches!(*sign, "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "??" | "?|")
            }
            What::Name { word, steps } => {
                steps.is_empty()
                    && (word == "in" || word == "matches" || TextTest::parse(word).is_some())
            }
            _ => false,
        }
    }

    /// `exists(x)`, `contains(x, y)` and their like.
    fn predicate(&mut self) -> Result<Option<Condition>, Mistake> {
        let start = self.place();
        let What::Name { word, .. } = self.take() else {
            self.back_to(start);
            return Ok(None);
        };
        let test = TextTest::parse(&word);
        let known = test.is_some()
            || matches!(word.as_str(), "exists" | "uuid_shaped" | "matches" | "match");
        if !known || !self.eat("(") {
            self.back_to(start);
            return Ok(None);
        }
        let value = self.expression()?;
        let condition = match (word.as_str(), test) {
            ("exists", _) => Condition::Exists(value),
            ("uuid_shaped", _) => Condition::UuidShaped(value),
            (_, Some(test)) => {
                self.expect(",")?;
                Condition::Text { test, value, other: self.expression()? }
            }
            _ => {
                self.expect(",")?;
                Condition::Matches(value, self.pattern()?)
            }
        };
        self.expect(")")?;
        Ok(Some(if self.names == Names::Segment { of_texts(condition) } else { condition }))
    }

    fn comparison(&mut self, left: Expression) -> Result<Condition, Mistake> {
        if !self.is_operator() {
            return Ok(Condition::True(left));
        }
        let at = self.at();
        match self.take() {
            What::Sign(sign @ ("=" | "==" | "!=")) => {
                let right = self.expression()?;
                self.known_kind(at, &left, &right)?;
                if sign == "!="
                    && self.names == Names::Segment
                    && matches!(right, Expression::Number(_))
                {
                    let side = |order| {
                        let (left, right) = (left.clone(), right.clone());
                        Condition::Order { left, order, right }
                    };
                    return Ok(Condition::Any(vec![side(Order::Less), side(Order::More)]));
                }
                let equal = Condition::Equal(left, right);
                Ok(if sign == "!=" { Condition::Not(Box::new(equal)) } else { equal })
            }
            What::Sign(sign) => {
                let right = self.expression()?;
                let text = |one: &Expression| matches!(one, Expression::Text(_));
                match Order::parse(sign) {
                    Some(order) if !text(&left) && !text(&right) => {
                        Ok(Condition::Order { left, order, right })
                    }
                    _ => Err(Mistake::new(at, format!("`{sign}` compares numbers only"))),
                }
            }
            What::Name { word, .. } if word == "in" => {
                let mut list = Vec::new();
                if matches!(self.peek(), What::Name { word, .. } if word == "settings") {
                    // The texts of a list setting.
                    return Ok(Condition::In(left, vec![self.expression()?]));
                }
                self.expect("[")?;
                while !self.eat("]") {
                    if !list.is_empty() {
                        self.expect(",")?;
                    }
                    let one = self.expression()?;
                    self.known_kind(at, &left, &one)?;
                    list.push(one);
                }
                Ok(Condition::In(left, list))
            }
            What::Name { word, .. } if word == "matches" => {
                Ok(Condition::Matches(left, self.pattern()?))
            }
            What::Name { word, .. } => match TextTest::parse(&word) {
                Some(test) => Ok(Condition::Text { test, value: left, other: self.expression()? }),
                None => Err(Mistake::new(at, format!("`{word}` compares nothing"))),
            },
            other => Err(Mistake::new(at, format!("{} compares nothing", describe(&other)))),
        }
    }

    /// A comparison with `type` can only hold for a kind that exists.
    fn known_kind(&self, at: u32, left: &Expression, right: &Expression) -> Result<(), Mistake> {
        use millrace_model::event::EventKind;
        match kind_text(left, right) {
            // Segment has kinds that never come here; a text about them is right and never holds.
            Some(text) if EventKind::parse(text).is_none() && self.names != Names::Segment => {
                let known = EventKind::ALL.map(EventKind::as_str);
                let mistake = Mistake::new(at, format!("no event is of the type `{text}`"));
                Err(match millrace_model::diagnostic::nearest(text, known) {
                    Some(near) => mistake.hint(format!("did you mean `{near}`?")),
                    None => mistake.hint(format!("known are {}", known.join(", "))),
                })
            }
            _ => Ok(()),
        }
    }

    /// The texts between the stars of `"shop.*.example"`.
    fn pattern(&mut self) -> Result<Vec<String>, Mistake> {
        let at = self.at();
        let text = match self.take() {
            What::Text { pieces, strict: false } => plain_text(pieces),
            _ => None,
        };
        let text = text.ok_or_else(|| Mistake::new(at, "a pattern is a quoted text"))?;
        if !text.contains('*') {
            return Err(Mistake::new(at, "a pattern needs a star").hint("compare with = instead"));
        }
        Ok(text.split('*').map(str::to_owned).collect())
    }
}

/// A test of texts that holds for nothing but texts.
fn of_texts(condition: Condition) -> Condition {
    let value = match &condition {
        Condition::Text { value, .. } | Condition::Matches(value, _) => value.clone(),
        _ => return condition,
    };
    let other = Expression::Text(String::new());
    let text = Condition::Text { test: TextTest::StartsWith, value, other };
    Condition::All(vec![text, condition])
}

/// True for the condition that [`of_texts`] puts before a test: every text starts so.
fn is_text(condition: &Condition) -> bool {
    matches!(condition,
        Condition::Text { test: TextTest::StartsWith, other: Expression::Text(text), .. }
            if text.is_empty())
}

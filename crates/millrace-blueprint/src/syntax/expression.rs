//! Expressions: `$.a ?? $.b`, `"Viewed $.name"`, `number($.total)`.

use super::ast::{Expression, Part, Step};
use super::functions::{Function, Rest};
use super::lexer::{self, Mistake, Piece, Token, What};
use super::shared::SHARED_PREFIX;
use super::values::SETTING_PREFIX;

/// How deep expressions and conditions may be nested in one text.
pub(crate) const DEPTH_LIMIT: u32 = 32;

/// How many `??` may follow each other.
const CHAIN_LIMIT: u32 = 64;

/// What a bare name means, which depends on where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// In a value: a function, a setting, a constant.
    Value,
    /// In a match text: also one of the short names of an event.
    Match,
    /// The same in a match text that means what it means at Segment.
    Segment,
    /// Between braces: a path from the event's root.
    Path,
}

/// The short names of a match text and in each case the member of the event.
pub(crate) const SHORT_NAMES: [&str; 10] = [
    "type",
    "event",
    "name",
    "userId",
    "anonymousId",
    "groupId",
    "previousId",
    "properties",
    "traits",
    "context",
];

/// Reads expressions, and for the match language, from tokens.
pub(crate) struct Parser {
    tokens: Vec<Token>,
    next: usize,
    pub(crate) names: Names,
    depth: u32,
}

impl Parser {
    pub(crate) fn over(text: &str, names: Names) -> Result<Parser, Mistake> {
        Ok(Parser { tokens: lexer::tokens(text)?, next: 0, names, depth: 0 })
    }

    /// One expression and nothing after it.
    pub(crate) fn whole(&mut self) -> Result<Expression, Mistake> {
        let expression = self.expression()?;
        self.end()?;
        Ok(expression)
    }

    pub(crate) fn end(&self) -> Result<(), Mistake> {
        match self.peek() {
            What::End => Ok(()),
            other => Err(self
                .mistake(format!("{} is left over here", describe(other)))
                .hint("a text that is to be taken as it is must stand in inner quotes: '\"...\"'")),
        }
    }

    pub(crate) fn peek(&self) -> &What {
        self.tokens.get(self.next).map_or(&What::End, |token| &token.what)
    }

    pub(crate) fn at(&self) -> u32 {
        self.tokens.get(self.next).map_or(0, |token| token.at)
    }

    /// Where the parser stands, for [`Parser::back_to`].
    pub(crate) fn place(&self) -> (usize, u32) {
        (self.next, self.depth)
    }

    pub(crate) fn back_to(&mut self, place: (usize, u32)) {
        (self.next, self.depth) = place;
    }

    pub(crate) fn take(&mut self) -> What {
        let what = self.peek().clone();
        self.next += usize::from(what != What::End);
        what
    }

    pub(crate) fn eat(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), What::Sign(have) if *have == sign);
        self.next += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, sign: &str) -> Result<(), Mistake> {
        if self.eat(sign) {
            return Ok(());
        }
        Err(self.mistake(format!("`{sign}` is expected before {}", describe(self.peek()))))
    }

    pub(crate) fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake::new(self.at(), message)
    }

    /// Goes one level deeper; every level is left by [`Parser::leave`].
    pub(crate) fn enter(&mut self) -> Result<(), Mistake> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(self.mistake("this is nested too deeply"));
        }
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// `term ?? term ?| term`, from left to right.
    pub(crate) fn expression(&mut self) -> Result<Expression, Mistake> {
        self.enter()?;
        let mut left = self.term()?;
        // Each step of the chain nests the ones before it.
        for links in 0.. {
            if links > CHAIN_LIMIT {
                return Err(self.mistake("the chain is too long"));
            }
            let blank = match self.peek() {
                What::Sign("??") => false,
                What::Sign("?|") => true,
                What::Sign("||") => {
                    return Err(self.mistake("`||` is not a word of this language").hint(
                        "write ?? for the first present value, ?| to skip empty text as well",
                    ));
                }
                _ => break,
            };
            if !can_be_passed_over(&left, blank) {
                let message =
                    "what follows can never be used: what stands before it is always there";
                return Err(self.mistake(message));
            }
            self.take();
            let right = Box::new(self.term()?);
            left = Expression::First { left: Box::new(left), blank, right };
        }
        self.leave();
        Ok(left)
    }

    fn term(&mut self) -> Result<Expression, Mistake> {
        let at = self.at();
        match self.take() {
            What::Path(steps) => Ok(Expression::Path(steps)),
            What::Item(steps) => Ok(Expression::Item(steps)),
            What::Number(text) => Ok(Expression::Number(text)),
            What::Text { pieces, strict } => template(pieces, strict),
            What::Sign("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            What::Name { word, steps } => self.name(at, word, steps),
            other => {
                Err(Mistake::new(at, format!("a value is expected before {}", describe(&other))))
            }
        }
    }

    fn name(&mut self, at: u32, word: String, mut steps: Vec<Step>) -> Result<Expression, Mistake> {
        if steps.is_empty() {
            match word.as_str() {
                "true" => return Ok(Expression::Bool(true)),
                "false" => return Ok(Expression::Bool(false)),
                "null" => return Ok(Expression::Nothing),
                _ => {}
            }
            if matches!(self.peek(), What::Sign("(")) {
                return self.call(at, &word);
            }
        }
        if word == "settings" {
            return match steps.as_slice() {
                [Step::Key(name)] => Ok(Expression::Setting(name.clone())),
                _ => Err(Mistake::new(at, "a setting is written settings.NAME")),
            };
        }
        if word == "parameters" {
            return match steps.as_slice() {
                [Step::Key(name)] => Ok(Expression::Parameter(name.clone())),
                _ => Err(Mistake::new(at, "a parameter is written parameters.NAME")),
            };
        }
        match self.names {
            Names::Path => {
                steps.insert(0, Step::Key(word));
                Ok(Expression::Path(steps))
            }
            Names::Match | Names::Segment if SHORT_NAMES.contains(&word.as_str()) => {
                steps.insert(0, Step::Key(word));
                Ok(Expression::Path(steps))
            }
            Names::Match | Names::Segment => Err(unknown_name(at, &word)),
            Names::Value => Err(Mistake::new(at, format!("`{word}` is no value"))
                .hint(format!("write \"{word}\" for the text, $.{word} for the event's member"))),
        }
    }

    fn call(&mut self, at: u32, name: &str) -> Result<Expression, Mistake> {
        if name == PLACE {
            self.expect("(")?;
            return match self.expect(")") {
                Ok(()) => Ok(Expression::Place),
                Err(mistake) => Err(mistake.hint("it is written place()")),
            };
        }
        let Some(function) = Function::parse(name) else {
            let known = Function::WORDS.iter().copied().chain([PLACE]);
            let hint = match millrace_model::diagnostic::nearest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", Function::WORDS.join(", ")),
            };
            return Err(
                Mistake::new(at, format!("{UNKNOWN_FUNCTION} `{name}` is not known")).hint(hint)
            );
        };
        self.expect("(")?;
        let mut arguments = vec![self.expression()?];
        let mut words = Vec::new();
        let usage = |mistake: Mistake| mistake.hint(format!("it is written {}", function.usage()));
        while self.eat(",") {
            let at = self.at();
            if function.rest() == Rest::Value && arguments.len() == 1 {
                arguments.push(self.expression()?);
                continue;
            }
            match (function.rest(), self.take()) {
                (Rest::Names | Rest::MaybeName | Rest::Pairs, What::Name { word, steps })
                    if steps.is_empty() =>
                {
                    words.push(word);
                }
                (Rest::Names | Rest::Setting, What::Name { word, steps })
                    if word == "settings" && matches!(steps.as_slice(), [Step::Key(_)]) =>
                {
                    let [Step::Key(name)] = steps.as_slice() else { continue };
                    words.push(format!("{SETTING_PREFIX}{name}"));
                }
                (rest @ (Rest::Names | Rest::Pairs), What::Name { word, steps })
                    if word == "shared" && matches!(steps.as_slice(), [Step::Key(_)]) =>
                {
                    let [Step::Key(name)] = steps.as_slice() else { continue };
                    words.push(format!("{SHARED_PREFIX}{name}"));
                    if rest == Rest::Pairs {
                        words.push(String::new());
                    }
                }
                (Rest::Paths, What::Path(steps)) => arguments.push(Expression::Path(steps)),
                (
                    Rest::Names | Rest::MaybeName | Rest::Pairs,
                    What::Text { pieces, strict: false },
                ) => {
                    words.push(
                        plain_text(pieces)
                            .ok_or_else(|| usage(Mistake::new(at, "a name cannot have holes")))?,
                    );
                }
                (Rest::Texts(count, _), What::Text { pieces, strict: false })
                    if words.len() < count =>
                {
                    let message = "this text cannot have holes";
                    words.push(plain_text(pieces).ok_or_else(|| usage(Mistake::new(at, message)))?);
                }
                (Rest::Texts(count, known), What::Name { word, steps })
                    if steps.is_empty()
                        && words.len() >= count
                        && known.contains(&word.as_str()) =>
                {
                    words.push(word);
                }
                (Rest::Text, What::Text { pieces, strict: false }) if arguments.len() == 1 => {
                    arguments.push(template(pieces, false)?);
                }
                (_, other) => {
                    let message = format!("`{name}` does not take {}", describe(&other));
                    return Err(usage(Mistake::new(at, message)));
                }
            }
        }
        self.expect(")").map_err(usage)?;
        let right = match function.rest() {
            Rest::None => true,
            Rest::MaybeName => words.len() <= 1,
            Rest::Text | Rest::Value => arguments.len() == 2,
            Rest::Names => !words.is_empty(),
            Rest::Pairs => !words.is_empty() && words.len().is_multiple_of(2),
            Rest::Setting => {
                words.len() == 1 && matches!(arguments.as_slice(), [Expression::Path(_)])
            }
            Rest::Paths => matches!(arguments.as_slice(), [Expression::Setting(_), _, ..]),
            // What would be put in place of an empty text would stand everywhere.
            Rest::Texts(count, _) => {
                let empty = words.first().is_none_or(String::is_empty);
                words.len() >= count && !(function == Function::Replace && empty)
            }
        };
        if !right {
            return Err(usage(Mistake::new(at, format!("`{name}` has the wrong arguments"))));
        }
        Ok(Expression::Call { function, arguments, words })
    }
}

/// Whether `??`, or with `blank` `?|`, ever goes past the last value of a chain.
fn can_be_passed_over(value: &Expression, blank: bool) -> bool {
    match value {
        Expression::Text(text) => blank && text.is_empty(),
        Expression::Number(_) | Expression::Bool(_) | Expression::Place => false,
        Expression::Template { strict: false, parts } => {
            blank && parts.iter().all(|part| matches!(part, Part::Hole(_)))
        }
        Expression::First { right, .. } => can_be_passed_over(right, blank),
        _ => true,
    }
}

/// The one function without arguments.
const PLACE: &str = "place";

/// How a message about an unknown function begins: it decides the code of the diagnostic.
pub(crate) const UNKNOWN_FUNCTION: &str = "the function";

fn unknown_name(at: u32, word: &str) -> Mistake {
    let mistake = Mistake::new(at, format!("the name `{word}` is not known in a match text"));
    if matches!(word, "AND" | "OR" | "NOT" | "IN") {
        return mistake.hint(format!("write `{}`", word.to_lowercase()));
    }
    match millrace_model::diagnostic::nearest(word, SHORT_NAMES) {
        Some(near) => mistake.hint(format!("did you mean `{near}`?")),
        None => mistake.hint(format!("write $.{word}, or one of {}", SHORT_NAMES.join(", "))),
    }
}

/// A quoted text: a literal when it has no holes.
fn template(pieces: Vec<Piece>, strict: bool) -> Result<Expression, Mistake> {
    let mut parts = Vec::new();
    for piece in pieces {
        parts.push(match piece {
            Piece::Text(text) => Part::Text(text),
            Piece::Hole { source, at } => {
                let shift = |mut mistake: Mistake| {
                    mistake.at = at;
                    mistake
                };
                let mut parser = Parser::over(&source, Names::Path).map_err(shift)?;
                Part::Hole(parser.whole().map_err(shift)?)
            }
        });
    }
    match parts.as_slice() {
        [Part::Text(text)] => Ok(Expression::Text(text.clone())),
        _ => Ok(Expression::Template { strict, parts }),
    }
}

/// The text of a quoted text without holes.
pub(crate) fn plain_text(pieces: Vec<Piece>) -> Option<String> {
    match <[Piece; 1]>::try_from(pieces) {
        Ok([Piece::Text(text)]) => Some(text),
        _ => None,
    }
}

pub(crate) fn describe(what: &What) -> String {
    match what {
        What::Path(_) | What::Item(_) => "a path".to_owned(),
        What::Name { word, .. } => format!("`{word}`"),
        What::Text { .. } => "a quoted text".to_owned(),
        What::Number(text) => format!("`{text}`"),
        What::Sign(sign) => format!("`{sign}`"),
        What::End => "the end".to_owned(),
    }
}

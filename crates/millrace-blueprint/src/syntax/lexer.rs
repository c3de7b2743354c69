//! The tokens of expressions and match texts. Both are short: a token keeps where it begins, in
//! characters, so that a mistake can be shown at its place.

use super::ast::Step;

/// A token and the character at which it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) what: What,
    pub(crate) at: u32,
}

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// `$.a[0]`.
    Path(Vec<Step>),
    /// `.a`, or `.` alone.
    Item(Vec<Step>),
    /// `word`, or `word.a[0]`: a setting, a short name, a function, an operator word.
    Name {
        word: String,
        steps: Vec<Step>,
    },
    /// `"..."`, with what is between the quotes; strict when written `?"..."`.
    Text {
        pieces: Vec<Piece>,
        strict: bool,
    },
    /// A number as it is written.
    Number(String),
    /// A sign of the language.
    Sign(&'static str),
    End,
}

/// A piece of a quoted text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    /// The source of a placeholder and the character at which it begins.
    Hole {
        source: String,
        at: u32,
    },
}

/// What is wrong and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mistake {
    pub(crate) at: u32,
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
}

impl Mistake {
    pub(crate) fn new(at: u32, message: impl Into<String>) -> Mistake {
        Mistake { at, message: message.into(), suggestion: None }
    }

    pub(crate) fn hint(mut self, suggestion: impl Into<String>) -> Mistake {
        self.suggestion = Some(suggestion.into());
        self
    }
}

/// Signs, longer ones first.
const SIGNS: [&str; 15] =
    ["??", "?|", "==", "!=", "<=", ">=", "&&", "||", "=", "<", ">", "!", "(", ")", ","];

/// How many steps a path may have. Events are not nested as deep.
const PATH_LIMIT: usize = 128;

/// Characters of a bare name.
pub(crate) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || c == '-'
}

/// Reads all tokens of a text; the last one is [`What::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let end = token.what == What::End;
        tokens.push(token);
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn here(&self) -> u32 {
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek(0) == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn next(&mut self) -> Result<Token, Mistake> {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let at = self.here();
        let what = match (self.peek(0), self.peek(1)) {
            (None, _) => What::End,
            (Some('$'), Some('.' | '[')) => {
                self.at += 1;
                let steps = self.steps()?;
                if steps.is_empty() {
                    return Err(Mistake::new(at, "the path ends too early")
                        .hint("write $.member or $[\"odd member\"]"));
                }
                What::Path(steps)
            }
            (Some('.'), _) => self.item()?,
            (Some('"'), _) => self.text(false)?,
            (Some('?'), Some('"')) => {
                self.at += 1;
                self.text(true)?
            }
            (Some('\''), _) => {
                return Err(Mistake::new(at, "texts stand in double quotes")
                    .hint("write \"...\" instead of '...'"));
            }
            (Some('['), _) => self.sign("["),
            (Some(']'), _) => self.sign("]"),
            (Some('0'..='9'), _) | (Some('-'), Some('0'..='9')) => self.number()?,
            (Some(c), _) if is_name(c) => {
                let word = self.word();
                let steps = self.steps()?;
                What::Name { word, steps }
            }
            (Some(c), _) => match SIGNS.iter().find(|sign| self.starts(sign)) {
                Some(sign) => self.sign(sign),
                None => return Err(Mistake::new(at, format!("`{c}` has no meaning here"))),
            },
        };
        Ok(Token { what, at })
    }

    fn starts(&self, sign: &str) -> bool {
        sign.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c))
    }

    fn sign(&mut self, sign: &'static str) -> What {
        self.at += sign.chars().count();
        What::Sign(sign)
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(c), _) if is_name(c) => word.push(c),
                // A blank in a name, as Segment writes it.
                (Some('\\'), Some(' ')) => {
                    word.push(' ');
                    self.at += 1;
                }
                _ => return word,
            }
            self.at += 1;
        }
    }

    /// `.a`, `.a.b`, `.["odd"]`, or a `.` alone for the item itself.
    fn item(&mut self) -> Result<What, Mistake> {
        if self.peek(1).is_some_and(is_name) {
            return self.steps().map(What::Item);
        }
        self.at += 1;
        self.steps().map(What::Item)
    }

    /// `.a`, `[0]` and `["odd key"]`, as many as there are.
    fn steps(&mut self) -> Result<Vec<Step>, Mistake> {
        let mut steps = Vec::new();
        loop {
            if steps.len() > PATH_LIMIT {
                return Err(Mistake::new(self.here(), "the path has too many steps"));
            }
            match (self.peek(0), self.peek(1)) {
                (Some('.'), Some(c)) if is_name(c) => {
                    self.at += 1;
                    steps.push(Step::Key(self.word()));
                }
                (Some('['), Some('0'..='9')) => {
                    let at = self.here();
                    self.at += 1;
                    let digits = self.word();
                    let index = digits.parse().map_err(|_| {
                        Mistake::new(at, format!("`{digits}` is no place in a list"))
                    })?;
                    self.close(at)?;
                    steps.push(Step::Index(index));
                }
                (Some('['), Some('"')) => {
                    let at = self.here();
                    self.at += 2;
                    let key = self.quoted_key(at)?;
                    self.close(at)?;
                    steps.push(Step::Key(key));
                }
                (Some('['), Some('-')) if matches!(self.peek(2), Some('0'..='9')) => {
                    return Err(Mistake::new(
                        self.here(),
                        "lists are counted from 0, not from the end",
                    ));
                }
                _ => return Ok(steps),
            }
        }
    }

    fn close(&mut self, at: u32) -> Result<(), Mistake> {
        if self.eat(']') { Ok(()) } else { Err(Mistake::new(at, "the bracket is not closed")) }
    }

    fn quoted_key(&mut self, at: u32) -> Result<String, Mistake> {
        let mut key = String::new();
        loop {
            match self.peek(0) {
                None => return Err(Mistake::new(at, "the quote is not closed")),
                Some('"') => {
                    self.at += 1;
                    return Ok(key);
                }
                Some('\\') => key.push(self.escape()?),
                Some(c) => {
                    key.push(c);
                    self.at += 1;
                }
            }
        }
    }

    /// A backslash and what it stands for.
    fn escape(&mut self) -> Result<char, Mistake> {
        let at = self.here();
        let c = match self.peek(1) {
            Some('n') => '\n',
            Some('t') => '\t',
            Some(c @ ('"' | '\\' | '$' | '{')) => c,
            _ => {
                return Err(Mistake::new(at, "this escape is not known")
                    .hint("known are \\\" \\\\ \\n \\t \\$ \\{"));
            }
        };
        self.at += 2;
        Ok(c)
    }

    fn text(&mut self, strict: bool) -> Result<What, Mistake> {
        let start = self.here();
        self.at += 1;
        let mut pieces = Vec::new();
        let mut literal = String::new();
        loop {
            let at = self.here();
            let hole = match (self.peek(0), self.peek(1)) {
                (None, _) => return Err(Mistake::new(start, "the quote is not closed")),
                (Some('"'), _) => {
                    self.at += 1;
                    break;
                }
                (Some('\\'), _) => {
                    literal.push(self.escape()?);
                    continue;
                }
                (Some('$'), Some('.' | '[')) => {
                    let begin = self.at;
                    self.at += 1;
                    if self.steps()?.is_empty() {
                        return Err(Mistake::new(at, "the path in this text ends too early")
                            .hint("write \\$ for a dollar sign before a dot"));
                    }
                    self.chars.get(begin..self.at).unwrap_or_default().iter().collect()
                }
                (Some('{'), Some('{')) => self.braces(at)?,
                (Some(c), _) => {
                    literal.push(c);
                    self.at += 1;
                    continue;
                }
            };
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Hole { source: hole, at });
        }
        if !literal.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(What::Text { pieces, strict })
    }

    /// What stands between `{{` and `}}`.
    fn braces(&mut self, at: u32) -> Result<String, Mistake> {
        self.at += 2;
        let mut source = String::new();
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => return Err(Mistake::new(at, "the braces are not closed")),
                (Some('}'), Some('}')) => {
                    self.at += 2;
                    return Ok(source);
                }
                (Some('\\'), Some('"')) => {
                    source.push('"');
                    self.at += 2;
                }
                (Some(c), _) => {
                    source.push(c);
                    self.at += 1;
                }
            }
        }
    }

    fn number(&mut self) -> Result<What, Mistake> {
        let at = self.here();
        let mut text = String::new();
        while let Some(c) = self.peek(0).filter(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c))
        {
            text.push(c);
            self.at += 1;
        }
        if crate::json::number::is_finite_number(text.as_bytes()) {
            Ok(What::Number(text))
        } else {
            Err(Mistake::new(at, format!("`{text}` is no number")))
        }
    }
}

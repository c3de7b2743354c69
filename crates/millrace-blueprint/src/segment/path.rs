//! Segment's paths: `$.a.b[0]["k"]`, as `@path` and the holes of `@template` write them.

use crate::syntax::ast::{Expression, Step};

/// A path, before it is known from where it starts.
#[derive(Debug, Default)]
pub(crate) struct Path {
    steps: Vec<Segment>,
}

#[derive(Debug)]
enum Segment {
    One(Step),
    /// `a.0.b`: a place in a list, or a member of that name.
    Either(String, u32),
}

/// A numeric step means two things, so that each one doubles the paths that are read.
const EITHER_LIMIT: usize = 3;

/// How many steps a path may have. Events are not nested as deep.
const STEP_LIMIT: usize = 128;

impl Path {
    /// Reads a path. One `$.` in front of it may be left out; without more it is the root.
    pub(crate) fn read(text: &str) -> Result<Path, String> {
        let text = text.strip_prefix("$.").unwrap_or(text);
        let mut path = Path::default();
        let mut rest = text;
        let mut name = String::new();
        while let Some(c) = rest.chars().next() {
            if c == '[' {
                let Some((inside, after)) = bracket(rest) else {
                    return Err("a bracket holds a place in a list or a quoted name".to_owned());
                };
                path.name(&mut name);
                path.steps.push(Segment::One(inside));
                rest = after;
                continue;
            }
            if c == '.' {
                path.name(&mut name);
            } else {
                name.push(c);
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        path.name(&mut name);
        let either = path.steps.iter().filter(|step| matches!(step, Segment::Either(..))).count();
        if path.steps.len() > STEP_LIMIT || either > EITHER_LIMIT {
            return Err("the path has too many steps, or too many that are numbers".to_owned());
        }
        Ok(path)
    }

    /// Ends the name that is being read.
    fn name(&mut self, name: &mut String) {
        if name.is_empty() {
            return;
        }
        let name = std::mem::take(name);
        let digits = name.bytes().all(|b| b.is_ascii_digit());
        self.steps.push(match name.parse() {
            Ok(place) if digits => Segment::Either(name, place),
            _ => Segment::One(Step::Key(name)),
        });
    }

    /// All that the path can mean: a numeric step is a place in a list or a member of that name.
    pub(crate) fn readings(self) -> Vec<Vec<Step>> {
        let mut readings: Vec<Vec<Step>> = vec![Vec::new()];
        for segment in self.steps {
            let (first, second) = match segment {
                Segment::One(step) => (step, None),
                Segment::Either(name, place) => (Step::Key(name), Some(Step::Index(place))),
            };
            let mut others = Vec::new();
            for reading in &mut readings {
                if let Some(second) = &second {
                    let mut other = reading.clone();
                    other.push(second.clone());
                    others.push(other);
                }
                reading.push(first.clone());
            }
            readings.append(&mut others);
        }
        readings
    }

    /// The value at the path, from the item or from the event.
    pub(crate) fn into_expression(self, item: bool) -> Expression {
        let one = if item { Expression::Item } else { Expression::Path };
        let mut readings = self.readings().into_iter().map(one);
        let first = readings.next().unwrap_or(Expression::Nothing);
        readings.fold(first, |left, right| Expression::First {
            left: Box::new(left),
            blank: false,
            right: Box::new(right),
        })
    }
}

/// What stands in the bracket that the text begins with, and what follows it.
fn bracket(text: &str) -> Option<(Step, &str)> {
    let inside = text.strip_prefix('[')?;
    for quote in ['"', '\''] {
        if let Some(quoted) = inside.strip_prefix(quote) {
            let (name, after) = quoted.split_once(quote)?;
            return Some((Step::Key(name.to_owned()), after.strip_prefix(']')?));
        }
    }
    let (digits, after) = inside.split_once(']')?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { Some((Step::Index(digits.parse().ok()?), after)) } else { None }
}

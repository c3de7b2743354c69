//! The members of a message that is given piece by piece, by dotted names.
//!
//! Invariant: what is set first decides the shape. A name that leads through a text, or that would
//! put a text in the place of an object, is set as one name with its dots, or not at all; nothing panics and
//! nothing is lost but that.

use super::MAX_PARTS;
use crate::json::write_text;

/// An object under construction.
#[derive(Debug, Default)]
pub(super) struct Members(Vec<(String, Member)>);

#[derive(Debug)]
enum Member {
    Text(String),
    /// The digits of a whole number, as they came.
    Number(String),
    Object(Members),
}

impl Members {
    /// Sets a member by its dotted name. `time` makes a number of digits, as times are sent.
    pub(super) fn set(&mut self, dotted: &str, value: &str, time: bool) {
        let is_number = time
            && (1..=16).contains(&value.len())
            && value.bytes().all(|byte| byte.is_ascii_digit());
        // JSON has no number with a zero in front.
        let member = if is_number && !value.starts_with('0') {
            Member::Number(value.to_owned())
        } else {
            Member::Text(value.to_owned())
        };
        let parts: Vec<&str> = dotted.split('.').collect();
        let is_path = parts.len() <= MAX_PARTS && parts.iter().all(|part| !part.is_empty());
        match parts.split_last() {
            Some((last, above)) if is_path && self.leads(above) => {
                if let Some(object) = self.open(above) {
                    object.put(last, member);
                }
            }
            _ => self.put(dotted, member),
        }
    }

    fn find(&self, name: &str) -> Option<&Member> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, member)| member)
    }

    /// True when no text stands in the way.
    fn leads(&self, path: &[&str]) -> bool {
        let mut object = self;
        for name in path {
            match object.find(name) {
                None => return true,
                Some(Member::Object(inner)) => object = inner,
                Some(Member::Text(_) | Member::Number(_)) => return false,
            }
        }
        true
    }

    fn open(&mut self, path: &[&str]) -> Option<&mut Members> {
        let Some((name, below)) = path.split_first() else { return Some(self) };
        let at = match self.0.iter().position(|(own, _)| own == name) {
            Some(at) => at,
            None => {
                self.0.push(((*name).to_owned(), Member::Object(Members::default())));
                self.0.len() - 1
            }
        };
        match self.0.get_mut(at) {
            Some((_, Member::Object(inner))) => inner.open(below),
            _ => None,
        }
    }

    /// The last of several texts counts; an object stays.
    fn put(&mut self, name: &str, member: Member) {
        match self.0.iter_mut().find(|(own, _)| own == name) {
            None => self.0.push((name.to_owned(), member)),
            Some((_, Member::Object(_))) => {}
            Some((_, own)) => *own = member,
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (place, (name, member)) in self.0.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write_text(name, out);
            out.push(b':');
            match member {
                Member::Text(text) => write_text(text, out),
                Member::Number(digits) => out.extend_from_slice(digits.as_bytes()),
                Member::Object(inner) => inner.write(out),
            }
        }
        out.push(b'}');
    }
}

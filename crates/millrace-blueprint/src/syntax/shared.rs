//! What a blueprint shares with itself: blocks under `shared`, used as values, spread into objects, or
//! as the names of `rename`, `omit` and `pick`. They are copied to where they stand when the blueprint
//! is read, so that nothing behind the reader knows of them.

use std::collections::HashMap;

use millrace_model::code::Code;

use super::ast::{Entry, EntryKind, Expression, Place};
use super::functions::Rest;
use super::parts::map;
use super::problems::Problems;
use super::tree::Node;
use super::values::{Declared, Reader};

/// How a text begins that stands for a block of `shared`. As a name in a call it stands for the
/// block's names; where names come in pairs, an empty text makes it one.
pub(crate) const SHARED_PREFIX: &str = "shared.";

/// A block of `shared`, ready to be copied to where it is used.
pub(crate) struct Block {
    /// Its members, to be spread; none when it is a value and no object.
    pub(crate) entries: Vec<Entry>,
    /// The whole of it.
    pub(crate) value: Expression,
    /// True when it has paths of the item around it.
    pub(crate) of_item: bool,
    /// How many values it has.
    pub(crate) size: usize,
}

/// Reads the blocks of `shared` from top to bottom; a block may use those above it. A block is an
/// object or another form of a value.
pub(super) fn shared_blocks(
    node: &Node,
    declared: Declared<'_>,
    shared: &mut HashMap<String, Block>,
    size: &mut usize,
    problems: &mut Problems,
) {
    let members = map(node, "`shared`", problems).unwrap_or_default();
    for (place, (key, node)) in members.iter().enumerate() {
        let before = *size;
        let mut reader = Reader::new(problems, declared, shared, size);
        reader.further_down = members.get(place..).unwrap_or_default();
        reader.block = Some(false);
        let value = reader.value(node);
        let of_item = reader.block == Some(true);
        let entries = match &value {
            Expression::Object(entries) => entries.clone(),
            _ => Vec::new(),
        };
        let size = size.saturating_sub(before);
        shared.insert(key.text.clone(), Block { entries, value, of_item, size });
    }
}

impl<'a> Reader<'a> {
    /// A block of `shared`, counted as one more copy of it; none after a problem was told.
    pub(super) fn block(&mut self, place: Place, name: &str) -> Option<&'a Block> {
        match self.shared.get(name) {
            Some(block) => {
                match &mut self.block {
                    Some(of_item) if self.items == 0 => *of_item |= block.of_item,
                    None if self.items == 0 && block.of_item => {
                        let message =
                            format!("`{name}` has paths of an item, and there is no `each` here");
                        self.problems.add(place, Code::BadExpression, message, None);
                    }
                    _ => {}
                }
                self.grow(place, block.size).then_some(block)
            }
            None if self.further_down.iter().any(|(key, _)| key.text == name) => {
                let message = format!("the shared block `{name}` does not stand above this one");
                let hint = "a block uses those above it; move it up".to_owned();
                self.problems.add(place, Code::UnknownReference, message, Some(hint));
                None
            }
            None => {
                let mut known: Vec<&str> = self.shared.keys().map(String::as_str).collect();
                known.sort_unstable();
                let code = Code::UnknownReference;
                self.problems.unknown(place, code, "the shared block", name, &known);
                None
            }
        }
    }

    /// Puts the names of shared blocks where `rename`, `omit` and `pick` ask for them.
    pub(super) fn put_shared_names(&mut self, place: Place, expression: &mut Expression) {
        match expression {
            Expression::First { left, right, .. } => {
                self.put_shared_names(place, left);
                self.put_shared_names(place, right);
            }
            Expression::Call { function, arguments, words } => {
                for argument in arguments {
                    self.put_shared_names(place, argument);
                }
                match function.rest() {
                    Rest::Names => *words = self.with_shared_names(place, words, 1),
                    Rest::Pairs => *words = self.with_shared_names(place, words, 2),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// The words of a call, which come alone or in pairs, with those of shared blocks written out.
    fn with_shared_names(&mut self, place: Place, words: &[String], each: usize) -> Vec<String> {
        let mut all = Vec::with_capacity(words.len());
        for word in words.chunks(each) {
            let block = match word {
                [name] => name.strip_prefix(SHARED_PREFIX),
                [name, new] if new.is_empty() => name.strip_prefix(SHARED_PREFIX),
                _ => None,
            };
            let Some(name) = block else {
                all.extend_from_slice(word);
                continue;
            };
            let Some(block) = self.block(place, name) else { continue };
            for entry in &block.entries {
                match &entry.what {
                    EntryKind::Member { key, value: Expression::Text(new) } => {
                        all.extend([key.clone(), new.clone()].into_iter().take(each));
                    }
                    EntryKind::Member { .. } | EntryKind::Spread(_) => {
                        let message = format!("the shared block `{name}` is no list of names");
                        let hint = "each of its members is a plain text, the new name".to_owned();
                        self.problems.add(place, Code::BadExpression, message, Some(hint));
                        return Vec::new();
                    }
                }
            }
        }
        all
    }
}

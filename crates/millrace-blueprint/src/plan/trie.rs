//! The path trie: all paths that a plan reads, so that one pass over an event's bytes finds them.
//!
//! Slots are numbered so that those below a node are one range. That is what makes "the last of
//! two equal keys wins" cheap: the second key empties the range of the first.

use super::keys::Keys;
use crate::syntax::ast::Step;

/// The trie. Node 0 is the root.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    pub(crate) nodes: Vec<TrieNode>,
    /// How many slots it fills.
    pub(crate) slots: usize,
}

/// A node: what is wanted at one place of the event.
#[derive(Debug, Default)]
pub(crate) struct TrieNode {
    /// The slot of the value here, if it is wanted as a whole.
    pub(crate) slot: Option<u16>,
    pub(crate) keys: Vec<(Box<[u8]>, u32)>,
    /// The place of each name in `keys`.
    places: Keys,
    pub(crate) indexes: Vec<(u32, u32)>,
    /// The slots from here down.
    pub(crate) below: std::ops::Range<usize>,
    wanted: bool,
}

impl TrieNode {
    /// The node of a member, whose name is given with its [`keys::hash`].
    pub(crate) fn member(&self, name: &[u8], hash: u64) -> Option<usize> {
        let place = self.places.find(name, hash)?;
        let (_, id) = self.keys.get(usize::from(place))?;
        usize::try_from(*id).ok()
    }
}

impl Trie {
    /// The trie of these paths. A plan has far fewer than 65,536; what is over is not found.
    pub(crate) fn build<'a>(paths: impl IntoIterator<Item = &'a [Step]>) -> Trie {
        let mut trie = Trie { nodes: vec![TrieNode::default()], slots: 0 };
        for path in paths {
            let node = path.iter().fold(0, |at, step| trie.child_or_new(at, step));
            if let Some(node) = trie.nodes.get_mut(node) {
                node.wanted = true;
            }
        }
        trie.number(0);
        trie
    }

    fn child_or_new(&mut self, at: usize, step: &Step) -> usize {
        if let Some(found) = self.child(at, step) {
            return found;
        }
        let new = self.nodes.len();
        self.nodes.push(TrieNode::default());
        let id = u32::try_from(new).unwrap_or(u32::MAX);
        if let Some(node) = self.nodes.get_mut(at) {
            match step {
                Step::Key(key) => node.keys.push((key.as_bytes().into(), id)),
                Step::Index(index) => node.indexes.push((*index, id)),
            }
        }
        new
    }

    fn child(&self, at: usize, step: &Step) -> Option<usize> {
        let node = self.nodes.get(at)?;
        let id = match step {
            Step::Key(key) => {
                node.keys.iter().find(|(have, _)| **have == *key.as_bytes()).map(|(_, id)| *id)
            }
            Step::Index(index) => {
                node.indexes.iter().find(|(have, _)| have == index).map(|(_, id)| *id)
            }
        };
        id.and_then(|id| usize::try_from(id).ok())
    }

    fn number(&mut self, at: usize) {
        let begin = self.slots;
        let mut children = Vec::new();
        if let Some(node) = self.nodes.get_mut(at) {
            if node.wanted {
                node.slot = u16::try_from(self.slots).ok();
                self.slots += 1;
            }
            for ((name, _), place) in node.keys.iter().zip(0..) {
                node.places.add(name, place);
            }
            children.extend(node.keys.iter().map(|(_, id)| *id));
            children.extend(node.indexes.iter().map(|(_, id)| *id));
        }
        for child in children {
            self.number(usize::try_from(child).unwrap_or_default());
        }
        let end = self.slots;
        if let Some(node) = self.nodes.get_mut(at) {
            node.below = begin..end;
        }
    }

    /// The slot of a path that the trie was built with.
    pub(crate) fn slot(&self, path: &[Step]) -> Option<u16> {
        let node = path.iter().try_fold(0, |at, step| self.child(at, step))?;
        self.nodes.get(node)?.slot
    }
}

//! Changes of an event's bytes: values replaced, members and items removed, members inserted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use millrace_protocol::json::Span;

use super::watch::Found;

/// Changes that are made together. All places are those of the bytes before any of them.
///
/// A change within something that is replaced or removed as a whole is void. Of two
/// replacements of one value the first is made; a removal goes before a replacement.
#[derive(Debug, Default)]
pub struct Edits {
    replacements: Vec<(Span, Vec<u8>)>,
    /// By container and number within it.
    removals: BTreeMap<u32, BTreeMap<u32, Found>>,
    /// By the place of the object's bracket: whether it is empty, and its new members.
    insertions: BTreeMap<u32, (bool, Vec<u8>)>,
}

impl Edits {
    /// True when nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replacements.is_empty() && self.removals.is_empty() && self.insertions.is_empty()
    }

    /// Puts other JSON in the place of a value.
    pub fn replace(&mut self, value: Span, json: Vec<u8>) {
        self.replacements.push((value, json));
    }

    /// Takes a member or an item out. (The event itself, which stands in nothing, no path names.)
    pub fn remove(&mut self, found: &Found) {
        self.removals.entry(found.container).or_default().insert(found.ordinal, *found);
    }

    /// Adds members, written as `"a":1,"b":2`, to the object at a place of `bytes`. They come
    /// first, so that a member of the same name that the object has counts more than they do.
    pub fn insert(&mut self, object: Span, bytes: &[u8], members: &[u8]) {
        let inside = match object.of(bytes) {
            [b'{', inside @ .., b'}'] if !members.is_empty() => inside,
            _ => return,
        };
        let empty = inside.iter().all(u8::is_ascii_whitespace);
        let Ok(place) = u32::try_from(object.range().start) else { return };
        let (_, all) = self.insertions.entry(place).or_insert((empty, Vec::new()));
        if !all.is_empty() {
            all.push(b',');
        }
        all.extend_from_slice(members);
    }

    /// The bytes with all changes made.
    #[must_use]
    pub fn apply(self, bytes: &[u8]) -> Vec<u8> {
        self.apply_following(bytes, Span::default()).0
    }

    /// The same, and where a value stands afterwards, if nothing of it was changed.
    pub(crate) fn apply_following(
        self,
        bytes: &[u8],
        followed: Span,
    ) -> (Vec<u8>, Option<Range<usize>>) {
        let mut cuts: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
        let mut emptied = BTreeSet::new();
        for (container, removed) in &self.removals {
            if cut_members(removed, &mut cuts) {
                emptied.insert(*container);
            }
        }
        for (place, (empty, mut members)) in self.insertions {
            if !empty && !emptied.contains(&place) {
                members.push(b',');
            }
            let at = place as usize + 1;
            cuts.push((at..at, members));
        }
        cuts.extend(self.replacements.into_iter().map(|(span, json)| (span.range(), json)));
        // What is outside comes before what is inside it, and insertions before what they precede.
        cuts.sort_by_key(|(range, _)| (range.start, !range.is_empty(), usize::MAX - range.end));

        let more: usize = cuts.iter().map(|(_, json)| json.len()).sum();
        let mut edited = Vec::with_capacity(bytes.len() + more);
        let mut done = 0;
        let mut now_at = None;
        let end = (bytes.len()..bytes.len(), Vec::new());
        for (range, json) in cuts.into_iter().chain([end]) {
            if range.start < done {
                continue;
            }
            if done <= followed.range().start && followed.range().end <= range.start {
                let at = edited.len() + followed.range().start - done;
                now_at = now_at.or(Some(at..at + followed.len()));
            }
            edited.extend_from_slice(bytes.get(done..range.start).unwrap_or_default());
            edited.extend_from_slice(&json);
            done = range.end;
        }
        (edited, now_at.filter(|_| !followed.is_empty()))
    }
}

/// Cuts members out of one container, each with one comma. True when none is left.
fn cut_members(removed: &BTreeMap<u32, Found>, cuts: &mut Vec<(Range<usize>, Vec<u8>)>) -> bool {
    let mut emptied = false;
    // As long as everything from the front goes, the comma after it does; later, the one before.
    let mut from_front = 0;
    for (ordinal, found) in removed {
        let (start, end) = (found.start as usize, found.value.range().end);
        let range = if *ordinal == from_front {
            from_front += 1;
            emptied = found.comma_after.is_none();
            start..found.comma_after.map_or(end, |comma| comma as usize + 1)
        } else {
            found.comma_before.map_or(start, |comma| comma as usize)..end
        };
        cuts.push((range, Vec::new()));
    }
    emptied
}

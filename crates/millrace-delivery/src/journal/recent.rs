//! The newest items that did not end as delivered, for display. In memory only, and bounded.

use std::collections::VecDeque;

use millrace_model::disposition::Disposition;

use super::types::Disposed;

/// How many filtered items are kept, and how many others; apart, since there are so many filtered.
const FILTERED: usize = 200;
const OTHERS: usize = 800;

#[derive(Debug, Default)]
pub(super) struct Recent {
    filtered: VecDeque<Disposed>,
    others: VecDeque<Disposed>,
    changed: bool,
}

impl Recent {
    pub(super) fn push(&mut self, disposed: Disposed) {
        let (ring, limit) = match disposed.state {
            Disposition::Filtered => (&mut self.filtered, FILTERED),
            Disposition::Delivered
            | Disposition::Duplicate
            | Disposition::SetAside
            | Disposition::Rejected
            | Disposition::Dead
            | Disposition::Erased => (&mut self.others, OTHERS),
        };
        self.changed = true;
        if ring.len() >= limit {
            ring.pop_front();
        }
        ring.push_back(disposed);
    }

    /// True when something came since this was asked last.
    pub(super) fn is_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// All of them, oldest first.
    pub(super) fn list(&self) -> Vec<Disposed> {
        let mut list: Vec<_> = self.filtered.iter().chain(&self.others).cloned().collect();
        list.sort_by_key(|disposed| (disposed.at, disposed.position));
        list
    }
}

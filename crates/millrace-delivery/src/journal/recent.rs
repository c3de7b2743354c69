//! The newest items that did not end as delivered, for display. In memory only, and bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_model::disposition::Disposition;

use super::types::Disposed;

/// How many filtered items are kept, and how many others; apart, since there are so many filtered.
const FILTERED: usize = 200;
const OTHERS: usize = 800;

#[derive(Debug, Default)]
pub(super) struct Recent {
    filtered: VecDeque<Disposed>,
    others: VecDeque<Disposed>,
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
        if ring.len() >= limit {
            ring.pop_front();
        }
        ring.push_back(disposed);
    }

    /// All of them, oldest first.
    pub(super) fn list(&self) -> Vec<Disposed> {
        let mut list: Vec<_> = self.filtered.iter().chain(&self.others).cloned().collect();
        list.sort_by_key(|disposed| (disposed.at, disposed.position));
        list
    }
}

/// The list of a journal, which its thread writes and its handles read.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedRecent(Arc<Mutex<Recent>>);

impl SharedRecent {
    /// The list, for as long as the guard lives.
    pub(super) fn hold(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

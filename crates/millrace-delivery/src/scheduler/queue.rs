//! The open rows of one endpoint, in the order in which they came.
//!
//! Rows keep their place while they are in flight, so one that comes back is where it was. Places
//! of rows that have ended are swept out together, once there are more of them than of others.

/// How many ended rows are left in place before a sweep is worth it.
const SWEEP_FROM: usize = 1024;

/// Rows by their number, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    rows: Vec<u32>,
    ended: usize,
    /// No row before this place waits.
    first_waiting: usize,
}

impl Queue {
    pub(super) fn push(&mut self, row: u32) {
        self.rows.push(row);
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<u32> {
        self.rows.get(at).copied()
    }

    /// Where to begin to look for rows that wait.
    pub(super) const fn first_waiting(&self) -> usize {
        self.first_waiting
    }

    /// Moves the beginning on, over rows that do not wait any more.
    pub(super) fn settle(&mut self, waits: impl Fn(u32) -> bool) {
        while self.get(self.first_waiting).is_some_and(|row| !waits(row)) {
            self.first_waiting += 1;
        }
    }

    /// A row waits again, somewhere.
    pub(super) const fn one_came_back(&mut self) {
        self.first_waiting = 0;
    }

    /// A row has ended. Now and then sweeps out those that `keep` refuses.
    pub(super) fn one_ended(&mut self, mut keep: impl FnMut(u32) -> bool) {
        self.ended += 1;
        if self.ended >= SWEEP_FROM && self.ended * 2 >= self.rows.len() {
            self.rows.retain(|row| keep(*row));
            self.ended = 0;
            self.first_waiting = 0;
        }
    }
}

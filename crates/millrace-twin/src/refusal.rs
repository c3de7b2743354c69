//! What was refused, changed or ignored, and why: the record that Mixpanel does not show.
//!
//! Mixpanel says success to much that it then drops. The twin says the same and keeps a note. The
//! notes are a bounded ring in memory: the oldest goes first, and they end with the process.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use millrace_model::time::UnixMillis;
use serde::Serialize;

/// Notes kept.
const KEPT: usize = 1_000;

/// Notes that one request may add; the rest of it is counted in one closing note.
const PER_REQUEST: usize = 100;

/// What happened to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    /// It was invalid and is not stored.
    Refused,
    /// It was valid and is not stored.
    Ignored,
    /// It is stored, but not as it was sent.
    Changed,
}

/// One note.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Note {
    /// When, in milliseconds.
    pub(crate) at: UnixMillis,
    /// The project; none when the request named no known one.
    pub(crate) project: Option<u64>,
    /// The endpoint, such as `/track`.
    pub(crate) endpoint: &'static str,
    /// What happened.
    pub(crate) fate: Fate,
    /// Why, in words.
    pub(crate) reason: String,
    /// The place of the record in its request.
    pub(crate) index: Option<usize>,
    /// The event's name, or the operator's target.
    pub(crate) subject: Option<String>,
    /// The insert id, when there was one.
    pub(crate) insert_id: Option<String>,
}

/// The ring of notes.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    ring: Mutex<VecDeque<Note>>,
}

impl Notes {
    /// Adds the notes of one request.
    pub(crate) fn add(&self, notes: Vec<Note>) {
        let dropped = notes.len().saturating_sub(PER_REQUEST);
        let closing = notes.last().filter(|_| dropped > 0).map(|last| Note {
            reason: format!("{dropped} more notes of this request are not kept"),
            index: None,
            subject: None,
            insert_id: None,
            ..last.clone()
        });
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        for note in notes.into_iter().take(PER_REQUEST).chain(closing) {
            if ring.len() == KEPT {
                ring.pop_front();
            }
            ring.push_back(note);
        }
    }

    /// The newest notes of a project and of no project, newest first.
    pub(crate) fn newest(&self, project: u64, most: usize) -> Vec<Note> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let of_project = |note: &&Note| note.project.is_none_or(|id| id == project);
        ring.iter().rev().filter(of_project).take(most).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(project: Option<u64>, index: usize) -> Note {
        Note {
            at: UnixMillis(0),
            project,
            endpoint: "/track",
            fate: Fate::Refused,
            reason: "why".to_owned(),
            index: Some(index),
            subject: None,
            insert_id: None,
        }
    }

    #[test]
    fn the_ring_is_bounded_and_shows_a_project_its_own_and_the_homeless() {
        let notes = Notes::default();
        notes.add((0..500).map(|n| note(Some(1), n)).collect());
        let kept = notes.newest(1, 1_000);
        assert_eq!(kept.len(), PER_REQUEST + 1);
        assert!(kept[0].reason.starts_with("400 more"));
        notes.add(vec![note(Some(2), 0), note(None, 7)]);
        assert_eq!(notes.newest(1, 1)[0].index, Some(7));
        assert_eq!(notes.newest(2, 10).len(), 2);
        for _ in 0..30 {
            notes.add((0..100).map(|n| note(Some(1), n)).collect());
        }
        assert_eq!(notes.newest(1, usize::MAX).len(), KEPT);
    }
}

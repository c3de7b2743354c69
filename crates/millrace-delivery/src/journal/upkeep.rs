//! When checkpoints are written and old segments dropped.
//!
//! Invariant: a segment goes only when the last checkpoint needs none of its batches. What was
//! closed since that checkpoint does not count: a replay would close it once more, and could not
//! count it without its batch.

use millrace_log::{LogError, LogStore};
use millrace_model::id::Seq;
use millrace_model::time::UnixMillis;

use super::checkpoint;
use super::core::{JournalCore, KIND_CHECKPOINT, KIND_CONSENTS};

impl<L: LogStore> JournalCore<L> {
    /// Writes a checkpoint and drops old segments when it is time. Only between groups.
    pub(super) fn maintain(&mut self) -> Result<(), LogError> {
        let rolled = self.last_checkpoint < self.index_base;
        // A large checkpoint comes less often, so that it stays a small part of what is written.
        let span = self.options.checkpoint_bytes.max(self.checkpoint_size.saturating_mul(8));
        if rolled || self.since_checkpoint >= span {
            match self.write_checkpoint() {
                Ok(()) => {}
                // It is tried again after the next commit.
                Err(LogError::DiskFull) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if rolled {
            self.drop_old();
        }
        Ok(())
    }

    /// The same for a journal that has little to do and begins no new segments. Only between
    /// groups.
    pub(super) fn tidy(&mut self) {
        if self.poisoned {
            return;
        }
        if self.since_checkpoint > 0 {
            match self.write_checkpoint() {
                // Without room for a checkpoint, the last one says what must be kept.
                Ok(()) | Err(LogError::DiskFull) => {}
                Err(_) => {
                    self.poison();
                    return;
                }
            }
        }
        self.drop_old();
    }

    /// Writes down where everything stands. Only between groups.
    pub(super) fn write_checkpoint(&mut self) -> Result<(), LogError> {
        let kept = i64::try_from(self.options.kept_for().as_millis()).unwrap_or(i64::MAX);
        let before = UnixMillis(self.clock.now().0.saturating_sub(kept)).minute();
        let books = self.tracks.iter_mut().map(|track| &mut track.book);
        for book in books.chain(self.unrouted.values_mut()) {
            book.fold(before);
        }
        let said = self.append_consents()?;
        let (tracks, pipelines, unrouted) = (&self.tracks, &self.pipelines, &self.unrouted);
        let (quarantine, mut bytes) = (&self.quarantine, 0);
        let appended = self.log.append_with(KIND_CHECKPOINT, &mut |out| {
            let before = out.len();
            checkpoint::encode(tracks, unrouted.iter(), quarantine, pipelines, out);
            bytes = out.len() - before;
        });
        let seq = appended?;
        self.log.commit()?;
        self.follow_roll();
        self.last_checkpoint = seq;
        self.consents_from = said.unwrap_or(seq);
        self.checkpoint_low = self.low().unwrap_or(seq);
        self.since_checkpoint = 0;
        self.checkpoint_size = bytes as u64;
        Ok(())
    }

    /// Appends what is known of consent, whole once in a segment; from where on a restart has to
    /// hear it again, or none when nobody is known.
    fn append_consents(&mut self) -> Result<Option<Seq>, LogError> {
        if self.consents.is_empty() {
            return Ok(None);
        }
        let fresh = self.consents_from >= self.log.newest_base();
        let from = fresh.then_some(self.consents_from);
        let consents = &self.consents;
        let seq = self.log.append_with(KIND_CONSENTS, &mut |out| consents.encode(from, out))?;
        Ok(Some(from.unwrap_or(seq)))
    }

    /// The lowest position of any integration; none without integrations.
    pub(super) fn low(&self) -> Option<Seq> {
        self.tracks.iter().map(|track| track.low).min()
    }

    /// Drops the segments that are older than the retention, closed for all integrations and not
    /// needed by the last checkpoint. One that cannot be removed stays until the next try.
    fn drop_old(&mut self) {
        let needed = self.checkpoint_low.min(self.last_checkpoint).min(self.consents_from);
        let now = self.clock.now();
        let segments = self.log.stats().segments;
        let after = segments.iter().skip(1);
        let old = after
            .take_while(|next| {
                next.base <= needed && now.since(next.created_at) >= self.options.kept_for()
            })
            .last();
        if let Some(keep) = old
            && let Err(error) = self.log.drop_before(keep.base)
        {
            tracing::warn!(%error, "an old segment of the log cannot be removed");
        }
        self.quarantine.end_before(self.log.first());
    }
}

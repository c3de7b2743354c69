//! What a journal is told when it is opened.

use std::time::Duration;

use millrace_model::id::{IntegrationId, PipelineId};

/// The settings of a journal. `Default` gives those of production.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// A new segment file begins when the current one has this many bytes.
    pub segment_bytes: u64,
    /// The newest records up to this many bytes are read without touching the disk.
    pub cache_bytes: usize,
    /// How long records are kept after they were received. Never below [`Self::dedupe_window`],
    /// since dropped records cannot be recognised any more.
    pub retention: Duration,
    /// For how long the same message id is a duplicate, by time of receipt (DESIGN 9.5).
    pub dedupe_window: Duration,
    /// At most this many message ids are remembered; the oldest fifth goes first.
    pub dedupe_cap: usize,
    /// At most this many bytes of batches wait to be written; above it, batches are refused as
    /// overload. One batch is always let in.
    pub queue_bytes: u64,
    /// Below this much free disk no batches are taken: it is kept for closing what is open.
    pub reserve_bytes: u64,
    /// A checkpoint is written after this many bytes of records, and whenever a segment ends.
    pub checkpoint_bytes: u64,
    /// How much of what was set aside can be looked at and fed again.
    pub quarantine: QuarantineOptions,
    /// Every integration and the pipeline whose events it gets. One that is new starts with the
    /// next record.
    pub integrations: Vec<(IntegrationId, PipelineId)>,
    /// The categories of consent that integrations require: the journal knows who denied them, however
    /// many others were named before.
    pub consent_categories: Vec<String>,
    /// Integrations that may vanish although events are open for them. Without being named here,
    /// an integration that has open events and is not configured keeps the journal from opening.
    pub forget: Vec<IntegrationId>,
}

impl JournalOptions {
    /// How long records are kept at least.
    pub(super) fn kept_for(&self) -> Duration {
        self.retention.max(self.dedupe_window)
    }
}

impl Default for JournalOptions {
    fn default() -> JournalOptions {
        JournalOptions {
            segment_bytes: 64 << 20,
            cache_bytes: 16 << 20,
            retention: Duration::from_secs(7 * 24 * 3600),
            dedupe_window: Duration::from_secs(24 * 3600),
            dedupe_cap: 1_000_000,
            queue_bytes: 32 << 20,
            reserve_bytes: 64 << 20,
            checkpoint_bytes: 16 << 20,
            quarantine: QuarantineOptions::default(),
            integrations: Vec::new(),
            consent_categories: Vec::new(),
            forget: Vec::new(),
        }
    }
}

/// The caps of the quarantine. `Default` gives those of production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantineOptions {
    /// At most this many items. Each takes about 100 bytes of memory and 20 of every checkpoint.
    pub entries: usize,
    /// At most this many kept bytes, which lie in the log in any case.
    pub bytes: u64,
}

impl Default for QuarantineOptions {
    fn default() -> QuarantineOptions {
        QuarantineOptions { entries: 20_000, bytes: 256 << 20 }
    }
}

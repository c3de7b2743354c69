//! `[quarantine]`: how much of what was set aside can be looked at and fed in again.

use super::super::document::{Report, Section};
use super::super::quantity::{show_size, size};
use super::super::tree::Quarantine;
use super::{GIB, KIB};

/// Each item stands in every checkpoint of the log, so there is a limit that is not ours to raise.
const MOST_ENTRIES: u64 = 200_000;

pub(super) fn read(mut section: Section<'_>, report: &mut Report<'_>) -> Quarantine {
    let preset = Quarantine::default();
    let [entries, bytes] = ["entries", "bytes"].map(|key| section.optional(key));
    section.finish(report);
    let entries = entries.and_then(|field| field.number(report, (1, MOST_ENTRIES)));
    let bytes = bytes.and_then(|field| field.quantity(report, size, show_size, (KIB, 64 * GIB)));
    Quarantine {
        entries: entries.and_then(|number| u32::try_from(number).ok()).unwrap_or(preset.entries),
        bytes: bytes.unwrap_or(preset.bytes),
    }
}

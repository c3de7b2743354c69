//! The record that says where everything stood, so that a restart reads it and what follows.
//!
//! ```text
//! checkpoint := version:u8 tracks:varint track* unrouted:varint (pipeline:text book)* quarantine
//! track      := integration:text pipeline:text start:varint low:varint book
//!               touched:varint (gap:varint open:bits sent:bits open_bytes:varint)*
//! bits       := words:varint word:u64le*
//! ```
//! It holds for all records before it. What is open and was not touched is not listed: it follows
//! from the indexes of the segments. Version 1 had no quarantine: it begins with what follows.

use bytes::{Buf, Bytes};
use millrace_model::id::{IntegrationId, PipelineId, Seq};
use millrace_model::record::{RecordError, put_bytes, put_varint, take_text, take_u8, take_varint};

use super::book::Book;
use super::index::Pipelines;
use super::positions::{Bits, Touched, Track};
use super::quarantine::Quarantine;

const VERSION: u8 = 2;
const OLDEST_VERSION: u8 = 1;

/// What a checkpoint says.
pub(super) struct Checkpoint {
    pub(super) tracks: Vec<Track>,
    pub(super) unrouted: Vec<(PipelineId, Book)>,
    /// The quarantine, not read yet.
    pub(super) quarantine: Option<Bytes>,
}

pub(super) fn encode<'a>(
    tracks: &[Track],
    unrouted: impl ExactSizeIterator<Item = (&'a PipelineId, &'a Book)>,
    quarantine: &Quarantine,
    pipelines: &Pipelines,
    out: &mut Vec<u8>,
) {
    out.push(VERSION);
    put_varint(out, tracks.len() as u64);
    for track in tracks {
        put_bytes(out, track.integration.as_str().as_bytes());
        let pipeline = pipelines.name(track.pipeline).map_or("", PipelineId::as_str);
        put_bytes(out, pipeline.as_bytes());
        put_varint(out, track.start.0);
        put_varint(out, track.low.0);
        track.book.encode(out);
        put_varint(out, track.touched.len() as u64);
        let mut before = 0;
        for (seq, touched) in &track.touched {
            put_varint(out, seq.0.saturating_sub(before));
            before = seq.0;
            put_bits(out, &touched.open);
            put_bits(out, &touched.sent);
            put_varint(out, touched.open_bytes);
        }
    }
    put_varint(out, unrouted.len() as u64);
    for (pipeline, book) in unrouted {
        put_bytes(out, pipeline.as_str().as_bytes());
        book.encode(out);
    }
    quarantine.encode(pipelines, out);
}

fn put_bits(out: &mut Vec<u8>, bits: &Bits) {
    let used = bits.0.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
    put_varint(out, used as u64);
    for word in bits.0.iter().take(used) {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

pub(super) fn decode(
    mut bytes: Bytes,
    pipelines: &mut Pipelines,
) -> Result<Checkpoint, RecordError> {
    let version = take_u8(&mut bytes)?;
    if !(OLDEST_VERSION..=VERSION).contains(&version) {
        return Err(RecordError::Version(version));
    }
    let mut tracks = Vec::new();
    for _ in 0..take_varint(&mut bytes)? {
        let integration: IntegrationId =
            take_text(&mut bytes)?.parse().map_err(|_| RecordError::Bad("integration"))?;
        let pipeline = take_pipeline(&mut bytes)?;
        let start = Seq(take_varint(&mut bytes)?);
        let mut track = Track::new(integration, pipelines.number(&pipeline), start);
        track.low = Seq(take_varint(&mut bytes)?);
        track.book = Book::decode(&mut bytes)?;
        let mut seq = 0_u64;
        for _ in 0..take_varint(&mut bytes)? {
            seq = seq.saturating_add(take_varint(&mut bytes)?);
            let (open, sent) = (take_bits(&mut bytes)?, take_bits(&mut bytes)?);
            let open_bytes = take_varint(&mut bytes)?;
            let touched = Touched { open, sent, open_bytes, sizes: Vec::new() };
            track.touched.insert(Seq(seq), touched);
        }
        tracks.push(track);
    }
    let mut unrouted = Vec::new();
    for _ in 0..take_varint(&mut bytes)? {
        unrouted.push((take_pipeline(&mut bytes)?, Book::decode(&mut bytes)?));
    }
    let quarantine = (version > 1).then_some(bytes);
    Ok(Checkpoint { tracks, unrouted, quarantine })
}

fn take_pipeline(bytes: &mut Bytes) -> Result<PipelineId, RecordError> {
    take_text(bytes)?.parse().map_err(|_| RecordError::Bad("pipeline"))
}

fn take_bits(bytes: &mut Bytes) -> Result<Bits, RecordError> {
    let mut words = Vec::new();
    for _ in 0..take_varint(bytes)? {
        words.push(bytes.try_get_u64_le().map_err(|_| RecordError::Truncated)?);
    }
    Ok(Bits(words))
}

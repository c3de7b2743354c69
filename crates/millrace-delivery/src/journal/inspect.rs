//! Questions about what is kept: the quarantine, its way back in, and traces.
//!
//! Each is a row of short questions to the journal's thread, so that none of them holds up the
//! batches for longer than one bounded read; records are decoded here.

use millrace_log::{Entry, LogError};
use millrace_model::event::{Batch, DedupeKey, Item, SetAside};
use millrace_model::id::{PipelineId, Position, Seq};
use millrace_model::intake::Admitted;
use millrace_model::record::RecordError;

use super::core::KIND_PROGRESS;
use super::handle::{Journal, weight};
use super::progress::{self, Ending, Place};
use super::quarantine::{Held, HeldPage, HeldQuery};
use super::refeed::{Former, RefeedError, batch_of};
use super::trace::{AtIntegration, Copy, Searched, Standing, Trace};
use super::types::ReadError;
use super::writer::Command;

/// At most so many segments are searched for one trace, and so many copies are shown.
const MOST_SEGMENTS: usize = 400;
const MOST_COPIES: usize = 20;
/// How an event ended is looked for in at most so many bytes of the log behind it.
const FOLLOW_BYTES: u64 = 64 << 20;
/// The bytes that are read at once.
const READ_BYTES: usize = 512 << 10;

impl Journal {
    /// A part of what is held in the quarantine.
    ///
    /// # Errors
    /// `ReadError::Stopped`.
    pub async fn held(&self, query: HeldQuery) -> Result<HeldPage, ReadError> {
        self.ask(|reply| Command::Held { query, reply }).await.map_err(|_| ReadError::Stopped)
    }

    /// An item that is held, with its bytes; none when it is not held.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn held_item(
        &self,
        position: Position,
    ) -> Result<Option<(Held, SetAside)>, ReadError> {
        let held = self.ask(|reply| Command::HeldAt { position, reply }).await;
        let Some(held) = held.map_err(|_| ReadError::Stopped)? else { return Ok(None) };
        let (batch, _) = self.record(position.seq).await?;
        let item = batch.items.into_iter().nth(position.index as usize);
        match item {
            Some(Item::SetAside(aside)) => Ok(Some((held, aside))),
            _ => {
                let source = RecordError::Bad("item");
                Err(ReadError::Record { seq: position.seq, source })
            }
        }
    }

    /// A part of what is held in the quarantine, and why each was set aside, in words.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn held_with_reasons(
        &self,
        query: HeldQuery,
    ) -> Result<(HeldPage, Vec<String>), ReadError> {
        let page = self.held(query).await?;
        let mut reasons = Vec::with_capacity(page.items.len());
        // Items of one record stand together, so each is read once.
        let mut last: Option<(Seq, Batch)> = None;
        for held in &page.items {
            let Position { seq, index } = held.position;
            if last.as_ref().is_none_or(|(read, _)| *read != seq) {
                last = match self.record(seq).await {
                    Ok((batch, _)) => Some((seq, batch)),
                    // Its segment was dropped meanwhile.
                    Err(ReadError::Log(LogError::Dropped { .. })) => None,
                    Err(error) => return Err(error),
                };
            }
            let item = last.as_ref().and_then(|(_, batch)| batch.items.get(index as usize));
            reasons.push(match item {
                Some(Item::SetAside(aside)) => aside.reason.clone(),
                _ => String::new(),
            });
        }
        Ok((page, reasons))
    }

    /// Puts what an item was made into in its place, by one record: the ledger counts it once,
    /// before and after.
    ///
    /// # Errors
    /// See [`RefeedError`]; the item is then still what it was, unless it is not held.
    pub async fn refeed(&self, position: Position, batch: Batch) -> Result<Admitted, RefeedError> {
        let bytes = weight(&batch);
        self.reserve(bytes)?;
        self.ask(|reply| Command::Refeed { position, batch, bytes, reply }).await?
    }

    /// Everything that is known under a message id of a pipeline.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn trace(&self, pipeline: &PipelineId, message_id: &str) -> Result<Trace, ReadError> {
        let key = DedupeKey::new(pipeline, message_id);
        let mut trace = Trace::default();
        let mut before = None;
        for _ in 0..MOST_SEGMENTS {
            let asked = self.ask(|reply| Command::Find { key, before, reply }).await;
            let Searched { records, base, more, blind } = asked.map_err(|_| ReadError::Stopped)?;
            trace.searched_from = base;
            trace.incomplete |= blind;
            for seq in records.into_iter().rev() {
                self.add_copies(&mut trace, pipeline, message_id, key, seq).await?;
                if trace.copies.len() >= MOST_COPIES {
                    trace.incomplete = true;
                    return Ok(trace);
                }
            }
            if !more {
                return Ok(trace);
            }
            before = Some(base);
        }
        trace.incomplete = true;
        Ok(trace)
    }

    /// Adds what one record holds under an id.
    async fn add_copies(
        &self,
        trace: &mut Trace,
        pipeline: &PipelineId,
        message_id: &str,
        key: DedupeKey,
        seq: Seq,
    ) -> Result<(), ReadError> {
        let (batch, former) = match self.record(seq).await {
            Ok(record) => record,
            // Its segment was dropped meanwhile.
            Err(ReadError::Log(LogError::Dropped { .. })) => return Ok(()),
            Err(error) => return Err(error),
        };
        if batch.pipeline != *pipeline {
            return Ok(());
        }
        let (pipeline, received_at) = (batch.pipeline, batch.received_at);
        for (item, index) in batch.items.into_iter().zip(0_u32..) {
            if !is_under(&item, message_id, key) || trace.copies.len() >= MOST_COPIES {
                continue;
            }
            let position = Position { seq, index };
            let integrations = match &item {
                Item::Event(_) => self.standings(position, &pipeline).await?,
                Item::SetAside(_) | Item::Duplicate(_) | Item::Filtered(_) => Vec::new(),
            };
            trace.copies.push(Copy {
                position,
                pipeline: pipeline.clone(),
                received_at,
                item,
                takes_place_of: former.map(|former| former.position),
                integrations,
            });
        }
        Ok(())
    }

    async fn record(&self, seq: Seq) -> Result<(Batch, Option<Former>), ReadError> {
        let entries = self.records(seq, 0).await?;
        let bad = |source| ReadError::Record { seq, source };
        let entry = entries.first().ok_or(bad(RecordError::Truncated))?;
        batch_of(entry).map_err(bad)?.ok_or(bad(RecordError::Bad("kind")))
    }

    async fn records(&self, from: Seq, max_bytes: usize) -> Result<Vec<Entry>, ReadError> {
        let asked = self.ask(|reply| Command::Records { from, max_bytes, reply }).await;
        asked.map_err(|_| ReadError::Stopped)?
    }

    /// How an event stands, and where it has ended, how.
    async fn standings(
        &self,
        position: Position,
        pipeline: &PipelineId,
    ) -> Result<Vec<AtIntegration>, ReadError> {
        let pipeline = pipeline.clone();
        let asked = self.ask(|reply| Command::Standing { position, pipeline, reply }).await;
        let mut standings: Vec<AtIntegration> = asked
            .map_err(|_| ReadError::Stopped)?
            .into_iter()
            .map(|(integration, standing)| AtIntegration { integration, standing })
            .collect();
        let (mut from, mut read) = (position.seq.next(), 0_u64);
        while standings.iter().any(|one| one.standing == Standing::Closed) && read < FOLLOW_BYTES {
            let entries = self.records(from, READ_BYTES).await?;
            let Some(last) = entries.last() else { break };
            from = last.seq.next();
            for entry in entries {
                read += entry.payload.len() as u64;
                if entry.kind == KIND_PROGRESS {
                    let bad = |source| ReadError::Record { seq: entry.seq, source };
                    follow(position, entry.payload.clone(), &mut standings).map_err(bad)?;
                }
            }
        }
        Ok(standings)
    }
}

/// True when an item came in under an id.
fn is_under(item: &Item, message_id: &str, key: DedupeKey) -> bool {
    match item {
        Item::Event(event) => event.dedupe_key == key || event.facts.message_id == message_id,
        Item::Duplicate(duplicate) => duplicate.message_id == message_id,
        Item::SetAside(aside) => super::index::claimed_id(&aside.body) == Some(message_id),
        Item::Filtered(_) => false,
    }
}

/// Takes up what a progress record says about an event.
fn follow(
    position: Position,
    payload: bytes::Bytes,
    standings: &mut [AtIntegration],
) -> Result<(), RecordError> {
    for section in progress::decode(payload)? {
        let waits = |one: &&mut AtIntegration| one.integration.as_str() == section.integration;
        let Some(standing) = standings.iter_mut().find(waits) else { continue };
        if standing.standing != Standing::Closed {
            continue;
        }
        let about = section.closes.iter().find(|(place, _)| covers(*place, position));
        if let Some((_, ending)) = about {
            standing.standing = ended(ending);
        }
    }
    Ok(())
}

fn covers(place: Place, position: Position) -> bool {
    match place {
        Place::Whole { from, to } => (from..=to).contains(&position.seq),
        Place::Some { seq, first, length } => {
            seq == position.seq && (first..first.saturating_add(length)).contains(&position.index)
        }
    }
}

fn ended(ending: &Ending) -> Standing {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Standing::Ended {
        state: ending.state,
        code: text(&ending.code),
        detail: text(&ending.detail),
        rows: ending.rows,
        resent: ending.resent,
    }
}

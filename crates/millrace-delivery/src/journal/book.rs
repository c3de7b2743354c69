//! The ledger of one integration: how many events of which minute ended how.
//!
//! Lines are keyed by minute of receipt, state and code. Minutes older than the retention, and the
//! oldest beyond [`MOST_LINES`], are folded into one line for each state and code: a book stands in
//! every checkpoint, and a checkpoint must stay small. The sums are kept beside the lines.
//!
//! ```text
//! book := resent:varint count:varint line*
//! line := minute:i64le state:u8 code:text events:varint rows:varint bytes:varint
//! ```
//! `state` is the byte form of a disposition, or 255 for what was received.

use std::collections::BTreeMap;

use bytes::Bytes;
use millrace_model::disposition::Disposition;
use millrace_model::ledger::{LedgerSums, Tally};
use millrace_model::record::{
    RecordError, put_bytes, put_varint, take_i64, take_text, take_u8, take_varint,
};

const RECEIVED: u8 = 255;
/// At most about this many lines are kept apart: three days with a line for each state and minute.
const MOST_LINES: usize = 10_000;
/// The minute of everything that was folded.
const BEFORE: i64 = i64::MIN;

/// The ledger of one integration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Book {
    lines: BTreeMap<(i64, u8, String), Tally>,
    sums: LedgerSums,
}

impl Book {
    /// The sums; what is pending is not known here.
    pub(super) fn sums(&self) -> &LedgerSums {
        &self.sums
    }

    /// Counts items as received.
    pub(super) fn receive(&mut self, minute: i64, tally: Tally) {
        self.add(minute, RECEIVED, "", tally);
    }

    /// Counts events as ended.
    pub(super) fn end(&mut self, minute: i64, state: Disposition, code: &str, tally: Tally) {
        self.add(minute, state.to_byte(), code, tally);
    }

    /// Counts events of which a row was sent again.
    pub(super) fn resend(&mut self, events: u64) {
        self.sums.resent = self.sums.resent.saturating_add(events);
    }

    fn add(&mut self, minute: i64, state: u8, code: &str, tally: Tally) {
        if tally == Tally::default() {
            return;
        }
        self.lines.entry((minute, state, code.to_owned())).or_default().add(tally);
        let sum = match Disposition::from_byte(state) {
            None => &mut self.sums.received,
            Some(Disposition::Delivered) => &mut self.sums.delivered,
            Some(Disposition::Filtered) => &mut self.sums.filtered,
            Some(Disposition::Duplicate) => &mut self.sums.duplicates,
            Some(Disposition::SetAside) => &mut self.sums.set_aside,
            Some(Disposition::Rejected) => &mut self.sums.rejected,
            Some(Disposition::Dead) => &mut self.sums.dead,
            Some(Disposition::Erased) => &mut self.sums.erased,
        };
        sum.add(tally);
        if let Some(state) = Disposition::from_byte(state)
            && !code.is_empty()
        {
            *self.sums.by_code.entry(format!("{state}/{code}")).or_default() += tally.events;
        }
    }

    /// Folds what was received before a minute, and what is too much.
    pub(super) fn fold(&mut self, before: i64) {
        let mut surplus = self.lines.len().saturating_sub(MOST_LINES);
        while let Some(entry) = self.lines.range((BEFORE + 1, 0, String::new())..).next() {
            let (minute, state, code) = entry.0.clone();
            if minute >= before && surplus == 0 {
                return;
            }
            surplus = surplus.saturating_sub(1);
            let tally = self.lines.remove(&(minute, state, code.clone())).unwrap_or_default();
            self.lines.entry((BEFORE, state, code)).or_default().add(tally);
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.sums.resent);
        put_varint(out, self.lines.len() as u64);
        for ((minute, state, code), tally) in &self.lines {
            out.extend_from_slice(&minute.to_le_bytes());
            out.push(*state);
            put_bytes(out, code.as_bytes());
            put_varint(out, tally.events);
            put_varint(out, tally.rows);
            put_varint(out, tally.bytes);
        }
    }

    pub(super) fn decode(bytes: &mut Bytes) -> Result<Book, RecordError> {
        let mut book = Book::default();
        book.sums.resent = take_varint(bytes)?;
        for _ in 0..take_varint(bytes)? {
            let minute = take_i64(bytes)?;
            let state = take_u8(bytes)?;
            if state != RECEIVED && Disposition::from_byte(state).is_none() {
                return Err(RecordError::Bad("state"));
            }
            let code = take_text(bytes)?;
            let tally = Tally {
                events: take_varint(bytes)?,
                rows: take_varint(bytes)?,
                bytes: take_varint(bytes)?,
            };
            book.add(minute, state, &code, tally);
        }
        Ok(book)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_is_small_whatever_the_retention() {
        let mut book = Book::default();
        let one = Tally { events: 1, rows: 1, bytes: 200 };
        for minute in 0..200_000 {
            book.receive(minute, one);
            book.end(minute, Disposition::Delivered, "", one);
        }
        book.fold(i64::MIN);
        assert!(book.lines.len() <= MOST_LINES + 2, "{} lines", book.lines.len());
        assert!(book.lines.contains_key(&(199_999, RECEIVED, String::new())));
        let mut out = Vec::new();
        book.encode(&mut out);
        assert!(out.len() < 300_000, "{} octets", out.len());
        let back = Book::decode(&mut Bytes::from(out)).unwrap();
        assert_eq!(back.sums(), book.sums());
    }

    #[test]
    fn a_book_reads_back_and_folding_keeps_the_sums() {
        let mut book = Book::default();
        for minute in 0..50 {
            book.receive(minute, Tally { events: 3, rows: 0, bytes: 300 });
            book.end(minute, Disposition::Delivered, "", Tally { events: 2, rows: 2, bytes: 200 });
            book.end(
                minute,
                Disposition::Filtered,
                "no_rule",
                Tally { events: 1, rows: 0, bytes: 9 },
            );
        }
        book.resend(4);
        let sums = book.sums().clone();
        assert_eq!((sums.received.events, sums.by_code["filtered/no_rule"]), (150, 50));
        assert_eq!(sums.unaccounted(), 0);
        book.fold(40);
        assert_eq!(book.lines.len(), 3 * 11);
        let mut out = Vec::new();
        book.encode(&mut out);
        let back = Book::decode(&mut Bytes::from(out)).unwrap();
        assert_eq!(back, book);
        assert_eq!(back.sums(), &sums);
    }
}

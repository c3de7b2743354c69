//! The byte form of what the twin stores: one record per request and project.
//!
//! The journal holds these records, and the tables in memory point into the same bytes: an event
//! costs its JSON once, plus one small row. All numbers are big-endian; a text is a `u16` length
//! and UTF-8.
//!
//! ```text
//! events   version u8 = 1 | project u64 | received i64 | imported u8 | endpoint text | event*
//! event    length u32 | time i64 | size u32 | flags u8 | name text | insert id text | user text
//!          | device text | fallback text | [revenue f64 | refund f64 | currency text] | members
//! updates  version u8 = 1 | project u64 | received i64 | (length u32 | JSON)*
//! tasks    the same as updates
//! ```
//!
//! A reader takes any bytes: what does not fit is no event, never a panic.

use std::borrow::Cow;

use millrace_model::time::UnixMillis;

use crate::event::Admitted;
use crate::json;

const VERSION: u8 = 1;
const HIDDEN: u8 = 1;
const REVENUE: u8 = 2;

/// What kind of record it is; the numbers are the journal's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Events of one project.
    Events,
    /// Updates of user profiles of one project.
    Users,
    /// Updates of group profiles of one project.
    Groups,
    /// Deletion tasks of one project.
    Deletions,
}

/// A record ready for the journal.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

/// What an event's properties say about money.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Revenue<'a> {
    /// The numeric `revenue`, 0 when there is none.
    pub(crate) amount: f64,
    /// The numeric `refund_amount`, 0 when there is none.
    pub(crate) refund: f64,
    /// The text in `currency`, empty when there is none.
    pub(crate) currency: Cow<'a, str>,
}

impl<'a> Revenue<'a> {
    /// Looks at one property.
    pub(crate) fn notice(&mut self, name: &str, raw: &'a str) {
        let amount = || if raw.starts_with('"') { None } else { json::number(raw) };
        match name {
            "revenue" => self.amount = amount().unwrap_or_default(),
            "refund_amount" => self.refund = amount().unwrap_or_default(),
            "currency" => {
                let text = json::string(raw).unwrap_or_default();
                self.currency = Cow::Owned(json::cut_chars(&text, 16).to_owned());
            }
            _ => {}
        }
    }

    /// Whether it says anything at all.
    pub(crate) fn counts(&self) -> bool {
        self.amount != 0.0 || self.refund != 0.0
    }
}

/// Starts a record of events.
pub(crate) fn events(
    project: u64,
    received: UnixMillis,
    imported: bool,
    endpoint: &str,
) -> Vec<u8> {
    let mut out = head(project, received);
    out.push(u8::from(imported));
    put_text(&mut out, endpoint);
    out
}

/// Starts a record of profile updates.
pub(crate) fn updates(project: u64, received: UnixMillis) -> Vec<u8> {
    head(project, received)
}

fn head(project: u64, received: UnixMillis) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&project.to_be_bytes());
    out.extend_from_slice(&received.0.to_be_bytes());
    out
}

/// Appends an event to a record.
pub(crate) fn put_event(out: &mut Vec<u8>, event: &Admitted<'_>) {
    put_block(out, |out| {
        out.extend_from_slice(&event.time.to_be_bytes());
        out.extend_from_slice(&event.size.to_be_bytes());
        let revenue = event.revenue.as_ref();
        let flags = if event.hidden { HIDDEN } else { 0 };
        out.push(flags | if revenue.is_some() { REVENUE } else { 0 });
        for text in
            [&*event.name, &*event.insert_id, &*event.user, &*event.device, &*event.fallback]
        {
            put_text(out, text);
        }
        if let Some(revenue) = revenue {
            out.extend_from_slice(&revenue.amount.to_be_bytes());
            out.extend_from_slice(&revenue.refund.to_be_bytes());
            put_text(out, &revenue.currency);
        }
        out.extend_from_slice(&event.properties);
    });
}

/// Appends an update, a JSON object, to a record.
pub(crate) fn put_update(out: &mut Vec<u8>, update: &str) {
    put_block(out, |out| out.extend_from_slice(update.as_bytes()));
}

/// A length and what `fill` writes; a block beyond 4 GiB cannot come out of a bounded request.
fn put_block(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    fill(out);
    let length = u32::try_from(out.len().saturating_sub(start + 4)).unwrap_or_default();
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// All texts written are cut to 255 characters before, at most 1,020 bytes.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let text = json::cut_bytes(text, usize::from(u16::MAX));
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// The head of a record of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventsHead {
    pub(crate) received: UnixMillis,
    pub(crate) imported: bool,
    pub(crate) endpoint: String,
}

/// An event inside a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredEvent<'a> {
    pub(crate) time: i64,
    pub(crate) size: u32,
    pub(crate) hidden: bool,
    pub(crate) name: &'a str,
    pub(crate) insert_id: &'a str,
    pub(crate) user: &'a str,
    pub(crate) device: &'a str,
    pub(crate) fallback: &'a str,
    pub(crate) revenue: Option<Revenue<'a>>,
    /// The members of the properties object, without its braces.
    pub(crate) properties: &'a [u8],
}

/// What is left of a record to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of a record.
    pub(crate) fn new(record: &'a [u8]) -> Reader<'a> {
        Reader { rest: record, whole: record.len() }
    }

    /// A reader at an offset that [`Reader::offset`] gave.
    pub(crate) fn at(record: &'a [u8], offset: u32) -> Reader<'a> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        Reader { rest: record.get(offset..).unwrap_or_default(), whole: record.len() }
    }

    /// How far the reader has come.
    pub(crate) fn offset(&self) -> u32 {
        u32::try_from(self.whole.saturating_sub(self.rest.len())).unwrap_or(u32::MAX)
    }

    /// The project of the record, from its common head.
    pub(crate) fn project(&mut self) -> Option<(u64, UnixMillis)> {
        let [version] = self.array::<1>()?;
        if version != VERSION {
            return None;
        }
        let project = u64::from_be_bytes(self.array()?);
        Some((project, UnixMillis(i64::from_be_bytes(self.array()?))))
    }

    /// The rest of the head of a record of events.
    pub(crate) fn events_head(&mut self, received: UnixMillis) -> Option<EventsHead> {
        let [imported] = self.array::<1>()?;
        let endpoint = self.text()?.to_owned();
        Some(EventsHead { received, imported: imported != 0, endpoint })
    }

    /// The next block.
    pub(crate) fn block(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.array()?);
        self.bytes(usize::try_from(length).ok()?)
    }

    /// The next event.
    pub(crate) fn event(&mut self) -> Option<StoredEvent<'a>> {
        let block = self.block()?;
        let mut inner = Reader::new(block);
        let time = i64::from_be_bytes(inner.array()?);
        let size = u32::from_be_bytes(inner.array()?);
        let [flags] = inner.array::<1>()?;
        let (name, insert_id) = (inner.text()?, inner.text()?);
        let (user, device, fallback) = (inner.text()?, inner.text()?, inner.text()?);
        let revenue = if flags & REVENUE == 0 {
            None
        } else {
            let amount = f64::from_be_bytes(inner.array()?);
            let refund = f64::from_be_bytes(inner.array()?);
            Some(Revenue { amount, refund, currency: Cow::Borrowed(inner.text()?) })
        };
        Some(StoredEvent {
            time,
            size,
            hidden: flags & HIDDEN != 0,
            name,
            insert_id,
            user,
            device,
            fallback,
            revenue,
            properties: inner.rest,
        })
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*first)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(first)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = u16::from_be_bytes(self.array()?);
        std::str::from_utf8(self.bytes(usize::from(length))?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_event_comes_back_as_it_was_put() {
        let event = Admitted {
            time: -5,
            size: 77,
            name: "Bought".into(),
            insert_id: "i-1".into(),
            user: "ü".into(),
            device: "".into(),
            fallback: String::new(),
            hidden: true,
            revenue: Some(Revenue { amount: 1.5, refund: 0.5, currency: "EUR".into() }),
            properties: br#""a":1"#.to_vec(),
            changes: Vec::new(),
        };
        let mut bytes = events(3, UnixMillis(9), true, "host");
        put_event(&mut bytes, &event);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.project(), Some((3, UnixMillis(9))));
        let head = reader.events_head(UnixMillis(9)).unwrap();
        assert!(head.imported && head.endpoint == "host");
        let offset = reader.offset();
        let stored = reader.event().unwrap();
        assert_eq!((stored.time, stored.size, stored.hidden), (-5, 77, true));
        assert_eq!(
            (stored.name, stored.user, stored.properties),
            ("Bought", "ü", &br#""a":1"#[..])
        );
        assert_eq!(stored.revenue, event.revenue);
        assert!(reader.event().is_none());
        assert_eq!(Reader::at(&bytes, offset).event(), Some(stored));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut reader = Reader::new(&bytes);
            if let Some((_, received)) = reader.project() {
                let _ = reader.events_head(received);
            }
            while reader.event().is_some() {}
            let _ = Reader::at(&bytes, 5).event();
        }
    }
}

//! The body of a request: its items and what stands beside them. One pass, no rules but grammar,
//! counts and sizes.

use bytes::Bytes;

use millrace_model::secret::Secret;

use super::Call;
use super::rebuild::merge_objects;
use super::scan::{RawItem, library_name, scan_context, scan_item};
use crate::error::DecodeError;
use crate::json::{Fault, MAX_DEPTH, Scanner, Span, name, text};
use crate::limits::Limits;

/// What an item takes at most beside its bytes: its places here, its facts, its ids and reasons.
const ITEM_BYTES: usize = 512;

/// What the items of a batch share: defaults under the members of each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shared {
    pub(super) timestamp: Span,
    pub(super) sent_at: Span,
    /// An object to merge under each item's own, else empty.
    pub(super) context: Span,
    pub(super) context_ip: Span,
    /// An object to merge under each item's own, else empty.
    pub(super) integrations: Span,
    /// How deep the two objects are nested.
    pub(super) depth: usize,
}

impl Shared {
    /// True when items have to be written anew to hold what they share.
    pub(super) fn changes_items(&self) -> bool {
        !self.context.is_empty() || !self.integrations.is_empty()
    }
}

/// A body that was read: good JSON of the right form, not yet judged item by item.
#[derive(Debug)]
pub struct Envelope {
    pub(super) body: Bytes,
    pub(super) call: Call,
    pub(super) shared: Shared,
    pub(super) items: Vec<RawItem>,
    /// Whether items are held to the rules of Datafly.
    pub(super) strict: bool,
    /// The id for items that have no `anonymousId`.
    pub(super) given_anonymous_id: Option<String>,
    write_key: Option<Secret>,
}

impl Envelope {
    /// Reads a body that [`decode_body`](crate::inflate::decode_body) has given.
    ///
    /// # Errors
    /// When the body is empty, no JSON, no batch where the path takes one, has too many items, or
    /// would grow past the limit by what its items share. Nothing of it can then be taken.
    pub fn read(call: Call, body: Bytes, limits: &Limits) -> Result<Envelope, DecodeError> {
        let mut scanner = Scanner::new(&body);
        if scanner.peek().is_none() {
            return Err(DecodeError::Empty);
        }
        let read = match call {
            Call::Single(_) | Call::Typed => read_single(&mut scanner, &body),
            Call::Batch => read_batch(&mut scanner, &body, limits),
        }?;
        scanner.end()?;
        let write_key = text(read.write_key.of(&body))
            .filter(|key| !key.is_empty())
            .map(|key| Secret::new(key.into_owned()));
        let growth = read.shared.context.len().saturating_add(read.shared.integrations.len());
        if growth.saturating_mul(read.items.len()) > limits.inflated_bytes {
            return Err(DecodeError::TooLarge { limit: limits.inflated_bytes });
        }
        Ok(Envelope {
            call,
            shared: read.shared,
            items: read.items,
            write_key,
            body,
            strict: false,
            given_anonymous_id: None,
        })
    }

    /// Holds every item to the rules of Datafly from here on: see [`super`], strictness.
    pub fn be_strict(&mut self) {
        self.strict = true;
    }

    /// True when an item has no `anonymousId`, or an empty one.
    #[must_use]
    pub fn lacks_anonymous_id(&self) -> bool {
        self.items.iter().any(|item| item.is_object && self.lacks_own_anonymous_id(item))
    }

    /// Gives the items without an `anonymousId` this one. Their bytes are written anew.
    pub fn give_anonymous_id(&mut self, id: &str) {
        self.given_anonymous_id = Some(id.to_owned());
    }

    pub(super) fn lacks_own_anonymous_id(&self, item: &RawItem) -> bool {
        matches!(item.anonymous_id.of(&self.body), b"" | b"null" | b"\"\"")
    }

    /// Sets the members of an object under the `context` of every item, whose own members win, as
    /// those do that the batch shares. What is no JSON object changes nothing.
    pub fn give_context(&mut self, context: &[u8]) {
        let mut scanner = Scanner::new(context);
        if scanner.peek() != Some(b'{') || scanner.value().is_err() || scanner.end().is_err() {
            return;
        }
        let depth = scanner.deepest();
        let shared = self.shared.context.of(&self.body);
        let merged = merge_objects(if shared.is_empty() { b"{}" } else { shared }, context);
        // Places are places in the body, so what is shared has to be in it.
        let mut body = Vec::with_capacity(self.body.len().saturating_add(merged.len()));
        body.extend_from_slice(&self.body);
        body.extend_from_slice(&merged);
        self.shared.context = Span::new(self.body.len(), body.len());
        self.shared.depth = self.shared.depth.max(depth);
        self.body = Bytes::from(body);
    }

    /// The write key that stands in the body, for clients that cannot send a header.
    #[must_use]
    pub fn write_key(&self) -> Option<&Secret> {
        self.write_key.as_ref()
    }

    /// How many bytes [`Envelope::admit`] takes beside the body, at most: what each item costs in
    /// any case, and the copies of those that have to be written anew.
    #[must_use]
    pub fn admission_bytes(&self) -> usize {
        let shared = self.shared.context.len().saturating_add(self.shared.integrations.len());
        let copies = self.shared.changes_items()
            || self.given_anonymous_id.is_some()
            || self.items.iter().any(RawItem::has_write_key);
        let copied = if copies { self.body.len() } else { 0 };
        self.items.len().saturating_mul(ITEM_BYTES.saturating_add(shared)).saturating_add(copied)
    }

    /// True when the first item says that this library has made it (`context.library.name`).
    #[must_use]
    pub fn is_made_by(&self, library: &str) -> bool {
        let first = self.items.first();
        first.is_some_and(|item| {
            library_name(&self.body, item.context.library) == library.as_bytes()
        })
    }

    /// The number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True for a batch without items: there is nothing to admit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

struct Read {
    shared: Shared,
    items: Vec<RawItem>,
    write_key: Span,
}

fn read_single(scanner: &mut Scanner<'_>, body: &[u8]) -> Result<Read, DecodeError> {
    let item = scan_item(scanner, body)?;
    Ok(Read { shared: Shared::default(), write_key: item.write_key, items: vec![item] })
}

fn read_batch(
    scanner: &mut Scanner<'_>,
    body: &[u8],
    limits: &Limits,
) -> Result<Read, DecodeError> {
    if scanner.peek() == Some(b'[') {
        let mut items = Vec::new();
        read_items(scanner, body, limits, &mut items)?;
        return Ok(Read { shared: Shared::default(), items, write_key: Span::default() });
    }
    if scanner.peek() != Some(b'{') {
        // What is no JSON at all should hear that first.
        scanner.value()?;
        scanner.end()?;
        return Err(DecodeError::NoBatch);
    }
    scanner.enter()?;
    let mut read =
        Read { shared: Shared::default(), items: Vec::new(), write_key: Span::default() };
    // `events` is Datafly's name of the list; where both stand, `batch` counts.
    let (mut first, mut has_batch, mut named_batch) = (true, false, false);
    while let Some(key) = scanner.next_key(&mut first)? {
        let is_object = scanner.peek() == Some(b'{');
        let only_object = |span: Span| if is_object { span } else { Span::default() };
        match name(key.of(body)).as_ref() {
            list @ (b"batch" | b"events") if list == b"batch" || !named_batch => {
                named_batch = list == b"batch";
                read.items.clear();
                has_batch = scanner.peek() == Some(b'[');
                if has_batch {
                    read_items(scanner, body, limits, &mut read.items)?;
                } else {
                    scanner.value()?;
                }
            }
            b"context" => {
                scanner.measure();
                let context = scan_context(scanner, body)?;
                (read.shared.context, read.shared.context_ip) =
                    (only_object(context.whole), context.ip);
                read.shared.depth = read.shared.depth.max(scanner.deepest() - scanner.depth());
            }
            b"integrations" => {
                scanner.measure();
                read.shared.integrations = only_object(scanner.value()?);
                read.shared.depth = read.shared.depth.max(scanner.deepest() - scanner.depth());
            }
            b"timestamp" => read.shared.timestamp = scanner.value()?,
            b"sentAt" => read.shared.sent_at = scanner.value()?,
            b"writeKey" => read.write_key = scanner.value()?,
            _ => {
                scanner.value()?;
            }
        }
    }
    if has_batch { Ok(read) } else { Err(DecodeError::NoBatch) }
}

fn read_items(
    scanner: &mut Scanner<'_>,
    body: &[u8],
    limits: &Limits,
    items: &mut Vec<RawItem>,
) -> Result<(), DecodeError> {
    scanner.enter()?;
    let mut first = true;
    while scanner.next_item(&mut first)? {
        if items.len() >= limits.batch_events {
            return Err(DecodeError::TooManyEvents { limit: limits.batch_events });
        }
        items.push(scan_item(scanner, body)?);
    }
    Ok(())
}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> DecodeError {
        match fault {
            Fault::Syntax { what, at } => DecodeError::BadJson { what, at },
            Fault::TooDeep => DecodeError::TooDeep { limit: MAX_DEPTH },
        }
    }
}

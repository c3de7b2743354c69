//! One pass over a message: where the members are that the door reads. It judges nothing.

use crate::json::{Fault, Scanner, Span, name};

/// A message as scanned. Spans are places in the body; empty where a member is missing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawItem {
    pub(super) whole: Span,
    pub(super) is_object: bool,
    /// How deep it is nested, itself included.
    pub(super) depth: usize,
    pub(super) kind: Span,
    pub(super) message_id: Span,
    pub(super) user_id: Span,
    pub(super) anonymous_id: Span,
    pub(super) group_id: Span,
    pub(super) previous_id: Span,
    pub(super) event: Span,
    pub(super) name: Span,
    pub(super) properties: Span,
    pub(super) timestamp: Span,
    pub(super) original_timestamp: Span,
    pub(super) sent_at: Span,
    pub(super) channel: Span,
    pub(super) traits: Span,
    pub(super) context: RawContext,
    pub(super) integrations: Span,
    pub(super) write_key: Span,
}

impl RawItem {
    pub(super) fn has_write_key(&self) -> bool {
        !self.write_key.is_empty()
    }
}

/// Scans the value at which the scanner stands.
pub(super) fn scan_item(scanner: &mut Scanner<'_>, body: &[u8]) -> Result<RawItem, Fault> {
    let mut item = RawItem { is_object: scanner.peek() == Some(b'{'), ..RawItem::default() };
    let (start, base) = (scanner.place(), scanner.depth());
    scanner.measure();
    if item.is_object {
        scan_members(scanner, body, &mut item)?;
    } else {
        scanner.value()?;
    }
    item.whole = scanner.span_from(start);
    item.depth = scanner.deepest() - base;
    Ok(item)
}

fn scan_members(scanner: &mut Scanner<'_>, body: &[u8], item: &mut RawItem) -> Result<(), Fault> {
    scanner.enter()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(&mut first)? {
        let key = name(key.of(body));
        if key.as_ref() == b"context" {
            item.context = scan_context(scanner, body)?;
            continue;
        }
        let value = scanner.value()?;
        match key.as_ref() {
            b"type" => item.kind = value,
            b"messageId" => item.message_id = value,
            b"userId" => item.user_id = value,
            b"anonymousId" => item.anonymous_id = value,
            b"groupId" => item.group_id = value,
            b"previousId" => item.previous_id = value,
            b"event" => item.event = value,
            b"name" => item.name = value,
            b"properties" => item.properties = value,
            b"timestamp" => item.timestamp = value,
            b"originalTimestamp" => item.original_timestamp = value,
            b"sentAt" => item.sent_at = value,
            b"channel" => item.channel = value,
            b"traits" => item.traits = value,
            b"integrations" => item.integrations = value,
            b"writeKey" => item.write_key = value,
            _ => {}
        }
    }
    Ok(())
}

/// The value of `name` of a library that was scanned before, without its quotes; empty where there is
/// none.
pub(super) fn library_name(body: &[u8], library: Span) -> &[u8] {
    let quoted = member(body, library, b"name").map_or(&[][..], |span| span.of(body));
    quoted.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or_default()
}

/// The last member of that name in an object that was scanned before.
fn member(body: &[u8], object: Span, wanted: &[u8]) -> Option<Span> {
    let mut scanner = Scanner::again(body, object);
    if scanner.peek() != Some(b'{') {
        return None;
    }
    scanner.enter().ok()?;
    let (mut first, mut found) = (true, None);
    while let Some(key) = scanner.next_key(&mut first).ok()? {
        let value = scanner.value().ok()?;
        if name(key.of(body)).as_ref() == wanted {
            found = Some(value);
        }
    }
    found
}

/// The places in a context that the door reads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawContext {
    pub(super) whole: Span,
    pub(super) ip: Span,
    pub(super) library: Span,
}

pub(super) fn scan_context(scanner: &mut Scanner<'_>, body: &[u8]) -> Result<RawContext, Fault> {
    let is_object = scanner.peek() == Some(b'{');
    let start = scanner.place();
    let mut context = RawContext::default();
    if is_object {
        scanner.enter()?;
        let mut first = true;
        while let Some(key) = scanner.next_key(&mut first)? {
            let value = scanner.value()?;
            match name(key.of(body)).as_ref() {
                b"ip" => context.ip = value,
                b"library" => context.library = value,
                _ => {}
            }
        }
    } else {
        scanner.value()?;
    }
    context.whole = scanner.span_from(start);
    Ok(context)
}

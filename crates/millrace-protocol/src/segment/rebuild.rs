//! Writing an item anew: without the write key, and with what its batch shares under its own
//! members. Everything else is copied byte for byte.

use std::collections::HashSet;

use super::envelope::Shared;
use super::scan::RawItem;
use crate::json::{Fault, Scanner, Span, name, write_text};

/// The bytes of an object item without `writeKey`, `shared` merged under it, its `anonymousId`
/// replaced by the one given.
///
/// A member `context` or `integrations` that is missing or null becomes the shared one; two objects
/// are merged member by member, the item's own winning; anything else stays as it is.
pub(super) fn rebuild(
    body: &[u8],
    item: &RawItem,
    shared: &Shared,
    anonymous_id: Option<&str>,
) -> Vec<u8> {
    let room = item.whole.len() + shared.context.len() + shared.integrations.len() + 32;
    let mut object = ObjectWriter { out: Vec::with_capacity(room), first: true };
    object.out.push(b'{');
    // The bytes were scanned before, so no fault can come up again.
    let _: Result<(), Fault> = each_member(body, item.whole, |key, value| {
        match name(key.of(body)).as_ref() {
            b"writeKey" => {}
            b"anonymousId" if anonymous_id.is_some() => {}
            // Of members with the same name only the last counts, and it is the one in `item`.
            b"context" if !shared.context.is_empty() => {
                if value == item.context.whole {
                    object.merged(body, key, value, shared.context);
                }
            }
            b"integrations" if !shared.integrations.is_empty() => {
                if value == item.integrations {
                    object.merged(body, key, value, shared.integrations);
                }
            }
            _ => object.member(key.of(body), value.of(body)),
        }
    });
    if item.context.whole.is_empty() && !shared.context.is_empty() {
        object.member(b"\"context\"", shared.context.of(body));
    }
    if item.integrations.is_empty() && !shared.integrations.is_empty() {
        object.member(b"\"integrations\"", shared.integrations.of(body));
    }
    if let Some(id) = anonymous_id {
        object.key(b"\"anonymousId\"");
        write_text(id, &mut object.out);
    }
    object.out.push(b'}');
    object.out
}

/// One object of the members of two; where both have a name, the first one's.
pub(super) fn merge_objects(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut object =
        ObjectWriter { out: Vec::with_capacity(first.len() + second.len()), first: true };
    object.out.push(b'{');
    let mut names = HashSet::new();
    let whole = |bytes: &[u8]| Span::new(0, bytes.len());
    // Both were scanned before.
    let _: Result<(), Fault> = each_member(first, whole(first), |key, value| {
        names.insert(name(key.of(first)));
        object.member(key.of(first), value.of(first));
    });
    let _: Result<(), Fault> = each_member(second, whole(second), |key, value| {
        if !names.contains(&name(key.of(second))) {
            object.member(key.of(second), value.of(second));
        }
    });
    object.out.push(b'}');
    object.out
}

/// Calls `visit` for every member of an object that was scanned before.
pub(crate) fn each_member(
    body: &[u8],
    object: Span,
    mut visit: impl FnMut(Span, Span),
) -> Result<(), Fault> {
    let mut scanner = Scanner::again(body, object);
    if scanner.peek() != Some(b'{') {
        return Ok(());
    }
    scanner.enter()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(&mut first)? {
        let value = scanner.value()?;
        visit(key, value);
    }
    Ok(())
}

struct ObjectWriter {
    out: Vec<u8>,
    first: bool,
}

impl ObjectWriter {
    fn member(&mut self, key: &[u8], value: &[u8]) {
        self.key(key);
        self.out.extend_from_slice(value);
    }

    fn key(&mut self, key: &[u8]) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(key);
        self.out.push(b':');
    }

    fn merged(&mut self, body: &[u8], key: Span, own: Span, shared: Span) {
        let own_bytes = own.of(body);
        match own_bytes.first() {
            Some(b'{') => {}
            Some(b'n') => return self.member(key.of(body), shared.of(body)),
            _ => return self.member(key.of(body), own_bytes),
        }
        self.key(key.of(body));
        self.out.push(b'{');
        let mut inner = ObjectWriter { out: std::mem::take(&mut self.out), first: true };
        let mut own_names = HashSet::new();
        let _: Result<(), Fault> = each_member(body, own, |key, value| {
            own_names.insert(name(key.of(body)));
            inner.member(key.of(body), value.of(body));
        });
        let _: Result<(), Fault> = each_member(body, shared, |key, value| {
            if !own_names.contains(&name(key.of(body))) {
                inner.member(key.of(body), value.of(body));
            }
        });
        self.out = inner.out;
        self.out.push(b'}');
    }
}

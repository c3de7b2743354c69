//! The body of a request: its events and what they share. One pass, no rules but grammar, counts
//! and sizes.

use bytes::Bytes;

use super::Form;
use super::cookie::{ecid_of_cookie, is_identity_cookie};
use super::identity::Identities;
use super::visitor_id::ecid_of_fpid;
use crate::error::DecodeError;
use crate::json::{Fault, Scanner, Span, name, text};
use crate::limits::Limits;

/// What an event takes at most beside its bytes: its places here, its facts, its ids and reasons.
const EVENT_BYTES: usize = 1024;

/// The members of an `xdm` that matter. Spans are places in the body, empty where one is missing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawXdm {
    pub(super) whole: Span,
    pub(super) id: Span,
    pub(super) timestamp: Span,
    pub(super) event_type: Span,
    pub(super) identity_map: Span,
}

/// An event as scanned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawEvent {
    pub(super) whole: Span,
    pub(super) is_object: bool,
    /// How deep it is nested, itself included.
    pub(super) depth: usize,
    pub(super) xdm: RawXdm,
}

/// A body that was read: good JSON of the right form, not yet judged event by event.
#[derive(Debug)]
pub struct Envelope {
    pub(super) body: Bytes,
    pub(super) events: Vec<RawEvent>,
    /// What stands beside the events: under each event's own.
    pub(super) shared: RawXdm,
    /// How deep that is nested.
    pub(super) shared_depth: usize,
    /// The ECID of the identity cookie that the body carries.
    pub(super) ecid: Option<String>,
    /// The list `consent`.
    pub(super) consent: Span,
    /// The domain of the page, when it keeps cookies.
    domain: Option<String>,
}

/// A domain has at most that many letters (RFC 1035, 2.3.4).
const DOMAIN_LIMIT: usize = 253;

impl Envelope {
    /// Reads a body that [`decode_body`](crate::inflate::decode_body) has given.
    ///
    /// # Errors
    /// When the body is empty, no JSON, without events, has too many of them, or would grow past
    /// the limit by what they share. Nothing of it can then be taken.
    pub fn read(form: Form, body: Bytes, limits: &Limits) -> Result<Envelope, DecodeError> {
        let mut scanner = Scanner::new(&body);
        if scanner.peek().is_none() {
            return Err(DecodeError::Empty);
        }
        let mut read = Read::default();
        match form {
            Form::Bare => read.events.push(scan_event(&mut scanner, &body)?),
            Form::Request => read.request(&mut scanner, &body, limits)?,
            Form::Question => {
                // Nothing has to be in it.
                read.has_events = true;
                read.request(&mut scanner, &body, limits)?;
                read.events.clear();
            }
        }
        scanner.end()?;
        if read.shared.whole.len().saturating_mul(read.events.len()) > limits.inflated_bytes {
            return Err(DecodeError::TooLarge { limit: limits.inflated_bytes });
        }
        let Read { events, mut shared, shared_depth, ecid, consent, domain, identity_map, .. } =
            read;
        if shared.identity_map.is_empty() {
            shared.identity_map = identity_map;
        }
        Ok(Envelope { events, shared, shared_depth, ecid, consent, domain, body })
    }

    /// The ECID of the visitor whom the request is about: the first one in an `identityMap`, else
    /// the one of the request's own cookie, else of the cookies that the body carries, else the one
    /// that belongs to the first FPID.
    #[must_use]
    pub fn known_ecid(&self, in_cookie: Option<&str>) -> Option<String> {
        let mut fpid = None;
        // Where there are no events there is still what they would share.
        let none = [RawEvent::default()];
        let events = if self.events.is_empty() { &none[..] } else { &self.events[..] };
        for event in events {
            let (own, shared) = (event.xdm.identity_map, self.shared.identity_map);
            // What cannot be read costs its event, not the visitor's identity.
            let Ok(found) = Identities::read(&self.body, own, shared) else { continue };
            if let Some(ecid) = found.ecid.filter(|ecid| !ecid.is_empty()) {
                return Some(ecid.into_owned());
            }
            fpid = fpid.or(found.fpid.filter(|fpid| !fpid.is_empty()));
        }
        in_cookie
            .map(str::to_owned)
            .or_else(|| self.ecid.clone())
            .or_else(|| fpid.map(|fpid| ecid_of_fpid(&fpid)))
    }

    /// True when what the events would share names a device or a user.
    #[must_use]
    pub fn names_somebody(&self) -> bool {
        Identities::read(&self.body, Span::default(), self.shared.identity_map)
            .is_ok_and(|found| found.ecid.or(found.fpid).or(found.user).is_some())
    }

    /// The domain under which the page keeps its cookies, as the page says it.
    #[must_use]
    pub fn cookie_domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// How many bytes [`Envelope::admit`] takes beside the body, at most.
    #[must_use]
    pub fn admission_bytes(&self) -> usize {
        let each = EVENT_BYTES.saturating_add(self.shared.whole.len());
        self.events.len().saturating_mul(each).saturating_add(self.body.len())
    }

    /// The number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// True when there is no event to admit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// True for a JSON object that is an event of Adobe's by itself: it has `xdm`, and no `type`, which
/// every Segment call has.
#[must_use]
pub fn is_event(line: &[u8]) -> bool {
    let mut scanner = Scanner::new(line);
    let Ok(whole) = scanner.value() else { return false };
    let has = |wanted: &[u8]| member_at(line, whole, wanted).is_some();
    scanner.end().is_ok() && has(b"xdm") && !has(b"type")
}

#[derive(Default)]
struct Read {
    events: Vec<RawEvent>,
    has_events: bool,
    shared: RawXdm,
    shared_depth: usize,
    ecid: Option<String>,
    consent: Span,
    domain: Option<String>,
    /// Beside `xdm`, where the Web SDK writes it when it says what a person allows.
    identity_map: Span,
}

impl Read {
    fn request(
        &mut self,
        scanner: &mut Scanner<'_>,
        body: &[u8],
        limits: &Limits,
    ) -> Result<(), DecodeError> {
        if scanner.peek() != Some(b'{') {
            // What is no JSON at all should hear that first.
            scanner.value()?;
            scanner.end()?;
            return Err(DecodeError::NoEvents);
        }
        scanner.enter()?;
        let mut first = true;
        while let Some(key) = scanner.next_key(&mut first)? {
            match name(key.of(body)).as_ref() {
                b"events" => {
                    self.events.clear();
                    self.has_events = scanner.peek() == Some(b'[');
                    if self.has_events {
                        self.list(scanner, body, limits)?;
                    } else {
                        scanner.value()?;
                    }
                }
                b"event" => {
                    self.events.clear();
                    self.has_events = true;
                    self.events.push(scan_event(scanner, body)?);
                }
                b"xdm" => {
                    scanner.measure();
                    let base = scanner.depth();
                    let xdm = scan_xdm(scanner, body)?;
                    if xdm.whole.of(body).first() == Some(&b'{') {
                        self.shared = xdm;
                        self.shared_depth = scanner.deepest() - base;
                    }
                }
                b"meta" => self.meta(scanner, body)?,
                b"consent" => self.consent = scanner.value()?,
                b"identityMap" => self.identity_map = scanner.value()?,
                _ => {
                    scanner.value()?;
                }
            }
        }
        if self.has_events { Ok(()) } else { Err(DecodeError::NoEvents) }
    }

    fn list(
        &mut self,
        scanner: &mut Scanner<'_>,
        body: &[u8],
        limits: &Limits,
    ) -> Result<(), DecodeError> {
        scanner.enter()?;
        let mut first = true;
        while scanner.next_item(&mut first)? {
            if self.events.len() >= limits.batch_events {
                return Err(DecodeError::TooManyEvents { limit: limits.batch_events });
            }
            self.events.push(scan_event(scanner, body)?);
        }
        Ok(())
    }

    /// `meta.state`: the domain of the page's cookies, and in `entries` the cookies themselves when
    /// the page is of another site.
    fn meta(&mut self, scanner: &mut Scanner<'_>, body: &[u8]) -> Result<(), Fault> {
        let state = member_of(scanner, body, b"state")?;
        let keeps = member_at(body, state, b"cookiesEnabled").unwrap_or_default();
        self.domain = member_at(body, state, b"domain")
            .and_then(|domain| text(domain.of(body)))
            .filter(|domain| keeps.of(body) == b"true" && is_domain(domain))
            .map(|domain| domain.into_owned());
        let entries = member_at(body, state, b"entries").unwrap_or_default();
        if entries.of(body).first() != Some(&b'[') {
            return Ok(());
        }
        let mut scanner = Scanner::again(body, entries);
        scanner.enter()?;
        let mut first = true;
        while scanner.next_item(&mut first)? {
            let entry = scanner.value()?;
            let read =
                |wanted| member_at(body, entry, wanted).and_then(|place| text(place.of(body)));
            let named = read(b"key").is_some_and(|key| is_identity_cookie(&key));
            if named && let Some(ecid) = read(b"value").and_then(|value| ecid_of_cookie(&value)) {
                self.ecid = Some(ecid);
            }
        }
        Ok(())
    }
}

/// A name that may stand in a cookie: letters, digits, dots and dashes, with a dot in it.
fn is_domain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    text.len() <= DOMAIN_LIMIT
        && text.bytes().all(plain)
        && text.contains('.')
        && !text.starts_with('.')
        && !text.ends_with('.')
}

/// Goes past a value and gives the place of one of its members; an empty place when it has none.
fn member_of(scanner: &mut Scanner<'_>, body: &[u8], wanted: &[u8]) -> Result<Span, Fault> {
    let value = scanner.value()?;
    Ok(member_at(body, value, wanted).unwrap_or_default())
}

/// The place of a member of a value that was scanned before.
pub(super) fn member_at(body: &[u8], value: Span, wanted: &[u8]) -> Option<Span> {
    let mut found = None;
    each_member(body, value, |key, value| {
        if name(key.of(body)).as_ref() == wanted {
            found = Some(value);
        }
    });
    found
}

/// Calls `visit` for every member of an object that was scanned before; for nothing else.
pub(super) fn each_member(body: &[u8], object: Span, mut visit: impl FnMut(Span, Span)) {
    let mut scanner = Scanner::again(body, object);
    if scanner.peek() != Some(b'{') || scanner.enter().is_err() {
        return;
    }
    let mut first = true;
    // The bytes were scanned before, so no fault can come up again.
    while let Ok(Some(key)) = scanner.next_key(&mut first) {
        let Ok(value) = scanner.value() else { return };
        visit(key, value);
    }
}

fn scan_event(scanner: &mut Scanner<'_>, body: &[u8]) -> Result<RawEvent, Fault> {
    let mut event = RawEvent { is_object: scanner.peek() == Some(b'{'), ..RawEvent::default() };
    let (start, base) = (scanner.place(), scanner.depth());
    scanner.measure();
    if event.is_object {
        scanner.enter()?;
        let mut first = true;
        while let Some(key) = scanner.next_key(&mut first)? {
            if name(key.of(body)).as_ref() == b"xdm" {
                event.xdm = scan_xdm(scanner, body)?;
            } else {
                scanner.value()?;
            }
        }
    } else {
        scanner.value()?;
    }
    event.whole = scanner.span_from(start);
    event.depth = scanner.deepest() - base;
    Ok(event)
}

fn scan_xdm(scanner: &mut Scanner<'_>, body: &[u8]) -> Result<RawXdm, Fault> {
    let mut xdm = RawXdm::default();
    if scanner.peek() != Some(b'{') {
        xdm.whole = scanner.value()?;
        return Ok(xdm);
    }
    let start = scanner.place();
    scanner.enter()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(&mut first)? {
        let value = scanner.value()?;
        match name(key.of(body)).as_ref() {
            b"_id" => xdm.id = value,
            b"timestamp" => xdm.timestamp = value,
            b"eventType" => xdm.event_type = value,
            b"identityMap" => xdm.identity_map = value,
            _ => {}
        }
    }
    xdm.whole = scanner.span_from(start);
    Ok(xdm)
}

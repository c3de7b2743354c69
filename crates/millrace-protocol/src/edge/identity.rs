//! Who an event is about: the device and the user in its `identityMap`.

use std::borrow::Cow;
use std::collections::HashSet;

use millrace_model::code::Code;

use super::envelope::each_member;
use crate::json::{Scanner, Span, name, text};
use crate::segment::Refusal;

/// Namespaces whose ids are devices or browsers, whatever their state says.
const DEVICES: [&str; 9] =
    ["ECID", "FPID", "AAID", "CORE", "TNTID", "AdCloud", "GAID", "IDFA", "WAID"];

/// The identities of an event that stand in its maps.
#[derive(Debug, Default)]
pub(super) struct Identities<'a> {
    pub(super) ecid: Option<Cow<'a, str>>,
    pub(super) fpid: Option<Cow<'a, str>>,
    /// The authenticated user: the primary one, else the first.
    pub(super) user: Option<Cow<'a, str>>,
    user_is_primary: bool,
}

impl<'a> Identities<'a> {
    /// Reads the event's own map, and below it the one of the request for the namespaces that are
    /// not in the event's own.
    pub(super) fn read(body: &'a [u8], own: Span, shared: Span) -> Result<Identities<'a>, Refusal> {
        let mut found = Identities::default();
        let mut namespaces = HashSet::new();
        for (map, is_own) in [(own, true), (shared, false)] {
            match map.of(body).first() {
                None | Some(b'n' | b'{') => {}
                Some(_) => return Err(bad("xdm.identityMap must be an object")),
            }
            let mut refused = None;
            each_member(body, map, |key, list| {
                let namespace = name(key.of(body));
                if !is_own && namespaces.contains(&namespace) {
                    return;
                }
                if let Err(refusal) = found.namespace(body, &namespace, list) {
                    refused = Some(refusal);
                }
                if is_own {
                    namespaces.insert(namespace);
                }
            });
            if let Some(refusal) = refused {
                return Err(refusal);
            }
        }
        Ok(found)
    }

    fn namespace(&mut self, body: &'a [u8], namespace: &[u8], list: Span) -> Result<(), Refusal> {
        match list.of(body).first() {
            Some(b'[') => {}
            Some(b'n') => return Ok(()),
            _ => return Err(bad("a namespace of xdm.identityMap must be a list")),
        }
        let is = |wanted: &str| namespace.eq_ignore_ascii_case(wanted.as_bytes());
        let device = DEVICES.iter().any(|device| is(device));
        let mut scanner = Scanner::again(body, list);
        let mut first = true;
        let scanned = "xdm.identityMap was read before";
        scanner.enter().map_err(|_| bad(scanned))?;
        while scanner.next_item(&mut first).map_err(|_| bad(scanned))? {
            let item = scanner.value().map_err(|_| bad(scanned))?;
            let Some(identity) = Identity::read(body, item)? else { continue };
            if is("ECID") {
                self.ecid.get_or_insert(identity.id);
            } else if is("FPID") {
                self.fpid.get_or_insert(identity.id);
            } else if !device
                && identity.authenticated
                && (self.user.is_none() || identity.primary && !self.user_is_primary)
            {
                self.user = Some(identity.id);
                self.user_is_primary = identity.primary;
            }
        }
        Ok(())
    }
}

struct Identity<'a> {
    id: Cow<'a, str>,
    authenticated: bool,
    primary: bool,
}

impl<'a> Identity<'a> {
    /// Reads an item of a namespace; none when it has no id.
    fn read(body: &'a [u8], item: Span) -> Result<Option<Identity<'a>>, Refusal> {
        if !matches!(item.of(body).first(), Some(b'{')) {
            return Err(bad("an identity in xdm.identityMap must be an object"));
        }
        let (mut id, mut authenticated, mut primary) = (Span::default(), false, false);
        each_member(body, item, |key, value| {
            let raw = value.of(body);
            match name(key.of(body)).as_ref() {
                b"id" => id = value,
                b"authenticatedState" => {
                    authenticated = text(raw).as_deref() == Some("authenticated");
                }
                // Some clients send the word as a text.
                b"primary" => primary = matches!(raw, b"true" | b"\"true\""),
                _ => {}
            }
        });
        let id = id_text(body, id, "an id in xdm.identityMap")?;
        Ok(id.map(|id| Identity { id, authenticated, primary }))
    }
}

fn bad(reason: &'static str) -> Refusal {
    Refusal::new(Code::BadField, reason)
}

/// An id as text. Missing, null and empty are the same; numbers count as their own text.
pub(super) fn id_text<'a>(
    body: &'a [u8],
    place: Span,
    what: &str,
) -> Result<Option<Cow<'a, str>>, Refusal> {
    let raw = place.of(body);
    match raw.first() {
        None | Some(b'n') => Ok(None),
        Some(b'"') => match text(raw) {
            Some(id) => Ok(Some(id).filter(|id| !id.is_empty())),
            None => {
                let reason = format!("{what} holds half of a surrogate pair");
                Err(Refusal::new(Code::BadText, reason))
            }
        },
        Some(b'-' | b'0'..=b'9') => Ok(Some(String::from_utf8_lossy(raw))),
        Some(_) => Err(Refusal::new(Code::BadField, format!("{what} must be text or a number"))),
    }
}

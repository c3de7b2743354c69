//! What a person has said about consent: the body of `privacy/set-consent`.
//!
//! Three forms are read (`reference/sdk-wire-formats.md` section 8): Adobe 1.0 (`{"general": "in"}`),
//! Adobe 2.0 (`{"collect": {"val": "y"}, ...}`) and the consent text of IAB TCF 2. What was said is
//! handed on as an event of type `privacy.set-consent` with the members that XDM has for it: `xdm.consents`
//! for Adobe's forms, `xdm.consentStrings` for the IAB's. Adobe 1.0 speaks for all purposes, and `consents` has no word
//! for that: it stands in its own form as well, in `xdm.consent`. Judging it is for others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use millrace_model::event::Item;

use super::Form;
use super::admit::Admission;
use super::envelope::{Envelope, each_member, member_at};
use crate::json::{Scanner, Span, text};

/// The type of the event that says what a person has decided.
pub const CONSENT_EVENT: &str = "privacy.set-consent";

/// More entries than this in one request are not read: there are three standards.
const MOST_ENTRIES: usize = 16;

/// What a request says about consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidConsent {
    /// Whether collecting is allowed at all, as the consent cookie keeps it; none when the request
    /// speaks of other purposes only.
    pub general: Option<bool>,
    /// The members of an `xdm` that say it: `"consents":{...}` and `"consentStrings":[...]`.
    members: Vec<u8>,
}

impl Envelope {
    /// What the request says about consent; none when it has no list `consent` with a form in it
    /// that is known here.
    #[must_use]
    pub fn consent(&self) -> Option<SaidConsent> {
        let body: &[u8] = &self.body;
        let mut scanner = Scanner::again(body, self.consent);
        if scanner.peek() != Some(b'[') || scanner.enter().is_err() {
            return None;
        }
        let (mut general, mut preferences, mut strings) = (None, None, Vec::new());
        let mut for_all = None;
        let mut first = true;
        for _ in 0..MOST_ENTRIES {
            // The bytes were scanned before, so no fault can come up again.
            let Ok(true) = scanner.next_item(&mut first) else { break };
            let Ok(entry) = scanner.value() else { break };
            match Said::read(body, entry) {
                Some(Said::General(allowed)) => {
                    general = Some(allowed);
                    preferences = Some(preference(allowed));
                    for_all = Some(allowed);
                }
                Some(Said::Preferences { collect, whole }) => {
                    general = collect.or(general);
                    preferences = Some(whole.of(body).to_vec());
                }
                Some(Said::Tcf { first_purpose, written }) => {
                    general = first_purpose.or(general);
                    strings.push(written);
                }
                None => {}
            }
        }
        let mut members = Vec::new();
        if let Some(preferences) = preferences {
            members.extend_from_slice(b",\"consents\":");
            members.extend_from_slice(&preferences);
        }
        if let Some(allowed) = for_all {
            members.extend_from_slice(&as_said(allowed));
        }
        if !strings.is_empty() {
            members.extend_from_slice(b",\"consentStrings\":[");
            members.extend_from_slice(&strings.join(&b','));
            members.push(b']');
        }
        (!members.is_empty()).then_some(SaidConsent { general, members })
    }

    /// The event that hands on what was said, as if the client had sent it; set aside like any
    /// other when it cannot be one.
    #[must_use]
    pub fn admit_consent(&self, said: &SaidConsent, admission: &Admission<'_>) -> Option<Item> {
        let mut event = format!("{{\"xdm\":{{\"eventType\":\"{CONSENT_EVENT}\"").into_bytes();
        event.extend_from_slice(&said.members);
        let map = self.shared.identity_map.of(&self.body);
        if map.first() == Some(&b'{') {
            event.extend_from_slice(b",\"identityMap\":");
            event.extend_from_slice(map);
        }
        event.extend_from_slice(b"}}");
        let mut envelope = Envelope::read(Form::Bare, Bytes::from(event), admission.limits).ok()?;
        envelope.ecid.clone_from(&self.ecid);
        envelope.admit(admission).items.pop()
    }
}

fn preference(allowed: bool) -> Vec<u8> {
    let val = if allowed { "y" } else { "n" };
    format!("{{\"collect\":{{\"val\":\"{val}\"}}}}").into_bytes()
}

/// Adobe 1.0 in its own form beside `consents`, whose `collect` alone would not say that all purposes
/// are meant.
fn as_said(allowed: bool) -> Vec<u8> {
    let word = if allowed { "in" } else { "out" };
    format!(
        ",\"consent\":[{{\"standard\":\"Adobe\",\"version\":\"1.0\",\"value\":{{\"general\":\"{word}\"}}}}]"
    )
    .into_bytes()
}

/// One entry of the list.
enum Said {
    General(bool),
    Preferences { collect: Option<bool>, whole: Span },
    Tcf { first_purpose: Option<bool>, written: Vec<u8> },
}

impl Said {
    fn read(body: &[u8], entry: Span) -> Option<Said> {
        let words = |name: &[u8]| member_at(body, entry, name).and_then(|at| text(at.of(body)));
        let value = member_at(body, entry, b"value")?;
        let (standard, version) = (words(b"standard")?, words(b"version").unwrap_or_default());
        if standard.eq_ignore_ascii_case("adobe") {
            return Said::adobe(body, value, &version);
        }
        standard.eq_ignore_ascii_case("iab tcf").then(|| Said::tcf(body, entry, value))?
    }

    fn adobe(body: &[u8], value: Span, version: &str) -> Option<Said> {
        if value.of(body).first() != Some(&b'{') {
            return None;
        }
        if version.starts_with('1') {
            let general = member_at(body, value, b"general")?;
            return match text(general.of(body))?.as_ref() {
                "in" => Some(Said::General(true)),
                "out" => Some(Said::General(false)),
                _ => None,
            };
        }
        let collect = member_at(body, value, b"collect")
            .and_then(|collect| member_at(body, collect, b"val"))
            .and_then(|val| match text(val.of(body))?.as_ref() {
                "y" => Some(true),
                "n" => Some(false),
                _ => None,
            });
        Some(Said::Preferences { collect, whole: value })
    }

    /// The members of an entry of `xdm.consentStrings`, from those of the request.
    fn tcf(body: &[u8], entry: Span, value: Span) -> Option<Said> {
        let consent = text(value.of(body))?;
        let mut applies = true;
        let mut written = b"{\"consentStandard\":\"IAB TCF\",\"consentStringValue\":".to_vec();
        written.extend_from_slice(value.of(body));
        each_member(body, entry, |key, value| {
            let name: &[u8] = match crate::json::name(key.of(body)).as_ref() {
                b"version" => b"consentStandardVersion",
                b"gdprApplies" => {
                    applies = value.of(body) != b"false";
                    b"gdprApplies"
                }
                b"gdprContainsPersonalData" => b"containsPersonalData",
                _ => return,
            };
            written.extend_from_slice(b",\"");
            written.extend_from_slice(name);
            written.extend_from_slice(b"\":");
            written.extend_from_slice(value.of(body));
        });
        written.push(b'}');
        let first_purpose = if applies { first_purpose(&consent) } else { Some(true) };
        Some(Said::Tcf { first_purpose, written })
    }
}

/// Purpose 1 of an IAB text, to store and read on a device: bit 152 of its core segment.
fn first_purpose(consent: &str) -> Option<bool> {
    let core = consent.split('.').next()?.trim_end_matches('=');
    // The text of the core ends at no fixed place; its first 28 letters hold 168 bits.
    let bits = URL_SAFE_NO_PAD.decode(core.get(..28)?).ok()?;
    let version = bits.first()? >> 2;
    (version == 2).then_some(bits.get(19)? & 0x80 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use proptest::prelude::*;

    fn said(body: &str) -> Option<SaidConsent> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Envelope::read(Form::Question, body, &Limits::default()).unwrap().consent()
    }

    /// A core segment of version 2 with the given purposes.
    fn tc(purposes: u8) -> String {
        let mut bits = [0_u8; 27];
        bits[0] = 2 << 2;
        bits[19] = purposes;
        URL_SAFE_NO_PAD.encode(bits)
    }

    #[test]
    fn the_three_forms_are_read() {
        let (yes, no) = (tc(0x80), tc(0x40));
        for (entries, general, members) in [
            (
                r#"{"standard":"Adobe","version":"1.0","value":{"general":"in"}}"#.to_owned(),
                Some(true),
                r#","consents":{"collect":{"val":"y"}},"consent":[{"standard":"Adobe","version":"1.0","value":{"general":"in"}}]"#.to_owned(),
            ),
            (
                r#"{"standard":"Adobe","version":"1.0","value":{"general":"out"}}"#.to_owned(),
                Some(false),
                r#","consents":{"collect":{"val":"n"}},"consent":[{"standard":"Adobe","version":"1.0","value":{"general":"out"}}]"#.to_owned(),
            ),
            (
                r#"{"standard":"Adobe","version":"2.0","value":{"collect":{"val":"n"},"share":{"val":"y"}}}"#
                    .to_owned(),
                Some(false),
                r#","consents":{"collect":{"val":"n"},"share":{"val":"y"}}"#.to_owned(),
            ),
            (
                r#"{"standard":"Adobe","version":"2.0","value":{"marketing":{"email":{"val":"y"}}}}"#.to_owned(),
                None,
                r#","consents":{"marketing":{"email":{"val":"y"}}}"#.to_owned(),
            ),
            (
                format!(r#"{{"standard":"IAB TCF","version":"2.0","value":"{yes}","gdprApplies":true}}"#),
                Some(true),
                format!(
                    r#","consentStrings":[{{"consentStandard":"IAB TCF","consentStringValue":"{yes}","consentStandardVersion":"2.0","gdprApplies":true}}]"#
                ),
            ),
            (
                format!(r#"{{"standard":"IAB TCF","value":"{no}"}}"#),
                Some(false),
                format!(
                    r#","consentStrings":[{{"consentStandard":"IAB TCF","consentStringValue":"{no}"}}]"#
                ),
            ),
            (
                r#"{"standard":"IAB TCF","value":"?","gdprApplies":false}"#.to_owned(),
                Some(true),
                r#","consentStrings":[{"consentStandard":"IAB TCF","consentStringValue":"?","gdprApplies":false}]"#
                    .to_owned(),
            ),
        ] {
            let said = said(&format!(r#"{{"consent":[{entries}]}}"#)).unwrap();
            assert_eq!(said.general, general, "{entries}");
            assert_eq!(String::from_utf8(said.members).unwrap(), members, "{entries}");
        }
    }

    #[test]
    fn what_is_no_consent_says_nothing() {
        for body in [
            "{}",
            r#"{"consent":{}}"#,
            r#"{"consent":[]}"#,
            r#"{"consent":[7,null,{}]}"#,
            r#"{"consent":[{"standard":"Adobe","version":"1.0","value":{"general":"maybe"}}]}"#,
            r#"{"consent":[{"standard":"Adobe","version":"2.0","value":"y"}]}"#,
            r#"{"consent":[{"standard":"Other","version":"2.0","value":{}}]}"#,
            r#"{"consent":[{"standard":"IAB TCF","version":"2.0","value":{}}]}"#,
        ] {
            assert_eq!(said(body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}", entry in r#"[{}\[\]",:a-z0-9 ]{0,60}"#) {
            let _ = first_purpose(&text);
            let body = Bytes::from(format!("{{\"consent\":[{entry}]}}"));
            if let Ok(envelope) = Envelope::read(Form::Question, body, &Limits::default()) {
                let _ = envelope.consent();
            }
        }
    }
}

//! Changes of an event's bytes that consent asks for: what strip mode leaves of an event, and the
//! categories written into it.

use bytes::Bytes;

use millrace_protocol::json::{Span, write_text};

use super::event::{Places, each_member};
use super::evidence::Evidence;
use super::google::consent_mode;

/// What stays of a value.
enum Keep {
    /// All of it.
    All,
    /// Of an object these members; of anything else nothing.
    Only(&'static [(&'static str, Keep)]),
    /// Of an object all members but those that tell who a person is.
    Impersonal,
}

/// What strip mode keeps of an event: what was done, with what and where in the site, and nothing
/// that tells who did it. Addresses of pages go, because ids and campaign clicks stand in them.
const STRIPPED: Keep = Keep::Only(&[
    ("type", Keep::All),
    ("event", Keep::All),
    ("name", Keep::All),
    ("category", Keep::All),
    ("messageId", Keep::All),
    ("timestamp", Keep::All),
    ("originalTimestamp", Keep::All),
    ("sentAt", Keep::All),
    ("receivedAt", Keep::All),
    ("channel", Keep::All),
    ("version", Keep::All),
    ("properties", Keep::Impersonal),
    (
        "context",
        Keep::Only(&[
            ("app", Keep::All),
            ("campaign", Keep::All),
            ("consent", Keep::All),
            ("consentManagement", Keep::All),
            ("library", Keep::All),
            ("locale", Keep::All),
            ("os", Keep::All),
            ("page", Keep::Only(&[("path", Keep::All), ("title", Keep::All)])),
            ("screen", Keep::All),
            ("timezone", Keep::All),
            ("userAgent", Keep::All),
        ]),
    ),
    (
        "xdm",
        Keep::Only(&[
            ("_id", Keep::All),
            ("application", Keep::All),
            ("commerce", Keep::All),
            ("eventType", Keep::All),
            ("productListItems", Keep::All),
            ("timestamp", Keep::All),
            (
                "web",
                Keep::Only(&[(
                    "webPageDetails",
                    Keep::Only(&[("name", Keep::All), ("siteSection", Keep::All)]),
                )]),
            ),
        ]),
    ),
]);

/// The properties that tell who a person is, or where an address of a page stands, without case,
/// blanks, dashes, underscores and dollar signs.
const PERSONAL: &[&str] = &[
    "address",
    "advertisingid",
    "anonymousid",
    "avatar",
    "birthdate",
    "birthday",
    "customerid",
    "currenturl",
    "dateofbirth",
    "deviceid",
    "distinctid",
    "email",
    "emailaddress",
    "externalid",
    "fbc",
    "fbclid",
    "fbp",
    "firstname",
    "fullname",
    "gclid",
    "identity",
    "idfa",
    "idfv",
    "initialreferrer",
    "ip",
    "ipaddress",
    "lastname",
    "latitude",
    "longitude",
    "mobile",
    "msclkid",
    "password",
    "phone",
    "phonenumber",
    "postalcode",
    "referrer",
    "referringurl",
    "search",
    "street",
    "traits",
    "ttclid",
    "url",
    "userid",
    "username",
    "zip",
    "zipcode",
];

/// An event without what tells who its person is, under an id that no other event has.
#[must_use]
pub(super) fn stripped(body: &[u8], places: &Places, id: &str) -> Bytes {
    let mut out = Vec::with_capacity(body.len());
    copy(body, places.whole, &STRIPPED, &mut out);
    if out.last() == Some(&b'}') {
        out.pop();
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(b"\"anonymousId\":");
        write_text(id, &mut out);
        out.push(b'}');
    }
    Bytes::from(out)
}

/// Goes no deeper than [`STRIPPED`] does.
fn copy(body: &[u8], value: Span, keep: &Keep, out: &mut Vec<u8>) {
    if let Keep::All = keep {
        out.extend_from_slice(value.of(body));
        return;
    }
    out.push(b'{');
    let mut first = true;
    each_member(body, value, |key, value| {
        let kept = match keep {
            Keep::All => Some(&Keep::All),
            Keep::Only(members) => {
                members.iter().find(|(name, _)| name.as_bytes() == key).map(|(_, keep)| keep)
            }
            Keep::Impersonal => (!is_personal(key)).then_some(&Keep::All),
        };
        let Some(kept) = kept else { return };
        if !std::mem::replace(&mut first, false) {
            out.push(b',');
        }
        write_text(&String::from_utf8_lossy(key), out);
        out.push(b':');
        copy(body, value, kept, out);
    });
    out.push(b'}');
}

fn is_personal(key: &[u8]) -> bool {
    let letters = key.iter().filter(|byte| !matches!(byte, b'_' | b'-' | b' ' | b'$'));
    let name: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    PERSONAL.iter().any(|personal| personal.as_bytes() == name)
}

/// An event with the canonical categories and the signals of Consent Mode in `context.consent`,
/// in the place of what stood there under these names. None when `context` or its `consent` is
/// something that has no members.
#[must_use]
pub(super) fn annotated(body: &[u8], places: &Places, evidence: &Evidence) -> Option<Bytes> {
    let mut consent = Vec::new();
    consent.push(b'{');
    if !places.context_consent.is_empty() && places.context_consent.of(body) != b"null" {
        if places.context_consent.of(body).first() != Some(&b'{') {
            return None;
        }
        each_member(body, places.context_consent, |key, value| {
            if key != b"canonical" && key != b"google" {
                write_text(&String::from_utf8_lossy(key), &mut consent);
                consent.push(b':');
                consent.extend_from_slice(value.of(body));
                consent.push(b',');
            }
        });
    }
    consent.extend_from_slice(b"\"canonical\":{");
    for (at, (category, granted)) in evidence.canonical().iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        consent.extend_from_slice(format!("{comma}\"{}\":{granted}", category.as_str()).as_bytes());
    }
    consent.extend_from_slice(b"},\"google\":{");
    for (at, (signal, word)) in consent_mode(evidence.canonical()).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        consent.extend_from_slice(format!("{comma}\"{signal}\":\"{word}\"").as_bytes());
    }
    consent.extend_from_slice(b"}}");
    if !places.context_consent.is_empty() {
        return Some(replaced(body, places.context_consent, &consent));
    }
    let mut member = b"\"consent\":".to_vec();
    member.append(&mut consent);
    match places.context.of(body) {
        [] => {
            let context = [b"\"context\":{", member.as_slice(), b"}"].concat();
            with_member(body, places.whole, &context)
        }
        b"null" => Some(replaced(body, places.context, &[b"{", member.as_slice(), b"}"].concat())),
        _ => with_member(body, places.context, &member),
    }
}

fn replaced(body: &[u8], place: Span, with: &[u8]) -> Bytes {
    let before = body.get(..place.range().start).unwrap_or_default();
    let after = body.get(place.range().end..).unwrap_or_default();
    Bytes::from([before, with, after].concat())
}

/// The event with one more member at the end of one of its objects.
fn with_member(body: &[u8], object: Span, member: &[u8]) -> Option<Bytes> {
    let [b'{', inner @ .., b'}'] = object.of(body) else { return None };
    let comma: &[u8] = if inner.trim_ascii().is_empty() { b"" } else { b"," };
    Some(replaced(body, object, &[b"{", inner, comma, member, b"}"].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::evidence::Statement;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn evidence(said: &[(&str, bool)]) -> Evidence {
        let (mut evidence, mut statement) = (Evidence::default(), Statement::default());
        for (code, granted) in said {
            statement.say(code, *granted);
        }
        evidence.take("test", statement, &Default::default());
        evidence
    }

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn strip_keeps_what_was_done_and_not_who_did_it() {
        let event = json!({
            "type": "track", "event": "Order Completed", "messageId": "m-1", "userId": "u-1",
            "anonymousId": "a-1", "previousId": "p", "groupId": "g", "traits": {"email": "a@b.example"},
            "timestamp": "2026-01-01T00:00:00Z", "writeKey": "k", "integrations": {"All": true},
            "properties": {"total": 5, "E-Mail Address": "a@b.example", "$user_id": "u-1",
                "products": [{"name": "shirt"}], "name": "basket", "url": "https://x/?u=1"},
            "context": {"ip": "192.0.2.7", "locale": "de", "traits": {"x": 1}, "userAgent": "UA",
                "device": {"id": "d", "advertisingId": "i"}, "campaign": {"source": "mail"},
                "page": {"path": "/p", "title": "P", "url": "https://x/p?email=a", "referrer": "r"}},
            "xdm": {"identityMap": {"ECID": []}, "eventType": "e", "environment": {"ipV4": "192.0.2.7"}}
        });
        let body = event.to_string();
        let stripped = stripped(body.as_bytes(), &Places::find(body.as_bytes()), "stripped-1");
        assert_eq!(
            read(&stripped),
            json!({
                "type": "track", "event": "Order Completed", "messageId": "m-1",
                "anonymousId": "stripped-1", "timestamp": "2026-01-01T00:00:00Z",
                "properties": {"total": 5, "products": [{"name": "shirt"}], "name": "basket"},
                "context": {"locale": "de", "userAgent": "UA", "campaign": {"source": "mail"},
                    "page": {"path": "/p", "title": "P"}},
                "xdm": {"eventType": "e"}
            })
        );
        for body in ["{}", r#"{"userId":"u"}"#, r#"{"properties":"text","context":[1]}"#] {
            let out = super::stripped(body.as_bytes(), &Places::find(body.as_bytes()), "s");
            assert_eq!(read(&out)["anonymousId"], "s", "{body}");
            assert!(read(&out).get("userId").is_none());
        }
    }

    #[test]
    fn the_categories_are_written_beside_what_the_event_says() {
        let evidence = evidence(&[("C0002", true), ("C0004", false)]);
        let ours = json!({
            "canonical": {"analytics": true, "marketing": false},
            "google": {"ad_storage": "denied", "ad_user_data": "denied", "ad_personalization": "denied",
                "analytics_storage": "granted", "security_storage": "granted"}
        });
        for (event, beside) in [
            (
                json!({"event": "E", "context": {"ip": "1", "consent": {"categories": {"C0002": true}, "canonical": 7}}}),
                json!({"categories": {"C0002": true}}),
            ),
            (json!({"event": "E", "context": {"ip": "1"}}), json!({})),
            (json!({"event": "E", "context": {}}), json!({})),
            (json!({"event": "E", "context": {"consent": null}}), json!({})),
            (json!({"event": "E", "context": null}), json!({})),
            (json!({"event": "E"}), json!({})),
            (json!({}), json!({})),
        ] {
            let body = event.to_string();
            let out =
                annotated(body.as_bytes(), &Places::find(body.as_bytes()), &evidence).unwrap();
            let (mut wanted, mut consent) = (event.clone(), ours.clone());
            for (name, value) in beside.as_object().unwrap() {
                consent[name] = value.clone();
            }
            if !wanted["context"].is_object() {
                wanted["context"] = json!({});
            }
            wanted["context"]["consent"] = consent;
            assert_eq!(read(&out), wanted, "{event}");
        }
        for body in [r#"{"context":7}"#, r#"{"context":{"consent":true}}"#, "[]"] {
            assert_eq!(annotated(body.as_bytes(), &Places::find(body.as_bytes()), &evidence), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_made_of_an_object_is_an_object(
            keys in proptest::collection::vec("context|consent|properties|xdm|page|\\PC{0,6}", 0..6),
            leaf in "\\PC{0,9}",
        ) {
            let mut value = json!(leaf);
            for key in keys {
                value = json!({ key: value, "other": 1 });
            }
            let body = json!({"a": &value, "context": &value, "properties": &value}).to_string();
            let places = Places::find(body.as_bytes());
            prop_assert!(read(&stripped(body.as_bytes(), &places, "s")).is_object());
            if let Some(out) = annotated(body.as_bytes(), &places, &evidence(&[("analytics", true)])) {
                prop_assert_eq!(&read(&out)["context"]["consent"]["canonical"]["analytics"], &json!(true));
            }
        }
    }
}

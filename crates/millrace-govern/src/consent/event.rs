//! Consent in the event itself, and the ids of its person.
//!
//! | place | who writes it |
//! | --- | --- |
//! | `context.consent.canonical` | Datafly and this project's browser collector: canonical categories |
//! | `context.consent.categories` | the same: the codes of the consent platform, as a map or as a list of what is granted |
//! | `context.consent.categoryPreferences` | Segment's consent wrappers |
//! | `context.consent.*` | Datafly's older booleans |
//! | `context.consentManagement` | RudderStack: `allowedConsentIds`, `deniedConsentIds` |
//! | `context.consent.tcf` | an IAB consent string |
//! | `xdm.consents` | XDM: `collect`, `share`, `adID`, `personalize.content`, `marketing` |
//! | `xdm.consentStrings` | XDM: IAB consent strings |
//! | `consent`, `xdm.consent` | what Adobe's `setConsent` sends: standards Adobe 1.0 and 2.0, IAB TCF |

use serde_json::Value;

use millrace_model::id::PipelineId;
use millrace_model::passage::Subject;
use millrace_protocol::json::{Scanner, Span, name, text};

use super::evidence::{Evidence, Statement, granted};
use super::tcf::{self, TcfMeaning};
use super::values;
use super::vocabulary::Vocabulary;

/// Members with consent above this many bytes are not read.
const MEMBER_BYTES: usize = 32 << 10;
/// At most this many entries of a list of consents are read.
const MOST_ENTRIES: usize = 16;

/// Where the members of an event stand that matter here.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// All of the event.
    pub(super) whole: Span,
    /// `context`.
    pub(super) context: Span,
    /// `context.consent`.
    pub(super) context_consent: Span,
    user: Span,
    anonymous: Span,
    previous: Span,
    consent: Span,
    management: Span,
    xdm_consents: Span,
    xdm_strings: Span,
    xdm_consent: Span,
}

impl Places {
    /// Finds them in the bytes of an event. Of members with the same name the last counts; what is
    /// no JSON has none.
    #[must_use]
    pub(super) fn find(body: &[u8]) -> Places {
        let mut places = Places::default();
        let mut xdm = Span::default();
        let mut scanner = Scanner::new(body);
        let Ok(whole) = scanner.value() else { return places };
        places.whole = whole;
        each_member(body, whole, |key, value| match key {
            b"userId" => places.user = value,
            b"anonymousId" => places.anonymous = value,
            b"previousId" => places.previous = value,
            b"context" => places.context = value,
            b"consent" => places.consent = value,
            b"xdm" => xdm = value,
            _ => {}
        });
        let context = places.context;
        each_member(body, context, |key, value| match key {
            b"consent" => places.context_consent = value,
            b"consentManagement" => places.management = value,
            _ => {}
        });
        each_member(body, xdm, |key, value| match key {
            b"consents" => places.xdm_consents = value,
            b"consentStrings" => places.xdm_strings = value,
            b"consent" => places.xdm_consent = value,
            _ => {}
        });
        places
    }

    /// Whose event it is: a subject for each of its ids.
    #[must_use]
    pub(super) fn subjects(&self, body: &[u8], pipeline: &PipelineId) -> Vec<Subject> {
        let mut subjects = Vec::new();
        for id in [self.user, self.anonymous, self.previous] {
            let subject = match id.of(body) {
                raw @ [b'"', ..] => match text(raw) {
                    Some(id) if !id.is_empty() => Subject::new(pipeline, &id),
                    _ => continue,
                },
                number @ [b'-' | b'0'..=b'9', ..] => match std::str::from_utf8(number) {
                    Ok(number) => Subject::new(pipeline, number),
                    Err(_) => continue,
                },
                _ => continue,
            };
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        subjects
    }

    /// Takes up all that the event says.
    pub(super) fn read(
        &self,
        body: &[u8],
        meaning: &TcfMeaning,
        vocabulary: &Vocabulary,
        evidence: &mut Evidence,
    ) {
        let mut ask = |source, place: Span, read: &dyn Fn(&Value, &mut Statement)| {
            let mut statement = Statement::default();
            match json(body, place) {
                Found::Nothing => return,
                Found::Value(value) => read(&value, &mut statement),
                Found::Unreadable => statement.unreadable(),
            }
            evidence.take(source, statement, vocabulary);
        };
        let member = |name: &'static str| {
            move |consent: &Value, statement: &mut Statement| {
                if let Some(value) = consent.get(name) {
                    values::map_or_list(value, &[], statement);
                }
            }
        };
        let (consent, xdm) = (self.context_consent, self.xdm_consents);
        ask("context.consent.canonical", consent, &member("canonical"));
        ask("context.consent.categories", consent, &member("categories"));
        ask("context.consent.categoryPreferences", consent, &member("categoryPreferences"));
        ask("context.consent", consent, &flat);
        ask("context.consentManagement", self.management, &consent_management);
        ask("context.consent.tcf", consent, &|consent, statement| {
            if let Some(Value::String(string)) = consent.get("tcf") {
                *statement = tcf::statement(string, meaning);
            }
        });
        ask("xdm.consents", xdm, &xdm_consents);
        ask("xdm.consentStrings", self.xdm_strings, &|value, statement| {
            consent_strings(value, meaning, statement);
        });
        for place in [self.consent, self.xdm_consent] {
            ask("consent", place, &|value, statement| set_consent(value, meaning, statement));
        }
    }
}

enum Found {
    Nothing,
    Value(Value),
    Unreadable,
}

fn json(body: &[u8], place: Span) -> Found {
    if place.is_empty() || place.of(body) == b"null" {
        return Found::Nothing;
    }
    if place.len() > MEMBER_BYTES {
        return Found::Unreadable;
    }
    serde_json::from_slice(place.of(body)).map_or(Found::Unreadable, Found::Value)
}

/// Calls `visit` with the name and the place of every member of an object that was scanned before.
pub(super) fn each_member(body: &[u8], object: Span, mut visit: impl FnMut(&[u8], Span)) {
    let mut scanner = Scanner::again(body, object);
    if scanner.peek() != Some(b'{') || scanner.enter().is_err() {
        return;
    }
    let mut first = true;
    // The bytes were scanned before, so no fault can come up again.
    while let Ok(Some(key)) = scanner.next_key(&mut first) {
        let Ok(value) = scanner.value() else { return };
        visit(name(key.of(body)).as_ref(), value);
    }
}

/// Datafly's older booleans beside the members that have a form of their own. Texts are taken only
/// where they are an answer: a version or a date says nothing.
fn flat(consent: &Value, statement: &mut Statement) {
    let Value::Object(members) = consent else {
        if !matches!(consent, Value::Null) {
            values::map_or_list(consent, &[], statement);
        }
        return;
    };
    for (name, value) in members {
        match value {
            Value::Bool(granted) => statement.say(name, *granted),
            Value::String(answer) if name != "tcf" => {
                if let Some(granted) = granted(answer) {
                    statement.say(name, granted);
                }
            }
            _ => {}
        }
    }
}

fn consent_management(value: &Value, statement: &mut Statement) {
    for (member, granted) in [("allowedConsentIds", true), ("deniedConsentIds", false)] {
        match value.get(member) {
            // Ketch's purposes come as an object whose values say what they are about.
            Some(Value::Object(ids)) => ids.keys().for_each(|id| statement.say(id, granted)),
            Some(Value::Null) | None => {}
            Some(ids) => values::list(ids, granted, statement),
        }
    }
}

/// XDM's field group "Consents and Preferences": `val` is y, n, p (pending), u (unknown), dy or dn
/// (the default is yes or no), or a lawful basis other than consent, which allows as well.
fn xdm_consents(consents: &Value, statement: &mut Statement) {
    let mut say = |code: &str, consent: Option<&Value>| {
        let Some(answer) = consent.and_then(|consent| consent.get("val")) else { return };
        match answer.as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("y" | "dy" | "li" | "ct" | "cp" | "vi" | "pi") => statement.say(code, true),
            Some("n" | "dn") => statement.say(code, false),
            Some("p" | "u") => {}
            _ => statement.unreadable(),
        }
    };
    say("collect", consents.get("collect"));
    say("share", consents.get("share"));
    say("ad_id", consents.get("adID"));
    say("personalization", consents.get("personalize").and_then(|value| value.get("content")));
    let marketing = consents.get("marketing");
    say("marketing", marketing.and_then(|value| value.get("any")));
    // A profile may say yes or no to marketing itself, without channels.
    say("marketing", marketing);
}

fn consent_strings(value: &Value, meaning: &TcfMeaning, statement: &mut Statement) {
    let Value::Array(strings) = value else {
        statement.unreadable();
        return;
    };
    for entry in strings.iter().take(MOST_ENTRIES) {
        let member = |name: &str| entry.get(name);
        let (standard, string) = (member("consentStandard"), member("consentStringValue"));
        iab(standard, string, member("gdprApplies"), meaning, statement);
    }
}

/// What `setConsent` sends: `[{"standard":"Adobe","version":"1.0","value":{"general":"in"}}]`.
fn set_consent(value: &Value, meaning: &TcfMeaning, statement: &mut Statement) {
    // Another member of this name is the event's own business.
    let Value::Array(entries) = value else { return };
    for entry in entries.iter().take(MOST_ENTRIES) {
        let standard = entry.get("standard");
        let is_adobe = standard
            .and_then(Value::as_str)
            .is_some_and(|standard| standard.eq_ignore_ascii_case("adobe"));
        match entry.get("value") {
            Some(consents @ Value::Object(members)) if is_adobe => {
                if let Some(Value::String(answer)) = members.get("general") {
                    statement.say_in_words("general", answer);
                }
                xdm_consents(consents, statement);
            }
            string => iab(standard, string, entry.get("gdprApplies"), meaning, statement),
        }
    }
}

/// A consent string with its standard. Where the person is told that the GDPR does not apply, the
/// string says nothing.
fn iab(
    standard: Option<&Value>,
    string: Option<&Value>,
    applies: Option<&Value>,
    meaning: &TcfMeaning,
    statement: &mut Statement,
) {
    let standard = standard.and_then(Value::as_str).unwrap_or_default();
    let is_tcf = standard.to_ascii_lowercase().starts_with("iab tcf");
    match string {
        Some(Value::String(_)) if applies == Some(&Value::Bool(false)) => {}
        Some(Value::String(string)) if is_tcf => statement.join(tcf::statement(string, meaning)),
        _ => statement.unreadable(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::tcf::tests::encode;
    use proptest::prelude::*;
    use serde_json::json;

    fn said(body: &[u8]) -> (Vec<(&'static str, bool)>, Evidence) {
        let mut evidence = Evidence::default();
        let vocabulary = Vocabulary::default();
        Places::find(body).read(body, &TcfMeaning::default(), &vocabulary, &mut evidence);
        let canonical = evidence.canonical().iter();
        (canonical.map(|(category, granted)| (category.as_str(), *granted)).collect(), evidence)
    }

    #[test]
    fn every_form_of_an_event_is_read() {
        let [yes, no] = [encode(&[1, 3, 4, 8, 9], &[]), encode(&[], &[])];
        let context = |consent: Value| json!({"type":"track","context":{"consent":consent}});
        let xdm = |consents: Value| json!({"type":"track","xdm":{"consents":consents}});
        let set = |consent: Value| json!({"type":"identify","consent":consent});
        for (event, wanted) in [
            (
                context(
                    json!({"canonical":{"analytics":true,"marketing":false},"categories":{"C0002":false}}),
                ),
                vec![("analytics", true), ("marketing", false)],
            ),
            (
                context(json!({"canonical":["essential","analytics"]})),
                vec![("essential", true), ("analytics", true)],
            ),
            (
                context(json!({"categories":{"C0002":true,"C0004":"0"}})),
                vec![("analytics", true), ("marketing", false)],
            ),
            (
                context(json!({"categories":["C0001","C0004"]})),
                vec![("essential", true), ("marketing", true)],
            ),
            (
                context(
                    json!({"analytics":true,"marketing":false,"functional":true,"advertising":false,"version":"1.2"}),
                ),
                vec![("functional", true), ("analytics", true), ("marketing", false)],
            ),
            (
                context(json!({"ad_storage":"denied","analytics_storage":"granted"})),
                vec![("analytics", true), ("marketing", false)],
            ),
            (
                context(
                    json!({"categoryPreferences":{"Advertising":false,"Analytics":true,"Functional":true,"DataSharing":false}}),
                ),
                vec![("functional", true), ("analytics", true), ("marketing", false)],
            ),
            (
                json!({"context":{"consentManagement":{"provider":"oneTrust","allowedConsentIds":["C0001","C0002"],"deniedConsentIds":["C0004"],"resolutionStrategy":"and"}}}),
                vec![("essential", true), ("analytics", true), ("marketing", false)],
            ),
            (
                context(json!({"tcf": yes})),
                vec![
                    ("functional", true),
                    ("analytics", true),
                    ("marketing", true),
                    ("personalization", false),
                ],
            ),
            // Row C-07.
            (xdm(json!({"collect":{"val":"y"}})), vec![("analytics", true)]),
            (
                xdm(json!({"collect":{"val":"n"}})),
                vec![
                    ("functional", false),
                    ("analytics", false),
                    ("marketing", false),
                    ("personalization", false),
                ],
            ),
            (xdm(json!({"collect":{"val":"p"}})), vec![]),
            (
                xdm(
                    json!({"collect":{"val":"y"},"share":{"val":"n"},"personalize":{"content":{"val":"y"}},"marketing":{"preferred":"email","any":{"val":"y"}},"metadata":{"time":"2026-01-01T00:00:00Z"}}),
                ),
                vec![("analytics", true), ("marketing", false), ("personalization", true)],
            ),
            (
                xdm(json!({"marketing":{"any":{"val":"dn"}},"adID":{"val":"dy"}})),
                vec![("marketing", false)],
            ),
            (
                json!({"xdm":{"consentStrings":[{"consentStandard":"IAB TCF","consentStandardVersion":"2.0","consentStringValue":no,"gdprApplies":true,"containsPersonalData":false}]}}),
                vec![
                    ("functional", false),
                    ("analytics", false),
                    ("marketing", false),
                    ("personalization", false),
                ],
            ),
            (
                json!({"xdm":{"consentStrings":[{"consentStandard":"IAB TCF","consentStringValue":no,"gdprApplies":false}]}}),
                vec![],
            ),
            (
                set(json!([{"standard":"Adobe","version":"1.0","value":{"general":"in"}}])),
                vec![
                    ("functional", true),
                    ("analytics", true),
                    ("marketing", true),
                    ("personalization", true),
                ],
            ),
            (
                set(json!([{"standard":"Adobe","version":"1.0","value":{"general":"out"}}])),
                vec![
                    ("functional", false),
                    ("analytics", false),
                    ("marketing", false),
                    ("personalization", false),
                ],
            ),
            (
                set(
                    json!([{"standard":"Adobe","version":"2.0","value":{"collect":{"val":"y"},"metadata":{"time":"2026-01-01"}}}]),
                ),
                vec![("analytics", true)],
            ),
            (
                set(json!([{"standard":"IAB TCF","version":"2.0","value":no,"gdprApplies":true}])),
                vec![
                    ("functional", false),
                    ("analytics", false),
                    ("marketing", false),
                    ("personalization", false),
                ],
            ),
            (json!({"type":"track","consent":"yes","context":{"consent":null}}), vec![]),
            (json!([1, 2]), vec![]),
        ] {
            let (canonical, evidence) = said(event.to_string().as_bytes());
            assert_eq!(canonical, wanted, "{event}");
            assert!(
                !evidence.describe().contains("unreadable"),
                "{event}: {}",
                evidence.describe()
            );
        }
    }

    #[test]
    fn what_cannot_be_read_says_nothing_and_is_told() {
        let long = "x".repeat(MEMBER_BYTES);
        for event in [
            json!({"context":{"consent":{"canonical":7}}}),
            json!({"context":{"consent":{"categories":{"C0002":"maybe"}}}}),
            json!({"context":{"consent":{"categories":{"C0002":["x"]}}}}),
            json!({"context":{"consent":{"categories":{"mail@shop.example":true}}}}),
            json!({"context":{"consent":{"tcf":"nothing"}}}),
            json!({"context":{"consent":{"categories":{"C0002":true},"more":long}}}),
            json!({"xdm":{"consents":{"collect":{"val":"x"}}}}),
            json!({"xdm":{"consentStrings":{}}}),
            json!({"consent":[{"standard":"Mine","value":"x"}]}),
        ] {
            let (canonical, evidence) = said(event.to_string().as_bytes());
            assert_eq!(canonical, [], "{event}");
            assert!(evidence.describe().contains("unreadable"), "{event}");
            assert!(!evidence.describe().contains('@'));
        }
    }

    #[test]
    fn an_event_belongs_to_all_of_its_ids() {
        let pipeline: PipelineId = "shop".parse().unwrap();
        let of = |event: &str| Places::find(event.as_bytes()).subjects(event.as_bytes(), &pipeline);
        let [user, device] = ["u-1", "a-1"].map(|id| Subject::new(&pipeline, id));
        for (event, wanted) in [
            (r#"{"userId":"u-1","anonymousId":"a-1","previousId":"u-1"}"#, vec![user, device]),
            (r#"{"userId":"x","userId":"\u0075-1"}"#, vec![user]),
            (r#"{"userId":42}"#, vec![Subject::new(&pipeline, "42")]),
            (r#"{"userId":"","anonymousId":null,"previousId":{}}"#, vec![]),
            ("{", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(of(event), wanted, "{event}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let (_, evidence) = said(&bytes);
            prop_assert!(!evidence.is_something_said() || bytes.len() > 10);
        }

        #[test]
        fn no_event_panics_and_what_it_says_is_bounded(
            names in proptest::collection::vec("consents?|canonical|categories|collect|val|tcf|[a-z]{1,9}", 1..5),
            codes in proptest::collection::vec(("\\PC{0,80}", "\\PC{0,9}|y|n|1|0"), 0..200),
        ) {
            let mut value: Value = codes.into_iter().map(|(code, answer)| (code, Value::from(answer))).collect();
            for name in names {
                value = json!({ name: value });
            }
            for event in [json!({"context": value}), json!({"xdm": value}), json!({"consent": [value]})] {
                let (_, evidence) = said(event.to_string().as_bytes());
                prop_assert!(evidence.categories().len() <= 64 + 5);
                prop_assert!(evidence.describe().len() < 900);
            }
        }
    }
}

//! The policy: what is taken, stripped and refused (rows C-02 and C-05), and what is told of it.

use bytes::Bytes;
use serde_json::{Value, json};

use millrace_model::code::Code;
use millrace_model::event::{DedupeKey, Facts, TimeSource};
use millrace_model::passage::{Origin, Passage, Subject};
use millrace_model::time::UnixMillis;

use super::*;

fn options(required: &[&str], unsaid: Unsaid) -> ConsentOptions {
    let required = required.iter().map(|name| (*name).to_owned()).collect();
    ConsentOptions { required, unsaid, ..ConsentOptions::default() }
}

fn event(kind: EventKind, body: &Value) -> Item {
    Item::Event(Event {
        kind,
        facts: Facts {
            message_id: "m".to_owned(),
            time: UnixMillis(0),
            time_source: TimeSource::Client,
            client_ip: Some("192.0.2.7".to_owned()),
        },
        passage: Passage::of(Origin::Spec),
        dedupe_key: DedupeKey(0xabc),
        body_hash: 0,
        body: Bytes::from(body.to_string()),
    })
}

fn govern(options: ConsentOptions, item: Item, cookies: Option<&str>, gpc: bool) -> Item {
    let mut batch =
        Batch { pipeline: "shop".parse().unwrap(), received_at: UnixMillis(0), items: vec![item] };
    let circumstances = Circumstances {
        received_at: UnixMillis(0),
        client_ip: None,
        from_device: true,
        user_agent: None,
        cookies,
        global_privacy_control: gpc,
    };
    ConsentRules::new(options).govern(&mut batch, &circumstances);
    batch.items.pop().unwrap()
}

fn track(consent: &Value) -> Item {
    let body = json!({"type":"track","event":"E","userId":"u-1","anonymousId":"a-1",
        "context":{"consent":consent,"ip":"192.0.2.7"}});
    event(EventKind::Track, &body)
}

/// What became of an event, in a word, with the rule of a refusal.
fn outcome(item: &Item) -> String {
    match item {
        Item::Event(event) => {
            let body: Value = serde_json::from_slice(&event.body).unwrap();
            if body.get("userId").is_some() { "taken".to_owned() } else { "stripped".to_owned() }
        }
        Item::Filtered(filtered) => format!("refused, {}", filtered.rule),
        Item::SetAside(_) => "set aside".to_owned(),
        Item::Duplicate(_) => "duplicate".to_owned(),
    }
}

/// Row C-05: what is missing follows the setting, whatever is said of other categories.
#[test]
fn the_policy_is_followed_exactly() {
    let (said, none) = (json!({"canonical":{"analytics":true}}), Value::Null);
    let no = json!({"canonical":{"analytics":false}});
    let other = json!({"canonical":{"marketing":true}});
    for (required, unsaid, consent, wanted) in [
        (&["analytics"][..], Unsaid::Allow, &said, "taken"),
        (&["analytics"], Unsaid::Deny, &said, "taken"),
        (&["analytics"], Unsaid::Strip, &said, "taken"),
        (&["analytics"], Unsaid::Allow, &no, "refused, analytics: denied"),
        (&["analytics"], Unsaid::Deny, &no, "refused, analytics: denied"),
        (&["analytics"], Unsaid::Strip, &no, "refused, analytics: denied"),
        (&["analytics"], Unsaid::Allow, &none, "taken"),
        (&["analytics"], Unsaid::Deny, &none, "refused, analytics: nothing said"),
        (&["analytics"], Unsaid::Strip, &none, "stripped"),
        (&["analytics"], Unsaid::Allow, &other, "taken"),
        (&["analytics"], Unsaid::Deny, &other, "refused, analytics: nothing said"),
        (&["analytics"], Unsaid::Strip, &other, "stripped"),
        (&[], Unsaid::Allow, &none, "taken"),
        (&[], Unsaid::Deny, &none, "taken"),
        (&[], Unsaid::Strip, &none, "stripped"),
        (&[], Unsaid::Strip, &no, "taken"),
        (&["essential"], Unsaid::Deny, &none, "taken"),
        (&["analytics", "marketing"], Unsaid::Deny, &said, "refused, marketing: nothing said"),
        (&["analytics", "marketing"], Unsaid::Strip, &no, "refused, analytics: denied"),
    ] {
        let item = govern(options(required, unsaid), track(consent), None, false);
        assert_eq!(outcome(&item), wanted, "{required:?} {unsaid:?} {consent}");
    }
}

#[test]
fn an_event_leaves_with_what_was_said_and_by_whom() {
    let item = track(&json!({"categories":{"C0002":true,"C0004":false,"X9":true}}));
    let Item::Event(event) = govern(options(&["analytics"], Unsaid::Deny), item, None, false)
    else {
        panic!("it is allowed")
    };
    let consent = event.passage.consent.unwrap();
    let pipeline = "shop".parse().unwrap();
    // Row C-02: codes and canonical categories side by side; the unknown code is told.
    let categories: Vec<_> =
        consent.categories.iter().map(|(name, is)| (name.as_str(), *is)).collect();
    assert_eq!(
        categories,
        [
            ("analytics", true),
            ("c0002", true),
            ("c0004", false),
            ("marketing", false),
            ("x9", true)
        ]
    );
    assert_eq!(consent.subjects, ["u-1", "a-1"].map(|id| Subject::new(&pipeline, id)));
    assert!(!consent.otherwise);
    let notes: Vec<_> =
        event.passage.notes.iter().map(|note| (note.kind, note.detail.as_str())).collect();
    assert_eq!(notes, [(NoteKind::ConsentRead, "context.consent.categories; unknown: x9")]);
}

#[test]
fn what_is_assumed_is_told() {
    for (unsaid, otherwise) in [(Unsaid::Allow, true), (Unsaid::Deny, false)] {
        let item = govern(options(&[], unsaid), track(&Value::Null), None, false);
        let Item::Event(event) = item else { panic!("nothing is required") };
        let consent = event.passage.consent.unwrap();
        assert_eq!((consent.categories.len(), consent.otherwise), (0, otherwise));
        let note = &event.passage.notes[0];
        assert_eq!((note.kind, note.detail.as_str()), (NoteKind::ConsentAssumed, unsaid.as_str()));
    }
}

#[test]
fn a_refused_event_leaves_its_withdrawal_and_nothing_else() {
    let item = govern(
        options(&["analytics"], Unsaid::Allow),
        track(&json!({"canonical":{"analytics":false}})),
        None,
        false,
    );
    let Item::Filtered(filtered) = item else { panic!("it is denied") };
    let consent = filtered.consent.unwrap();
    assert_eq!(consent.categories.get("analytics"), Some(&false));
    assert_eq!(consent.subjects.len(), 2);
    assert!(filtered.full_length > 0);
    // Where nothing was said, there is nothing to remember.
    let item = govern(options(&["analytics"], Unsaid::Deny), track(&Value::Null), None, false);
    assert!(matches!(item, Item::Filtered(Filtered { consent: None, .. })));
}

#[test]
fn strip_leaves_no_person_and_nothing_of_calls_that_are_about_one() {
    let item = govern(options(&[], Unsaid::Strip), track(&Value::Null), None, false);
    let Item::Event(event) = item else { panic!("a track call is kept") };
    assert!(!String::from_utf8_lossy(&event.body).contains("-1\""));
    assert!(
        String::from_utf8_lossy(&event.body).contains("stripped-00000000000000000000000000000abc")
    );
    assert_eq!(event.facts.client_ip, None);
    let consent = event.passage.consent.unwrap();
    assert_eq!((consent.subjects.len(), consent.otherwise), (0, true));
    for kind in [EventKind::Identify, EventKind::Group, EventKind::Alias, EventKind::Profile] {
        let item = super::tests::event(kind, &json!({"type": kind.as_str(), "userId": "u"}));
        let item = govern(options(&[], Unsaid::Strip), item, None, false);
        assert_eq!(
            outcome(&item),
            format!("refused, strip leaves nothing of a call of {}", kind.as_str())
        );
    }
}

#[test]
fn the_privacy_header_denies_what_it_is_configured_to() {
    let yes = json!({"canonical":{"marketing":true,"analytics":true}});
    let ask = |denies: &[Category], required: &str| {
        let options = ConsentOptions {
            global_privacy_control: denies.to_vec(),
            ..options(&[required], Unsaid::Allow)
        };
        outcome(&govern(options, track(&yes), None, true))
    };
    assert_eq!(ask(&[Category::Marketing], "marketing"), "refused, marketing: denied");
    assert_eq!(ask(&[Category::Marketing], "analytics"), "taken");
    assert_eq!(ask(&[Category::Analytics], "analytics"), "refused, analytics: denied");
    assert_eq!(ask(&[], "marketing"), "taken");
}

#[test]
fn cookies_speak_where_the_event_does_not() {
    let cookie = Some("OptanonConsent=groups=C0002%3A0%2CC0004%3A1");
    let rules = || options(&["analytics"], Unsaid::Allow);
    let silent = govern(rules(), track(&Value::Null), cookie, false);
    assert_eq!(outcome(&silent), "refused, analytics: denied");
    let own_word = track(&json!({"canonical":{"analytics":true}}));
    assert_eq!(outcome(&govern(rules(), own_word, cookie, false)), "taken");
}

#[test]
fn a_broken_item_is_judged_by_its_request() {
    let broken = || {
        Item::SetAside(SetAside {
            origin: Origin::Spec,
            kind: None,
            code: Code::NotAnObject,
            reason: "not an object".to_owned(),
            body: Bytes::from_static(b"[\"a@b.example\"]"),
            full_length: 15,
        })
    };
    let (yes, no) =
        (Some("CookieConsent={statistics:true}"), Some("CookieConsent={statistics:false}"));
    for (unsaid, cookie, wanted) in [
        (Unsaid::Allow, None, "set aside"),
        (Unsaid::Allow, no, "refused, MR1101, analytics: denied"),
        (Unsaid::Deny, None, "refused, MR1101, analytics: nothing said"),
        (Unsaid::Deny, yes, "set aside"),
        (Unsaid::Strip, None, "refused, MR1101, and strip leaves nothing of it"),
    ] {
        let item = govern(options(&["analytics"], unsaid), broken(), cookie, false);
        let told = outcome(&item).replace(Code::NotAnObject.as_str(), "MR1101");
        assert_eq!(told, wanted, "{unsaid:?} {cookie:?}");
    }
}

#[test]
fn an_item_of_a_revoked_key_speaks_for_itself() {
    let whole = |granted: bool| {
        let body = json!({"context":{"consent":{"canonical":{"analytics":granted}}}}).to_string();
        Item::SetAside(SetAside {
            origin: Origin::Spec,
            kind: None,
            code: Code::NotAnObject,
            reason: "the key is revoked".to_owned(),
            full_length: body.len() as u64,
            body: Bytes::from(body),
        })
    };
    let rules = || options(&["analytics"], Unsaid::Deny);
    assert_eq!(outcome(&govern(rules(), whole(true), None, false)), "set aside");
    assert!(outcome(&govern(rules(), whole(false), None, false)).ends_with("analytics: denied"));
}

#[test]
fn the_categories_are_written_into_the_event_on_demand() {
    let told = |annotate: bool| {
        let options = ConsentOptions { annotate, ..options(&[], Unsaid::Deny) };
        let item = govern(options, track(&json!({"categories":["C0002"]})), None, true);
        let Item::Event(event) = item else { panic!("nothing is required") };
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        body["context"]["consent"].clone()
    };
    assert_eq!(told(false), json!({"categories":["C0002"]}));
    assert_eq!(told(true)["canonical"], json!({"analytics":true,"marketing":false}));
    assert_eq!(told(true)["google"]["ad_storage"], "denied");
    assert_eq!(told(true)["categories"], json!(["C0002"]));
}

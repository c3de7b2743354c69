use bytes::Bytes;
use millrace_govern::privacy::{Place, PrivacyOptions, PrivacyRule, Treatment, preset};
use millrace_govern::{RuleOptions, Rules};
use millrace_model::code::Code;
use millrace_model::event::{DedupeKey, Item, SetAside};
use millrace_model::passage::Origin;
use millrace_model::secret::Secret;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{event, govern, govern_item, json, notes, pipeline, server};

use Treatment::{Hash, Mask, Remove};

fn options(rules: &[(&str, Treatment)]) -> RuleOptions {
    let rules = rules.iter().map(|(place, treatment)| PrivacyRule {
        place: Place::parse(place).unwrap(),
        treatment: *treatment,
    });
    let privacy = PrivacyOptions { rules: rules.collect(), ..PrivacyOptions::default() };
    RuleOptions { privacy: Some(privacy), ..RuleOptions::default() }
}

/// The hash by another library than the one that makes them.
fn sha(text: &str) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn values_are_hashed_masked_and_removed_by_place() {
    let body = json!({
        "userId": 42,
        "traits": { "email": " Ann@Shop.example", "age": 7, "name": "Ann", "vip": true, "no": null },
        "properties": { "card": "4111111111111111", "tags": ["red", { "deep": 1.50 }] },
        "context": { "ip": "203.0.113.77", "page": { "url": "https://s.example/?email=a%40b&x=1" } },
    });
    let rules = options(&[
        ("$.userId", Hash),
        ("$..email", Hash),
        ("$.traits.name", Remove),
        ("$.traits.vip", Hash),
        ("$.traits.no", Mask),
        ("$.properties.card", Mask),
        ("$.properties.tags", Hash),
        ("$.context.ip", Mask),
        ("$.context.page.url?email", Remove),
        ("$.not.there", Remove),
    ]);
    let governed = govern(&rules, event(Origin::Spec, body.to_string()));
    assert_eq!(
        json(&governed),
        json!({
            "userId": sha("42"),
            "traits": { "email": sha("ann@shop.example"), "age": 7, "vip": true, "no": null },
            "properties": { "card": "***1111", "tags": [sha("red"), { "deep": sha("1.5") }] },
            "context": { "ip": "203.0.113.0", "page": { "url": "https://s.example/?x=1" } },
        })
    );
    let mut noted = notes(&governed);
    noted.sort();
    assert_eq!(
        noted,
        [
            "hashed $..email",
            "hashed $.properties.tags",
            "hashed $.userId",
            "masked $.context.ip",
            "masked $.properties.card",
            "removed $.context.page.url?email",
            "removed $.traits.name",
        ]
    );
}

#[test]
fn every_copy_of_a_key_is_hit() {
    let body = r#"{"traits":{"em\u0061il":"one@a.example","email":"two@a.example"},"traits":{"email":"3"}}"#;
    let governed = govern(&options(&[("$.traits.email", Remove)]), event(Origin::Spec, body));
    assert_eq!(&governed.body[..], br#"{"traits":{},"traits":{}}"#);
}

#[test]
fn of_two_rules_for_a_value_the_first_is_applied() {
    let body = r#"{"a":{"email":"x@y.example"}}"#;
    for (rules, wanted) in [
        (vec![("$.a.email", Mask), ("$..email", Hash)], r#"{"a":{"email":"***@y.example"}}"#),
        (vec![("$..email", Hash), ("$.a", Remove)], "{}"),
        (vec![("$.a.email", Remove), ("$..email", Hash)], r#"{"a":{}}"#),
    ] {
        let governed = govern(&options(&rules), event(Origin::Spec, body));
        assert_eq!(String::from_utf8_lossy(&governed.body), wanted);
    }
}

#[test]
fn a_secret_changes_the_hashes() {
    let mut keyed = options(&[("$.userId", Hash)]);
    keyed.privacy.as_mut().unwrap().secret = Some(Secret::new("k"));
    let body = r#"{"userId":"u"}"#;
    let keyed = govern(&keyed, event(Origin::Spec, body));
    assert_ne!(json(&keyed)["userId"], json!(sha("u")));
    assert_eq!(json(&keyed)["userId"].as_str().map(str::len), Some(64));
}

#[test]
fn what_stands_beside_the_event_follows() {
    let rules = options(&[("$.context.ip", Mask), ("$.messageId", Hash)]);
    let mut incoming = event(Origin::Spec, r#"{"messageId":"m-1"}"#);
    incoming.facts.client_ip = Some("203.0.113.77".to_owned());
    let governed = govern(&rules, incoming);
    assert_eq!(governed.facts.client_ip.as_deref(), Some("203.0.113.0"));
    assert_eq!(governed.facts.message_id, sha("m-1"));
    assert_eq!(json(&governed)["messageId"], json!(sha("m-1")));
    assert_eq!(governed.dedupe_key, DedupeKey::new(&pipeline(), &sha("m-1")));
    assert_ne!(governed.body_hash, 7);

    // An id that was made of what is taken out tells it.
    let mut incoming = event(Origin::Mixpanel, r#"{"userId":"ann@a.example"}"#);
    incoming.facts.message_id = "sale|ann@a.example|17".to_owned();
    let governed = govern(&options(&[("$.userId", Hash)]), incoming);
    assert_eq!(governed.facts.message_id, sha("sale|ann@a.example|17"));

    // So does the event itself, and what a decoder puts beside the canonical ids.
    let body = json!({ "userId": "ann@a.example", "anonymousId": "d-1", "messageId": "sale|ann@a.example|17",
        "mixpanel": { "distinct_id": "$device:d-1", "endpoint": "track" },
        "context": { "mixpanel": { "user_id": "ann@a.example", "device_id": "d-1", "distinct_id": "other" } } });
    let (user, device) = (sha("ann@a.example"), sha("d-1"));
    let rules = options(&[("$.userId", Hash), ("$.anonymousId", Hash)]);
    let governed = govern(&rules, event(Origin::Mixpanel, body.to_string()));
    let wanted = json!({ "userId": user, "anonymousId": device, "messageId": sha("sale|ann@a.example|17"),
        "mixpanel": { "distinct_id": format!("$device:{device}"), "endpoint": "track" },
        "context": { "mixpanel": { "user_id": user, "device_id": device, "distinct_id": "other" } } });
    assert_eq!(json(&governed), wanted);
    let removed =
        govern(&options(&[("$.userId", Remove)]), event(Origin::Mixpanel, body.to_string()));
    assert_eq!(json(&removed).pointer("/context/mixpanel/user_id"), None);

    // Nothing that concerns a rule: nothing changes.
    let untouched = govern(&options(&[("$.userId", Hash)]), event(Origin::Spec, r#"{"a":1}"#));
    assert_eq!((untouched.body_hash, notes(&untouched)), (7, vec![]));
}

#[test]
fn a_resend_has_the_same_hash_whenever_it_is_sent() {
    let governed = |sent_at: &str, name: &str| {
        let body = json!({ "event": name, "sentAt": sent_at, "userId": "u" }).to_string();
        govern(&options(&[("$.userId", Hash)]), event(Origin::Spec, body)).body_hash
    };
    assert_eq!(governed("2025-01-01T00:00:00Z", "a"), governed("2025-01-01T00:09:00.123Z", "a"));
    assert_ne!(governed("2025-01-01T00:00:00Z", "a"), governed("2025-01-01T00:00:00Z", "b"));
}

fn set_aside(origin: Origin, body: &str, full_length: u64) -> SetAside {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let (code, reason) = (Code::NoEventName, "x".to_owned());
    SetAside { origin, kind: None, code, reason, body, full_length }
}

#[test]
fn of_what_is_set_aside_only_what_the_rules_leave_stays() {
    let whole = r#"{"traits":{"email":"ann@a.example"},"x":1}"#;
    let length = whole.len() as u64;
    let by_place = options(&[("$.traits.email", Remove)]);
    let anywhere = options(&[("$..email", Remove)]);
    let governed = r#"{"traits":{},"x":1}"#;
    let broken = "{\"traits\":{\"email\":\"ann@a.example\"";
    let hash = |text: &str| format!("sha256:{}", sha(text));
    let table = [
        (&by_place, Origin::Spec, whole, length, governed.to_owned()),
        (&by_place, Origin::Spec, whole, length + 1, hash(whole)),
        (&by_place, Origin::Spec, broken, broken.len() as u64, hash(broken)),
        (&by_place, Origin::Spec, "\"ann@a.example\"", 15, hash("\"ann@a.example\"")),
        // The rule names a place of the canonical form, and this is Mixpanel's.
        (&by_place, Origin::Mixpanel, whole, length, hash(whole)),
        (&anywhere, Origin::Mixpanel, whole, length, governed.to_owned()),
    ];
    for (options, origin, body, length, wanted) in table {
        let item = Item::SetAside(set_aside(origin, body, length));
        let Item::SetAside(aside) = govern_item(&Rules::new(options), item, &server()) else {
            panic!("it was set aside");
        };
        assert_eq!(String::from_utf8_lossy(&aside.body), wanted, "{origin:?}");
    }
    // Without such rules every byte stays.
    let item = Item::SetAside(set_aside(Origin::Spec, broken, 99));
    let none = Rules::new(&RuleOptions::default());
    assert_eq!(govern_item(&none, item.clone(), &server()), item);
}

#[test]
fn the_lists_find_personal_data_in_all_forms() {
    let rules = ["personal", "ids"].into_iter().filter_map(preset).flatten().collect();
    let privacy = Some(PrivacyOptions { rules, ..PrivacyOptions::default() });
    let options = RuleOptions { privacy, ..RuleOptions::default() };
    let bodies = [
        json!({ "userId": "NEEDLE", "traits": { "email": "NEEDLE", "firstName": "NEEDLE",
            "phone": "NEEDLE", "address": { "street": "NEEDLE" } } }),
        json!({ "context": { "traits": { "email": "NEEDLE", "name": "NEEDLE" },
            "page": { "url": "https://a.example/?token=NEEDLE", "search": "?email=NEEDLE" } } }),
        json!({ "properties": { "$email": "NEEDLE", "$name": "NEEDLE", "distinct_id": "NEEDLE" } }),
        json!({ "xdm": { "identityMap": { "Email": [{ "id": "NEEDLE" }], "ECID": [{ "id": "NEEDLE" }] },
            "person": { "name": { "firstName": "NEEDLE" } },
            "personalEmail": { "address": "NEEDLE" } } }),
    ];
    for body in bodies {
        let governed = govern(&options, event(Origin::Spec, body.to_string()));
        let left = String::from_utf8_lossy(&governed.body).into_owned();
        assert!(!left.contains("NEEDLE"), "{left}");
    }
}

/// Values that appear nowhere else, in characters that JSON may write in more than one way.
fn needle() -> impl Strategy<Value = String> {
    "[A-Z]{4}[\"\\\\/\n\u{e9}\u{1f40e}a-z @.]{0,5}[A-Z]{4}"
}

fn document() -> impl Strategy<Value = (Value, String)> {
    let names = ["email", "traits", "user", "list", "x\"y", "userId"];
    needle().prop_flat_map(move |needle| {
        let scalar = prop_oneof![
            Just(json!(needle)),
            Just(json!("x")),
            Just(json!(null)),
            any::<i16>().prop_map(|number| json!(number)),
        ];
        let value = scalar.prop_recursive(4, 40, 5, move |inner| {
            let name = prop::sample::select(names.to_vec());
            let members = prop::collection::btree_map(name, inner.clone(), 0..5);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                members.prop_map(|members| {
                    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
                }),
            ]
        });
        (value.prop_map(|value| json!({ "email": value, "keep": 1 })), Just(needle))
    })
}

/// The same JSON with every letter of its strings escaped.
fn escaped(value: &Value) -> String {
    let text = |text: &str| {
        let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        format!("\"{}\"", units.collect::<String>())
    };
    match value {
        Value::String(value) => text(value),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(escaped).collect::<Vec<_>>().join(","))
        }
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| format!("{} : {}", text(name), escaped(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(" ,"))
        }
        other => other.to_string(),
    }
}

fn holds(value: &Value, needle: &str) -> bool {
    match value {
        Value::String(text) => text.contains(needle),
        Value::Array(items) => items.iter().any(|item| holds(item, needle)),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains(needle) || holds(value, needle))
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_a_rule_names_is_nowhere_in_what_is_stored(
        (value, needle) in document(),
        escape in any::<bool>(),
        treatment in prop::sample::select(vec![Hash, Mask, Remove]),
        place in prop::sample::select(vec!["$.email", "$..email"]),
    ) {
        let body = if escape { escaped(&value) } else { value.to_string() };
        let mut incoming = event(Origin::Spec, body);
        incoming.facts.message_id = format!("id of {needle}");
        let had_one = holds(&value, &needle);
        let governed = govern(&options(&[(place, treatment)]), incoming);
        let stored: Value = serde_json::from_slice(&governed.body).unwrap();
        prop_assert!(!holds(&stored, &needle), "{}", stored);
        prop_assert_eq!(&stored["keep"], &json!(1));
        if had_one {
            prop_assert!(!governed.facts.message_id.contains(&needle));
        }
    }

    #[test]
    fn what_is_set_aside_holds_nothing_either((value, needle) in document(), cut in 0_usize..400) {
        let body = escaped(&value);
        let kept = &body[..cut.min(body.len())];
        let item = Item::SetAside(set_aside(Origin::Spec, kept, body.len() as u64));
        let rules = Rules::new(&options(&[("$.email", Remove)]));
        let Item::SetAside(aside) = govern_item(&rules, item, &server()) else { panic!("set aside") };
        match serde_json::from_slice::<Value>(&aside.body) {
            Ok(left) => prop_assert!(!holds(&left, &needle)),
            Err(_) => prop_assert!(aside.body.starts_with(b"sha256:"), "{:?}", aside.body),
        }
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let length = body.len() as u64;
        let item = SetAside { body: body.into(), ..set_aside(Origin::Spec, "", length) };
        let rules = Rules::new(&options(&[("$..a", Hash), ("$.b?c", Remove)]));
        govern_item(&rules, Item::SetAside(item), &server());
    }
}

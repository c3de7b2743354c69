//! Mixpanel's own calls: what each record becomes, what is set aside with which words, and that
//! nothing panics.

use bytes::Bytes;
use millrace_model::code::Code;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{Event, EventKind, Item, TimeSource};
use millrace_model::passage::Origin;
use millrace_model::time::UnixMillis;
use millrace_protocol::Limits;
use millrace_protocol::mixpanel::{Admission, Endpoint, Envelope, Failure, Unpacked};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: UnixMillis = UnixMillis(1_795_359_600_000);

fn admit_all(endpoint: Endpoint, query: &str, body: &[u8]) -> Vec<(Item, Option<Failure>)> {
    let limits = Limits { event_bytes: 4_000, depth: 8, batch_events: 20, ..Limits::default() };
    let unpacked = Unpacked::new(query, Bytes::copy_from_slice(body), &limits);
    let Ok(json) = unpacked.json else { return Vec::new() };
    let Ok(envelope) = Envelope::read(endpoint, json, &limits) else { return Vec::new() };
    let entropy = SeededEntropy::new(7);
    let admission = Admission {
        pipeline: &"dev".parse().unwrap(),
        options: &unpacked.options,
        received_at: NOW,
        client_ip: "203.0.113.9".parse().ok(),
        limits: &limits,
        entropy: &entropy,
    };
    let judged = (0..envelope.len()).filter_map(|place| envelope.admit(place, &admission));
    judged.collect()
}

fn taken(endpoint: Endpoint, query: &str, record: &Value) -> Event {
    let mut all = admit_all(endpoint, query, record.to_string().as_bytes());
    match all.pop() {
        Some((Item::Event(event), None)) => event,
        other => panic!("{other:?}"),
    }
}

fn canonical(event: &Event) -> Value {
    serde_json::from_slice(&event.body).unwrap()
}

#[test]
fn records_become_canonical_events() {
    use Endpoint::{Engage, Groups, Import, Track};
    let table = [
        (
            Track,
            json!({"event": "Seen", "properties": {"token": "t", "distinct_id": "$device:d",
                "$device_id": "d", "time": 1_795_355_460.092, "$insert_id": "i-1", "ip": "81.2.69.142",
                "price": 9.5, "none": null}}),
            EventKind::Track,
            json!({"type": "track", "event": "Seen", "anonymousId": "d",
                "properties": {"price": 9.5, "none": null}, "context": {"ip": "81.2.69.142"},
                "mixpanel": {"endpoint": "track"}}),
        ),
        (
            Import,
            json!({"event": "Old", "properties": {"distinct_id": "x", "$user_id": "u", "time": "1760000000"}}),
            EventKind::Track,
            json!({"type": "track", "event": "Old", "userId": "u", "properties": {},
                "mixpanel": {"endpoint": "import", "distinct_id": "x"}}),
        ),
        (
            Track,
            json!({"event": "$identify", "properties": {"token": "t", "distinct_id": "u", "$user_id": "u",
                "$anon_distinct_id": "$device:d", "$device_id": "d", "mp_lib": "web"}}),
            EventKind::Identify,
            json!({"type": "identify", "userId": "u", "anonymousId": "d",
                "properties": {"mp_lib": "web"},
                "mixpanel": {"endpoint": "track", "anon_id": "$device:d"}}),
        ),
        (
            Import,
            json!({"event": "$identify", "properties": {"$identified_id": "u", "$anon_id": "a"}}),
            EventKind::Identify,
            json!({"type": "identify", "userId": "u", "anonymousId": "a", "properties": {},
                "mixpanel": {"endpoint": "import"}}),
        ),
        (
            Track,
            json!({"event": "$create_alias", "properties": {"token": "t", "distinct_id": "u", "alias": "new"}}),
            EventKind::Alias,
            json!({"type": "alias", "userId": "new", "previousId": "u", "properties": {},
                "mixpanel": {"endpoint": "track", "verb": "$create_alias"}}),
        ),
        (
            Import,
            json!({"event": "$merge", "properties": {"$distinct_ids": ["$device:d", "u"]}}),
            EventKind::Alias,
            json!({"type": "alias", "userId": "u", "previousId": "$device:d", "properties": {},
                "mixpanel": {"endpoint": "import", "verb": "$merge"}}),
        ),
        (
            Engage,
            json!({"$token": "t", "$distinct_id": 17, "$time": 1_795_355_408.575_567, "$ip": "0",
                "$user_id": "u2", "$set": {"$email": "a@b.example"}, "$ignore_time": true}),
            EventKind::Profile,
            json!({"type": "profile", "userId": "17", "$set": {"$email": "a@b.example"},
                "$ignore_time": true, "mixpanel": {"endpoint": "engage", "user_id": "u2"}}),
        ),
        (
            Engage,
            json!({"$token": "t", "$distinct_id": "$device:d", "$delete": "", "$ignore_alias": true}),
            EventKind::Profile,
            json!({"type": "profile", "anonymousId": "d", "$ignore_alias": true, "$delete": true,
                "mixpanel": {"endpoint": "engage"}}),
        ),
        (
            Groups,
            json!({"$token": "t", "$group_key": "company", "$group_id": 7, "$union": {"a": ["x"]}}),
            EventKind::Profile,
            json!({"type": "profile", "groupId": 7, "$union": {"a": ["x"]},
                "mixpanel": {"endpoint": "groups", "group_key": "company"}}),
        ),
    ];
    for (endpoint, record, kind, wanted) in table {
        let event = taken(endpoint, "", &record);
        assert_eq!((event.kind, event.passage.origin), (kind, Origin::Mixpanel), "{record}");
        assert_eq!(canonical(&event), wanted, "{record}");
    }
}

#[test]
fn time_id_and_address_are_facts() {
    let properties = |more: Value| {
        let mut properties = json!({"token": "t", "distinct_id": "u"});
        properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"event": "e", "properties": properties})
    };
    let timed = taken(Endpoint::Track, "ip=1", &properties(json!({"time": 1_795_355_460.092})));
    assert_eq!(timed.facts.time, UnixMillis(1_795_355_460_092));
    assert_eq!(timed.facts.time_source, TimeSource::Client);
    assert_eq!(timed.facts.client_ip.as_deref(), Some("203.0.113.9"));
    let bare =
        taken(Endpoint::Track, "ip=0", &properties(json!({"time": "soon", "$insert_id": null})));
    assert_eq!((bare.facts.time, bare.facts.time_source), (NOW, TimeSource::Receipt));
    assert_eq!((bare.facts.client_ip, bare.facts.message_id.len()), (None, 32));
    let own =
        taken(Endpoint::Track, "ip=1", &properties(json!({"$insert_id": "i-1", "ip": "8.8.8.8"})));
    assert_eq!((own.facts.message_id.as_str(), own.facts.client_ip), ("i-1", None));

    let profile = |more: Value| {
        let mut record = json!({"$token": "t", "$distinct_id": "u", "$set": {"a": 1}});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    for (query, more, wanted) in [
        ("", json!({}), Some("203.0.113.9")),
        ("ip=1", json!({}), Some("203.0.113.9")),
        ("ip=0", json!({}), None),
        ("", json!({"$ip": "0"}), None),
        ("", json!({"$ip": 0}), None),
        ("", json!({"$ip": "81.2.69.142"}), None),
    ] {
        let event = taken(Endpoint::Engage, query, &profile(more));
        assert_eq!(event.facts.client_ip.as_deref(), wanted, "{query}");
    }
}

#[test]
fn only_name_id_time_and_insert_id_together_make_a_repetition() {
    let event = |event: &str, id: &str, time: u64, insert_id: Option<&str>, more: u64| {
        let record = json!({"event": event, "properties": {"token": "t", "distinct_id": id,
            "time": time, "$insert_id": insert_id, "more": more}});
        taken(Endpoint::Track, "", &record)
    };
    let first = event("e", "u", 1_760_000_000, Some("i"), 1);
    let again = event("e", "u", 1_760_000_000, Some("i"), 2);
    assert_eq!(first.dedupe_key, again.dedupe_key);
    assert_ne!(first.body_hash, again.body_hash);
    for other in [
        event("f", "u", 1_760_000_000, Some("i"), 1),
        event("e", "v", 1_760_000_000, Some("i"), 1),
        event("e", "u", 1_760_000_001, Some("i"), 1),
        event("e", "u", 1_760_000_000, Some("j"), 1),
    ] {
        assert_ne!(first.dedupe_key, other.dedupe_key);
    }
    // Neither a change of a profile nor an event without an insert id is ever one.
    let two = |endpoint, record: Value| {
        let both = json!([record, record]).to_string();
        let keys: Vec<_> = admit_all(endpoint, "", both.as_bytes())
            .into_iter()
            .filter_map(|(item, _)| match item {
                Item::Event(event) => Some(event.dedupe_key),
                _ => None,
            })
            .collect();
        assert_eq!(keys.len(), 2);
        assert_ne!(keys[0], keys[1]);
    };
    two(Endpoint::Engage, json!({"$token": "t", "$distinct_id": "u", "$add": {"n": 1}}));
    two(
        Endpoint::Track,
        json!({"event": "e", "properties": {"token": "t", "time": 1_760_000_000}}),
    );
}

#[test]
fn a_bad_record_costs_itself_and_is_told_in_mixpanels_words() {
    use Endpoint::{Engage, Groups, Track};
    let deep = "[".repeat(9) + &"]".repeat(9);
    let table = [
        (Track, "7".to_owned(), Code::NotAnObject, "", "the record must be a JSON object"),
        (
            Track,
            r#"{"properties":{"token":"t"}}"#.to_owned(),
            Code::NoEventName,
            "event",
            "'event' must not be missing or blank",
        ),
        (
            Track,
            r#"{"event":" ","properties":{}}"#.to_owned(),
            Code::NoEventName,
            "event",
            "'event' must not be missing or blank",
        ),
        (
            Track,
            r#"{"event":"e","properties":[]}"#.to_owned(),
            Code::BadField,
            "properties",
            "'properties' is invalid: must be an object",
        ),
        (
            Track,
            r#"{"event":"e","properties":{"distinct_id":{}}}"#.to_owned(),
            Code::BadField,
            "properties.distinct_id",
            "'properties.distinct_id' is invalid: must be a string",
        ),
        (
            Track,
            r#"{"event":"e","properties":{"distinct_id":"\ud83d"}}"#.to_owned(),
            Code::BadText,
            "properties.distinct_id",
            "properties.distinct_id holds half of a surrogate pair",
        ),
        (
            Track,
            r#"{"event":"$identify","properties":{"$anon_id":"a"}}"#.to_owned(),
            Code::MissingId,
            "distinct_id",
            "distinct_id, missing or empty",
        ),
        (
            Track,
            r#"{"event":"$merge","properties":{"$distinct_ids":["a"]}}"#.to_owned(),
            Code::MissingId,
            "properties.$distinct_ids",
            "'properties.$distinct_ids' is invalid: must be two distinct ids",
        ),
        (
            Track,
            format!(r#"{{"event":"e","properties":{{"a":{deep}}}}}"#),
            Code::TooDeep,
            "",
            "the record is nested deeper than 8 levels",
        ),
        (
            Engage,
            r#"{"$token":"t","$set":{"a":1}}"#.to_owned(),
            Code::MissingId,
            "$distinct_id",
            "$distinct_id, missing or empty",
        ),
        (
            Engage,
            r#"{"$token":"t","$distinct_id":"u"}"#.to_owned(),
            Code::NoOperator,
            "",
            "no operator: expected one of $set, $set_once, $add, $append, $union, $remove, $unset, $delete",
        ),
        (
            Engage,
            r#"{"$token":"t","$distinct_id":"u","$set":7}"#.to_owned(),
            Code::BadField,
            "$set",
            "$set must be an object",
        ),
        (
            Engage,
            r#"{"$token":"t","$distinct_id":"u","$unset":"a"}"#.to_owned(),
            Code::BadField,
            "$unset",
            "$unset must be a list of names",
        ),
        (
            Groups,
            r#"{"$token":"t","$group_key":"k","$set":{"a":1}}"#.to_owned(),
            Code::MissingId,
            "$group_id",
            "$group_id, missing or empty",
        ),
        (
            Groups,
            r#"{"$token":"t","$group_key":"k","$group_id":"g","$add":{"a":1}}"#.to_owned(),
            Code::NoOperator,
            "",
            "no operator: expected one of $set, $set_once, $union, $remove, $unset, $delete",
        ),
    ];
    for (endpoint, record, code, field, words) in table {
        let good = if endpoint.takes_events() {
            r#"{"event":"ok","properties":{"token":"t"}}"#
        } else {
            r#"{"$token":"t","$distinct_id":"u","$group_key":"k","$group_id":"g","$set":{"a":1}}"#
        };
        let all = admit_all(endpoint, "", format!("[{good},{record},{good}]").as_bytes());
        assert_eq!(all.len(), 3, "{record}");
        let (Item::SetAside(aside), Some(failure)) = &all[1] else { panic!("{record}: {all:?}") };
        assert_eq!((aside.code, aside.reason.as_str()), (code, words), "{record}");
        let told = (failure.index, failure.field, failure.message.as_str());
        assert_eq!(told, (1, field, words), "{record}");
        assert!(matches!(all[0].0, Item::Event(_)) && matches!(all[2].0, Item::Event(_)));
        let kept = String::from_utf8_lossy(&aside.body);
        assert!(!kept.contains("token"), "{kept}");
    }
}

#[test]
fn lines_stand_for_themselves() {
    let body =
        b"{\"event\":\"a\",\"properties\":{}}\n\n{broken \"token\":\"t\"\r\n{\"event\":\"b\"}\n";
    let all = admit_all(Endpoint::Import, "", body);
    assert_eq!(all.len(), 3);
    let (Item::SetAside(aside), _) = &all[1] else { panic!("{all:?}") };
    assert_eq!((aside.code, aside.body.len(), aside.full_length), (Code::BadJson, 0, 20));
    assert!(matches!((&all[0].0, &all[2].0), (Item::Event(_), Item::Event(_))));
    let limits = Limits { batch_events: 2, ..Limits::default() };
    for (body, code) in [
        ("{broken\n{also", Code::BadJson),
        ("[{},{},{}]", Code::TooManyEvents),
        ("{}\n{}\n{}", Code::TooManyEvents),
        ("[{}", Code::BadJson),
        ("  ", Code::EmptyBody),
    ] {
        let read = Envelope::read(Endpoint::Track, Bytes::from(body), &limits);
        assert_eq!(read.err().map(|error| error.code()), Some(code), "{body}");
    }
}

#[test]
fn tokens_are_found_where_each_record_has_them() {
    let events = br#"[{"event":"e","token":"no","properties":{"token":"t1"}},{"event":"e"},{"properties":{"token":7}}]"#;
    let limits = Limits::default();
    let read = |endpoint, body: &[u8]| {
        let envelope = Envelope::read(endpoint, Bytes::copy_from_slice(body), &limits).unwrap();
        let token = |place| envelope.token(place).map(|token| token.expose().to_owned());
        (0..envelope.len()).map(token).collect::<Vec<_>>()
    };
    assert_eq!(read(Endpoint::Track, events), [Some("t1".to_owned()), None, None]);
    let profiles = br#"[{"$token":"t2","$set":{"$token":"no"}},{"token":"no"}]"#;
    assert_eq!(read(Endpoint::Engage, profiles), [Some("t2".to_owned()), None]);
}

proptest! {
    #[test]
    fn no_body_panics_and_every_event_is_json(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in "(data=)?[\\[{]{1,2}\"(event|\\$set|\\$distinct_id|properties|\\$token)\":[\\[{\"]?[a-z$\":,{}\\[\\]0-9.\\\\]{0,60}",
        query in "(ip=[01])?(&verbose=1)?(&data=[%A-Za-z0-9]{0,20})?"
    ) {
        for endpoint in [Endpoint::Track, Endpoint::Import, Endpoint::Engage, Endpoint::Groups] {
            for body in [bytes.as_slice(), text.as_bytes()] {
                for (item, _) in admit_all(endpoint, &query, body) {
                    if let Item::Event(event) = item {
                        prop_assert!(serde_json::from_slice::<Value>(&event.body).is_ok());
                    }
                }
            }
        }
    }

    #[test]
    fn every_property_that_is_not_elsewhere_stays_as_it_was(
        properties in proptest::collection::btree_map("[a-z]{1,4}", "\\PC{0,6}", 0..6)
    ) {
        let mut sent = json!({"token": "t", "distinct_id": "u"});
        for (key, value) in &properties {
            sent[key] = json!(value);
        }
        let event = taken(Endpoint::Track, "", &json!({"event": "e", "properties": sent}));
        let mut wanted = json!(properties);
        for gone in ["token", "time", "ip"] {
            wanted.as_object_mut().unwrap().remove(gone);
        }
        prop_assert_eq!(&canonical(&event)["properties"], &wanted);
    }
}

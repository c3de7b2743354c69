//! What the traffic promises.

use super::*;

const END: UnixMillis = UnixMillis(1_795_348_800_000); // 2026-11-22T12:00:00Z

fn parsed(seed: u64, end: UnixMillis) -> Vec<Value> {
    events(seed, end).map(|line| serde_json::from_str(&line).unwrap()).collect()
}

fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn at(event: &Value) -> UnixMillis {
    UnixMillis::parse(text(event, "timestamp")).unwrap()
}

#[test]
fn a_seed_and_an_end_give_the_same_bytes() {
    assert!(events(1, END).eq(events(1, END)));
    assert!(!events(1, END).eq(events(2, END)));
}

#[test]
fn the_counts_depend_on_the_seed_alone() {
    let later = UnixMillis(END.0 + 5 * 3_600_000 + 1);
    assert_eq!(expected(3, END), expected(3, later));
}

#[test]
fn the_week_is_of_the_promised_size_in_order_and_before_its_end() {
    for seed in 0..4 {
        let events = parsed(seed, END);
        assert!((3_000..=5_000).contains(&events.len()), "{seed}: {}", events.len());
        assert!(events.iter().all(|event| event.to_string().len() < 8_000));
        let times: Vec<_> = events.iter().map(at).collect();
        assert!(times.is_sorted());
        assert!(times.first().unwrap().0 >= END.0 - DAYS * DAY);
        assert!(times.last().unwrap() <= &END, "{seed}");
    }
}

#[test]
fn what_is_expected_is_what_comes() {
    let (events, expected) = (parsed(1, END), expected(1, END));
    assert_eq!(expected.received, count(events.len()));
    assert_eq!((expected.duplicates, expected.set_aside), (1, 2));
    assert_eq!(
        expected.calls.values().sum::<u64>() + expected.duplicates + expected.set_aside,
        expected.received
    );
    let calls = expected.calls.keys().map(String::as_str);
    assert!(calls.eq(["alias", "group", "identify", "page", "screen", "track"]));
    assert_eq!((expected.users, expected.companies), (100, 6));
    for name in ["Order Completed", "Order Refunded", "Signed Up", "Signed In", "Quote Requested"] {
        assert!(expected.tracks[name] > 5, "{name}: {:?}", expected.tracks);
    }

    let mut seen = BTreeSet::new();
    let again = events.iter().filter(|event| !seen.insert(text(event, "messageId"))).count();
    assert_eq!(count(again), expected.duplicates);
    let nobody =
        |event: &&Value| text(event, "userId").is_empty() && text(event, "anonymousId").is_empty();
    let nameless =
        |event: &&Value| text(event, "type") == "track" && text(event, "event").is_empty();
    assert_eq!(events.iter().filter(nobody).count(), 1);
    assert_eq!(events.iter().filter(nameless).count(), 1);
}

#[test]
fn nobody_is_known_before_they_are_identified() {
    let mut known = BTreeSet::new();
    for event in parsed(1, END) {
        let user = text(&event, "userId").to_owned();
        if text(&event, "type") == "identify" {
            known.insert(user);
        } else {
            assert!(user.is_empty() || known.contains(&user), "{event}");
        }
    }
}

#[test]
fn devices_are_joined_and_one_is_shared() {
    let mut users_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut devices_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in parsed(1, END).iter().filter(|event| text(event, "type") == "identify") {
        let (user, device) = (text(event, "userId"), text(event, "anonymousId"));
        users_of.entry(device.to_owned()).or_default().insert(user.to_owned());
        devices_of.entry(user.to_owned()).or_default().insert(device.to_owned());
    }
    assert_eq!(users_of.values().filter(|users| users.len() > 1).count(), 1);
    assert!(devices_of.values().filter(|devices| devices.len() > 1).count() > 10);
}

#[test]
fn nothing_is_real() {
    for line in events(1, END) {
        let event: Value = serde_json::from_str(&line).unwrap();
        let ip = event.pointer("/context/ip").and_then(Value::as_str).unwrap();
        let reserved = ["198.51.100.", "203.0.113.", "2001:db8::"];
        assert!(reserved.iter().any(|range| ip.starts_with(range)), "{ip}");
        assert!(ip.parse::<std::net::IpAddr>().is_ok(), "{ip}");
        for part in line.split("https://").skip(1) {
            let host = part.split(['/', '"']).next().unwrap();
            assert!(host.ends_with(".example"), "{host}");
        }
        for (before, after) in line.match_indices('@').map(|(place, _)| line.split_at(place)) {
            assert!(after.starts_with("@mail.example"), "{before}");
        }
    }
}

/// What the collector's own decoder makes of the whole week in one batch.
#[test]
fn the_collector_takes_all_but_the_odd_ones() {
    use millrace_model::code::Code;
    use millrace_model::event::{EventKind, Item};
    use millrace_protocol::Limits;
    use millrace_protocol::segment::{Admission, Call, Envelope};

    let lines: Vec<String> = events(1, END).collect();
    let body = format!("{{\"batch\":[{}]}}", lines.join(","));
    let limits = Limits { batch_events: lines.len(), ..Limits::default() };
    let envelope = Envelope::read(Call::Batch, body.into(), &limits).unwrap();
    let batch = envelope.admit(&Admission {
        pipeline: &"dev".parse().unwrap(),
        origin: millrace_model::passage::Origin::Spec,
        received_at: END,
        client_ip: None,
        from_device: false,
        limits: &limits,
        entropy: &millrace_model::entropy::SeededEntropy::new(1),
    });
    let mut taken: BTreeMap<String, u64> = BTreeMap::new();
    let mut aside = Vec::new();
    for item in &batch.items {
        match item {
            Item::Event(event) => *taken.entry(event.kind.as_str().to_owned()).or_default() += 1,
            Item::SetAside(item) => aside.push(item.code),
            Item::Filtered(item) => panic!("{item:?}"),
            Item::Duplicate(_) => panic!("duplicates are for the log to tell"),
        }
    }
    aside.sort();
    assert_eq!(aside, [Code::NoEventName]);
    let expected = expected(1, END);
    // The track that is nobody's is taken as well: mapping sets it aside.
    let again = taken.values().sum::<u64>() - expected.calls.values().sum::<u64>() - 1;
    assert_eq!(again, expected.duplicates);
    for kind in EventKind::SPEC {
        assert!(taken[kind.as_str()] >= expected.calls[kind.as_str()], "{kind:?}");
    }
}

/// So that a sum over `revenue` is what the shop has sold, and refunds are positive.
#[test]
fn only_orders_have_revenue_and_refunds_are_positive() {
    let mut refunds = 0;
    for event in parsed(1, END) {
        let name = text(&event, "event");
        let amount =
            |key: &str| event.pointer(&format!("/properties/{key}")).and_then(Value::as_f64);
        assert_eq!(amount("revenue").is_some(), name == "Order Completed", "{event}");
        if name == "Order Refunded" {
            assert!(amount("total").is_some_and(|total| total > 0.0), "{event}");
            refunds += 1;
        }
    }
    assert!(refunds > 0);
}

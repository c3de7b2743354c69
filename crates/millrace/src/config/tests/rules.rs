//! The rules of a pipeline's door, in the file and at work.

use bytes::Bytes;
use millrace_govern::Circumstances;
use millrace_model::code::Code;
use millrace_model::event::{Batch, DedupeKey, Event, EventKind, Facts, Item, TimeSource};
use millrace_model::passage::Passage;
use millrace_model::time::UnixMillis;

use super::*;

const PAGE: &str = include_str!("../../../../../docs/governing.md");

/// The blocks of a page that are written in a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let rest = PAGE.split("```").skip(1).step_by(2);
    rest.filter_map(|block| block.strip_prefix(language)).map(str::trim).collect()
}

/// A whole file with the given rules in its pipeline.
fn with_rules(rules: &str) -> String {
    changed("write_keys = [{ env = \"KEY\" }]\n", &format!("write_keys = [\"k\"]\n{rules}\n"))
}

#[test]
fn the_examples_of_the_page_about_governing_hold() {
    let mut count = 0;
    for block in blocks("toml").into_iter().filter(|block| !block.contains("database")) {
        let text = format!("[server]\nadmin_token = {{ env = \"ADMIN\" }}\n{block}");
        let (_, warnings) = parse(&text).unwrap_or_else(|found| panic!("{block}: {found:?}"));
        // The pieces have no integration, and are warned about that alone.
        assert!(warnings.iter().all(|one| one.code == Code::MissingKey), "{warnings:?}");
        count += 1;
    }
    assert_eq!(count, 5);
}

#[test]
fn the_first_example_does_to_an_event_what_the_page_says() {
    let text = format!("[server]\nadmin_token = {{ env = \"ADMIN\" }}\n{}", blocks("toml")[0]);
    let (config, _) = parse(&text).unwrap();
    let pipeline = config.pipelines[0].id.clone();
    let [before, after] = blocks("json")[..] else { panic!("an event, before and after") };
    let (now, message_id) = (UnixMillis(0), "m".to_owned());
    let dedupe_key = DedupeKey::new(&pipeline, &message_id);
    let time_source = TimeSource::Client;
    let event = Event {
        kind: EventKind::Track,
        facts: Facts { message_id, time: now, time_source, client_ip: None },
        passage: Passage::default(),
        dedupe_key,
        body_hash: 0,
        body: Bytes::from_static(before.as_bytes()),
    };
    let mut batch = Batch { pipeline, received_at: now, items: vec![Item::Event(event)] };
    let circumstances = Circumstances {
        received_at: now,
        client_ip: None,
        from_device: false,
        user_agent: None,
        cookies: None,
        global_privacy_control: false,
    };
    config.pipelines[0].door.rules.govern(&mut batch, &circumstances);
    let [Item::Event(event)] = &batch.items[..] else { panic!("{batch:?}") };
    assert_eq!(String::from_utf8_lossy(&event.body), after);
}

#[test]
fn mistakes_in_rules_are_told_with_what_was_meant() {
    let table = [
        ("privacy = { hash = [\"traits.email\"] }", "MR5114"),
        ("privacy = { hash = [\"traits.email\"] }", "write for example \"$.traits.email\""),
        ("privacy = { remove = [\"$.a b\"] }", "`pipelines.privacy.remove` names no place"),
        ("privacy = { presets = [\"persona\"] }", "did you mean `personal`?"),
        ("privacy = { hash = [\"$.a\"], remov = [] }", "did you mean `remove`?"),
        ("bots = { action = \"drops\" }", "did you mean \"drop\"?"),
        ("bots = { patterns = [\"**\"] }", "would fit everything"),
        ("internal = { networks = [\"10.0.0.0/33\"] }", "is no network"),
        ("internal = { email_domains = [\"@\"] }", "is empty"),
        ("drop = [{ name = \"all\" }]", "would drop every event"),
        ("drop = [{ event = 5 }]", "must be a text"),
        ("places = true", "add [places]"),
        ("hot_id_alarm = 200001", "must be 1 to 200000"),
    ];
    for (rules, wanted) in table {
        let found = mistakes(&with_rules(rules));
        assert_eq!(found.len(), 1, "{rules}: {found:?}");
        assert!(found[0].contains(wanted), "{rules}: {found:?}");
        assert!(found[0].starts_with("millrace.toml:"), "{found:?}");
    }
    let places = mistakes(&format!("{MINIMAL}\n[places]\ndatabase = \"not-there.mmdb\"\n"));
    assert_eq!(places.len(), 1, "{places:?}");
    assert!(places[0].contains("MR5115"), "{places:?}");
}

#[test]
fn doubtful_rules_are_warned_about() {
    let table = [
        ("privacy = { hash = [\"$.a\"], remove = [\"$.a\"] }", "stands under `hash` already"),
        ("privacy = { remove = [\"$.userId\"] }", "hash it, and events still join"),
        ("privacy = {}", "name no place"),
    ];
    for (rules, wanted) in table {
        let (_, warnings) = parse(&with_rules(rules)).unwrap();
        let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert!(warnings.len() == 1 && warnings[0].contains(wanted), "{rules}: {warnings:?}");
    }
}

#[test]
fn small_settings_reach_the_rules() {
    let rules = "hot_id_alarm = 9\ninternal = { networks = [\"10.1.2.3\"] }";
    let (config, warnings) = parse(&with_rules(rules)).unwrap();
    assert_eq!(warnings, []);
    let rules = &config.pipelines[0].door.rules;
    assert_eq!(rules.hot_ids().map(|hot| hot.alarm_at()), Some(9));
    assert!(!rules.protect());
}

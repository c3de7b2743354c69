//! Events a second that the rules of a door take on one core: without rules, with those of a cautious
//! shop, and with the lists of personal data.
//!
//! `cargo run --release -p millrace-govern --example govern_speed -- EVENTS.jsonl [ROUNDS]`

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement for developers"
)]

#[path = "../tests/it/mmdb.rs"]
mod mmdb;

use std::sync::Arc;
use std::time::Instant;

use millrace_govern::bots::BotOptions;
use millrace_govern::places::{PlaceDatabase, PlaceOptions, Places};
use millrace_govern::privacy::{Place, PrivacyOptions, PrivacyRule, Treatment, preset};
use millrace_govern::{Circumstances, RuleOptions, Rules};
use millrace_model::event::{Batch, DedupeKey, Event, EventKind, Facts, Item, TimeSource};
use millrace_model::id::PipelineId;
use millrace_model::passage::Passage;
use millrace_model::time::UnixMillis;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| "events.jsonl".to_owned());
    let rounds = arguments.next().map_or(9, |rounds| rounds.parse().unwrap());
    let text = std::fs::read_to_string(&file).unwrap();
    let pipeline: PipelineId = "bench".parse().unwrap();
    let items: Vec<Item> = text.lines().map(|line| Item::Event(event(line, &pipeline))).collect();
    for (name, options) in [
        ("no rules", RuleOptions::default()),
        ("5 hashes, bots, places", shop()),
        ("lists of personal data and ids", lists()),
    ] {
        let rules = Rules::new(&options);
        let mut best = 0.0_f64;
        for _ in 0..rounds {
            let received_at = UnixMillis(0);
            let mut batch = Batch { pipeline: pipeline.clone(), received_at, items: items.clone() };
            let start = Instant::now();
            rules.govern(&mut batch, &circumstances());
            best = best.max(items.len() as f64 / start.elapsed().as_secs_f64());
        }
        println!("{name}: {best:.0} events/s");
    }
}

fn rules(rules: Vec<PrivacyRule>) -> Option<PrivacyOptions> {
    Some(PrivacyOptions { rules, ..PrivacyOptions::default() })
}

fn shop() -> RuleOptions {
    let places =
        ["$.userId", "$.anonymousId", "$.traits.email", "$.context.traits.email", "$..phone"];
    let hash = |place: &str| {
        let place = Place::parse(place).unwrap();
        PrivacyRule { place, treatment: Treatment::Hash }
    };
    let entries = [("203.0.113.7", mmdb::bonn())];
    let database = PlaceDatabase::read(mmdb::database("GeoLite2-City", &entries)).unwrap();
    let places_of = Arc::new(Places::new(database));
    RuleOptions {
        bots: Some(BotOptions::default()),
        places: Some(PlaceOptions { places: places_of, coordinates: true, drop_ip: false }),
        privacy: rules(places.into_iter().map(hash).collect()),
        ..RuleOptions::default()
    }
}

fn lists() -> RuleOptions {
    let both = ["personal", "ids"].into_iter().filter_map(preset).flatten();
    RuleOptions { privacy: rules(both.collect()), ..RuleOptions::default() }
}

fn event(line: &str, pipeline: &PipelineId) -> Event {
    let message_id = "m".to_owned();
    Event {
        kind: EventKind::Track,
        dedupe_key: DedupeKey::new(pipeline, &message_id),
        facts: Facts {
            message_id,
            time: UnixMillis(0),
            time_source: TimeSource::Client,
            client_ip: Some("203.0.113.7".to_owned()),
        },
        passage: Passage::default(),
        body_hash: 0,
        body: line.to_owned().into(),
    }
}

fn circumstances() -> Circumstances<'static> {
    Circumstances {
        received_at: UnixMillis(0),
        client_ip: None,
        from_device: true,
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0"),
        cookies: None,
        global_privacy_control: false,
    }
}

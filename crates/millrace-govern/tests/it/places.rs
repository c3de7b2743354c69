use std::sync::Arc;

use millrace_govern::RuleOptions;
use millrace_govern::places::{PlaceDatabase, PlaceError, PlaceOptions, Places};
use millrace_govern::privacy::{Place, PrivacyOptions, PrivacyRule, Treatment};
use millrace_model::passage::Origin;
use serde_json::json;

use crate::mmdb::{Value, bonn, database};
use crate::world::{event, govern, json, notes};

const IP: &str = "203.0.113.7";

fn places() -> Arc<Places> {
    let bytes =
        database("GeoLite2-City", &[(IP, bonn()), ("2001:db8::1", bonn()), ("10.0.0.1", bonn())]);
    Arc::new(Places::new(PlaceDatabase::read(bytes).unwrap()))
}

fn options(coordinates: bool, drop_ip: bool) -> RuleOptions {
    let places = Some(PlaceOptions { places: places(), coordinates, drop_ip });
    RuleOptions { places, ..RuleOptions::default() }
}

#[test]
fn a_place_is_added_where_there_is_none() {
    let place = json!({
        "city": "Bonn", "region": "North Rhine-Westphalia", "country": "Germany",
        "country_code": "DE", "timezone": "Europe/Berlin",
    });
    let table = [
        (json!({ "context": { "ip": IP } }), json!({ "context": { "location": place, "ip": IP } })),
        (json!({ "context": {} }), json!({ "context": { "location": place } })),
        (json!({ "a": 1 }), json!({ "a": 1, "context": { "location": place } })),
        (json!({ "context": null }), json!({ "context": { "location": place } })),
        (json!({ "context": { "location": null } }), json!({ "context": { "location": place } })),
        (json!({ "context": { "location": {} } }), json!({ "context": { "location": place } })),
    ];
    for (before, after) in table {
        let mut incoming = event(Origin::Spec, before.to_string());
        incoming.facts.client_ip = Some(IP.to_owned());
        let governed = govern(&options(false, false), incoming);
        assert_eq!(json(&governed), after, "{before}");
        assert_eq!(notes(&governed), ["located $.context.location"]);
    }
}

#[test]
fn a_place_of_its_own_and_an_address_without_one_are_left_alone() {
    let table = [
        json!({ "context": { "ip": IP, "location": { "city": "Ulm" } } }),
        json!({ "context": { "ip": IP, "location": "Ulm" } }),
        json!({ "context": { "ip": "10.0.0.1" } }),
        json!({ "context": { "ip": "127.0.0.1" } }),
        json!({ "context": { "ip": "fd00::1" } }),
        json!({ "context": { "ip": "203.0.113.8" } }),
        json!({ "context": { "ip": "nonsense" } }),
        json!({ "context": "text" }),
        json!({}),
    ];
    for before in table {
        let governed = govern(&options(true, false), event(Origin::Spec, before.to_string()));
        assert_eq!((json(&governed), notes(&governed)), (before, vec![]));
    }
}

#[test]
fn coordinates_and_the_end_of_the_address_are_options() {
    let before = json!({ "context": { "ip": "2001:db8::1", "ip ": 1 } }).to_string();
    let mut incoming = event(Origin::Spec, before);
    incoming.facts.client_ip = Some(IP.to_owned());
    let governed = govern(&options(true, true), incoming);
    let after = json(&governed);
    assert_eq!(after["context"]["location"]["latitude"], json!(50.7));
    assert_eq!(after["context"]["ip"], json!(null));
    assert_eq!(governed.facts.client_ip, None);
    assert_eq!(notes(&governed), ["located $.context.location", "removed places.drop_ip"]);
}

#[test]
fn events_of_adobe_get_it_in_their_own_form() {
    let before = json!({ "xdm": { "eventType": "a", "environment": { "ipV4": IP } } }).to_string();
    let governed = govern(&options(true, false), event(Origin::Edge, before));
    let geo = json!({
        "city": "Bonn", "stateProvince": "NW", "countryCode": "DE",
        "_schema": { "latitude": 50.7, "longitude": 7.1 },
    });
    assert_eq!(json(&governed)["xdm"]["placeContext"], json!(null));
    // There is no placeContext to put it into, and none is made up in somebody else's schema.
    let before =
        json!({ "xdm": { "placeContext": {}, "environment": { "ipV4": IP } } }).to_string();
    let governed = govern(&options(true, false), event(Origin::Edge, before));
    assert_eq!(json(&governed)["xdm"]["placeContext"]["geo"], geo);
}

#[test]
fn what_places_add_is_subject_to_privacy() {
    for (path, left) in [("$.context.location.city", true), ("$.context", false), ("$..city", true)]
    {
        let rule = PrivacyRule { place: Place::parse(path).unwrap(), treatment: Treatment::Remove };
        let privacy = Some(PrivacyOptions { rules: vec![rule], ..PrivacyOptions::default() });
        let mut incoming = event(Origin::Spec, "{}");
        incoming.facts.client_ip = Some(IP.to_owned());
        let governed = govern(&RuleOptions { privacy, ..options(false, false) }, incoming);
        assert!(!String::from_utf8_lossy(&governed.body).contains("Bonn"), "{path}");
        assert_eq!(json(&governed)["context"].is_object(), left, "{path}");
    }
}

#[test]
fn what_is_no_database_of_places_is_told() {
    assert!(matches!(PlaceDatabase::read(b"none".to_vec()), Err(PlaceError::Unreadable(_))));
    let asn = database("GeoLite2-ASN", &[(IP, Value::Map(Vec::new()))]);
    assert!(
        matches!(PlaceDatabase::read(asn), Err(PlaceError::WrongKind(kind)) if kind == "GeoLite2-ASN")
    );
}

#[test]
fn a_damaged_database_finds_nothing_and_does_no_harm() {
    let good = database("GeoLite2-City", &[(IP, bonn())]);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        let Ok(database) = PlaceDatabase::read(bad) else { continue };
        let places = Arc::new(Places::new(database));
        let places = Some(PlaceOptions { places, coordinates: true, drop_ip: false });
        let options = RuleOptions { places, ..RuleOptions::default() };
        let body = json!({ "context": { "ip": IP } }).to_string();
        let governed = govern(&options, event(Origin::Spec, body));
        assert!(json(&governed).is_object());
    }
}

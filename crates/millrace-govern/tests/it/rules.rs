use std::sync::Arc;

use millrace_govern::bots::BotOptions;
use millrace_govern::hot_ids::HotIds;
use millrace_govern::internal::{DropRule, InternalOptions};
use millrace_govern::{Action, Circumstances, Pattern, RuleOptions, Rules};
use millrace_model::disposition::FilterReason;
use millrace_model::event::Item;
use millrace_model::passage::Origin;
use serde_json::{Value, json};

use crate::world::{browser, event, govern_item, notes, server};

const PERSON: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:121.0) Gecko/20100101 Firefox/121.0";
const CRAWLER: &str = "Mozilla/5.0 (compatible; Googlebot/2.1)";

/// Why an event is filtered, or its notes.
fn judged(options: &RuleOptions, body: &Value, circumstances: &Circumstances<'_>) -> String {
    let incoming = Item::Event(event(Origin::Spec, body.to_string()));
    match govern_item(&Rules::new(options), incoming, circumstances) {
        Item::Event(event) => notes(&event).join(", "),
        Item::Filtered(filtered) => {
            assert_eq!(filtered.full_length, body.to_string().len() as u64);
            format!("{}: {}", filtered.reason.as_str(), filtered.rule)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn bots_are_known_by_the_event_or_by_a_browsers_request() {
    let bots = BotOptions {
        patterns: vec![Pattern::new("internal-monitor/*")],
        empty_user_agent: true,
        ..BotOptions::default()
    };
    let options = RuleOptions { bots: Some(bots), ..RuleOptions::default() };
    let says = |agent: &str| json!({ "context": { "userAgent": agent } });
    let table = [
        (says(PERSON), server(), ""),
        (says(CRAWLER), server(), "bot: known bot `bot`"),
        (says("Internal-Monitor/2"), server(), "bot: pattern `internal-monitor/*`"),
        (json!({}), browser(CRAWLER), "bot: known bot `bot`"),
        (json!({}), browser(PERSON), ""),
        (json!({}), browser(" "), "bot: empty user agent"),
        (says(PERSON), browser(""), ""),
        // A server sends with a tool, which says nothing about whom it speaks for.
        (json!({}), server(), ""),
        (says(""), server(), ""),
    ];
    for (body, circumstances, wanted) in table {
        assert_eq!(judged(&options, &body, &circumstances), wanted, "{body}");
    }
    let bots = Some(BotOptions { action: Action::Tag, ..BotOptions::default() });
    let tagged = RuleOptions { bots, ..RuleOptions::default() };
    assert_eq!(judged(&tagged, &says(CRAWLER), &server()), "bot known bot `bot`");
}

#[test]
fn internal_traffic_is_known_by_any_of_its_signs() {
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(text)).collect();
    let internal = InternalOptions {
        networks: vec!["203.0.113.0/24".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        user_ids: patterns(&["test-*"]),
        email_domains: vec!["shop.example".to_owned()],
        hosts: patterns(&["localhost", "*.staging.shop.example"]),
        user_agents: patterns(&["internal-monitor/*"]),
        ..InternalOptions::default()
    };
    let options = RuleOptions { internal: Some(internal), ..RuleOptions::default() };
    let page = |url: &str| json!({ "context": { "page": { "url": url } } });
    let monitor = Circumstances { user_agent: Some("internal-monitor/1"), ..server() };
    let table = [
        (json!({}), browser(PERSON), "internal: network 203.0.113.0/24"),
        (json!({ "context": { "ip": "10.9.9.9" } }), server(), "internal: network 10.0.0.0/8"),
        // The server itself stands in the network.
        (json!({}), server(), ""),
        (json!({ "userId": "test-17" }), server(), "internal: user_ids"),
        (json!({ "userId": "Ann@Shop.Example" }), server(), "internal: email domain shop.example"),
        (json!({ "traits": { "email": "a@myshop.example" } }), server(), ""),
        (page("http://localhost:3000/x"), server(), "internal: host localhost"),
        (
            page("https://a.staging.shop.example/"),
            server(),
            "internal: host *.staging.shop.example",
        ),
        (page("https://shop.example/?localhost"), server(), ""),
        (json!({}), monitor, "internal: user agent internal-monitor/*"),
    ];
    for (body, circumstances, wanted) in table {
        assert_eq!(judged(&options, &body, &circumstances), wanted, "{body}");
    }
}

#[test]
fn events_are_dropped_by_name_and_page() {
    let rule = |name: &str, event: Option<&str>, path: Option<&str>| DropRule {
        name: name.to_owned(),
        event: event.map(Pattern::new),
        path: path.map(Pattern::new),
    };
    let drops = vec![
        rule("beats", Some("Heartbeat*"), None),
        rule("admin clicks", Some("Click"), Some("/admin/*")),
    ];
    let options = RuleOptions { drops, ..RuleOptions::default() };
    let click = |page: Value| json!({ "event": "Click", "context": { "page": page } });
    let table = [
        (json!({ "event": "heartbeat 5" }), "drop_rule: beats"),
        (click(json!({ "path": "/admin/x" })), "drop_rule: admin clicks"),
        (click(json!({ "url": "https://s.example/admin/x?y" })), "drop_rule: admin clicks"),
        (click(json!({ "path": "/x" })), ""),
        (click(json!({})), ""),
        (json!({ "type": "identify" }), ""),
    ];
    for (body, wanted) in table {
        assert_eq!(judged(&options, &body, &server()), wanted, "{body}");
    }
    assert_eq!(FilterReason::DropRule.as_str(), "drop_rule");
}

#[test]
fn events_of_a_hot_id_are_noted() {
    let hot = Arc::new(HotIds::new(2));
    let options = RuleOptions { hot_ids: Some(Arc::clone(&hot)), ..RuleOptions::default() };
    let body = json!({ "userId": "", "anonymousId": "same" });
    assert_eq!(judged(&options, &body, &server()), "");
    let noted = "hot_identity 2 events today or more";
    assert_eq!(judged(&options, &body, &server()), noted);
    assert_eq!(hot.hot().first().map(|hot| (hot.id.as_str(), hot.events)), Some(("same", 2)));
}

#[test]
fn without_rules_nothing_is_looked_at() {
    let incoming = Item::Event(event(Origin::Spec, "not even JSON"));
    let rules = Rules::new(&RuleOptions::default());
    assert_eq!(govern_item(&rules, incoming.clone(), &browser(CRAWLER)), incoming);
}

//! Visitors of Adobe's Edge Network API, through the real binary to the twin: who they are after they
//! have signed in, and what they allow.

#![expect(clippy::indexing_slicing, reason = "helper functions of tests")]

use millrace_model::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::http::Connection;
use crate::server::{ADMIN_TOKEN, DevServer, tally};

const COOKIE: &str = "kndctr_shop_AdobeOrg_identity";

/// A configuration with one pipeline, one integration and a twin.
fn config(pipeline: &str, integration: &str) -> String {
    format!(
        r#"
data_dir = "data"

[server]
collect = "127.0.0.1:0"
manage = "127.0.0.1:0"
admin_token = "{ADMIN_TOKEN}"

[[pipelines]]
id = "shop"
write_keys = ["shop-key"]

[pipelines.adobe]
datastreams = ["shop"]
organisation = "shop@AdobeOrg"
{pipeline}
[[integrations]]
id = "mixpanel"
pipeline = "shop"
token = "token"
region = "twin"
{integration}
[twin]
listen = "127.0.0.1:0"
projects = [{{ id = 1, token = "token" }}]
"#
    )
}

struct Shop {
    server: DevServer,
    _folder: tempfile::TempDir,
}

impl Shop {
    fn open(pipeline: &str, integration: &str) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("millrace.toml");
        std::fs::write(&file, config(pipeline, integration)).unwrap();
        Shop { server: DevServer::start_with(&file), _folder: folder }
    }

    /// Posts as a page does. Gives the visitor's ECID and their cookies from then on.
    fn call(&self, call: &str, cookies: &str, body: &Value) -> (String, String) {
        let mut connection = Connection::open(self.server.collector_url()).unwrap();
        let headers =
            [("Cookie", cookies), ("Origin", "https://shop.test"), ("Content-Type", "text/plain")];
        let path = format!("/ee/v1/{call}?configId=shop");
        let (status, answer) =
            connection.send("POST", &path, &headers, Some(&body.to_string())).unwrap();
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let payload = |kind: &str| {
            let handles = answer["handle"].as_array().unwrap();
            handles.iter().find(|handle| handle["type"] == kind).map(|handle| &handle["payload"])
        };
        let ecid = payload("identity:result").and_then(|ids| ids[0]["id"].as_str());
        let stored = payload("state:store").and_then(Value::as_array).into_iter().flatten();
        let value = stored.clone().find(|entry| entry["key"] == COOKIE);
        let own = value.and_then(|entry| entry["value"].as_str());
        let cookies = match own {
            Some(own) if !cookies.contains(COOKIE) => format!("{COOKIE}={own}; {cookies}"),
            _ => cookies.to_owned(),
        };
        (ecid.unwrap_or_default().to_owned(), cookies)
    }

    fn events(&self, user: &str) -> Vec<Value> {
        let person = self.server.twin_get(&format!("/twin/v1/projects/1/users/{user}"));
        person["activity"].as_array().unwrap_or_else(|| panic!("{user}: {person:#}")).clone()
    }
}

fn event(kind: &str, user: Option<&str>) -> Value {
    let now = SystemClock::default().now().to_string();
    let mut xdm = json!({"eventType": kind, "timestamp": now});
    if let Some(user) = user {
        // Some senders write the truth value as text.
        let id = json!({"id": user, "authenticatedState": "authenticated", "primary": "true"});
        xdm["identityMap"] = json!({"Email": [{"id": "e"}], "CRMID": [id]});
    }
    json!({"events": [{"xdm": xdm}]})
}

#[test]
fn a_visitor_who_signs_in_is_one_user_with_what_came_before() {
    for blueprint in ["default", "adobe"] {
        let tokens = "\n[pipelines.mixpanel]\ntokens = [\"token\"]\n";
        let shop = Shop::open(tokens, &format!("blueprint = \"{blueprint}\"\n"));
        // Who has Mixpanel's cookie is known by its device, who has none by the ECID.
        let mixpanel = "mp_token_mixpanel=%7B%22distinct_id%22%3A%22%24device%3Ad-1%22%2C%22%24device_id%22%3A%22d-1%22%7D";
        let mut devices = Vec::new();
        for (user, cookies) in [("ada", mixpanel), ("bob", "")] {
            let (ecid, cookies) =
                shop.call("interact", cookies, &event("commerce.productViews", None));
            let signed_in = event("commerce.purchases", Some(user));
            let (again, _) = shop.call("interact", &cookies, &signed_in);
            assert_eq!(again, ecid, "{blueprint}: the ECID stays");
            devices.push(if user == "ada" { "d-1".to_owned() } else { ecid });
        }
        let ledger = shop.server.drain(4);
        assert_eq!(tally(&ledger, "delivered"), 4, "{blueprint}: {ledger:#}");
        for (user, device) in ["ada", "bob"].into_iter().zip(&devices) {
            let events = shop.events(user);
            let mut names: Vec<_> = events.iter().filter_map(|one| one["event"].as_str()).collect();
            names.sort_unstable();
            assert!(names.contains(&"commerce.purchases"), "{blueprint} {user}: {events:?}");
            assert_eq!(names.len(), 2, "{blueprint} {user}: {events:?}");
            for one in &events {
                assert_eq!(one["properties"]["$device_id"], json!(device), "{blueprint}: {one:#}");
            }
        }
    }
}

#[test]
fn what_set_consent_says_holds_for_the_events_that_follow() {
    let shop = Shop::open(
        "\n[pipelines.consent]\ndefault = \"deny\"\n",
        "required_consent = [\"marketing\"]\n",
    );
    let adobe = |version: &str, value: Value| json!({"consent": [{"standard": "Adobe", "version": version, "value": value}]});
    let view = || event("commerce.productViews", None);
    // Nothing was said yet.
    let (_, cookies) = shop.call("interact", "", &view());
    shop.server.drain(1);
    // Adobe 1.0 speaks for all purposes.
    shop.call("privacy/set-consent", &cookies, &adobe("1.0", json!({"general": "in"})));
    shop.call("interact", &cookies, &event("commerce.purchases", Some("ada")));
    let ledger = shop.server.drain(3);
    assert_eq!(tally(&ledger, "delivered"), 1, "{ledger:#}");
    // Adobe 2.0: who lets nothing be collected lets nothing be sent.
    shop.call("privacy/set-consent", &cookies, &adobe("2.0", json!({"collect": {"val": "n"}})));
    shop.call("interact", &cookies, &view());
    let ledger = shop.server.drain(5);
    // The first view, the last, and the withdrawal, which denies itself. The grant has no row.
    assert_eq!(ledger["by_code"]["filtered/consent"], 3, "{ledger:#}");
    assert_eq!(ledger["by_code"]["filtered/drop_rule"], 1, "{ledger:#}");
    assert_eq!(tally(&ledger, "delivered"), 1, "{ledger:#}");
    assert_eq!(shop.events("ada").len(), 1);
}

//! Several projects of one integration, from the collector to the twin.

use serde_json::{Value, json};

use crate::http::Connection;
use crate::server::{ADMIN_TOKEN, DevServer, tally};

const BLUEPRINT: &str = "
blueprint: sites
rules:
  - name: all
    send:
      - event: { name: $.event, distinct_id: $.userId, token: $.properties.token }
      - profile: { distinct_id: $.userId, token: $.properties.token, set: { seen: yes-indeed } }
";

fn config() -> String {
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

[[integrations]]
id = "mixpanel"
pipeline = "shop"
token = "token-one"
region = "twin"
blueprint = "./sites.yaml"

[integrations.projects.europe]
token = "token-two"

[twin]
listen = "127.0.0.1:0"
projects = [{{ id = 1, token = "token-one" }}, {{ id = 2, token = "token-two" }}]
"#
    )
}

#[test]
fn each_event_reaches_the_project_that_it_names_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sites.yaml"), BLUEPRINT).unwrap();
    let file = folder.path().join("millrace.toml");
    std::fs::write(&file, config()).unwrap();
    let server = DevServer::start_with(&file);

    let event = |name: &str, properties: Value| json!({"type": "track", "userId": "u1", "event": name, "properties": properties});
    let batch = json!({"batch": [
        event("One", json!({})),
        event("Two", json!({"token": "token-two"})),
        event("None", json!({"token": "token-three"})),
    ]});
    let mut connection = Connection::open(server.collector_url()).unwrap();
    let (status, _) = connection.post("/v1/batch", "shop-key", &batch.to_string()).unwrap();
    assert_eq!(status, 200);

    let ledger = server.drain(3);
    assert_eq!((tally(&ledger, "delivered"), tally(&ledger, "set_aside")), (2, 1), "{ledger:#}");
    assert_eq!(ledger["by_code"]["set_aside/MR2012"], 1, "{ledger:#}");
    for (project, name) in [(1, "One"), (2, "Two")] {
        let person = server.twin_get(&format!("/twin/v1/projects/{project}/users/u1"));
        let activity = person["activity"].as_array().unwrap();
        let names: Vec<_> = activity.iter().filter_map(|event| event["event"].as_str()).collect();
        assert_eq!(names, [name], "{person:#}");
        assert_eq!(person["profile"]["seen"], "yes-indeed", "{person:#}");
    }
}

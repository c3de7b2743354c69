//! Unmodified SDKs from their package registries, sending a journey through the real binary.
//!
//! Every SDK makes the same calls with its own methods (`tests/sdk`), and the twin must then hold
//! the same: each event once, one user with the history of two devices, one group. Needed on the
//! machine: Node 20 or newer with npm, and Python 3 with pip. Packages are installed once into the target
//! folder, through the package clients, at the versions of the lock files.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helper functions of tests"
)]

mod mixpanel;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use millrace_model::time::{Clock as _, SystemClock, UnixMillis};
use serde_json::{Value, json};

use crate::packages::{npm_packages, python_packages};
use crate::server::{DevServer, tally};

/// A device that signs in later, by alias. Its id has the form that SDKs give devices.
const SECOND_DEVICE: &str = "5f0c3d1e-8a47-4b52-9c86-2d7e41b0a936";

#[test]
fn segment_for_node_arrives_whole() {
    arrives_whole("segment-node", |server| node("segment.mjs", server));
}

#[test]
fn rudderstack_for_node_arrives_whole() {
    arrives_whole("rudder-node", |server| node("rudder.mjs", server));
}

#[test]
fn segment_for_python_arrives_whole() {
    arrives_whole("segment-python", |server| python("segment_driver.py", server));
}

#[test]
fn rudderstack_for_python_arrives_whole() {
    arrives_whole("rudder-python", |server| python("rudder_driver.py", server));
}

/// The lock file says which packages, and leaves it to the package client where they come from.
#[test]
fn the_lock_file_names_no_registry() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/node/package-lock.json");
    let lock = fs::read_to_string(path).expect("the lock file");
    assert!(!lock.contains("\"resolved\"") && !lock.contains("://"));
}

/// The journey of one visitor: two devices, an account, a company.
struct Journey {
    sdk: &'static str,
    user: String,
    device: String,
    company: String,
    begin: UnixMillis,
    steps: Vec<Value>,
}

impl Journey {
    /// The calls in their order. Some properties are odd on purpose: text beyond ASCII, null, lists.
    fn new(sdk: &'static str, begin: UnixMillis) -> Journey {
        let mut journey = Journey {
            sdk,
            user: format!("{sdk}-user"),
            device: format!("{sdk}-device"),
            company: format!("{sdk}-company"),
            begin,
            steps: Vec::new(),
        };
        let (user, device) = (journey.user.clone(), journey.device.clone());
        let company = journey.company.clone();
        let traits = json!({ "email": "ada@mail.example", "name": "Ada Moss", "plan": "pro" });
        let order = json!({
            "order_id": "o-1", "revenue": 39.5, "currency": "EUR",
            "products": [{ "product_id": "p-1", "name": "Mug", "price": 10.5, "quantity": 2 }],
        });
        let page =
            json!({ "url": "https://www.shop.example/mugs", "path": "/mugs", "title": "Mugs" });
        journey.call("page", json!({ "anonymousId": device, "name": "Mugs", "properties": page }));
        let seen =
            json!({ "product_id": "p-1", "label": "žluťoučký 🐎", "none": null, "tags": ["a"] });
        journey.call(
            "track",
            json!({ "anonymousId": device, "event": "Product Viewed", "properties": seen }),
        );
        journey.flush();
        journey
            .call("identify", json!({ "userId": user, "anonymousId": device, "traits": traits }));
        journey.call(
            "track",
            json!({ "userId": user, "anonymousId": device, "event": "Order Completed", "properties": order }),
        );
        journey.call(
            "screen",
            json!({ "userId": user, "name": "Settings", "properties": { "tab": "a" } }),
        );
        let about = json!({ "name": "Moss & Sons", "employees": 12 });
        journey.call("group", json!({ "userId": user, "groupId": company, "traits": about }));
        journey.flush();
        journey.call(
            "track",
            json!({ "anonymousId": SECOND_DEVICE, "event": "Cart Viewed", "properties": {} }),
        );
        journey.flush();
        journey.call("alias", json!({ "userId": user, "previousId": SECOND_DEVICE }));
        // Of two users: simplified identity merge cannot do that.
        journey.call("alias", json!({ "userId": user, "previousId": format!("{sdk}-other-user") }));
        for number in 0..3 {
            journey.call(
                "track",
                json!({ "userId": user, "event": "Step", "properties": { "number": number } }),
            );
        }
        journey.flush();
        journey
    }

    /// Adds a call, with an id and a time of its own.
    fn call(&mut self, call: &str, mut args: Value) {
        let number = self.calls().count();
        args["messageId"] = json!(format!("{}-{number}", self.sdk));
        args["timestamp"] = json!(self.time(number).to_string());
        self.steps.push(json!({ "call": call, "args": args }));
    }

    fn flush(&mut self) {
        self.steps.push(json!({ "call": "flush" }));
    }

    fn calls(&self) -> impl Iterator<Item = &Value> {
        self.steps.iter().filter_map(|step| step.get("args"))
    }

    fn time(&self, number: usize) -> UnixMillis {
        UnixMillis(self.begin.0 + 1_000 * i64::try_from(number).expect("few calls"))
    }

    /// What the driver must say that it sent.
    fn message_ids(&self) -> Vec<&str> {
        self.calls().filter_map(|args| args["messageId"].as_str()).collect()
    }
}

/// Sends the journey with an SDK and looks at what arrived. `driver` is the command that sends it.
fn arrives_whole(sdk: &'static str, driver: impl Fn(&DevServer) -> Command) {
    let hour_ago = SystemClock::default().now().0 - 3_600_000;
    let journey = Journey::new(sdk, UnixMillis(hour_ago - hour_ago.rem_euclid(1_000)));
    let server = DevServer::start();

    let report = drive(driver(&server), &journey.steps);
    assert_eq!(report["sent"], json!(journey.message_ids()), "{report}");

    let sent = u64::try_from(journey.calls().count()).expect("few calls");
    let ledger = server.drain(sent);
    assert_eq!(tally(&ledger, "received"), sent, "{ledger:#}");
    assert_eq!(tally(&ledger, "delivered"), sent - 1, "{ledger:#}");
    assert_eq!(ledger.pointer("/by_code/set_aside~1MR2001"), Some(&json!(1)), "{ledger:#}");

    let summary = server.twin_get("/twin/v1/projects/1/summary");
    let expected = json!({
        "Page Viewed": 1, "Product Viewed": 1, "Identity Linked": 2, "Order Completed": 1,
        "Screen Viewed": 1, "Cart Viewed": 1, "Step": 3,
    });
    assert_eq!(summary["by_event"], expected, "{summary:#}");
    assert_eq!((&summary["events"], &summary["copies"]), (&json!(10), &json!(10)), "{summary:#}");
    assert_eq!((&summary["profiles"], &summary["groups"]), (&json!(1), &json!(1)), "{summary:#}");

    one_user_has_the_whole_history(&server, &journey);
    the_company_is_known(&server, &journey);
}

/// Under any of their ids, the user is the same and did everything.
fn one_user_has_the_whole_history(server: &DevServer, journey: &Journey) {
    let view = |id: &str| server.twin_get(&format!("/twin/v1/projects/1/users/{id}"));
    let user = view(&journey.user);
    assert_eq!(user["distinct_id"], json!(journey.user), "{user:#}");
    for device in [journey.device.as_str(), SECOND_DEVICE] {
        assert_eq!(view(device)["distinct_id"], json!(journey.user), "{device}");
    }
    let profile = &user["profile"];
    assert_eq!(profile["$email"], "ada@mail.example", "{profile:#}");
    assert_eq!(profile["$name"], "Ada Moss", "{profile:#}");
    assert_eq!(profile["plan"], "pro", "{profile:#}");
    assert_eq!(profile["$group_id"], json!([journey.company]), "{profile:#}");

    let activity = user["activity"].as_array().expect("activity");
    assert_eq!(activity.len(), 10, "{user:#}");
    // Each event that was sent as one has the id and the time of its message.
    for args in journey.calls() {
        let Some(name) = args["event"].as_str() else { continue };
        let id = args["messageId"].as_str().expect("an id");
        let found = activity.iter().find(|event| event["insert_id"] == id);
        let event = found.unwrap_or_else(|| panic!("{id} is missing: {user:#}"));
        let time = UnixMillis::parse(args["timestamp"].as_str().expect("a time")).expect("a time");
        assert_eq!((&event["event"], &event["time"]), (&json!(name), &json!(time)), "{event:#}");
    }
    let seen = activity.iter().find(|event| event["event"] == "Product Viewed").expect("seen");
    assert_eq!(seen["properties"]["label"], "žluťoučký 🐎", "{seen:#}");
    assert_eq!(seen["properties"]["tags"], json!(["a"]), "{seen:#}");
}

fn the_company_is_known(server: &DevServer, journey: &Journey) {
    let path = format!("/twin/v1/projects/1/groups/$group_id/{}", journey.company);
    let group = server.twin_get(&path);
    assert_eq!(group["profile"]["employees"], 12, "{group:#}");
}

/// Runs a driver with the steps on its standard input; gives the line that it prints.
fn drive(mut command: Command, steps: &[Value]) -> Value {
    let mut child = command
        // Loopback never goes through a proxy.
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the driver starts");
    let steps = serde_json::to_vec(steps).expect("JSON");
    // Dropped at the end of the statement: the driver reads to the end of its input.
    child.stdin.take().expect("standard input").write_all(&steps).expect("the driver reads");
    let output = child.wait_with_output().expect("the driver ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the SDK reports: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

/// A driver in Node, with the SDKs of `tests/sdk/node` installed.
fn node(driver: &str, server: &DevServer) -> Command {
    node_with(driver, server, server.write_key())
}

/// The same with another key than the write key.
fn node_with(driver: &str, server: &DevServer, key: &str) -> Command {
    let folder = npm_packages("sdk/node");
    let mut command = Command::new("node");
    command.arg(folder.join(driver)).args([server.collector_url(), key]);
    command
}

/// A driver in Python, with the SDKs of `tests/sdk/python` installed.
fn python(driver: &str, server: &DevServer) -> Command {
    python_with(driver, server, server.write_key())
}

/// The same with another key than the write key.
fn python_with(driver: &str, server: &DevServer, key: &str) -> Command {
    let folder = python_packages();
    let mut command = Command::new("python3");
    command
        .arg(folder.join(driver))
        .args([server.collector_url(), key])
        .env("PYTHONPATH", folder.join("packages"));
    command
}

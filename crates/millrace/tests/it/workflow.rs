//! Runs the commands of `docs/blueprint-workflow.md`, and what they do when something is wrong.
//!
//! A block marked `file=NAME` is a file of the folder in which they run. In a `console` block a
//! line `$ millrace ...` is a command and what follows its output: `...` stands for any text, and
//! `exit code 64` for the way it ends. Standard input comes from a file after `<`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::http;
use crate::server::{DevServer, WRITE_KEY, millrace, tally};

fn run(folder: &Path, line: &str) -> Output {
    let (line, input) = match line.split_once(" < ") {
        Some((line, input)) => (line, Some(input)),
        None => (line, None),
    };
    let mut arguments = Vec::new();
    for (part, quoted) in line.split('"').zip([false, true].into_iter().cycle()) {
        if quoted {
            arguments.push(part);
        } else {
            arguments.extend(part.split_whitespace());
        }
    }
    let input = input.map(|name| Stdio::from(File::open(folder.join(name)).expect("the input")));
    millrace()
        .args(arguments)
        .current_dir(folder)
        .stdin(input.unwrap_or_else(Stdio::null))
        .output()
        .expect("it runs")
}

/// True when a text has the parts of a pattern, with anything in place of `...`.
fn fits(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once("...") else { return text == pattern };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split("...").collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, behind)) = text.split_once(part) else { return false };
        text = behind;
    }
    text.ends_with(last)
}

#[test]
fn every_command_of_the_page_does_what_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/blueprint-workflow.md");
    let page = fs::read_to_string(path).expect("the page");
    let folder = tempfile::tempdir().unwrap();
    let mut commands = 0;
    let mut blocks = page.split("\n```");
    blocks.next();
    while let (Some(block), _) = (blocks.next(), blocks.next()) {
        let (mark, text) = block.split_once('\n').expect("a mark");
        if let Some((_, name)) = mark.split_once("file=") {
            fs::write(folder.path().join(name), format!("{text}\n")).unwrap();
        }
        if mark != "console" {
            continue;
        }
        for command in format!("\n{text}").split("\n$ millrace ").skip(1) {
            let (line, wanted) = command.split_once('\n').unwrap_or((command, ""));
            let (wanted, code) = match wanted.split_once("exit code ") {
                Some((wanted, code)) => (wanted, code.trim().parse().expect("a number")),
                None => (wanted, 0),
            };
            let output = run(folder.path(), line);
            let text = String::from_utf8(output.stdout).expect("text");
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{line}: {error}");
            assert!(fits(text.trim_end(), wanted.trim_end()), "{line} prints\n{text}{error}");
            commands += 1;
        }
    }
    assert!(commands >= 9, "{commands}");
}

#[test]
fn every_built_in_blueprint_passes_its_tests() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), "blueprint list --json");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for name in told["built_in"].as_array().expect("names") {
        let name = name.as_str().expect("a name");
        let output = run(folder.path(), &format!("test {name} --json --coverage"));
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(output.status.code(), Some(0), "{name}: {text}");
        let told: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(told["failed"], 0);
        if name == "default" {
            let coverage = &told["blueprints"][0]["coverage"];
            for part in ["rules", "actions", "fields"] {
                assert_eq!(coverage[part]["missed"], json!([]), "{part}");
            }
        }
    }
}

const CONFIG: &str = r#"
[server]
admin_token = { env = "ADMIN" }
[blueprints]
dir = "revisions"
[[pipelines]]
id = "shop"
write_keys = [{ env = "KEY" }]
[[integrations]]
id = "mixpanel"
pipeline = "shop"
region = "eu"
token = { env = "TOKEN" }
blueprint = "shop@1"
"#;

#[test]
fn a_configuration_pins_a_revision_and_notices_damage() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let test = "tests: [{name: t, given: {event: {type: track, event: E, userId: u}}, expect: {filtered: drop_rule}}]\n";
    let text = format!("blueprint: shop\nrules: [{{name: All, drop: true}}]\n{test}");
    fs::write(at("shop.yaml"), &text).unwrap();
    fs::write(at("millrace.toml"), CONFIG).unwrap();
    let command = |line: &str| {
        let mut command = millrace();
        command.args(line.split(' ')).current_dir(folder.path());
        command.envs([("ADMIN", "a"), ("KEY", "k"), ("TOKEN", "t")]).output().expect("it runs")
    };
    let code = |line: &str| command(line).status.code();
    let mistakes =
        |line: &str| -> Value { serde_json::from_slice(&command(line).stdout).expect("JSON") };
    let check = "check --config millrace.toml --json";
    assert_eq!(mistakes(check)[0]["code"], "MR5110");
    assert_eq!(code("blueprint publish shop.yaml --dir revisions"), Some(0));
    assert_eq!(code("check --config millrace.toml"), Some(0));
    assert_eq!(code("test --config millrace.toml"), Some(0));
    let shown = command("blueprint show shop@1 --dir revisions").stdout;
    assert_eq!(String::from_utf8(shown).expect("text"), text);

    fs::write(at("revisions/shop/1.yaml"), text.replace("All", "Other")).unwrap();
    let found = mistakes(check);
    assert_eq!((&found[0]["code"], &found[0]["line"]), (&json!("MR5111"), &json!(14)));
    assert_eq!(code("blueprint publish shop.yaml --dir revisions"), Some(64));
    assert_eq!(code("blueprint show shop@2 --dir revisions"), Some(64));
}

/// The folder is the server's while it runs; looking at it takes no lock and changes nothing.
#[test]
fn two_blueprints_are_compared_over_what_a_running_server_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = DevServer::start_in(&data);
    let mut connection = http::Connection::open(server.collector_url()).unwrap();
    for number in 0..3 {
        let event = format!(
            r#"{{"userId":"u","event":"Step","messageId":"kept-{number}","properties":{{"n":"{number}"}}}}"#
        );
        assert_eq!(connection.post("/v1/track", WRITE_KEY, &event).unwrap().0, 200);
    }
    let blueprint = |name: &str, value: &str| {
        let text = format!(
            "blueprint: steps\nrules:\n  - name: All\n    send:\n      - event:\n          \
             name: $.event\n          distinct_id: $.userId\n          properties: {{ n: {value} }}\n"
        );
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    blueprint("old.yaml", "$.properties.n");
    blueprint("new.yaml", "number($.properties.n)");
    let diff = |more: &[&str]| {
        let mut command = millrace();
        command.current_dir(folder.path()).args(["diff", "old.yaml", "new.yaml", "--data", "data"]);
        let output = command.arg("--json").args(more).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text)
    };
    let events = |more: &[&str]| {
        let (code, text) = diff(more);
        assert_eq!(code, Some(0), "{text}");
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        (told["data"]["events"].clone(), told["data"]["fields"][0]["rows"].clone())
    };
    assert_eq!(events(&[]), (json!(3), json!(3)));
    assert_eq!(events(&["--limit", "2"]), (json!(2), json!(2)));
    assert_eq!(events(&["--pipeline", "dev", "--since", "2020-01-01T00:00:00Z"]).0, json!(3));
    assert_eq!(events(&["--pipeline", "other"]).0, json!(0));
    assert_eq!(events(&["--since", "2099-01-01T00:00:00Z"]).0, json!(0));
    // It goes on as if nothing had been.
    assert_eq!(tally(&server.drain(3), "delivered"), 3);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(events(&[]).0, json!(3));
    assert_eq!(diff(&["--events", "x"]).0, Some(64));
    std::fs::remove_dir_all(&data).unwrap();
    assert_eq!(diff(&[]).0, Some(64));
}

//! The example of docs/consent.md, through a crash, to the twin.

use std::path::Path;

use crate::http::Connection;
use crate::server::{ADMIN_TOKEN, DevServer, millrace, tally};

/// The blocks of the page in a language.
fn blocks(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/consent.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let start = format!("```{language}\n");
    let blocks = page.split(&start).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(str::to_owned).collect()
}

/// The page's configuration, on free ports, sending elsewhere.
fn write_config(file: &Path, destination: &str) {
    let config = blocks("toml").into_iter().next().expect("a configuration");
    let config = config
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:8081", "127.0.0.1:0")
        .replace("127.0.0.1:8084", "127.0.0.1:0")
        .replace("{ env = \"MILLRACE_ADMIN_TOKEN\" }", &format!("\"{ADMIN_TOKEN}\""))
        .replace("region = \"twin\"", destination);
    std::fs::write(file, config).expect("written");
}

fn post(server: &DevServer, body: &str) {
    let mut connection = Connection::open(server.collector_url()).expect("it listens");
    let (status, answer) = connection.post("/v1/batch", "shop-key", body).expect("an answer");
    assert_eq!((status, answer.as_str()), (200, r#"{"success":true}"#));
}

#[test]
fn what_the_page_says_happens_through_kill_9_and_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("millrace.toml");
    let [purchases, withdrawal] = blocks("json").try_into().expect("two bodies on the page");

    // Nobody listens there, so everything waits. Both bodies are answered; then the process dies.
    write_config(&file, "url = \"http://127.0.0.1:9\"");
    let server = DevServer::start_with(&file);
    post(&server, &purchases);
    post(&server, &withdrawal);
    server.kill();

    write_config(&file, "region = \"twin\"");
    let server = DevServer::start_with(&file);
    // She allows it again. It holds for what comes now.
    post(&server, &withdrawal.replace("false", "true").replace("\"4\"", "\"5\""));
    let later = purchases.replace("\"1\"", "\"6\"").replace("Bought", "Returned");
    post(&server, &later);
    let ledger = server.drain(8);
    // At the door: both events of cleo and anna's withdrawal. When mapped: anna's first event and
    // bert's, whose second has a known message id.
    assert_eq!(ledger["by_code"]["filtered/consent"], 5, "{ledger:#}");
    assert_eq!(tally(&ledger, "duplicates"), 1, "{ledger:#}");
    assert_eq!(tally(&ledger, "received"), 8, "{ledger:#}");
    let anna = server.twin_get("/twin/v1/projects/1/users/anna");
    let activity = anna["activity"].as_array().expect("events");
    let names: Vec<_> = activity.iter().filter_map(|event| event["event"].as_str()).collect();
    assert!(names.contains(&"Returned") && !names.contains(&"Bought"), "{anna:#}");
}

#[test]
fn the_configurations_of_the_page_have_no_mistakes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("millrace.toml");
    let toml = blocks("toml");
    let (first, rest) = toml.split_first().expect("a configuration");
    let (before, after) = first.split_once("[[integrations]]").expect("an integration");
    let config = format!("{before}\n{}\n[[integrations]]{after}", rest.join("\n"));
    std::fs::write(&file, config).expect("written");
    let check = |file: &Path| {
        let mut command = millrace();
        command.args(["check", "--config"]).arg(file).env("MILLRACE_ADMIN_TOKEN", "a");
        command.output().expect("it runs")
    };
    let output = check(&file);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn mistakes_about_consent_are_told_with_their_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("millrace.toml");
    let good = blocks("toml")[0].clone();
    for (from, to, told) in [
        ("default = \"deny\"", "default = \"denied\"", "MR5004"),
        ("required = [\"analytics\"]", "required = [\"analytcs\"]", "did you mean `analytics`?"),
        ("required = [\"analytics\"]", "required = [\"\"]", "is no name of a category"),
        ("= \"analytics\"\n", "= \"analysis\"\n", "must be one of essential"),
        (
            "[pipelines.consent]\nrequired = [\"analytics\"]\ndefault = \"deny\"\n\n[pipelines.consent.categories]\n\"Heat Maps\" = \"analytics\"\n",
            "",
            "add [pipelines.consent] to the pipeline",
        ),
        ("default = \"deny\"", "default = \"deny\"\ntcf = { marketing = [25] }", "must be 1 to 24"),
        (
            "default = \"deny\"",
            "default = \"deny\"\ncookies = [{ name = \"c\", format = \"xml\" }]",
            "must be one of json",
        ),
    ] {
        let config = good.replacen(from, to, 1);
        assert_ne!(config, good, "{from}");
        std::fs::write(&file, config).expect("written");
        let mut command = millrace();
        command.args(["check", "--config"]).arg(&file).env("MILLRACE_ADMIN_TOKEN", "a");
        let output = command.output().expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(told), "{to}: {text}");
        assert!(text.contains("millrace.toml:"), "{text}");
    }
}

//! `millrace lookup-table` against the twin of a running server.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::http;
use crate::server::{DevServer, millrace};

fn config(folder: &Path, url: &str) -> PathBuf {
    let path = folder.join("millrace.toml");
    let text = format!(
        r#"
[server]
admin_token = "admin"

[[pipelines]]
id = "shop"
write_keys = ["wk"]

[[integrations]]
id = "prod"
pipeline = "shop"
token = "dev-token"
url = "{url}"
blueprint = "datafly-retail"
"#
    );
    fs::write(&path, text).unwrap();
    path
}

/// Runs the command; its exit code, the last line of its output, and its words to people.
fn run(config: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = millrace()
        .arg("lookup-table")
        .args(arguments)
        .arg("--config")
        .arg(config)
        .args(["--integration", "prod"])
        .env("MILLRACE_SERVICE_SECRET", "dev-secret")
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), out.lines().last().unwrap_or_default().to_owned(), words)
}

const ACCOUNT: [&str; 4] = ["--service-account", "dev.sa", "--project-id", "1"];

fn with_account<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().copied().chain(ACCOUNT).collect()
}

/// Makes a table as one does by hand; its id.
fn make(server: &DevServer, name: &str) -> String {
    let mut connection = http::Connection::open(server.twin_url()).unwrap();
    let body = json!({ "name": name }).to_string();
    let path = "/twin/v1/projects/1/lookup-tables";
    let (status, answer) = connection.post(path, "", &body).unwrap();
    assert_eq!(status, 201, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer.get("id").and_then(Value::as_str).unwrap().to_owned()
}

#[test]
fn a_catalogue_goes_into_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevServer::start();
    let config = config(folder.path(), server.twin_url());
    let id = make(&server, "Products");
    let file = folder.path().join("products.csv");
    fs::write(&file, "Name,Product ID\n\"Cup, big\",p1\nTea,p2\n").unwrap();
    let file = file.to_str().unwrap();

    let (code, out, words) = run(&config, &with_account(&["list", "--json"]));
    assert_eq!(code, Some(0), "{words}");
    let listed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(listed, json!([{"id": id, "name": "Products"}]));

    let put = ["put", file, "--table", "Products", "--key", "Product ID"];
    let (code, out, words) = run(&config, &with_account(&[&put[..], &["--dry-run"]].concat()));
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(out, "would send 2 rows and 2 columns, keyed by `Product ID` to `Products`");
    let view = server.twin_get("/twin/v1/projects/1/lookup-tables");
    assert_eq!(view["lookup_tables"][0]["rows"], 0);

    let (code, out, words) = run(&config, &with_account(&[&put[..], &["--json"]].concat()));
    assert_eq!(code, Some(0), "{words}");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&out["rows"], &out["table"]["id"]), (&json!(2), &json!(id)));
    let view = server.twin_get("/twin/v1/projects/1/lookup-tables");
    assert_eq!(view["lookup_tables"][0]["columns"], json!(["Product ID", "Name"]));
    assert_eq!(view["lookup_tables"][0]["rows"], 2);

    // The same as JSONL, named by id.
    let jsonl = folder.path().join("products.jsonl");
    fs::write(&jsonl, "{\"Product ID\":\"p1\",\"Price\":9.5}\n{\"Product ID\":\"p3\"}\n").unwrap();
    let put = ["put", jsonl.to_str().unwrap(), "--table", id.as_str()];
    let (code, out, words) = run(&config, &with_account(&put));
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(
        out,
        "the lookup table `Products` holds 2 rows and 2 columns, keyed by `Product ID`"
    );
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevServer::start();
    let config = config(folder.path(), server.twin_url());
    make(&server, "Products");
    let file = folder.path().join("products.csv");
    fs::write(&file, "id,name\np1,Cup\np1,Tea\n,x\n").unwrap();
    let file = file.to_str().unwrap();
    let put = ["put", file, "--table", "Products"];
    let (code, _, words) = run(&config, &with_account(&put));
    assert_eq!(code, Some(64));
    for line in ["products.csv:3: the key `p1` stands on line 2 already", "products.csv:4: its key"]
    {
        assert!(words.contains(line), "{words}");
    }
    assert!(words.contains("MR5108"), "{words}");
    fs::write(file, "id\np1\n").unwrap();
    for (arguments, words) in [
        (vec!["put", file, "--table", "Prodcts"], "no lookup table `Prodcts`, only Products"),
        (vec!["put", file, "--table", "Products", "--key", "sku"], "no column `sku`"),
        (vec!["put", "no-such.csv", "--table", "Products"], "cannot read no-such.csv"),
        (vec!["put", "products.txt", "--table", "Products"], "say --format"),
    ] {
        let (code, _, told) = run(&config, &with_account(&arguments));
        assert_eq!(code, Some(64), "{told}");
        assert!(told.contains(words), "{told}");
    }
    let (code, _, told) = run(&config, &put);
    assert_eq!(code, Some(64));
    assert!(told.contains("need a service account"), "{told}");
    let wrong: Vec<&str> =
        put.iter().copied().chain(["--service-account", "dev.sa", "--project-id", "7"]).collect();
    let (code, _, told) = run(&config, &wrong);
    assert_eq!(code, Some(64));
    assert!(told.contains("MR3002"), "{told}");
}

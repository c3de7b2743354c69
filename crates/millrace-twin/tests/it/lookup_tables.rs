//! Lookup tables: listed, replaced as a whole or not at all, and there after a restart.

use std::io::Write;

use axum::body::Body;
use serde_json::{Value, json};

use crate::client::{Answer, Client, NOW, basic, options};

fn make(client: &Client, name: &str) -> String {
    let answer = client.post("/twin/v1/projects/1/lookup-tables", &json!({ "name": name }));
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn put(client: &Client, id: &str, csv: impl Into<Body>) -> Answer {
    let target = format!("/lookup-tables/{id}?project_id=1");
    let account = basic("dev.sa", "sa-secret");
    client.send("PUT", &target, &[("authorization", &account)], csv)
}

fn list(client: &Client) -> Value {
    let account = basic("dev.sa", "sa-secret");
    let target = "/lookup-tables?project_id=1";
    let answer = client.send("GET", target, &[("authorization", &account)], "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn a_table_is_made_listed_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let client = Client::open(options(Some(folder.path()))).unwrap();
    assert_eq!(list(&client), json!({"code": 200, "status": "OK", "results": []}));
    let id = make(&client, "Products");
    let listed = json!({"code": 200, "status": "OK", "results": [{"id": id, "name": "Products"}]});
    assert_eq!(list(&client), listed);
    let answer = put(&client, &id, "Product ID,Name\np1,Cup\np2,\"Tea, green\"\n");
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({"code": 200, "status": "OK"}))
    );
    let shown = json!({"lookup_tables": [{"id": id, "name": "Products",
        "columns": ["Product ID", "Name"], "rows": 2, "updated_at": NOW}]});
    assert_eq!(client.view("lookup-tables"), shown);

    // What is refused leaves the table as it was.
    let refused = put(&client, &id, "Product ID,Name\np1,Cup\np1,Tea\np3\n");
    assert_eq!(refused.status, 400);
    let rows = &refused.json()["failed_records"];
    assert_eq!((&rows[0]["index"], &rows[1]["index"]), (&json!(1), &json!(2)));
    drop(client);

    let again = Client::open(options(Some(folder.path()))).unwrap();
    assert_eq!(list(&again), listed);
    assert_eq!(again.view("lookup-tables"), shown);
    let content = again.get(&format!("/twin/v1/projects/1/lookup-tables/{id}"));
    assert_eq!(content.text(), "Product ID,Name\np1,Cup\np2,\"Tea, green\"\n");
}

#[test]
fn gzip_is_taken_and_broken_gzip_is_not() {
    let client = Client::new();
    let id = make(&client, "Products");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"id,name\np1,Cup\n").unwrap();
    let zipped = encoder.finish().unwrap();
    let account = basic("dev.sa", "sa-secret");
    let target = format!("/lookup-tables/{id}?project_id=1");
    let headers = [("authorization", account.as_str()), ("content-encoding", "gzip")];
    let broken = zipped[..zipped.len() - 6].to_vec();
    assert_eq!(client.send("PUT", &target, &headers, broken).status, 400);
    assert_eq!(client.send("PUT", &target, &headers, zipped).status, 200);
    let content = client.get(&format!("/twin/v1/projects/1/lookup-tables/{id}"));
    assert_eq!(content.text(), "id,name\np1,Cup\n");
}

#[test]
fn who_may_not_and_what_is_not_there() {
    let client = Client::new();
    let id = make(&client, "Products");
    let csv = "id\np1\n";
    for (user, password, project, status) in [
        ("T", "", "?project_id=1", 401),
        ("dev.sa", "wrong", "?project_id=1", 401),
        ("dev.sa", "sa-secret", "", 401),
        ("nobody", "sa-secret", "?project_id=1", 401),
        // A table of another project.
        ("dev.sa", "sa-secret", "?project_id=2", 404),
        ("dev.sa", "sa-secret", "?project_id=1", 200),
    ] {
        let account = basic(user, password);
        let target = format!("/lookup-tables/{id}{project}");
        let answer = client.send("PUT", &target, &[("authorization", &account)], csv);
        assert_eq!(answer.status, status, "{user} {project}: {}", answer.text());
    }
    assert_eq!(put(&client, "no-such-id", csv).status, 404);
    let nameless = client.post("/twin/v1/projects/1/lookup-tables", &json!({}));
    assert_eq!(nameless.status, 400);
}

#[test]
fn there_are_100_calls_a_day() {
    let client = Client::new();
    let id = make(&client, "Products");
    for call in 0..100 {
        assert_eq!(put(&client, &id, "id\np1\n").status, 200, "{call}");
    }
    assert_eq!(put(&client, &id, "id\np1\n").status, 429);
}

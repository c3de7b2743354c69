//! Files as tables, and answers as errors.

use std::sync::Mutex;

use bytes::Bytes;
use millrace_model::secret::Secret;

use super::*;
use crate::mixpanel::options::{MixpanelOptions, Region};
use crate::mixpanel::request::RequestParts;
use crate::mixpanel::transport::{Response, Transport, TransportFuture};

fn csv(text: &str, key: Option<&str>) -> Result<LookupTable, TableError> {
    LookupTable::read(text.as_bytes(), TableFormat::Csv, key)
}

fn shown(table: &LookupTable) -> &str {
    std::str::from_utf8(table.csv()).unwrap()
}

fn mistakes(error: TableError) -> Vec<(u64, String)> {
    match error {
        TableError::Rows { mistakes, total } => {
            assert_eq!(total, u64::try_from(mistakes.len()).unwrap());
            mistakes.into_iter().map(|one| (one.line, one.message)).collect()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn csv_keeps_its_cells_and_puts_the_key_first() {
    let text =
        "\u{feff}Name,Product ID,Note\r\n\"Cup, big\",p1,\"two\nlines \"\"so\"\"\"\r\nTea,p2,\r\n";
    let table = csv(text, Some("Product ID")).unwrap();
    assert_eq!(table.columns(), ["Product ID", "Name", "Note"]);
    assert_eq!(table.rows(), 2);
    assert_eq!(
        shown(&table),
        "Product ID,Name,Note\np1,\"Cup, big\",\"two\nlines \"\"so\"\"\"\np2,Tea,\n"
    );
    let table = csv("a,b\n1,2\n", None).unwrap();
    assert_eq!(shown(&table), "a,b\n1,2\n");
}

#[test]
fn jsonl_is_the_same_table() {
    let text = concat!(
        r#"{"name":"Cup, big","id":"p1","price":9.50,"tags":["a","b,c"],"new":true}"#,
        "\n\n",
        r#"{"id":2,"name":null,"stock":12}"#,
        "\n"
    );
    let table = LookupTable::read(text.as_bytes(), TableFormat::JsonLines, Some("id")).unwrap();
    assert_eq!(
        shown(&table),
        "id,name,price,tags,new,stock\n\
         p1,\"Cup, big\",9.50,\"[\"\"a\"\",\"\"b,c\"\"]\",true,\n\
         2,,,,,12\n"
    );
}

#[test]
fn bad_rows_are_shown_with_their_line() {
    let text = "id,name\np1,Cup\n,Tea\np1,Pot\np3\np4,a,b\n\"p5\n\",x\np1,y\n";
    assert_eq!(
        mistakes(csv(text, None).unwrap_err()),
        [
            (3, "its key `id` is empty".to_owned()),
            (4, "the key `p1` stands on line 2 already".to_owned()),
            (5, "it has 1 cells, and there are 2 columns".to_owned()),
            (6, "it has 3 cells, and there are 2 columns".to_owned()),
            (9, "the key `p1` stands on line 2 already".to_owned()),
        ]
    );
    let mut bytes = b"id,name\np1,".to_vec();
    bytes.extend_from_slice(b"\xff\n");
    let error = LookupTable::read(&bytes, TableFormat::Csv, None).unwrap_err();
    assert_eq!(mistakes(error), [(2, "cell 2 is not UTF-8 text".to_owned())]);

    let text =
        "{\"id\":1}\n[]\n{\"id\":2,\"a\":{}}\n{\"id\":3,\"id\":4}\n{\"id\":5,\"a\":[[]]}\nx\n{}";
    let error = LookupTable::read(text.as_bytes(), TableFormat::JsonLines, Some("id")).unwrap_err();
    let lines: Vec<u64> = mistakes(error).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7]);
}

#[test]
fn headers_are_there_once_and_have_the_key() {
    for (text, key, words) in [
        ("", None, "no rows"),
        ("id,name\n", None, "no rows"),
        ("id,name,id\n1,2,3\n", None, "stands twice, in columns 1 and 3"),
        ("id,,name\n1,2,3\n", None, "the header of column 2 is empty"),
        (
            "id,name\n1,2\n",
            Some("sku"),
            "there is no column `sku` to be the key; there are id, name",
        ),
    ] {
        let error = csv(text, key).unwrap_err();
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
}

#[test]
fn a_table_above_100_mb_is_refused_before_it_is_sent() {
    let mut bytes = b"id,text\n".to_vec();
    for number in 0..11 {
        bytes.extend_from_slice(format!("{number},").as_bytes());
        bytes.resize(bytes.len() + 10_000_000, b'x');
        bytes.push(b'\n');
    }
    let refused = LookupTable::read(&bytes, TableFormat::Csv, None);
    assert_eq!(refused.unwrap_err(), TableError::TooLarge);
}

#[test]
fn the_format_follows_the_ending() {
    assert_eq!(TableFormat::of_name("a.b/products.CSV"), Some(TableFormat::Csv));
    assert_eq!(TableFormat::of_name("p.jsonl"), Some(TableFormat::JsonLines));
    assert_eq!(TableFormat::of_name("p.ndjson"), Some(TableFormat::JsonLines));
    assert_eq!(TableFormat::of_name("p.json"), None);
    assert_eq!(TableFormat::of_name("csv"), None);
}

/// Answers each request with the next of its answers and keeps what was asked.
#[derive(Debug)]
struct Script {
    answers: Mutex<Vec<(u16, &'static str)>>,
    asked: Mutex<Vec<RequestParts>>,
}

impl Script {
    fn new(answers: &[(u16, &'static str)]) -> Script {
        let answers = Mutex::new(answers.iter().rev().copied().collect());
        Script { answers, asked: Mutex::default() }
    }
}

impl Transport for Script {
    fn send(&self, request: RequestParts) -> TransportFuture<'_> {
        self.asked.lock().unwrap().push(request);
        let (status, body) = self.answers.lock().unwrap().pop().unwrap();
        let body = Bytes::from_static(body.as_bytes());
        let retry_after = (status == 429).then(|| "60".to_owned());
        Box::pin(async move { Ok(Response { status, retry_after, body, cut: false }) })
    }
}

fn options() -> MixpanelOptions {
    MixpanelOptions::new(Region::Us, Secret::new("tok"))
        .and_then(|options| options.with_service_account("sa.1", Secret::new("s3cret"), "12"))
        .unwrap()
}

const LIST: &str = r#"{"code":200,"status":"OK","results":[{"id":"0a-1","name":"Products"},{"id":"0a-2","name":"Twice"},{"id":"0a-3","name":"Twice"}]}"#;

#[tokio::test]
async fn a_table_is_found_by_name_or_id_and_replaced() {
    let script = Script::new(&[(200, LIST), (200, r#"{"code":200,"status":"OK"}"#)]);
    let options = options();
    let tables = LookupTables::new(&options, &script).unwrap();
    let found = tables.find("Products").await.unwrap();
    assert_eq!(found, TableInfo { id: "0a-1".to_owned(), name: "Products".to_owned() });
    let table = csv("id,name\np1,Cup\n", None).unwrap();
    tables.put(&found.id, &table).await.unwrap();
    let asked = script.asked.lock().unwrap();
    let [list, put] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((list.method, put.method), ("GET", "PUT"));
    assert_eq!(list.url, "https://api.mixpanel.com/lookup-tables");
    assert_eq!(put.url, "https://api.mixpanel.com/lookup-tables/0a-1");
    assert_eq!(put.params, [("project_id", "12".to_owned())]);
    assert!(put.headers.contains(&("content-encoding", "gzip".to_owned())));
    assert!(put.headers.contains(&("authorization", "Basic c2EuMTpzM2NyZXQ=".to_owned())));
    let mut plain = String::new();
    let mut gzip = flate2::read::GzDecoder::new(&*put.body);
    std::io::Read::read_to_string(&mut gzip, &mut plain).unwrap();
    assert_eq!(plain, "id,name\np1,Cup\n");
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    let failed = r#"{"code":400,"error":"bad rows","status":"Bad Request","failed_records":[{"index":3,"message":"duplicate key"}]}"#;
    let rows: &[(u16, &'static str, &str)] = &[
        (400, failed, "kept what it had: bad rows"),
        (200, failed, "kept what it had: bad rows"),
        (200, r#"{"error":"some data points"}"#, "kept what it had: some data points"),
        (200, "<html>log in</html>", "whether the table was taken"),
        (200, "", "whether the table was taken"),
        (401, r#"{"error":"Invalid credentials"}"#, "check its name, its secret"),
        (404, r#"{"error":"no"}"#, "no lookup table `0a-1`"),
        (413, r#"{"error":"big"}"#, "at most 100 MB"),
        (429, r#"{"error":"slow"}"#, "next one in 60 seconds"),
        (503, "<html>s3cret</html>", "answered 503: <html>****</html>"),
    ];
    let options = options();
    let table = csv("id,name\np1,Cup\n", None).unwrap();
    for (status, body, words) in rows {
        let script = Script::new(&[(*status, *body)]);
        let tables = LookupTables::new(&options, &script).unwrap();
        let error = tables.put("0a-1", &table).await.unwrap_err();
        assert!(error.to_string().contains(words), "{status}: {error}");
        if let LookupTableError::Refused { rows, .. } = &error
            && *body == failed
        {
            let wanted = FailedRecord { index: Some(3), message: "duplicate key".to_owned() };
            assert_eq!(rows.as_slice(), [wanted]);
        }
    }
}

#[tokio::test]
async fn names_that_lead_nowhere_are_told() {
    let options = options();
    for (wanted, words) in [
        ("Prodcts", "no lookup table `Prodcts`, only Products, Twice, Twice"),
        ("Twice", "2 lookup tables `Twice`"),
    ] {
        let script = Script::new(&[(200, LIST)]);
        let tables = LookupTables::new(&options, &script).unwrap();
        let error = tables.find(wanted).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let script = Script::new(&[(200, "[]")]);
    let tables = LookupTables::new(&options, &script).unwrap();
    assert!(matches!(tables.list().await, Err(LookupTableError::Unexpected { .. })));
    let token = MixpanelOptions::new(Region::Us, Secret::new("tok")).unwrap();
    let refused = LookupTables::new(&token, &script).map(|_| ());
    assert!(matches!(refused, Err(LookupTableError::NoServiceAccount)));
}

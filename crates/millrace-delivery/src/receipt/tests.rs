//! One row, one answer form.

use super::*;
use bytes::Bytes;

const NOW: UnixMillis = UnixMillis(1_763_633_472_000);

fn answer(status: u16, body: &str) -> Result<Response, TransportError> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Ok(Response { status, retry_after: None, body, cut: false })
}

fn rows(count: usize) -> Vec<Option<InsertId>> {
    (0..count).map(|at| InsertId::exact(&format!("id-{at}"))).collect()
}

/// A receipt in short: its kind, and what decides.
fn short(receipt: &Receipt) -> String {
    match receipt {
        Receipt::Delivered => "delivered".to_owned(),
        Receipt::Partly(rows) => {
            let refused: Vec<usize> = rows.iter().map(|row| row.index).collect();
            format!("partly {refused:?}")
        }
        Receipt::Split { .. } => "split".to_owned(),
        Receipt::Bisect { perhaps_taken, .. } => format!("bisect {perhaps_taken}"),
        Receipt::Pause { code, .. } => format!("pause {code}"),
        Receipt::Retry { code, perhaps_taken, .. } => format!("retry {code} {perhaps_taken}"),
    }
}

#[test]
fn every_form_of_answer_has_its_meaning() {
    let table: &[(u16, &str, &str)] = &[
        // Success, as /import, /engage and the forms without strict say it.
        (200, r#"{"code":200,"num_records_imported":3,"status":"OK"}"#, "delivered"),
        (200, r#"{"code":200,"num_good_events":3,"error":null,"status":1}"#, "delivered"),
        (200, r#"{"error":null,"status":1}"#, "delivered"),
        (200, r#"{"code":200}"#, "delivered"),
        (200, r#"{"error":"","status":1}"#, "delivered"),
        (200, r#"{"status":2}"#, "delivered"),
        (200, r#"{"status":200}"#, "delivered"),
        (200, " 1\n", "delivered"),
        // Taken in part, without a word about which.
        (200, r#"{"code":200,"num_records_imported":2,"status":"OK"}"#, "bisect true"),
        (200, r#"{"num_good_events":0,"error":null,"status":1}"#, "bisect true"),
        // Refused with status 200.
        (200, "0", "bisect true"),
        (200, r#"{"error":"bad data","status":0}"#, "bisect true"),
        (200, r#"{"error":"","status":0}"#, "bisect true"),
        (200, r#"{"error":"bad data","status":1}"#, "bisect true"),
        (200, r#"{"error":"$token, missing or empty","status":0}"#, "pause MR3002"),
        // Unreadable with status 200.
        (200, "", "retry MR3009 true"),
        (204, "", "retry MR3009 true"),
        (200, "OK", "retry MR3009 true"),
        (200, "[1]", "retry MR3009 true"),
        (200, "{}", "retry MR3009 true"),
        (200, r#"{"hello":1}"#, "retry MR3009 true"),
        // Neither a success nor a refusal: numbers that are no answer of Mixpanel's, and answers
        // whose parts contradict each other.
        (200, r#"{"status":500}"#, "retry MR3009 true"),
        (200, r#"{"status":404,"message":"no such page"}"#, "retry MR3009 true"),
        (200, r#"{"status":-1}"#, "retry MR3009 true"),
        (200, r#"{"status":true}"#, "retry MR3009 true"),
        (200, r#"{"code":400,"status":1}"#, "retry MR3009 true"),
        (200, r#"{"code":500,"status":"OK"}"#, "retry MR3009 true"),
        (200, "<!doctype html><html></html>", "pause MR3006"),
        // Refused row by row.
        (
            400,
            r#"{"code":400,"num_records_imported":2,"failed_records":[{"index":1,"insert_id":"id-1","message":"m"}]}"#,
            "partly [1]",
        ),
        (
            400,
            r#"{"failed_records":[{"index":2,"$insert_id":"id-2","message":"m"},{"index":0,"message":"m"},{"index":2,"message":"n"}]}"#,
            "partly [0, 2]",
        ),
        (
            200,
            r#"{"code":400,"num_good_events":2,"failed_records":[{"index":0,"field":"$set","message":"m"}]}"#,
            "partly [0]",
        ),
        // Joined by the insert id alone.
        (400, r#"{"failed_records":[{"insert_id":"id-2","message":"m"}]}"#, "partly [2]"),
        (400, r#"{"failed_records":[{"index":9,"$insert_id":"id-0"}]}"#, "partly [0]"),
        // An insert id that nobody sent: the index counts.
        (400, r#"{"failed_records":[{"index":1,"insert_id":"other"}]}"#, "partly [1]"),
        (400, r#"{"failed_records":[{"index":1,"insert_id":""}]}"#, "partly [1]"),
        // Doubtful: no index, one out of range, one that contradicts the id.
        (400, r#"{"failed_records":[{"message":"m"}]}"#, "bisect true"),
        (400, r#"{"failed_records":[{"index":3,"message":"m"}]}"#, "bisect true"),
        (400, r#"{"failed_records":[{"index":-1,"message":"m"}]}"#, "bisect true"),
        (400, r#"{"failed_records":[{"index":1,"insert_id":"id-2"}]}"#, "bisect true"),
        (400, r#"{"failed_records":["what"],"num_records_imported":0}"#, "bisect false"),
        // The sums do not allow that the others were taken.
        (
            400,
            r#"{"num_records_imported":0,"failed_records":[{"index":1,"message":"m"}]}"#,
            "bisect false",
        ),
        // Complaints that are about the settings.
        (
            400,
            r#"{"code":400,"num_records_imported":0,"failed_records":["identity events are not allowed when project is using simplified identity management"]}"#,
            "pause MR3005",
        ),
        (
            400,
            r#"{"failed_records":[{"index":0,"field":"$token","message":"invalid"}]}"#,
            "pause MR3002",
        ),
        // Refused as a whole.
        (400, r#"{"code":400,"error":"bad json","num_records_imported":0}"#, "bisect false"),
        (400, r#"{"code":400,"error":"bad json"}"#, "bisect true"),
        (400, r#"{"failed_records":[],"error":"odd"}"#, "bisect true"),
        (400, "Bad Request", "bisect true"),
        (400, "", "bisect true"),
        (400, "<html>", "pause MR3006"),
        // Settings.
        (401, r#"{"code":401,"error":"Invalid credentials"}"#, "pause MR3002"),
        (402, "", "pause MR3002"),
        (403, "<html>", "pause MR3002"),
        (301, "", "pause MR3006"),
        (308, "", "pause MR3006"),
        (404, "", "pause MR3006"),
        (405, "", "pause MR3006"),
        (101, "", "pause MR3006"),
        // Size, load and trouble.
        (413, r#"{"code":413,"error":"request exceeds max limit"}"#, "split"),
        (408, "", "retry MR3008 true"),
        (429, r#"{"code":429,"error":"Project exceeded rate limits"}"#, "retry MR3008 false"),
        (500, "", "retry MR3008 true"),
        (502, "<html>", "retry MR3008 true"),
        (503, "", "retry MR3008 true"),
        (529, "", "retry MR3008 true"),
    ];
    for (status, body, wanted) in table {
        let receipt = read(&answer(*status, body), &rows(3), NOW);
        assert_eq!(short(&receipt), *wanted, "{status} {body}");
    }
}

#[test]
fn a_row_that_stood_alone_is_the_one_that_was_meant() {
    for body in [
        r#"{"failed_records":[{"index":7,"message":"m"}]}"#,
        r#"{"failed_records":["m"]}"#,
        r#"{"failed_records":[{"message":"m"}],"num_records_imported":0}"#,
    ] {
        let receipt = read(&answer(400, body), &rows(1), NOW);
        let refused = RefusedRow { index: 0, words: "m".to_owned() };
        assert_eq!(receipt, Receipt::Partly(vec![refused]), "{body}");
    }
}

#[test]
fn mixpanels_words_are_kept_with_their_field_and_bounded() {
    let words = |record: &str| {
        let body = format!(r#"{{"failed_records":[{record}]}}"#);
        match read(&answer(400, &body), &rows(1), NOW) {
            Receipt::Partly(rows) => rows[0].words.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        words(r#"{"field":"properties.time","message":"'properties.time' is invalid"}"#),
        "'properties.time' is invalid"
    );
    assert_eq!(words(r#"{"field":"event","message":"blank"}"#), "event: blank");
    assert_eq!(words(r#"{"field":"event"}"#), "event is invalid");
    assert_eq!(words(r#"{"index":0}"#), r#"{"index":0}"#);
    let long = "ä".repeat(1000);
    assert_eq!(words(&format!("{long:?}")).len(), MAX_WORDS);
}

#[test]
fn a_missing_answer_tells_whether_the_request_may_have_arrived() {
    let table = [
        (TransportErrorKind::Dns, "pause MR3007"),
        (TransportErrorKind::Tls, "pause MR3007"),
        (TransportErrorKind::Invalid, "pause MR3006"),
        (TransportErrorKind::Connect, "retry MR3007 false"),
        (TransportErrorKind::Timeout, "retry MR3007 true"),
        (TransportErrorKind::Reset, "retry MR3007 true"),
    ];
    for (kind, wanted) in table {
        let error = TransportError { kind, message: "odd".to_owned() };
        assert_eq!(short(&read(&Err(error), &rows(2), NOW)), wanted, "{kind:?}");
    }
}

#[test]
fn a_cut_answer_is_unclear() {
    let body = Bytes::from_static(br#"{"code":200,"status":"OK"}"#);
    let response = Response { status: 200, retry_after: None, body, cut: true };
    assert_eq!(short(&read(&Ok(response), &rows(2), NOW)), "retry MR3009 true");
}

#[test]
fn retry_after_is_honoured() {
    let response =
        Response { status: 503, retry_after: Some("7".to_owned()), body: Bytes::new(), cut: false };
    match read(&Ok(response), &rows(2), NOW) {
        Receipt::Retry { after, .. } => assert_eq!(after, Some(Duration::from_secs(7))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_probe_is_good_only_when_the_nameless_record_was_looked_at() {
    let table: &[(u16, &str, &str)] = &[
        (400, r#"{"num_records_imported":0,"failed_records":[{"index":0}]}"#, "good"),
        (200, r#"{"code":200,"num_records_imported":1,"status":"OK"}"#, "good"),
        (200, r#"{"code":200,"num_records_imported":0,"status":"OK"}"#, "good"),
        (200, "0", "good"),
        (400, r#"{"error":"unknown project"}"#, "bad MR3006"),
        (401, "", "bad MR3002"),
        (404, "", "bad MR3006"),
        (302, "", "bad MR3006"),
        (413, "", "bad MR3006"),
        (429, "", "unknown MR3008"),
        (500, "", "unknown MR3008"),
        (200, "hello", "unknown MR3009"),
    ];
    for (status, body, wanted) in table {
        let got = match read_proof(&answer(*status, body), NOW) {
            Proof::Good => "good".to_owned(),
            Proof::Bad { code, .. } => format!("bad {code}"),
            Proof::Unknown { code, .. } => format!("unknown {code}"),
        };
        assert_eq!(got, *wanted, "{status} {body}");
    }
}

proptest::proptest! {
    #[test]
    fn no_answer_panics_and_no_row_is_named_twice(
        status in 100_u16..600, body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        count in 1_usize..5,
    ) {
        let response = Response { status, retry_after: None, body: Bytes::from(body), cut: false };
        if let Receipt::Partly(refused) = read(&Ok(response), &rows(count), NOW) {
            proptest::prop_assert!(refused.windows(2).all(|pair| pair[0].index < pair[1].index));
            proptest::prop_assert!(refused.iter().all(|row| row.index < count));
        }
    }
}

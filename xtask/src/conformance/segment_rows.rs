//! Rows of Segment's and Syft's requests against ours: see `segment_mixpanel` for what is framing.

use anyhow::Context as _;
use millrace_delivery::mixpanel::RequestParts;
use serde_json::{Map, Value};

use super::text_of;

/// What the peer made up where a message has no id.
const GENERATED: &str = "<generated>";

/// One row on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent {
    method: String,
    url: String,
    /// None for the endpoints of forms, whose strictness changes no row.
    strict: Option<String>,
    /// None where the token inside of the row is the credentials.
    authorization: Option<String>,
    row: Value,
}

impl Sent {
    /// The rows of one of our requests.
    pub(super) fn of_request(parts: &RequestParts) -> anyhow::Result<Vec<Sent>> {
        let body: Value = serde_json::from_slice(&parts.body)?;
        let header = |name: &str| {
            parts.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone())
        };
        let import = parts.url.ends_with("/import");
        let strict = parts.params.iter().find(|(key, _)| *key == "strict");
        let rows = body.as_array().context("a body that is no list")?.iter().map(|row| Sent {
            method: parts.method.to_owned(),
            url: parts.url.clone(),
            strict: strict.filter(|_| import).map(|(_, value)| value.clone()),
            authorization: header("authorization").filter(|_| import),
            row: row.clone(),
        });
        Ok(rows.collect())
    }

    /// The rows of one of the peer's requests. A form to `/track` is a row of `/import` without its
    /// token, which must be that of the settings.
    fn of_peer(request: &Value, token: Option<&str>) -> anyhow::Result<Vec<Sent>> {
        let (address, query) = {
            let url = text_of(request, "url");
            match url.split_once('?') {
                Some((address, query)) => (address.to_owned(), query.to_owned()),
                None => (url, String::new()),
            }
        };
        let url = address.trim_end_matches('/').to_owned();
        let method = text_of(request, "method");
        let header = |name: &str| request.pointer(&format!("/headers/{name}"));
        if let Some(rows) = request.get("json").and_then(Value::as_array) {
            let strict = query.strip_prefix("strict=").map(str::to_owned);
            let authorization = header("authorization").and_then(Value::as_str).map(str::to_owned);
            let sent = |row: &Value| Sent {
                method: method.clone(),
                url: url.clone(),
                strict: strict.clone(),
                authorization: authorization.clone(),
                row: row.clone(),
            };
            return Ok(rows.iter().map(sent).collect());
        }
        let mut row = request.pointer("/form/data").context("neither json nor form")?.clone();
        let mut url = url;
        if let Some(base) = url.strip_suffix("/track") {
            url = format!("{base}/import");
            let sent = properties(&mut row).and_then(|members| members.remove("token"));
            let sent = sent.as_ref().and_then(Value::as_str);
            anyhow::ensure!(
                sent == token,
                "the case sends another token than that of its settings"
            );
        }
        Ok(vec![Sent { method, url, strict: None, authorization: None, row }])
    }
}

fn properties(row: &mut Value) -> Option<&mut Map<String, Value>> {
    row.get_mut("properties").and_then(Value::as_object_mut)
}

/// Compares the peer's requests with our rows; what differs, or nothing.
pub(super) fn compare(
    requests: &[Value],
    ours: &[Sent],
    token: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let mut generated: Option<String> = None;
    let mut place = 0;
    for request in requests {
        for theirs in Sent::of_peer(request, token)? {
            let Some(ours) = ours.get(place) else {
                return Ok(Some(format!("row {} is missing: {}", place + 1, theirs.row)));
            };
            if let Some(difference) = difference(&theirs, ours, &mut generated) {
                return Ok(Some(format!("row {}: {difference}", place + 1)));
            }
            place += 1;
        }
    }
    Ok(ours.get(place).map(|row| format!("one row more than the peer: {}", row.row)))
}

fn difference(theirs: &Sent, ours: &Sent, generated: &mut Option<String>) -> Option<String> {
    if (&theirs.method, &theirs.url) != (&ours.method, &ours.url) {
        return Some(format!("sent to {}, not to {}", ours.url, theirs.url));
    }
    // A form has neither; our row for it may have both.
    if theirs.authorization.is_some() && theirs.authorization != ours.authorization {
        return Some("other credentials".to_owned());
    }
    if theirs.strict.is_some() && theirs.strict != ours.strict {
        return Some(format!("strict is {:?}, not {:?}", ours.strict, theirs.strict));
    }
    let mut found = Vec::new();
    differences("", &theirs.row, &ours.row, generated, &mut found);
    (!found.is_empty()).then(|| found.join("; "))
}

/// What differs between two values, by path.
fn differences(
    path: &str,
    theirs: &Value,
    ours: &Value,
    generated: &mut Option<String>,
    found: &mut Vec<String>,
) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for (key, value) in theirs {
                let path = format!("{path}/{key}");
                match ours.get(key) {
                    Some(own) => differences(&path, value, own, generated, found),
                    None => found.push(format!("{path} is missing (the peer has {value})")),
                }
            }
            for (key, value) in ours.iter().filter(|(key, _)| !theirs.contains_key(*key)) {
                found.push(format!("{path}/{key} is ours alone ({value})"));
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (place, (value, own)) in theirs.iter().zip(ours).enumerate() {
                differences(&format!("{path}/{place}"), value, own, generated, found);
            }
        }
        (Value::String(theirs), Value::String(ours)) if theirs.ends_with(GENERATED) => {
            if !is_generated(theirs, ours, generated) {
                found.push(format!("{path} is {ours:?}, not {theirs:?}"));
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (theirs, ours) if theirs == ours => {}
        (theirs, ours) => found.push(format!("{path} is {ours}, not {theirs}")),
    }
}

/// Whether our id stands where the peer has made one up: something, and behind a number the same
/// for all rows.
fn is_generated(theirs: &str, ours: &str, generated: &mut Option<String>) -> bool {
    let front = theirs.strip_suffix(GENERATED).unwrap_or_default();
    let Some(made) = ours.strip_prefix(front).filter(|made| !made.is_empty()) else { return false };
    front.is_empty() || generated.get_or_insert_with(|| made.to_owned()).as_str() == made
}

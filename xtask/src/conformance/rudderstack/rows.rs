//! Rows on their way, ours beside the peer's: each with the address, the query, the credentials and
//! the encoding of its request.
//!
//! Only what the comparison of requests allows is taken off ([`Sent::difference`]); everything else
//! must be the same.

use anyhow::{Context as _, bail};
use millrace_delivery::mixpanel::RequestParts;
use serde_json::{Map, Value, json};

use super::super::text_of;

/// One row on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent {
    method: String,
    pub(super) url: String,
    params: Map<String, Value>,
    authorization: Option<String>,
    encoding: String,
    pub(super) row: Value,
}

/// What a case says about all of its requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    /// The settings of the destination.
    pub(super) config: &'a Map<String, Value>,
    /// True when the message brings an id of its own.
    pub(super) has_message_id: bool,
    /// True when the case switches compression on. How a body travels says nothing about what it
    /// is, and one case of the peer's own tests compresses without being asked to.
    pub(super) gzip: bool,
}

impl<'a> Terms<'a> {
    pub(super) fn new(config: &'a Map<String, Value>, message: &Value, gzip: bool) -> Terms<'a> {
        let id = message.get("messageId");
        let has_message_id = id.is_some_and(|id| !id.is_null() && id != "");
        Terms { config, has_message_id, gzip }
    }
}

/// The rows of one of our requests.
pub(super) fn of_ours(parts: &RequestParts) -> anyhow::Result<Vec<Sent>> {
    let authorization = parts.headers.iter().find(|(name, _)| *name == "authorization");
    let params = parts.params.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    let body: Vec<Value> = serde_json::from_slice(&parts.body).context("our body is no list")?;
    let request = Sent {
        method: parts.method.to_owned(),
        url: parts.url.clone(),
        params: params.collect(),
        authorization: authorization.map(|(_, value)| value.clone()),
        encoding: parts.encoding.as_str().to_owned(),
        row: Value::Null,
    };
    Ok(body.into_iter().map(|row| Sent { row, ..request.clone() }).collect())
}

/// The rows of one of the peer's requests.
pub(super) fn of_theirs(request: &Value) -> anyhow::Result<Vec<Sent>> {
    let headers = request.get("headers").and_then(Value::as_object).into_iter().flatten();
    let mut authorization =
        headers.filter(|(name, _)| name.eq_ignore_ascii_case("authorization")).map(|(_, v)| v);
    let rows = request.get("body").and_then(Value::as_array).context("body")?;
    let request = Sent {
        method: text_of(request, "method"),
        url: text_of(request, "url").trim_end_matches('/').to_owned(),
        params: request.get("params").and_then(Value::as_object).cloned().unwrap_or_default(),
        authorization: authorization.next().and_then(Value::as_str).map(str::to_owned),
        encoding: text_of(request, "encoding"),
        row: Value::Null,
    };
    Ok(rows.iter().map(|row| Sent { row: row.clone(), ..request.clone() }).collect())
}

impl Sent {
    /// What differs between a row of the peer and ours, or nothing. Off come: the token in the
    /// properties of the peer's events, which must be the one of the settings, because we send it
    /// as credentials only; and our insert id where the message has no id and the peer sends none.
    pub(super) fn difference(
        &self,
        ours: &Sent,
        terms: Terms<'_>,
    ) -> anyhow::Result<Option<String>> {
        if let Some(difference) = self.around(ours, terms) {
            return Ok(Some(difference));
        }
        let (mut theirs, mut ours) = (self.row.clone(), ours.row.clone());
        if let (Some(theirs), Some(ours)) = (properties(&mut theirs), properties(&mut ours)) {
            if let Some(sent) = theirs.remove("token")
                && Some(&sent) != terms.config.get("token")
            {
                bail!("the case sends two tokens");
            }
            if !terms.has_message_id && !theirs.contains_key("$insert_id") {
                ours.remove("$insert_id");
            }
        }
        let mut found = Vec::new();
        differences("", &theirs, &ours, &mut found);
        Ok((!found.is_empty()).then(|| found.join("; ")))
    }

    fn around(&self, ours: &Sent, terms: Terms<'_>) -> Option<String> {
        if self.url != ours.url {
            return Some(format!("sent to {}, not to {}", ours.url, self.url));
        }
        if self.method != ours.method {
            return Some(format!("sent by {}, not by {}", ours.method, self.method));
        }
        if self.authorization != ours.authorization {
            return Some("other credentials".to_owned());
        }
        if terms.gzip && self.encoding != ours.encoding {
            return Some(format!("sent as {}, not as {}", ours.encoding, self.encoding));
        }
        self.params(ours, terms)
    }

    /// The query. On profiles the peer's `verbose=2` stands against our `verbose=1&strict=1`; on
    /// events ours is strict where the peer's settings say nothing of it. `ip=0`, which keeps
    /// Mixpanel from looking up the sender's address, is ours alone. All else must be the same.
    fn params(&self, ours: &Sent, terms: Terms<'_>) -> Option<String> {
        let profiles = !self.url.ends_with("/import");
        let strict_is_said = terms.config.get("strictMode").is_some_and(|on| on == true);
        let mut wanted: Vec<(String, String)> = Vec::new();
        for (name, value) in &self.params {
            let value = plain(value);
            let value = match name.as_str() {
                "verbose" if profiles => "1".to_owned(),
                "strict" if !strict_is_said => "1".to_owned(),
                _ => value,
            };
            wanted.push((name.clone(), value));
        }
        wanted.push(("ip".to_owned(), "0".to_owned()));
        if profiles {
            wanted.push(("strict".to_owned(), "1".to_owned()));
        }
        let mut ours: Vec<(String, String)> =
            ours.params.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
        wanted.sort();
        ours.sort();
        (wanted != ours).then(|| format!("the query is {ours:?}, not {wanted:?}"))
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn properties(row: &mut Value) -> Option<&mut Map<String, Value>> {
    row.get_mut("properties").and_then(Value::as_object_mut)
}

/// What differs between two values, by path.
fn differences(path: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for (key, value) in theirs {
                let path = format!("{path}/{key}");
                match ours.get(key) {
                    Some(own) => differences(&path, value, own, found),
                    None => found.push(format!("{path} is missing (the peer has {value})")),
                }
            }
            for (key, value) in ours.iter().filter(|(key, _)| !theirs.contains_key(*key)) {
                found.push(format!("{path}/{key} is ours alone ({value})"));
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (place, (value, own)) in theirs.iter().zip(ours).enumerate() {
                differences(&format!("{path}/{place}"), value, own, found);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (theirs, ours) if theirs == ours => {}
        (theirs, ours) => found.push(format!("{path} is {ours}, not {theirs}")),
    }
}

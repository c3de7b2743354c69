//! What the two browser SDKs ask before they send anything: without these answers they never do
//! (`reference/sdk-wire-formats.md` sections 3 and 5).
//!
//! The answers name this collector as the place for events and switch everything else off: no
//! plug-ins, no metrics, no destinations in the page.

use axum::http::Uri;
use axum::http::header::{self, HeaderMap};
use serde_json::{Value, json};

use crate::answer::Refusal;
use crate::keys::{Credentials, WriteKeys};

/// The settings of Segment's SDK. Its key is in the path and goes back to whoever sent it; so does
/// the prefix that they were asked for below.
pub(crate) fn segment_settings(
    keys: &WriteKeys,
    key: &str,
    prefix: &str,
    headers: &HeaderMap,
) -> Result<Value, Refusal> {
    keys.owner(&Credentials::in_path(key), None)?.judge_origin(headers)?;
    let mut integration = json!({
        "apiKey": key,
        "addBundledMetadata": true,
        "unbundledIntegrations": [],
        "maybeBundledConfigIds": {},
    });
    // Without a host the SDK would go to Segment's own, so it is told one whenever it is known.
    if let (Some(host), Some(members)) = (host(headers), integration.as_object_mut()) {
        members.insert("apiHost".to_owned(), json!(format!("{host}{prefix}/v1")));
        members.insert("protocol".to_owned(), json!(scheme(headers)));
    }
    Ok(json!({
        "integrations": { "Segment.io": integration },
        "plan": {
            "track": { "__default": { "enabled": true, "integrations": {} } },
            "identify": { "__default": { "enabled": true } },
            "group": { "__default": { "enabled": true } },
        },
        "analyticsNextEnabled": true,
        "edgeFunction": {},
        "enabledMiddleware": {},
        "middlewareSettings": {},
        "legacyVideoPluginsEnabled": false,
        "metrics": { "sampleRate": 0 },
        "remotePlugins": [],
    }))
}

/// The source config of RudderStack's SDK.
pub(crate) fn rudder_source_config(
    keys: &WriteKeys,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Value, Refusal> {
    let door = keys.owner(&Credentials::of(headers, uri), None)?;
    door.judge_origin(headers)?;
    let off = json!({ "enabled": false });
    Ok(json!({
        "source": {
            "id": door.id,
            "name": door.id,
            "enabled": true,
            "connections": [],
            "destinations": [],
            "config": { "statsCollection": { "errors": off, "metrics": off } },
        },
    }))
}

/// The name under which the page reached this collector.
fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok().filter(|host| !host.is_empty())
}

/// How the page reaches this collector. It concerns nobody but the asker, so a proxy's word counts
/// without trust; a page that came by https can use nothing else.
fn scheme(headers: &HeaderMap) -> &'static str {
    let forwarded = headers.get("x-forwarded-proto").map(|value| value.as_bytes());
    let origin = headers.get(header::ORIGIN).map(|value| value.as_bytes());
    match (forwarded, origin) {
        (Some(proto), _) if proto.eq_ignore_ascii_case(b"https") => "https",
        (Some(proto), _) if proto.eq_ignore_ascii_case(b"http") => "http",
        (_, Some(origin)) if origin.starts_with(b"https://") => "https",
        _ => "http",
    }
}

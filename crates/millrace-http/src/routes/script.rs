//! The browser collector as a script, its settings, and Segment's own script from a file.
//!
//! The name of the file is the pipeline's to choose, so it is looked up where no route is found.
//! The settings are part of the script, and its `ETag` is a hash of both. A key is named only to
//! those who know it already, unless the pipeline says otherwise: one that only servers use must
//! not be told to whoever asks for `/d.js`.

use std::io::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Response, StatusCode, Uri};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use millrace_model::code::Code;

use super::preflighted;
use crate::answer::{Refusal, allow_origin, answer, show};
use crate::doors::{Door, Doors};
use crate::keys::Credentials;
use crate::taking::Collector;

/// A function of its settings, built from `collector-js`. Empty when it could not be built.
const COLLECTOR: &str = include_str!(concat!(env!("OUT_DIR"), "/collector.js"));

/// What the library calls itself in its events (`collector-js/src/context.ts`).
pub(crate) const LIBRARY: &str = "millrace-collector";

/// Changed settings reach every visitor within this time.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");
const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");

/// The routes with fixed paths.
pub(crate) fn routes() -> Router<Arc<Collector>> {
    Router::new()
        .route("/v1/script", preflighted(get(settings)))
        .route("/analytics.js/v1/{key}/analytics.min.js", preflighted(get(segment)))
        .route("/analytics.js/v1/{key}/analytics.js", preflighted(get(segment)))
}

/// True for the path of a script.
pub(crate) fn is_name(doors: &Doors, path: &str) -> bool {
    let file = path.strip_prefix('/');
    file.is_some_and(|file| doors.all.iter().any(|door| door.script.options.file == file))
}

/// The script, when this is the name of one.
pub(crate) fn by_name(doors: &Doors, request: &Request) -> Option<Response<Body>> {
    let (uri, headers) = (request.uri(), request.headers());
    let file = uri.path().strip_prefix('/')?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let named: Vec<&Arc<Door>> =
        doors.all.iter().filter(|door| door.script.options.file == file).collect();
    let first = named.first()?;
    Some(match settings_of(doors, &named, first, uri) {
        Ok(settings) => match script(COLLECTOR, &settings) {
            Ok(script) => serve(&script, headers),
            Err(refusal) => answer(Err(refusal), headers),
        },
        Err(refusal) => answer(Err(refusal), headers),
    })
}

/// The settings for a page that asks under this name: those of the key that it shows, of a pipeline
/// that names its key to everybody, or none but the order to ask with the key of the page.
fn settings_of(
    doors: &Doors,
    named: &[&Arc<Door>],
    first: &Arc<Door>,
    uri: &Uri,
) -> Result<Map<String, Value>, Refusal> {
    if let Some(key) = key_in(uri) {
        let door = doors.keys.owner(&Credentials::in_path(&key), None)?;
        return Ok(with_key(&door, &key));
    }
    let mut telling = named.iter().filter_map(|door| Some((door, door.script.key.as_ref()?)));
    if let (Some((door, key)), None) = (telling.next(), telling.next()) {
        return Ok(with_key(door, key.expose()));
    }
    let mut settings = Map::new();
    settings.insert("global".to_owned(), json!(first.script.options.global));
    Ok(settings)
}

fn with_key(door: &Door, key: &str) -> Map<String, Value> {
    let mut settings = door.script.options.to_json();
    settings.insert("pipelineKey".to_owned(), json!(key));
    settings
}

fn key_in(uri: &Uri) -> Option<String> {
    let pairs = form_urlencoded::parse(uri.query()?.as_bytes());
    let mut keys =
        pairs.filter(|(name, key)| matches!(name.as_ref(), "key" | "writeKey") && !key.is_empty());
    keys.next().map(|(_, key)| key.into_owned())
}

/// The script with its settings.
fn script(collector: &str, settings: &Map<String, Value>) -> Result<Bytes, Refusal> {
    if collector.is_empty() {
        let message = "this binary was built without Node, so it has no browser collector: \
                       build it again with Node 20 or newer and npm";
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, Code::NoBrowserCollector, message));
    }
    // Harmless in a script of its own, and in a page that somebody copies it into.
    let settings = Value::Object(settings.clone()).to_string();
    let settings = settings
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029");
    Ok(Bytes::from(format!("{}({settings});\n", collector.trim_end())))
}

/// The settings alone, for a page that knows its key.
async fn settings(
    State(collector): State<Arc<Collector>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let doors = collector.doors.get();
    let owner = doors.keys.owner(&Credentials::of(&headers, &uri), None);
    let mut response =
        show(owner.map(|door| Value::Object(door.script.options.to_json())), &headers);
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(header::CACHE_CONTROL, CACHED);
    }
    response
}

/// Segment's script from the operator's file. The key in the path is the page's affair: the script
/// asks for its settings with it.
async fn segment(State(collector): State<Arc<Collector>>, headers: HeaderMap) -> Response<Body> {
    match &collector.segment_script {
        Some(script) => serve(script, &headers),
        None => {
            let message = "Segment's script is not here: name its file in server.segment_script, \
                           or load the SDK from its package";
            let refusal = Refusal::new(StatusCode::NOT_FOUND, Code::NoSegmentScript, message);
            answer(Err(refusal), &headers)
        }
    }
}

fn serve(script: &Bytes, request: &HeaderMap) -> Response<Body> {
    let etag = format!("\"{:032x}\"", xxh3_128(script));
    let known = request.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        value.to_str().is_ok_and(|value| value == "*" || value.contains(etag.as_str()))
    });
    let packed = (!known && takes_gzip(request)).then(|| gzip(script)).flatten();
    let is_packed = packed.is_some();
    let mut response = match known {
        true => Response::new(Body::empty()),
        false => Response::new(Body::from(packed.unwrap_or_else(|| script.clone()))),
    };
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    allow_origin(headers, request);
    headers.insert(header::CONTENT_TYPE, JAVASCRIPT);
    headers.insert(header::CACHE_CONTROL, CACHED);
    if let Ok(etag) = HeaderValue::try_from(format!("W/{etag}")) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding, Origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn takes_gzip(request: &HeaderMap) -> bool {
    let accepted = request.get_all(header::ACCEPT_ENCODING).iter();
    accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|one| {
        let (name, quality) = one.split_once(';').unwrap_or((one, ""));
        let refused = matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

fn gzip(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 2), Compression::default());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_node_says_so() {
        let refusal = script("", &Map::new()).unwrap_err();
        assert_eq!(refusal.code, Code::NoBrowserCollector);
        assert_eq!(refusal.status, StatusCode::NOT_IMPLEMENTED);
    }

    /// What the page costs its visitors, settings included.
    #[test]
    fn the_script_stays_below_eight_kilobytes() {
        let settings = crate::ScriptOptions::default().to_json();
        let script = script(COLLECTOR, &settings).unwrap();
        let packed = gzip(&script).unwrap();
        assert!(packed.len() < 8_000, "{} bytes with gzip", packed.len());
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (accepted, takes) in
            [("gzip, br", true), ("br;q=1, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            assert_eq!(takes_gzip(&headers), takes, "{accepted}");
        }
    }
}

//! What a request of Adobe's asks for: the call in its path, and what its query names.

use axum::http::Uri;
use axum::http::header::HeaderMap;
use millrace_model::entropy::Entropy;

/// A regional hint is a name of a place of Adobe's, such as `or2` or `irl1`.
const LONGEST_HINT: usize = 16;
/// Longer request ids are not repeated.
const LONGEST_REQUEST_ID: usize = 128;

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Events that want an answer. Version 2 takes one at a time.
    Interact { one: bool },
    /// Events that want none. Version 2 may speak of several people.
    Collect { several: bool },
    /// Who is the visitor?
    Acquire,
    /// What does the visitor allow?
    SetConsent,
    /// What a player does: taken note of by nobody.
    Media,
}

impl Call {
    /// The call of a path below the base path.
    pub(crate) fn of(path: &str) -> Option<Call> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let segments: Vec<&str> = path.splitn(6, '/').collect();
        Call::without_hint(&segments).or_else(|| {
            let (hint, rest) = segments.split_first()?;
            is_hint(hint).then(|| Call::without_hint(rest))?
        })
    }

    fn without_hint(segments: &[&str]) -> Option<Call> {
        Some(match segments {
            ["v1", "interact"] => Call::Interact { one: false },
            ["v2", "interact"] => Call::Interact { one: true },
            ["v1", "collect"] => Call::Collect { several: false },
            ["v2", "collect"] => Call::Collect { several: true },
            ["v1" | "v2", "identity", "acquire"] => Call::Acquire,
            ["v1" | "v2", "privacy", "set-consent"] => Call::SetConsent,
            ["va", "v1", _, ..] => Call::Media,
            _ => return None,
        })
    }
}

fn is_hint(segment: &str) -> bool {
    (1..=LONGEST_HINT).contains(&segment.len())
        && segment.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What the query and the headers of a request name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) datastream: Option<String>,
    /// The request's own id; none when it has none that can be repeated.
    pub(crate) request_id: Option<String>,
    /// True when no body is wanted in the answer.
    pub(crate) silent: bool,
}

impl Asked {
    pub(crate) fn of(uri: &Uri, headers: &HeaderMap) -> Asked {
        let mut asked = Asked { datastream: None, request_id: None, silent: false };
        let query = uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                // Adobe has written it in three ways; the version does not have to fit.
                "configId" | "datastreamId" | "dataStreamId" => {
                    asked.datastream.get_or_insert_with(|| value.into_owned());
                }
                "requestId" => {
                    asked.request_id.get_or_insert_with(|| value.into_owned());
                }
                "silent" => asked.silent = value == "true",
                _ => {}
            }
        }
        let in_header = || headers.get("x-request-id")?.to_str().ok().map(str::to_owned);
        asked.request_id = asked.request_id.or_else(in_header).filter(|id| is_request_id(id));
        asked
    }

    /// The id of the answer: `<requestId>-<16 hex digits>`.
    pub(crate) fn answer_id(&self, entropy: &dyn Entropy) -> String {
        let tail = entropy.next_u64();
        match &self.request_id {
            Some(id) => format!("{id}-{tail:016x}"),
            None => format!("{}-{tail:016x}", entropy.uuid()),
        }
    }
}

/// What can be repeated in a header and in JSON as it is.
fn is_request_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_calls() {
        for (path, call) in [
            ("v1/interact", Some(Call::Interact { one: false })),
            ("v2/interact/", Some(Call::Interact { one: true })),
            ("irl1/v1/collect", Some(Call::Collect { several: false })),
            ("or2/v2/collect", Some(Call::Collect { several: true })),
            ("v1/identity/acquire", Some(Call::Acquire)),
            ("va6/v1/privacy/set-consent", Some(Call::SetConsent)),
            ("va/v1/sessionStart", Some(Call::Media)),
            ("irl1/va/v1/ping", Some(Call::Media)),
            ("va/v1/a/b/c/d/e", Some(Call::Media)),
            ("v3/interact", None),
            ("or2/or2/v1/interact", None),
            ("o-2/v1/interact", None),
            ("//v1/interact", None),
            ("", None),
        ] {
            assert_eq!(Call::of(path), call, "{path}");
        }
    }

    #[test]
    fn the_query_names_datastream_and_request() {
        let headers: HeaderMap =
            [("x-request-id".parse().unwrap(), "h".parse().unwrap())].into_iter().collect();
        let long = "x".repeat(200);
        for (query, datastream, request_id, silent) in [
            ("configId=a%2Fb&requestId=r", Some("a/b"), Some("r"), false),
            ("datastreamId=a&silent=true", Some("a"), Some("h"), true),
            ("dataStreamId=a&configId=b&silent=1", Some("a"), Some("h"), false),
            ("requestId=a%0D%0Ab", None, None, false),
            (&format!("requestId={long}"), None, None, false),
            ("", None, Some("h"), false),
        ] {
            let asked = Asked::of(&format!("/?{query}").parse().unwrap(), &headers);
            let found = (asked.datastream.as_deref(), asked.request_id.as_deref(), asked.silent);
            assert_eq!(found, (datastream, request_id, silent), "{query}");
        }
    }
}

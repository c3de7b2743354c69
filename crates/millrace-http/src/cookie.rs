//! The anonymous id that a browser keeps as a cookie (`reference/datafly-adobe.md` 1.2, A-10).
//!
//! A page cannot read it (`HttpOnly`), so it outlives what pages may store by themselves. It is set
//! by the first call that brings no anonymous id of its own, and read by every later one; the id
//! of an event always wins. On per pipeline, since it is an identifier that a person may have to
//! agree to.

use axum::http::header::{self, HeaderMap, HeaderValue};

use millrace_model::entropy::Entropy;
use millrace_protocol::json::write_text;
use millrace_protocol::segment::Envelope;

use crate::options::CookieOptions;

/// A longer value was not set here.
const MAX_ID_BYTES: usize = 128;

/// An id of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BrowserId {
    id: String,
    /// The header that sets it, when the browser does not have it yet.
    set: Option<HeaderValue>,
}

/// The anonymous id of the browser, minted where it has none.
fn anonymous_id(options: &CookieOptions, headers: &HeaderMap, entropy: &dyn Entropy) -> BrowserId {
    browser_id(&options.name, options, headers, entropy)
}

/// The id of the device, where the pipeline wants one.
fn device_id(
    options: &CookieOptions,
    headers: &HeaderMap,
    entropy: &dyn Entropy,
) -> Option<BrowserId> {
    let name = options.device_name.as_deref()?;
    Some(browser_id(name, options, headers, entropy))
}

/// Gives the anonymous id of the browser to the events without one, and that of its device to all
/// where the pipeline wants one. Gives the headers that set what the browser does not have yet.
pub(crate) fn give(
    options: &CookieOptions,
    headers: &HeaderMap,
    entropy: &dyn Entropy,
    envelope: &mut Envelope,
) -> Vec<HeaderValue> {
    let mut set = Vec::new();
    if envelope.lacks_anonymous_id() {
        let browser = anonymous_id(options, headers, entropy);
        envelope.give_anonymous_id(&browser.id);
        set.extend(browser.set);
    }
    if let Some(device) = device_id(options, headers, entropy) {
        let mut context = b"{\"deviceId\":".to_vec();
        write_text(&device.id, &mut context);
        context.push(b'}');
        envelope.give_context(&context);
        set.extend(device.set);
    }
    set
}

fn browser_id(
    name: &str,
    options: &CookieOptions,
    headers: &HeaderMap,
    entropy: &dyn Entropy,
) -> BrowserId {
    if let Some(id) = cookie(headers, name) {
        return BrowserId { id: id.to_owned(), set: None };
    }
    let id = entropy.uuid().to_string();
    let mut line = format!("{name}={id}; Path=/; Max-Age={}", options.age.as_secs());
    if let Some(domain) = &options.domain {
        line.push_str("; Domain=");
        line.push_str(domain);
    }
    line.push_str("; HttpOnly; SameSite=Lax");
    if !is_plain_loopback(headers) {
        line.push_str("; Secure");
    }
    BrowserId { set: HeaderValue::from_str(&line).ok(), id }
}

/// The value of a cookie, if it is one that could have been set here.
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (own, value) = pair.trim().split_once('=')?;
        (own == name).then_some(value)
    });
    pairs.find(|value| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        !value.is_empty() && value.len() <= MAX_ID_BYTES && value.bytes().all(plain)
    })
}

/// True on a developer's own machine without TLS, where browsers would throw a `Secure` cookie away.
fn is_plain_loopback(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_https = text("x-forwarded-proto").is_some_and(|scheme| scheme.starts_with("https"))
        || text("origin").is_some_and(|origin| origin.starts_with("https:"));
    let host = text("host").unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_loopback = host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_loopback && !is_https
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_model::entropy::SeededEntropy;

    type Pairs = &'static [(&'static str, &'static str)];

    fn headers(pairs: Pairs) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_cookie_that_is_there_is_used_and_any_other_is_set() {
        let table: [(Pairs, Option<&str>); 6] = [
            (&[("cookie", "a=1; _dfid=abc-1")], Some("abc-1")),
            (&[("cookie", "a=1"), ("cookie", "_dfid=x")], Some("x")),
            (&[("cookie", "_dfid=; _dfid=y")], Some("y")),
            (&[("cookie", "_dfid=\"x y\"")], None),
            (&[("cookie", "x_dfid=1")], None),
            (&[], None),
        ];
        let (options, entropy) = (CookieOptions::default(), SeededEntropy::new(1));
        for (pairs, wanted) in table {
            let found = anonymous_id(&options, &headers(pairs), &entropy);
            assert_eq!(found.set.is_none().then_some(found.id.as_str()), wanted, "{pairs:?}");
        }
    }

    #[test]
    fn it_is_secure_but_for_a_developers_own_machine() {
        let table: [(Pairs, bool); 8] = [
            (&[("host", "collect.example.com")], true),
            (&[("host", "10.0.0.1:80")], true),
            (&[], true),
            (&[("host", "localhost:8080")], false),
            (&[("host", "127.0.0.1:8080")], false),
            (&[("host", "[::1]:8080")], false),
            (&[("host", "localhost"), ("x-forwarded-proto", "https")], true),
            (&[("host", "localhost"), ("origin", "https://localhost")], true),
        ];
        let (options, entropy) = (CookieOptions::default(), SeededEntropy::new(1));
        for (pairs, secure) in table {
            let found = anonymous_id(&options, &headers(pairs), &entropy);
            let line = found.set.unwrap().to_str().unwrap().to_owned();
            assert_eq!(line.ends_with("; Secure"), secure, "{pairs:?}: {line}");
            assert!(line.contains("; Max-Age=34560000; HttpOnly; SameSite=Lax"), "{line}");
        }
    }

    #[test]
    fn name_age_domain_and_device_are_as_configured() {
        let options = CookieOptions {
            name: "id".to_owned(),
            age: std::time::Duration::from_secs(60),
            domain: Some("example.com".to_owned()),
            device_name: Some("_dfdid".to_owned()),
        };
        let entropy = SeededEntropy::new(1);
        let line = anonymous_id(&options, &HeaderMap::new(), &entropy).set.unwrap();
        let line = line.to_str().unwrap();
        assert!(line.starts_with("id=") && line.contains("; Max-Age=60; Domain=example.com;"));
        let device = device_id(&options, &headers(&[("cookie", "_dfdid=d")]), &entropy).unwrap();
        assert_eq!((device.id.as_str(), device.set), ("d", None));
        assert_eq!(device_id(&CookieOptions::default(), &HeaderMap::new(), &entropy), None);
    }
}

//! Which pages may send to a pipeline: the list of their origins.
//!
//! An origin is scheme, host and port, as browsers write it in the header `Origin` (RFC 6454). All
//! three must be the same. A host that begins with `*.` stands for every host below: one or more
//! whole labels in the place of the star, never none and never a part of one. The origin `null`
//! (files, sandboxed frames) is never among those of a list, because anybody can have it.

use std::fmt;

use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};

use millrace_model::code::Code;

use crate::answer::Refusal;

/// The origins that a pipeline takes. The default takes all.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    patterns: Vec<Pattern>,
    required: bool,
}

/// One origin of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    scheme: String,
    /// With `*.` in front: what comes after the star, with its dot.
    host: String,
    any_below: bool,
    port: Option<u16>,
}

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// It has no scheme.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// It has a path, a user or a query.
    #[error("must be scheme, host and port only, without a slash at its end")]
    More,
    /// The host is none.
    #[error(
        "has no usable host: letters, digits, dots and dashes, or a star and a dot in front of them"
    )]
    Host,
    /// The port is none.
    #[error("has a port that is no number")]
    Port,
}

impl Origins {
    /// Adds an origin such as `https://shop.example` or `https://*.shop.example:8443`. From the
    /// first one on, only those of the list are taken.
    ///
    /// # Errors
    /// When it is no origin.
    pub fn allow(&mut self, text: &str) -> Result<(), OriginError> {
        let pattern = Pattern::read(text)?;
        if !self.patterns.contains(&pattern) {
            self.patterns.push(pattern);
        }
        Ok(())
    }

    /// Refuses what comes from no page: servers, and images of pages, which name no origin.
    pub fn require(&mut self) {
        self.required = true;
    }

    /// The list as it was read, for people to look at.
    #[must_use]
    pub fn list(&self) -> Vec<String> {
        self.patterns.iter().map(Pattern::to_string).collect()
    }

    /// Judges the head of a request.
    pub(crate) fn judge(&self, request: &HeaderMap) -> Result<(), Refusal> {
        let allowed = match request.get(header::ORIGIN) {
            None => !self.required,
            Some(_) if self.patterns.is_empty() => true,
            Some(origin) => origin.to_str().is_ok_and(|origin| self.lists(origin)),
        };
        if allowed {
            return Ok(());
        }
        let message = "this origin may not send to this pipeline: see origins in its configuration";
        Err(Refusal::new(StatusCode::FORBIDDEN, Code::OriginRefused, message))
    }

    fn lists(&self, origin: &str) -> bool {
        // What a browser sends is a pattern without a star.
        Pattern::read(origin).is_ok_and(|origin| {
            !origin.any_below && self.patterns.iter().any(|pattern| pattern.takes(&origin))
        })
    }
}

impl Pattern {
    fn read(text: &str) -> Result<Pattern, OriginError> {
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::Scheme)?;
        let scheme = scheme.to_ascii_lowercase();
        let preset = match scheme.as_str() {
            "https" => Some(443),
            "http" => Some(80),
            // Those of browser extensions and apps, such as capacitor://localhost.
            other if !other.is_empty() && other.bytes().all(is_scheme_byte) => None,
            _ => return Err(OriginError::Scheme),
        };
        if rest.contains(['/', '?', '#', '@']) {
            return Err(OriginError::More);
        }
        // The colons within the brackets of an IPv6 address are not in front of a port.
        let port_at = rest.rfind(':').filter(|at| rest.rfind(']').is_none_or(|end| end < *at));
        let (host, port) = match port_at.and_then(|at| rest.split_at_checked(at)) {
            Some((host, port)) => {
                let digits = port.strip_prefix(':').unwrap_or_default();
                let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                let number = if plain { digits.parse::<u16>().ok() } else { None };
                (host, Some(number.ok_or(OriginError::Port)?))
            }
            None => (rest, None),
        };
        let host = host.to_ascii_lowercase();
        let (host, any_below) = match host.strip_prefix('*') {
            Some(below) => (below.to_owned(), true),
            None => (host, false),
        };
        let name =
            if any_below { host.strip_prefix('.').unwrap_or_default() } else { host.as_str() };
        let usable = !name.is_empty() && name.bytes().all(is_host_byte);
        if !usable || (any_below && name.starts_with('[')) {
            return Err(OriginError::Host);
        }
        let port = port.filter(|port| Some(*port) != preset);
        Ok(Pattern { scheme, host, any_below, port })
    }

    fn takes(&self, origin: &Pattern) -> bool {
        let host = if self.any_below {
            let labels = origin.host.strip_suffix(self.host.as_str());
            labels.is_some_and(|labels| !labels.is_empty())
        } else {
            origin.host == self.host
        };
        host && origin.scheme == self.scheme && origin.port == self.port
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.any_below { "*" } else { "" };
        write!(f, "{}://{star}{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn is_scheme_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origins(list: &[&str]) -> Origins {
        let mut origins = Origins::default();
        for one in list {
            origins.allow(one).unwrap();
        }
        origins
    }

    fn judged(origins: &Origins, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        origins.judge(&headers).is_ok()
    }

    #[test]
    fn scheme_host_and_port_must_be_the_same() {
        let list =
            origins(&["https://shop.example", "https://*.shop.example", "http://[::1]:3000"]);
        for (origin, taken) in [
            ("https://shop.example", true),
            ("https://SHOP.example", true),
            ("https://shop.example:443", true),
            ("https://shop.example:8443", false),
            ("http://shop.example", false),
            ("https://www.shop.example", true),
            ("https://a.b.shop.example", true),
            ("https://evilshop.example", false),
            ("https://.shop.example", false),
            ("https://*.shop.example", false),
            ("https://shop.example.evil.example", false),
            ("https://shop.example/", false),
            ("https://user@shop.example", false),
            ("http://[::1]:3000", true),
            ("http://[::1]", false),
            ("null", false),
            ("", false),
            ("*", false),
        ] {
            assert_eq!(judged(&list, Some(origin)), taken, "{origin}");
        }
        assert!(judged(&list, None), "a server names no origin");
    }

    #[test]
    fn an_empty_list_takes_all_and_servers_can_be_refused() {
        let mut all = Origins::default();
        assert!(judged(&all, Some("null")) && judged(&all, Some("https://x.example")));
        all.require();
        let listed = origins(&["HTTPS://*.Shop.example:443", "http://a.example:81"]);
        assert_eq!(listed.list(), ["https://*.shop.example", "http://a.example:81"]);
        assert!(judged(&all, Some("https://x.example")));
        assert!(!judged(&all, None));
    }

    #[test]
    fn what_is_no_origin_says_why() {
        for (text, error) in [
            ("shop.example", OriginError::Scheme),
            ("null", OriginError::Scheme),
            ("*", OriginError::Scheme),
            ("https://shop.example/", OriginError::More),
            ("https://u@shop.example", OriginError::More),
            ("https://", OriginError::Host),
            ("https://*", OriginError::Host),
            ("https://*.", OriginError::Host),
            ("https://*shop.example", OriginError::Host),
            ("https://a.*.example", OriginError::Host),
            ("https://jos\u{e9}.example", OriginError::Host),
            ("https://shop.example:x", OriginError::Port),
            ("https://shop.example:", OriginError::Port),
            ("https://shop.example:+80", OriginError::Port),
            ("https://shop.example:70000", OriginError::Port),
        ] {
            assert_eq!(Origins::default().allow(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_star_takes_exactly_what_is_below(labels in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}") {
            let list = origins(&["https://*.shop.example"]);
            let below = format!("https://{labels}.shop.example");
            let glued = format!("https://{labels}shop.example");
            prop_assert!(judged(&list, Some(&below)));
            prop_assert!(!judged(&list, Some(&glued)));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = Origins::default().allow(&text);
        }
    }
}

//! Rows into requests: pure, so that `millrace map` prints what delivery sends.
//!
//! Events go to `/import?strict=1` with Basic credentials, because only there does Mixpanel say
//! what became of each row (`strict=0` is an option of those who come from elsewhere). Profile updates go to `/engage` and `/groups` with `verbose=1&strict=1`
//! and the token as the first member of each update. `ip=0`, on every request, keeps Mixpanel from
//! taking our own address for the user's; a row's own `ip` or `$ip` still counts
//! (`reference/mixpanel-api.md` 2.3, 3.1, 3.2, 5.3).
//!
//! The project token meets the rows here and nowhere earlier: rows are kept, shown and replayed
//! without it.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use millrace_model::row::{Endpoint, Row, Rows};

use super::options::{Credentials, MixpanelOptions};
use super::projects::{Projects, Undeclared};

/// How the body of a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// Compressed with gzip.
    Gzip,
}

impl Encoding {
    /// The name, as in `Content-Encoding`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
        }
    }
}

/// The parts of a request. Its `Debug` shows neither credentials nor body.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestParts {
    /// `POST`, but for lookup tables.
    pub method: &'static str,
    /// The address without its query.
    pub url: String,
    /// The query, in order.
    pub params: Vec<(&'static str, String)>,
    /// The headers beside those that every HTTP client adds. `authorization` holds credentials.
    pub headers: Vec<(&'static str, String)>,
    /// How the body travels. The body is still plain until [`RequestParts::packed`].
    pub encoding: Encoding,
    /// A JSON array, holding the project token in each profile update.
    pub body: Bytes,
}

impl fmt::Debug for RequestParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestParts")
            .field("url", &self.url)
            .field("encoding", &self.encoding)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl RequestParts {
    /// True for the request that only asks whether the credentials are good (DESIGN 9.16): it holds
    /// no row, and Mixpanel stores nothing of it.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.body.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) == Some(NAMELESS)
    }

    /// The request as it goes on the wire: the body compressed when [`RequestParts::encoding`] says
    /// so. Takes milliseconds of processor time for a full batch.
    #[must_use]
    pub fn packed(mut self) -> RequestParts {
        if self.encoding == Encoding::Gzip {
            match gzip(&self.body) {
                Ok(body) => {
                    self.body = Bytes::from(body);
                    self.headers.push(("content-encoding", Encoding::Gzip.as_str().to_owned()));
                }
                // Writing to memory does not fail; if it did, the plain body would do as well.
                Err(_) => self.encoding = Encoding::Identity,
            }
        }
        self
    }
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    // Level 1: on our JSON the higher levels cost three times the time for a tenth of the size.
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// The requests that the rows of one event make, in the order of the rows: neighbours for the same
/// endpoint of the same project share a request; rows that cannot be repeated stand apart, and so do
/// those that are to go alone.
///
/// # Errors
/// When a row is for a project that is not declared: the event is not sent.
pub fn requests_for(rows: &Rows, projects: &Projects) -> Result<Vec<RequestParts>, Undeclared> {
    let together = |a: &Row, b: &Row| {
        a.endpoint == b.endpoint
            && a.repeatable == b.repeatable
            && projects.keys().number(a.project) == projects.keys().number(b.project)
            && !a.alone
            && !b.alone
    };
    let mut requests = Vec::new();
    for run in rows.rows.chunk_by(together) {
        let Some(first) = run.first() else { continue };
        let project = projects.keys().number(first.project).ok_or(Undeclared)?;
        let bodies = run.iter().map(|row| rows.body(row));
        requests.push(request(first.endpoint, bodies, projects.options(project)));
    }
    Ok(requests)
}

/// One request with these JSON objects.
#[must_use]
pub(crate) fn request<'a>(
    endpoint: Endpoint,
    bodies: impl Iterator<Item = &'a [u8]> + Clone,
    options: &MixpanelOptions,
) -> RequestParts {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    let mut params = Vec::with_capacity(4);
    let (encoding, body) = match endpoint {
        Endpoint::Import => {
            if options.strict() {
                params.push(("strict", "1".to_owned()));
            } else {
                params.push(("strict", "0".to_owned()));
                // Else the answer is 1 or 0, without the count of rows and without a reason.
                params.push(("verbose", "1".to_owned()));
            }
            params.push(("ip", "0".to_owned()));
            if let Credentials::ServiceAccount { project_id, .. } = options.credentials() {
                params.push(("project_id", project_id.clone()));
            }
            headers.push(("authorization", format!("Basic {}", options.basic())));
            let encoding = if options.gzip() { Encoding::Gzip } else { Encoding::Identity };
            (encoding, events(bodies))
        }
        Endpoint::Engage | Endpoint::Groups => {
            params.push(("verbose", "1".to_owned()));
            params.push(("strict", "1".to_owned()));
            params.push(("ip", "0".to_owned()));
            (Encoding::Identity, updates(bodies, options))
        }
    };
    let url = format!("{}{}", options.region().base_url(), endpoint.path());
    RequestParts { method: "POST", url, params, headers, encoding, body: Bytes::from(body) }
}

/// The record of a probe. No row is like it: an event without a name is never sent.
const NAMELESS: &[u8] = br#"{"event":"","properties":{}}"#;

/// The request that asks whether the credentials are good: one record without a name, which a
/// strict import refuses row by row (400 with `failed_records`) for good credentials and as a whole
/// (401) for bad ones. It stores nothing (DESIGN 9.16).
#[must_use]
pub(crate) fn probe(options: &MixpanelOptions) -> RequestParts {
    // Strict whatever the options say: without the checks it would be stored.
    let plain = options.clone().with_gzip(false).with_strict(true);
    request(Endpoint::Import, std::iter::once(NAMELESS), &plain)
}

fn events<'a>(bodies: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let length: usize = bodies.clone().map(|body| body.len() + 1).sum();
    let mut out = Vec::with_capacity(length + 2);
    out.push(b'[');
    for (index, body) in bodies.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(body);
    }
    out.push(b']');
    out
}

fn updates<'a>(
    bodies: impl Iterator<Item = &'a [u8]> + Clone,
    options: &MixpanelOptions,
) -> Vec<u8> {
    // The token is checked to be graphic ASCII, so only these two need an escape.
    let token = options.token().expose();
    let token: Cow<'_, str> = if token.contains(['"', '\\']) {
        Cow::Owned(token.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        Cow::Borrowed(token)
    };
    let member = match token.is_empty() {
        true => "{".to_owned(),
        false => format!("{{\"$token\":\"{token}\""),
    };
    let length: usize = bodies.clone().map(|body| body.len() + member.len() + 2).sum();
    let mut out = Vec::with_capacity(length + 2);
    out.push(b'[');
    for (index, body) in bodies.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(member.as_bytes());
        let rest = body.trim_ascii_start().strip_prefix(b"{").unwrap_or_default();
        let rest = rest.trim_ascii_start();
        match rest.first() {
            None => out.push(b'}'),
            Some(b'}') => out.extend_from_slice(rest),
            Some(_) => {
                if member.len() > 1 {
                    out.push(b',');
                }
                out.extend_from_slice(rest);
            }
        }
    }
    out.push(b']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixpanel::options::Region;
    use millrace_model::row::{Lanes, RowRole};
    use millrace_model::secret::Secret;
    use std::io::Read;

    fn of_one_event(rows: &Rows, options: MixpanelOptions) -> Vec<RequestParts> {
        requests_for(rows, &Projects::from(options)).unwrap()
    }

    fn options() -> MixpanelOptions {
        MixpanelOptions::new(Region::Eu, Secret::new("tok")).unwrap()
    }

    fn rows(parts: &[(Endpoint, bool, &str)]) -> Rows {
        let mut rows = Rows::default();
        for (endpoint, repeatable, body) in parts {
            let start = rows.bytes.len();
            rows.bytes.extend_from_slice(body.as_bytes());
            rows.rows.push(Row {
                endpoint: *endpoint,
                role: RowRole::Plain,
                repeatable: *repeatable,
                lanes: Lanes::default(),
                insert_id: None,
                project: None,
                alone: false,
                body: start..rows.bytes.len(),
            });
        }
        rows
    }

    fn param<'a>(request: &'a RequestParts, name: &str) -> Option<&'a str> {
        request.params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    fn header<'a>(request: &'a RequestParts, name: &str) -> Option<&'a str> {
        request.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn neighbours_share_a_request_and_what_cannot_be_repeated_stands_apart() {
        let rows = rows(&[
            (Endpoint::Import, true, r#"{"event":"a"}"#),
            (Endpoint::Import, true, r#"{"event":"b"}"#),
            (Endpoint::Engage, true, r#"{"$set":{}}"#),
            (Endpoint::Engage, false, r#"{"$add":{}}"#),
            (Endpoint::Groups, true, "{ }"),
            (Endpoint::Import, true, r#"{"event":"c"}"#),
        ]);
        let requests = of_one_event(&rows, options());
        let shown: Vec<(String, String)> = requests
            .iter()
            .map(|r| {
                let path = r.url.strip_prefix("https://api-eu.mixpanel.com").unwrap();
                (path.to_owned(), String::from_utf8(r.body.to_vec()).unwrap())
            })
            .collect();
        let wanted = [
            ("/import", r#"[{"event":"a"},{"event":"b"}]"#),
            ("/engage", r#"[{"$token":"tok","$set":{}}]"#),
            ("/engage", r#"[{"$token":"tok","$add":{}}]"#),
            ("/groups", r#"[{"$token":"tok"}]"#),
            ("/import", r#"[{"event":"c"}]"#),
        ]
        .map(|(path, body)| (path.to_owned(), body.to_owned()));
        assert_eq!(shown, wanted);
    }

    #[test]
    fn events_carry_credentials_and_gzip_profiles_neither() {
        let rows = rows(&[(Endpoint::Import, true, "{}"), (Endpoint::Engage, true, "{}")]);
        let [import, engage] = of_one_event(&rows, options()).try_into().unwrap();
        assert_eq!(header(&import, "authorization"), Some("Basic dG9rOg=="));
        assert_eq!(param(&import, "strict"), Some("1"));
        assert_eq!(param(&import, "project_id"), None);
        assert_eq!(import.encoding, Encoding::Gzip);
        assert_eq!(header(&engage, "authorization"), None);
        assert_eq!(param(&engage, "ip"), Some("0"));
        assert_eq!(param(&engage, "verbose"), Some("1"));
        assert_eq!(engage.encoding, Encoding::Identity);
        assert!(!format!("{import:?}").contains("dG9rOg"));

        let packed = import.packed();
        assert_eq!(header(&packed, "content-encoding"), Some("gzip"));
        let mut plain = String::new();
        flate2::read::GzDecoder::new(packed.body.as_ref()).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, "[{}]");
        assert_eq!(engage.clone().packed(), engage);
    }

    #[test]
    fn a_service_account_names_its_project() {
        let account = options().with_service_account("sa.1", Secret::new("s3cret"), "12").unwrap();
        let probe = probe(&account);
        assert_eq!(param(&probe, "project_id"), Some("12"));
        assert_eq!(header(&probe, "authorization"), Some("Basic c2EuMTpzM2NyZXQ="));
        assert_eq!(probe.encoding, Encoding::Identity);
    }

    #[test]
    fn other_credentials_and_loose_checks() {
        let loose = options().with_api_secret(Secret::new("old")).unwrap().with_strict(false);
        let rows = rows(&[(Endpoint::Import, true, "{}"), (Endpoint::Engage, true, "{}")]);
        let [import, engage] = of_one_event(&rows, loose.clone()).try_into().unwrap();
        assert_eq!(header(&import, "authorization"), Some("Basic b2xkOg=="));
        assert_eq!((param(&import, "strict"), param(&import, "verbose")), (Some("0"), Some("1")));
        assert_eq!(param(&engage, "strict"), Some("1"));
        assert_eq!(engage.body.as_ref(), br#"[{"$token":"tok"}]"#);
        let probe = probe(&loose);
        assert!(probe.is_probe() && !import.is_probe());
        assert_eq!(param(&probe, "strict"), Some("1"), "a loose probe would be stored");

        let bare = MixpanelOptions::without_token(Region::Us, "sa", Secret::new("s"), "7").unwrap();
        let bodies: [&[u8]; 2] = [br#"{"$set":{}}"#, b"{ }"];
        let bare = request(Endpoint::Engage, bodies.into_iter(), &bare);
        assert_eq!(bare.body.as_ref(), br#"[{"$set":{}},{}]"#);
    }

    #[test]
    fn each_project_has_its_own_requests_and_rows_may_go_alone() {
        use millrace_model::row::ProjectKey;
        let mut rows = rows(&[(Endpoint::Import, true, "{}"); 6]);
        for (row, project, alone) in
            [(0, None, false), (1, Some("tok"), false), (2, Some("two"), false), (4, None, true)]
        {
            rows.rows[row].project = project.map(ProjectKey::of);
            rows.rows[row].alone = alone;
        }
        let mut projects = Projects::from(options());
        assert_eq!(requests_for(&rows, &projects), Err(Undeclared));
        let two = MixpanelOptions::new(Region::In, Secret::new("two")).unwrap();
        projects.declare("two", two).unwrap();
        let requests = requests_for(&rows, &projects).unwrap();
        let shown: Vec<_> = requests
            .iter()
            .map(|r| (r.url.as_str(), header(r, "authorization").unwrap(), r.body.len()))
            .collect();
        let (eu, india) =
            ("https://api-eu.mixpanel.com/import", "https://api-in.mixpanel.com/import");
        let (own, other) = ("Basic dG9rOg==", "Basic dHdvOg==");
        assert_eq!(
            shown,
            [(eu, own, 7), (india, other, 4), (eu, own, 4), (eu, own, 4), (eu, own, 4)]
        );
    }

    #[test]
    fn an_odd_token_stays_one_json_text() {
        let odd = MixpanelOptions::new(Region::Us, Secret::new("a\"b\\c")).unwrap();
        let rows = rows(&[(Endpoint::Engage, true, r#"{"$set":{"a":1}}"#)]);
        let requests = of_one_event(&rows, odd);
        let body: serde_json::Value = serde_json::from_slice(&requests[0].body).unwrap();
        assert_eq!(body[0]["$token"], "a\"b\\c");
        assert_eq!(body[0]["$set"]["a"], 1);
    }
}

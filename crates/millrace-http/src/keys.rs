//! Write keys: where they stand in a request, and which pipeline they belong to.
//!
//! The order is that of `reference/sdk-wire-formats.md` 1.6: Basic authorization, the body, the
//! query (beacons can set neither headers nor a safe body). A bearer token counts last and only when
//! it is a write key: with OAuth it is something else, and the key is in the body.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::header::{self, HeaderMap};
use axum::http::{StatusCode, Uri};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use subtle::ConstantTimeEq;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use millrace_model::code::Code;
use millrace_model::secret::Secret;

use crate::answer::Refusal;
use crate::doors::{Door, Entrance};
use crate::write_key::WriteKey;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Keys of one kind: the write keys, or the tokens or datastream ids of another protocol, each with
/// the pipeline that it belongs to. Looked up by a hash under a random seed, then compared in constant time, so that
/// the time of an answer tells nothing about a key.
#[derive(Debug)]
pub(crate) struct WriteKeys {
    seed: u64,
    by_hash: HashMap<u128, (Secret, Entrance)>,
}

impl WriteKeys {
    /// Empty keys are left out; of pipelines with the same key the first has it.
    pub(crate) fn new(
        owned: impl IntoIterator<Item = (WriteKey, Arc<Door>)>,
        seed: u64,
    ) -> WriteKeys {
        let mut keys = WriteKeys { seed, by_hash: HashMap::new() };
        for (key, door) in owned.into_iter().filter(|(key, _)| !key.key.is_empty()) {
            let entrance = Entrance::new(door, &key);
            keys.by_hash.entry(keys.hash(key.key.expose())).or_insert((key.key, entrance));
        }
        keys
    }

    fn hash(&self, key: &str) -> u128 {
        xxh3_128_with_seed(key.as_bytes(), self.seed)
    }

    /// Where a key leads to. A revoked key leads somewhere, too: see [`Entrance::is_revoked_at`].
    pub(crate) fn find(&self, key: &Secret) -> Option<Entrance> {
        let (known, entrance) = self.by_hash.get(&self.hash(key.expose()))?;
        let same: bool = known.expose().as_bytes().ct_eq(key.expose().as_bytes()).into();
        same.then(|| entrance.clone())
    }

    /// The pipeline of the key that has the first say.
    pub(crate) fn owner(
        &self,
        credentials: &Credentials,
        in_body: Option<&Secret>,
    ) -> Result<Entrance, Refusal> {
        let first = credentials.basic.as_ref().or(in_body).or(credentials.query.as_ref());
        let bearer = credentials.bearer.as_ref().and_then(|key| self.find(key));
        match first {
            Some(key) => self.find(key).ok_or_else(unknown_key),
            None => bearer.ok_or_else(|| match credentials.bearer {
                Some(_) => unknown_key(),
                None => missing_key(),
            }),
        }
    }

    /// Refuses ahead of the body what the body cannot change: a wrong key in the header.
    /// Else tells where it leads to, if the header already says it.
    pub(crate) fn check_early(
        &self,
        credentials: &Credentials,
    ) -> Result<Option<Entrance>, Refusal> {
        match &credentials.basic {
            Some(key) => self.find(key).map(Some).ok_or_else(unknown_key),
            None => Ok(None),
        }
    }
}

fn missing_key() -> Refusal {
    let message = "the write key is missing: send it as the user of basic authorization, \
                   or as writeKey in the body";
    Refusal::new(StatusCode::UNAUTHORIZED, Code::MissingWriteKey, message)
}

fn unknown_key() -> Refusal {
    // RudderStack's mobile SDKs look for the first three words.
    let message = "invalid write key: check it against the pipelines of the collector";
    Refusal::new(StatusCode::UNAUTHORIZED, Code::UnknownWriteKey, message)
}

/// The keys that the head of a request holds.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    basic: Option<Secret>,
    bearer: Option<Secret>,
    query: Option<Secret>,
}

impl Credentials {
    /// A key that stands in the path.
    pub(crate) fn in_path(key: &str) -> Credentials {
        Credentials { basic: Some(Secret::new(key)), ..Credentials::default() }
    }

    /// True when a bearer token is all that there is.
    pub(crate) fn is_bearer_alone(&self) -> bool {
        self.bearer.is_some() && self.basic.is_none() && self.query.is_none()
    }

    /// A key that stands in a query under whatever name.
    pub(crate) fn in_query(key: Option<Secret>) -> Credentials {
        Credentials { query: key, ..Credentials::default() }
    }

    pub(crate) fn of(headers: &HeaderMap, uri: &Uri) -> Credentials {
        let mut found = Credentials { query: query_key(uri), ..Credentials::default() };
        let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
        else {
            return found;
        };
        let Some((scheme, rest)) = value.trim_start().split_once(' ') else {
            return found;
        };
        if scheme.eq_ignore_ascii_case("basic") {
            found.basic = basic_user(rest.trim());
        } else if scheme.eq_ignore_ascii_case("bearer") {
            found.bearer = Some(Secret::new(rest.trim())).filter(|key| !key.is_empty());
        }
        found
    }
}

/// The user of basic authorization, with or without a colon after it.
fn basic_user(encoded: &str) -> Option<Secret> {
    let pair = String::from_utf8(BASE64.decode(encoded).ok()?).ok()?;
    let user = pair.split_once(':').map_or(pair.as_str(), |(user, _)| user);
    Some(Secret::new(user)).filter(|key| !key.is_empty())
}

fn query_key(uri: &Uri) -> Option<Secret> {
    let value = uri.query()?.split('&').find_map(|pair| pair.strip_prefix("writeKey="))?;
    let key = percent_encoding::percent_decode_str(value).decode_utf8().ok()?;
    Some(Secret::new(key)).filter(|key| !key.is_empty())
}

/// True when both are the same, in a time that does not depend on where they differ.
pub(crate) fn same_secret(a: &Secret, b: &str) -> bool {
    !a.is_empty() && a.expose().as_bytes().ct_eq(b.as_bytes()).into()
}

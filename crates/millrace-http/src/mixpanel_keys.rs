//! What Mixpanel's own SDKs show: a project token in each record, and on `/import` Basic
//! authorization with a token, an API secret or a service account (`reference/mixpanel-api.md` 2.3).

use std::sync::Arc;

use axum::http::header::{self, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use millrace_model::secret::Secret;

use crate::doors::{Door, Entrance};
use crate::keys::WriteKeys;
use crate::options::PipelineOptions;
use crate::write_key::WriteKey;

/// The tokens and credentials of all pipelines.
#[derive(Debug)]
pub(crate) struct MixpanelKeys {
    tokens: WriteKeys,
    /// Whole pairs `user:secret`; a token or an API secret is a user without a secret.
    pairs: WriteKeys,
}

impl MixpanelKeys {
    pub(crate) fn new(owned: &[(&PipelineOptions, &Arc<Door>)], seed: u64) -> MixpanelKeys {
        let tokens = owned.iter().flat_map(|(options, door)| {
            options.mixpanel.tokens.iter().map(|token| (token.clone(), Arc::clone(door)))
        });
        let pairs = owned.iter().flat_map(|(options, door)| {
            let mixpanel = &options.mixpanel;
            let users = mixpanel.tokens.iter().chain(&mixpanel.api_secrets);
            let users = users.map(|user| WriteKey {
                key: Secret::new(format!("{}:", user.key.expose())),
                ..user.clone()
            });
            let pairs = users.chain(mixpanel.service_accounts.iter().cloned());
            pairs.map(|pair| (pair, Arc::clone(door)))
        });
        MixpanelKeys { tokens: WriteKeys::new(tokens, seed), pairs: WriteKeys::new(pairs, seed) }
    }

    /// Where a record with this token goes in.
    pub(crate) fn of_token(&self, token: &Secret) -> Option<Entrance> {
        self.tokens.find(token)
    }

    /// Where a call with these credentials goes in.
    pub(crate) fn of_pair(&self, pair: &Secret) -> Option<Entrance> {
        self.pairs.find(pair)
    }
}

/// The pair of Basic authorization, with a colon even where it has no secret. Mixpanel also takes
/// it when it was not encoded (`reference/mixpanel-api.md` 2.3).
pub(crate) fn basic_pair(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.trim_start().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let rest = rest.trim();
    let decoded = STANDARD.decode(rest).ok().and_then(|pair| String::from_utf8(pair).ok());
    let pair = decoded.unwrap_or_else(|| rest.to_owned());
    let pair = if pair.contains(':') { pair } else { format!("{pair}:") };
    Some(Secret::new(pair)).filter(|pair| pair.expose() != ":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_encoded_or_not() {
        for (header, wanted) in [
            ("Basic ZmFrZXNlY3JldDAwMDE6", Some("fakesecret0001:")),
            ("basic c2EtdXNlci5mYWtlOmZha2VwYXNz", Some("sa-user.fake:fakepass")),
            ("Basic sa-user.fake:fakepass", Some("sa-user.fake:fakepass")),
            ("Basic ZmFrZXNlY3JldDAwMDE=", Some("fakesecret0001:")),
            ("Basic Og==", None),
            ("Bearer x", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, header.parse().unwrap());
            assert_eq!(basic_pair(&headers).as_ref().map(Secret::expose), wanted, "{header}");
        }
    }
}

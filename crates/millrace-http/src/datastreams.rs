//! Adobe's datastreams: which pipeline one belongs to, and whether it is switched on or revoked.
//!
//! A datastream id stands in every page, so it is a name and no secret. Development, staging and
//! production have ids of their own, and so can have pipelines of their own.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};

use millrace_model::code::Code;

use crate::answer::Refusal;
use crate::doors::{Door, Entrance};
use crate::keys::same_secret;
use crate::options::AdobeOptions;
use crate::write_key::WriteKey;

/// The path that the Web SDK and the API have unless told otherwise.
const BASE_PATH: &str = "ee";

/// The organisation of a call by a server.
const ORGANISATION: &str = "x-gw-ims-org-id";
const API_KEY: &str = "x-api-key";

/// A datastream that is switched on.
#[derive(Clone, Debug)]
pub(crate) struct Datastream {
    /// With the datastream as its key: limits count for each.
    pub(crate) entrance: Entrance,
    pub(crate) options: Arc<AdobeOptions>,
}

/// All datastreams.
#[derive(Debug)]
pub(crate) struct Datastreams {
    /// None for one that is switched off.
    by_id: HashMap<String, Option<Datastream>>,
    base_paths: Vec<String>,
}

impl Datastreams {
    /// Of pipelines with the same datastream the first has it.
    pub(crate) fn new<'a>(
        owned: impl Iterator<Item = (&'a AdobeOptions, &'a Arc<Door>)>,
    ) -> Datastreams {
        let mut all = Datastreams { by_id: HashMap::new(), base_paths: vec![BASE_PATH.to_owned()] };
        for (options, door) in owned {
            let shared = Arc::new(options.clone());
            let stream = |id: &WriteKey| Datastream {
                entrance: Entrance::new(Arc::clone(door), id),
                options: Arc::clone(&shared),
            };
            let on = options.datastreams.iter().map(|id| (id.key.expose(), Some(stream(id))));
            let off = options.disabled_datastreams.iter().map(|id| (id.as_str(), None));
            for (id, stream) in off.chain(on).filter(|(id, _)| !id.is_empty()) {
                all.by_id.entry(id.to_owned()).or_insert(stream);
            }
            let base = options.base_path.as_deref().map(|path| path.trim_matches('/'));
            if let Some(base) = base.filter(|base| !base.is_empty())
                && !all.base_paths.iter().any(|known| known == base)
            {
                all.base_paths.push(base.to_owned());
            }
        }
        all
    }

    /// What stands below one of the base paths; none for a path of something else.
    pub(crate) fn below_base<'p>(&self, path: &'p str) -> Option<&'p str> {
        let path = path.strip_prefix('/')?;
        self.base_paths.iter().find_map(|base| path.strip_prefix(base.as_str())?.strip_prefix('/'))
    }

    /// The datastream of that id.
    pub(crate) fn find(&self, id: Option<&str>) -> Result<&Datastream, Refusal> {
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            let message =
                "the datastream is missing: send configId (v1) or datastreamId (v2) in the query";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, Code::MissingDatastream, message));
        };
        match self.by_id.get(id) {
            Some(Some(stream)) => Ok(stream),
            Some(None) => {
                let message = "the datastream is switched off";
                Err(Refusal::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    Code::DisabledDatastream,
                    message,
                ))
            }
            None => {
                let message =
                    "the datastream is not known: check it against the pipelines of the collector";
                Err(Refusal::new(StatusCode::BAD_REQUEST, Code::UnknownDatastream, message))
            }
        }
    }
}

impl Datastream {
    /// Refuses a call by a server whose token is none of the pipeline's. A browser has none to send:
    /// what has no authorization, no API key and no organisation in its headers is let through,
    /// unless the pipeline wants a token of everybody.
    pub(crate) fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let named = |name: &str| headers.contains_key(name);
        let by_server =
            headers.contains_key(header::AUTHORIZATION) || named(ORGANISATION) || named(API_KEY);
        let wanted = self.options.require_token || (by_server && !self.options.tokens.is_empty());
        if !wanted {
            return Ok(());
        }
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = sent
            .and_then(|value| value.trim_start().split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        // Every token is compared, so that the time of the answer does not tell which one is near.
        let known = token.is_some_and(|token| {
            self.options.tokens.iter().fold(false, |known, own| known | same_secret(own, token))
        });
        if known {
            return Ok(());
        }
        let message =
            "the bearer token is none of this pipeline's: check it against pipelines.adobe.tokens";
        Err(Refusal::new(StatusCode::UNAUTHORIZED, Code::BearerRefused, message))
    }

    /// The organisation: the pipeline's, else the one that a server names.
    pub(crate) fn organisation<'a>(&'a self, headers: &'a HeaderMap) -> Option<&'a str> {
        let named = || headers.get(ORGANISATION).and_then(|value| value.to_str().ok());
        self.options.organisation.as_deref().or_else(named).filter(|name| is_organisation(name))
    }
}

/// What may stand in the name of a cookie (RFC 6265, 4.1.1), and is not endless.
fn is_organisation(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@_-.".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::PipelineOptions;
    use millrace_model::secret::Secret;

    fn datastreams(options: &[AdobeOptions]) -> Datastreams {
        let door = |place: usize| {
            Arc::new(Door::of(&PipelineOptions::new(format!("p{place}").parse().unwrap())))
        };
        let doors: Vec<_> = (0..options.len()).map(door).collect();
        Datastreams::new(options.iter().zip(&doors))
    }

    #[test]
    fn a_datastream_belongs_to_the_first_pipeline_that_names_it() {
        let ids = |ids: &[&str]| ids.iter().map(|id| WriteKey::active(*id)).collect();
        let all = datastreams(&[
            AdobeOptions {
                datastreams: ids(&["dev", "off", ""]),
                disabled_datastreams: vec!["off".to_owned()],
                ..AdobeOptions::default()
            },
            AdobeOptions { datastreams: ids(&["prod", "dev"]), ..AdobeOptions::default() },
        ]);
        let found = |id| match all.find(id) {
            Ok(stream) => stream.entrance.id.to_string(),
            Err(refusal) => refusal.code.to_string(),
        };
        for (id, wanted) in [
            (Some("dev"), "p0"),
            (Some("prod"), "p1"),
            (Some("off"), "MR1022"),
            (Some("x"), "MR1021"),
            (Some(""), "MR1020"),
            (None, "MR1020"),
        ] {
            assert_eq!(found(id), wanted, "{id:?}");
        }
    }

    #[test]
    fn base_paths_are_those_of_all_pipelines() {
        let base = |path: &str| AdobeOptions {
            base_path: Some(path.to_owned()),
            ..AdobeOptions::default()
        };
        let all = datastreams(&[base("/shop/edge/"), base("/"), base("ee")]);
        for (path, below) in [
            ("/ee/v1/interact", Some("v1/interact")),
            ("/shop/edge/irl1/v1/collect", Some("irl1/v1/collect")),
            ("/ee", None),
            ("/eel/v1/interact", None),
            ("/v1/interact", None),
            ("", None),
        ] {
            assert_eq!(all.below_base(path), below, "{path}");
        }
    }

    #[test]
    fn a_server_needs_a_token_where_there_are_some() {
        let options = AdobeOptions {
            datastreams: vec![WriteKey::active("d")],
            tokens: vec![Secret::new("t-1"), Secret::new("t-2"), Secret::new("")],
            ..AdobeOptions::default()
        };
        let guarded = datastreams(std::slice::from_ref(&options));
        let open = datastreams(&[AdobeOptions { tokens: Vec::new(), ..options.clone() }]);
        let closed = datastreams(&[AdobeOptions { require_token: true, ..options }]);
        for (headers, taken) in [
            (&[][..], true),
            (&[("authorization", "Bearer t-2")][..], true),
            (&[("authorization", "bearer  t-1 ")][..], true),
            (&[("authorization", "Bearer t-3")][..], false),
            (&[("authorization", "Bearer ")][..], false),
            (&[("authorization", "Basic t-1")][..], false),
            (&[(API_KEY, "k")][..], false),
            (&[(ORGANISATION, "A@AdobeOrg")][..], false),
        ] {
            let sent: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<Vec<(header::HeaderName, header::HeaderValue)>>()
                .into_iter()
                .collect();
            let check = |all: &Datastreams| all.find(Some("d")).unwrap().check_token(&sent).is_ok();
            assert_eq!((check(&guarded), check(&open)), (taken, true), "{headers:?}");
            assert_eq!(check(&closed), taken && !headers.is_empty(), "{headers:?}");
        }
    }

    #[test]
    fn an_organisation_can_stand_in_the_name_of_a_cookie() {
        for (name, good) in
            [("ABC@AdobeOrg", true), ("", false), ("a b", false), ("a;b", false), ("é", false)]
        {
            assert_eq!(is_organisation(name), good, "{name}");
        }
    }
}

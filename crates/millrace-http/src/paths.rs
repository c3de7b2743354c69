//! Other paths for the same routes: prefixes, below which every route is found again, and names of
//! the user's own for single routes. Ad blockers know the usual paths of SDKs.
//!
//! A request comes here when its path is that of no route. One prefix is taken off, then a name is
//! replaced, and what is left goes the usual way.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, Uri};
use tower::ServiceExt as _;

/// The prefix that a request came below. Stands among its extensions, for answers that say where
/// to go next.
#[derive(Clone, Debug)]
pub(crate) struct RoutePrefix(pub(crate) Arc<str>);

/// Prefixes and names.
#[derive(Clone, Debug, Default)]
pub struct OtherPaths {
    prefixes: Vec<Arc<str>>,
    names: Vec<(String, String)>,
}

/// Why a text is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a path such as /collect: a slash in front, none at its end, and letters, digits and \
     the signs - . _ ~ between slashes"
)]
pub struct PathError;

impl OtherPaths {
    /// Every route is found below this prefix, too.
    ///
    /// # Errors
    /// When it is no path.
    pub fn add_prefix(&mut self, prefix: &str) -> Result<(), PathError> {
        self.prefixes.push(checked(prefix)?.into());
        Ok(())
    }

    /// The route of `path` is found under this name, too.
    ///
    /// # Errors
    /// When either is no path.
    pub fn add_name(&mut self, name: &str, path: &str) -> Result<(), PathError> {
        self.names.push((checked(name)?.to_owned(), checked(path)?.to_owned()));
        Ok(())
    }

    /// The routes of `inner`, and under the other paths again. `is_own` says of a path that is that of
    /// no route whether the configuration names it as it is: a prefix may begin like such a path.
    pub(crate) fn around(
        self,
        inner: Router,
        is_own: impl Fn(&str) -> bool + Clone + Send + Sync + 'static,
    ) -> Router {
        if self.prefixes.is_empty() && self.names.is_empty() {
            return inner;
        }
        let (paths, again) = (Arc::new(self), inner.clone());
        inner.fallback(async move |request: Request| {
            let is_own = is_own(request.uri().path());
            paths.lead(request, is_own, again).await
        })
    }

    async fn lead(
        self: Arc<Self>,
        mut request: Request,
        is_own: bool,
        routes: Router,
    ) -> Response<Body> {
        if !is_own && let Some((prefix, uri)) = self.usual(request.uri()) {
            *request.uri_mut() = uri;
            if let Some(prefix) = prefix {
                request.extensions_mut().insert(RoutePrefix(prefix));
            }
        }
        match routes.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The usual form of a path, and the prefix that it had; none when there is nothing to change.
    fn usual(&self, uri: &Uri) -> Option<(Option<Arc<str>>, Uri)> {
        let path = uri.path();
        let below = |prefix: &str| path.strip_prefix(prefix).filter(|rest| rest.starts_with('/'));
        // The longest, so that one prefix can begin with another.
        let prefix = self.prefixes.iter().filter(|prefix| below(prefix).is_some());
        let prefix = prefix.max_by_key(|prefix| prefix.len());
        let path = prefix.and_then(|prefix| below(prefix)).unwrap_or(path);
        let (bare, slash) = match path.strip_suffix('/') {
            Some(bare) => (bare, "/"),
            None => (path, ""),
        };
        let name = self.names.iter().find(|(name, _)| name == bare);
        if prefix.is_none() && name.is_none() {
            return None;
        }
        let mut target = match name {
            Some((_, path)) => format!("{path}{slash}"),
            None => path.to_owned(),
        };
        if let Some(query) = uri.query() {
            target.push('?');
            target.push_str(query);
        }
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(target.parse().ok()?);
        Some((prefix.cloned(), Uri::from_parts(parts).ok()?))
    }
}

fn checked(path: &str) -> Result<&str, PathError> {
    let plain = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !label.is_empty() && label != "." && label != ".." && label.bytes().all(known)
    };
    match path.strip_prefix('/') {
        Some(labels) if path.len() <= 256 && labels.split('/').all(plain) => Ok(path),
        _ => Err(PathError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_prefix_is_taken_off_and_a_name_replaced() {
        let mut paths = OtherPaths::default();
        paths.add_prefix("/x").unwrap();
        paths.add_prefix("/x/y").unwrap();
        paths.add_name("/t1", "/track").unwrap();
        for (path, wanted) in [
            ("/x/v1/track", Some((Some("/x"), "/v1/track"))),
            ("/x/y/v1/track?a=%20b", Some((Some("/x/y"), "/v1/track?a=%20b"))),
            ("/x/x/v1/track", Some((Some("/x"), "/x/v1/track"))),
            ("/t1", Some((None, "/track"))),
            ("/t1/?data=1", Some((None, "/track/?data=1"))),
            ("/x/t1", Some((Some("/x"), "/track"))),
            ("/x", None),
            ("/xv1/track", None),
            ("/t1/more", None),
            ("/v1/track", None),
        ] {
            let found = paths.usual(&path.parse().unwrap());
            let found = found.map(|(prefix, uri)| (prefix, uri.to_string()));
            let found = found.as_ref().map(|(prefix, uri)| (prefix.as_deref(), uri.as_str()));
            assert_eq!(found, wanted, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in ["", "/", "x", "/x/", "//x", "/x//y", "/x?y", "/{x}", "/a b", "/..", "/*"] {
            assert_eq!(OtherPaths::default().add_prefix(path), Err(PathError), "{path}");
        }
        assert!(OtherPaths::default().add_name("/t1", "track").is_err());
    }
}

//! The bounds that a scheduler keeps.

use std::time::Duration;

use millrace_model::row::Endpoint;

/// A value for each endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PerEndpoint<T> {
    /// For `/import`.
    pub import: T,
    /// For `/engage`.
    pub engage: T,
    /// For `/groups`.
    pub groups: T,
}

impl<T> PerEndpoint<T> {
    /// The value of an endpoint.
    #[must_use]
    pub const fn of(&self, endpoint: Endpoint) -> &T {
        match endpoint {
            Endpoint::Import => &self.import,
            Endpoint::Engage => &self.engage,
            Endpoint::Groups => &self.groups,
        }
    }

    /// The value of an endpoint, to change it.
    pub const fn of_mut(&mut self, endpoint: Endpoint) -> &mut T {
        match endpoint {
            Endpoint::Import => &mut self.import,
            Endpoint::Engage => &mut self.engage,
            Endpoint::Groups => &mut self.groups,
        }
    }
}

/// What to do with a row that must not be sent twice (`$add`, `$append`) when nobody knows whether
/// Mixpanel has taken it (DESIGN 9.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnUnclear {
    /// Send it again; the ledger counts the event as perhaps doubled.
    #[default]
    Retry,
    /// Put its event aside.
    SetAside,
}

/// The bounds of one integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows in one request (`reference/mixpanel-api.md` 2.3, 3.2; 200 for `/groups` as its peers
    /// do).
    pub request_rows: PerEndpoint<usize>,
    /// Bytes of one request before compression. A row that is larger goes alone.
    pub request_bytes: usize,
    /// Bytes that the client adds to each profile update (the token).
    pub profile_overhead: usize,
    /// Requests in flight at one endpoint.
    pub concurrency: usize,
    /// How long a row may wait for others to fill its request.
    pub linger: Duration,
    /// Rows held at once; reached by at most one read portion more.
    pub window_rows: usize,
    /// Bytes of rows held at once; reached by at most one read portion more.
    pub window_bytes: usize,
    /// The longest back-off after the first failure.
    pub backoff_first: Duration,
    /// The longest back-off of all.
    pub backoff_last: Duration,
    /// How long a row is tried, from its first attempt on, pauses not counted (DESIGN 9.16).
    pub horizon: Duration,
    /// What to do with rows that must not be sent twice.
    pub on_unclear: OnUnclear,
}

impl Limits {
    /// What a row's body costs beyond its own bytes.
    pub(super) const fn row_overhead(&self, endpoint: Endpoint) -> usize {
        match endpoint {
            Endpoint::Import => 1,
            Endpoint::Engage | Endpoint::Groups => 1 + self.profile_overhead,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_rows: PerEndpoint { import: 2_000, engage: 2_000, groups: 200 },
            request_bytes: 9_500_000,
            profile_overhead: 64,
            concurrency: 4,
            linger: Duration::from_millis(20),
            window_rows: 20_000,
            window_bytes: 32 * 1024 * 1024,
            backoff_first: Duration::from_millis(500),
            backoff_last: Duration::from_secs(60),
            horizon: Duration::from_hours(5 * 24),
            on_unclear: OnUnclear::Retry,
        }
    }
}

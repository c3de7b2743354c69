//! All rules of one pipeline, in the order in which they are applied.

use std::net::IpAddr;

use millrace_model::event::Batch;
use millrace_model::time::UnixMillis;

/// What is known of a request beside its body.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// When it was received.
    pub received_at: UnixMillis,
    /// The address that it came from, behind trusted proxies.
    pub client_ip: Option<IpAddr>,
    /// True when it came from a person's device for certain.
    pub from_device: bool,
    /// The header `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// The header `Cookie`, which may hold what a consent platform noted.
    pub cookies: Option<&'a str>,
    /// The header `Sec-GPC: 1`: the person objects to being sold.
    pub global_privacy_control: bool,
}

/// The rules of a pipeline. The default has none.
#[derive(Debug, Default)]
pub struct Rules {}

impl Rules {
    /// Applies the rules to every item of a batch.
    pub fn govern(&self, batch: &mut Batch, circumstances: &Circumstances<'_>) {
        let _ = (batch, circumstances);
    }
}

//! Settings of the ways in that a pipeline has beside its write keys.

use std::sync::Arc;
use std::time::Duration;

use millrace_model::secret::Secret;
use millrace_protocol::webhook::Mapping;

/// How a pipeline treats the calls of Datafly's clients and servers.
#[derive(Clone, Debug, Default)]
pub struct DataflyOptions {
    /// Whether calls are held to Datafly's rules: a wrong one is refused with the member named, and a
    /// batch has at most 500 events and 524,288 bytes. Signed calls always are. Default no.
    pub strict: bool,
    /// Whether calls without a signature are refused. Default no.
    pub require_signature: bool,
    /// The secrets that calls may be signed with: several, to change one without a gap.
    pub hmac_secrets: Vec<Secret>,
}

/// The cookie that gives browsers an anonymous id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieOptions {
    /// Its name. Default `_dfid`.
    pub name: String,
    /// How long browsers keep it. Default 400 days, which is as long as they do.
    pub age: Duration,
    /// The domain that it holds for; none for the collector's own host.
    pub domain: Option<String>,
    /// The name of a second cookie that stands for the device, if one is wanted: such as `_dfdid`.
    pub device_name: Option<String>,
}

impl Default for CookieOptions {
    fn default() -> CookieOptions {
        CookieOptions {
            name: "_dfid".to_owned(),
            age: Duration::from_secs(400 * 86_400),
            domain: None,
            device_name: None,
        }
    }
}

/// How the sender of a webhook proves who it is.
#[derive(Clone, Debug)]
pub enum WebhookProof {
    /// `Stripe-Signature`: an HMAC over time and body.
    Stripe(Secret),
    /// `X-Shopify-Hmac-Sha256`: an HMAC over the body.
    Shopify(Secret),
    /// `X-HubSpot-Signature-v3`: an HMAC over method, address, body and time.
    HubSpot {
        /// The secret of the app.
        secret: Secret,
        /// The address of the collector as HubSpot calls it, without path, such as
        /// `https://collect.example.com`.
        public_url: String,
    },
    /// An HMAC-SHA256 over the body, hexadecimal or base64, in a header of this name.
    Hmac {
        /// The name, lower case.
        header: String,
        /// The secret.
        secret: Secret,
    },
    /// The secret itself in a header of this name.
    SharedSecret {
        /// The name, lower case.
        header: String,
        /// The secret.
        secret: Secret,
    },
    /// None: whoever knows the id may send.
    Nothing,
}

/// A webhook of a pipeline.
#[derive(Clone, Debug)]
pub struct WebhookOptions {
    /// Its id, such as `wh_stripe`: part of its address.
    pub id: String,
    /// How its sender proves who it is.
    pub proof: WebhookProof,
    /// What becomes of a payload.
    pub mapping: Arc<Mapping>,
}

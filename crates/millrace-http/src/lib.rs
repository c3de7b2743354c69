//! The HTTP side of Millrace: what SDKs post to, what operators ask, and the server for both.
//!
//! Invariants: an SDK is answered 200 only after [`Intake::admit`](millrace_model::intake::Intake)
//! has said that every item is on stable storage; a request is refused as a whole only when nothing
//! of it can be read, or when it may be sent again; no key or token gets into an answer or a trace.
//! No mapping and no delivery happens here, and nothing is read from files or the environment.
//!
//! | module | owns |
//! | --- | --- |
//! | [`mod@collector`] | the router: what every collector answers |
//! | `routes` | the protocols: paths, bodies, answers |
//! | `taking` | the way of a request to stable storage, the same for all protocols |
//! | `datastreams` | whose a datastream of Adobe's is |
//! | `doors` | the pipelines as requests find them |
//! | [`options`] | the settings |
//! | [`mod@management`] | the routes of the operators |
//! | `script_options` | the settings of the browser collector |
//! | [`server`] | connections: bounds, time limits, draining |
//! | [`tls`] | certificates, and the handshake within bounds |
//! | `answer` | what is said to SDKs, and the CORS headers on all of it |
//! | `counts` | what is counted of requests and refusals |
//! | [`readmission`] | items that were set aside, through the door once more |
//! | `body` | reading bodies within bounds of size, time and memory |
//! | `origins` | which pages may send |
//! | `paths` | prefixes and other names of the routes |
//! | `rate` | how much one key may send |
//! | `keys` | write keys: where they stand in a request and whose they are |
//! | `signature` | HMACs of requests: Datafly's, and those of webhooks |
//! | `cookie` | the anonymous id that a browser keeps as a cookie |
//! | `mixpanel_keys` | project tokens and credentials of Mixpanel's own SDKs |
//! | `peer` | the address of the client |
//! | `slots` | places for connections, and who gives way when they are taken |
//! | `startup` | what browser SDKs ask before they send |
//! | `write_deadline` | cutting off clients that do not read |
//! | `write_key` | write keys and their states |

mod answer;
mod body;
pub mod collector;
mod cookie;
mod counts;
mod datastreams;
mod doors;
mod keys;
pub mod management;
mod mixpanel_keys;
pub mod options;
mod origins;
mod paths;
mod peer;
mod rate;
pub mod readmission;
mod routes;
mod script_options;
pub mod server;
mod signature;
mod slots;
mod startup;
mod taking;
pub mod tls;
mod write_deadline;
mod write_key;

pub use collector::{CollectorHandle, collector};
pub use counts::Counts;
pub use management::{
    Overview, Refed, RefeedOrder, SetAsideQuestion, TraceQuestion, Unshown, management,
};
pub use options::{
    AdobeOptions, CollectorOptions, CookieOptions, DataflyOptions, MixpanelAccess, PipelineOptions,
    WebhookOptions, WebhookProof,
};
pub use origins::{OriginError, Origins};
pub use paths::{OtherPaths, PathError};
pub use peer::PeerAddress;
pub use rate::{DayUsage, MeterId, RateLimits};
pub use readmission::{Again, NotReadmitted, Readmission};
pub use script_options::ScriptOptions;
pub use server::{ServeOptions, serve};
pub use write_key::{KeyState, Masked, WriteKey};

//! The client for Mixpanel's ingestion API.
//!
//! | module | owns |
//! | --- | --- |
//! | [`options`] | where and as whom: region, project token, credentials |
//! | [`projects`] | the projects of one integration |
//! | [`request`] | rows into the parts of a request; pure |
//! | [`vendor_settings`] | region, token and credentials in the words of the seed systems |
//! | [`transport`] | the seam through which a request leaves, and what can go wrong on the way |
//! | [`http`] | the transport of production |
//! | [`deletion`] | deleting users, beside the flow of events |
//! | [`lookup_table`] | product catalogues: files as lookup tables, and replacing one |
//!
//! What an answer means is read in [`crate::receipt`]; when to send what is decided in
//! [`crate::scheduler`]. The source of the facts is `reference/mixpanel-api.md` 1, 2.3, 3.2 and 9.

pub mod deletion;
pub mod http;
pub mod lookup_table;
pub mod options;
pub mod projects;
pub mod request;
pub mod transport;
pub mod vendor_settings;

pub use http::HttpTransport;
pub use options::{Credentials, MixpanelOptions, OptionsError, Region};
pub use projects::{DeclaredTwice, Projects, Undeclared};
pub use request::{Encoding, RequestParts, requests_for};
pub use transport::{Response, Transport, TransportError, TransportErrorKind, TransportFuture};
pub use vendor_settings::{ConnectionSettings, SettingNote};

//! The twin: a server that speaks Mixpanel's ingestion and export APIs and keeps its data at home.
//!
//! It is the destination of demos, tests and dry runs, and a shipped feature. It is faithful to
//! what Mixpanel documents and what was measured of it (reference/mixpanel-api.md); it knows nothing
//! of the pipeline that sends to it and is met over its TCP port only (DESIGN 9.21).
//!
//! | module | owns |
//! | --- | --- |
//! | `options`, `error` | what a twin is made of, and why it could not be opened |
//! | `twin`, `server` | the open twin; the twin on a port with threads of its own |
//! | `router`, `intake` | paths; from a request to records, and the answer once they are durable |
//! | `events_in`, `profiles_in`, `export`, `views` | the endpoints |
//! | `lookup_tables` | product catalogues and the like: replacing them and keeping them as files |
//! | `body`, `json`, `auth`, `reply` | body forms, borrowed JSON, credentials, answers |
//! | `event`, `property`, `limits` | the validation table |
//! | `record`, `journal`, `writer` | the byte form of what is stored, its order, the one thread that writes |
//! | `project`, `identity`, `table`, `profile` | the data as a fold over the journal |
//! | `print`, `summary`, `refusal` | events as JSON, sums, and notes on what was not taken |
//!
//! Invariants: a request is answered only after its records are on stable storage; a record that
//! was not committed is never seen; the data is a function of the journal alone.

mod auth;
mod body;
mod deletions;
mod error;
mod event;
mod events_in;
mod export;
mod identity;
mod intake;
mod journal;
mod json;
mod limits;
mod lookup_tables;
mod options;
mod print;
mod profile;
mod profiles_in;
mod project;
mod property;
mod record;
mod refusal;
mod reply;
mod router;
mod server;
mod summary;
mod table;
mod twin;
mod views;
mod writer;

pub use error::TwinError;
pub use options::{IdentityMode, ProjectOptions, ServiceAccount, TwinOptions, ViewAccess};
pub use server::TwinServer;
pub use twin::Twin;

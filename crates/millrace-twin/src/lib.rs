//! A server that speaks Mixpanel's ingestion and export APIs, with all its data at home.

mod error;
mod options;
mod server;
mod twin;

pub use error::TwinError;
pub use options::{IdentityMode, ProjectOptions, ServiceAccount, TwinOptions, ViewAccess};
pub use server::TwinServer;
pub use twin::Twin;

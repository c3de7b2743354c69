//! The twin as one value.
use std::sync::Arc;

use axum::Router;
use millrace_model::entropy::Entropy;
use millrace_model::time::Clock;

use crate::error::TwinError;
use crate::options::TwinOptions;

/// An open twin: its projects, its journal and the router that serves them.
#[derive(Debug)]
pub struct Twin {}

impl Twin {
    /// Opens it.
    /// # Errors
    /// x
    pub fn open(
        options: TwinOptions,
        _clock: Arc<dyn Clock>,
        _entropy: Arc<dyn Entropy>,
    ) -> Result<Twin, TwinError> {
        options.check()?;
        Ok(Twin {})
    }

    /// The routes.
    pub fn router(&self) -> Router {
        Router::new()
    }
}

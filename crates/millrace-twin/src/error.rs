//! Why a twin could not be opened, started or written to.

use std::io;

use millrace_model::code::{Code, ErrorKind};

use crate::options::IdentityMode;

/// An error of the twin itself. What is wrong with a request is answered over HTTP instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TwinError {
    /// The identity mode of a project is not served by this version.
    #[error("project {project}: identity mode {mode:?} is not served yet, use Simplified")]
    IdentityModeNotServed {
        /// The project.
        project: u64,
        /// The mode asked for.
        mode: IdentityMode,
    },
    /// The options of a project contradict each other or cannot be served.
    #[error("project {project}: {why}")]
    BadProject {
        /// The project.
        project: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The data folder could not be opened, read or written.
    #[error("the twin's journal failed: {text}; check the folder and its free space")]
    Journal {
        /// What the log said.
        text: String,
        /// The log's own code.
        code: Code,
    },
    /// A thread, a runtime or the listener could not be set up.
    #[error("the twin's server could not start")]
    Start(#[source] io::Error),
    /// The journal takes no more because an earlier write failed or the twin is stopping.
    #[error("the twin takes no more data until it is opened again")]
    Closed,
}

impl TwinError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            TwinError::IdentityModeNotServed { .. }
            | TwinError::BadProject { .. }
            | TwinError::Start(_) => Code::BadValue,
            TwinError::Journal { code, .. } => *code,
            TwinError::Closed => Code::LogPoisoned,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            TwinError::IdentityModeNotServed { .. }
            | TwinError::BadProject { .. }
            | TwinError::Start(_) => ErrorKind::Fix,
            TwinError::Journal { .. } | TwinError::Closed => ErrorKind::Fatal,
        }
    }
}

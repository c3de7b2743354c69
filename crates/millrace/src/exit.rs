//! How the process ends. The codes are a contract (DESIGN section 8): scripts rely on them.

use std::fmt;
use std::process::ExitCode;

/// What a command came to, as the shell sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All went well: 0.
    Fine,
    /// The command line, a file or a setting is wrong: 64.
    Usage,
    /// Something that is needed is away, such as an address to listen on: 69.
    Unavailable,
    /// Something broke that should not: 70.
    Internal,
    /// Not everything was delivered: 75.
    NotDrained,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Fine => 0,
            Outcome::Usage => 64,
            Outcome::Unavailable => 69,
            Outcome::Internal => 70,
            Outcome::NotDrained => 75,
        })
    }
}

/// An error that ends a command, with the way in which the process ends.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub outcome: Outcome,
    /// What to tell the user.
    pub error: anyhow::Error,
}

impl Failure {
    /// The command line, a file or a setting is wrong.
    pub fn usage(error: impl Into<anyhow::Error>) -> Failure {
        Failure { outcome: Outcome::Usage, error: error.into() }
    }

    /// Something that is needed is away.
    pub fn unavailable(error: impl Into<anyhow::Error>) -> Failure {
        Failure { outcome: Outcome::Unavailable, error: error.into() }
    }

    /// Something broke.
    pub fn internal(error: impl Into<anyhow::Error>) -> Failure {
        Failure { outcome: Outcome::Internal, error: error.into() }
    }
}

impl fmt::Display for Failure {
    /// The error and what caused it, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

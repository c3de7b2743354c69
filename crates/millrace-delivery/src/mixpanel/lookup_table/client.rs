//! Listing the lookup tables of a project and replacing one.
//!
//! Both need a service account (`reference/mixpanel-api.md` 1, 3.3). Nothing is repeated: replacing
//! a table is all or nothing, there are a hundred calls in 24 hours, and somebody sits at the
//! command line.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use millrace_model::code::{Code, ErrorKind};
use serde_json::Value;

use super::table::LookupTable;
use crate::mixpanel::options::{Credentials, MixpanelOptions};
use crate::mixpanel::request::{Encoding, RequestParts};
use crate::mixpanel::transport::{Response, Transport, TransportError};
use crate::receipt;

/// How much of a refusal's text is shown.
const SHOWN_CHARS: usize = 500;

/// How many refused rows are shown: as many as Mixpanel names (`reference/mixpanel-api.md` 3.3).
const SHOWN_ROWS: usize = 10;

/// A table as the list of the project has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// Its id.
    pub id: String,
    /// The name that it was given in Mixpanel.
    pub name: String,
}

/// A row that Mixpanel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRecord {
    /// Its place below the headers as Mixpanel counts it, when it says so.
    pub index: Option<u64>,
    /// What is wrong with it.
    pub message: String,
}

/// Why a table was not listed or replaced.
#[derive(Debug, thiserror::Error)]
pub enum LookupTableError {
    /// The integration has no service account.
    #[error(
        "lookup tables need a service account: give the integration `service_account` and `project_id`; the project token is not enough"
    )]
    NoServiceAccount,
    /// No table has this id or name.
    #[error("the project has no lookup table `{wanted}`{}; tables are made in Mixpanel: Data Management, Lookup Tables", only(.known))]
    NoSuchTable {
        /// What was looked for.
        wanted: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Two tables have this name.
    #[error(
        "the project has {count} lookup tables `{name}`: give the id, as `millrace lookup-table list` shows it"
    )]
    SeveralTables {
        /// The name.
        name: String,
        /// How many have it.
        count: usize,
    },
    /// Mixpanel refused the table and kept the old one.
    #[error("mixpanel refused the table and kept what it had: {message}")]
    Refused {
        /// What it said.
        message: String,
        /// The rows that it named, at most ten.
        rows: Vec<FailedRecord>,
    },
    /// The credentials were refused.
    #[error(
        "mixpanel refused the service account: {0}; check its name, its secret, the project id and that it may write to the project"
    )]
    Credentials(String),
    /// The table is too large for Mixpanel.
    #[error(
        "mixpanel takes tables of at most 100 MB before compression: {0}; leave out columns that no report needs, or rows"
    )]
    TooLarge(String),
    /// There were too many calls.
    #[error("mixpanel takes 100 calls for lookup tables in 24 hours, and those are used up: {message}; {}", wait(.retry_after))]
    TooManyCalls {
        /// What it said.
        message: String,
        /// Its `Retry-After`.
        retry_after: Option<String>,
    },
    /// The answer makes no sense here.
    #[error(
        "the destination answered {status}: {message}; try again later, and if that does not help check `region` or `url`"
    )]
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// There was no answer.
    #[error("the destination cannot be reached: {0}; the table may or may not have been replaced")]
    Unreachable(#[from] TransportError),
}

fn only(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(", only {}", names.join(", ")) }
}

fn wait(retry_after: &Option<String>) -> String {
    match retry_after {
        Some(seconds) => format!("it takes the next one in {seconds} seconds"),
        None => "the oldest of them stops to count after a day".to_owned(),
    }
}

impl LookupTableError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            LookupTableError::NoServiceAccount | LookupTableError::Credentials(_) => {
                Code::CredentialsRefused
            }
            LookupTableError::NoSuchTable { .. }
            | LookupTableError::SeveralTables { .. }
            | LookupTableError::Refused { .. }
            | LookupTableError::TooLarge(_) => Code::LookupTableRefused,
            LookupTableError::TooManyCalls { .. } => Code::DestinationBusy,
            LookupTableError::Unexpected { .. } => Code::UnclearAnswer,
            LookupTableError::Unreachable(_) => Code::Unreachable,
        }
    }

    /// Whether to change something or to wait.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            LookupTableError::NoServiceAccount
            | LookupTableError::Credentials(_)
            | LookupTableError::NoSuchTable { .. }
            | LookupTableError::SeveralTables { .. }
            | LookupTableError::Refused { .. }
            | LookupTableError::TooLarge(_) => ErrorKind::Fix,
            LookupTableError::TooManyCalls { .. }
            | LookupTableError::Unexpected { .. }
            | LookupTableError::Unreachable(_) => ErrorKind::Retry,
        }
    }
}

/// The lookup tables of one project.
#[derive(Debug)]
pub struct LookupTables<'a> {
    options: &'a MixpanelOptions,
    transport: &'a dyn Transport,
    authorization: String,
    project_id: &'a str,
}

impl<'a> LookupTables<'a> {
    /// The tables of the project of these options.
    ///
    /// # Errors
    /// When the options have no service account.
    pub fn new(
        options: &'a MixpanelOptions,
        transport: &'a dyn Transport,
    ) -> Result<LookupTables<'a>, LookupTableError> {
        let Credentials::ServiceAccount { project_id, .. } = options.credentials() else {
            return Err(LookupTableError::NoServiceAccount);
        };
        let authorization = format!("Basic {}", options.basic());
        Ok(LookupTables { options, transport, authorization, project_id })
    }

    /// All tables of the project.
    ///
    /// # Errors
    /// When Mixpanel does not answer with a list.
    pub async fn list(&self) -> Result<Vec<TableInfo>, LookupTableError> {
        let response = self.transport.send(self.request("GET", "", None)).await?;
        if response.status != 200 {
            return Err(self.refusal(&response, ""));
        }
        let unclear = || LookupTableError::Unexpected {
            status: response.status,
            message: "an answer that is no list of lookup tables".to_owned(),
        };
        let body: Value = serde_json::from_slice(&response.body).map_err(|_| unclear())?;
        let results = body.get("results").and_then(Value::as_array).ok_or_else(unclear)?;
        let text = |one: &Value, name: &str| Some(one.get(name)?.as_str()?.to_owned());
        results
            .iter()
            .map(|one| Some(TableInfo { id: text(one, "id")?, name: text(one, "name")? }))
            .collect::<Option<Vec<TableInfo>>>()
            .ok_or_else(unclear)
    }

    /// The table of this id or this name.
    ///
    /// # Errors
    /// When there is none or more than one, or the list cannot be had.
    pub async fn find(&self, wanted: &str) -> Result<TableInfo, LookupTableError> {
        let all = self.list().await?;
        if let Some(one) = all.iter().find(|one| one.id.eq_ignore_ascii_case(wanted)) {
            return Ok(one.clone());
        }
        let named: Vec<&TableInfo> = all.iter().filter(|one| one.name == wanted).collect();
        match named.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(LookupTableError::NoSuchTable {
                wanted: wanted.to_owned(),
                known: all.into_iter().map(|one| one.name).collect(),
            }),
            several => Err(LookupTableError::SeveralTables {
                name: wanted.to_owned(),
                count: several.len(),
            }),
        }
    }

    /// Replaces what the table with this id holds.
    ///
    /// # Errors
    /// When Mixpanel did not take it; then the table holds what it held before, unless the error is
    /// [`LookupTableError::Unreachable`] or [`LookupTableError::Unexpected`], which leave it open.
    pub async fn put(&self, id: &str, table: &LookupTable) -> Result<(), LookupTableError> {
        let body = gzip(table.csv()).map_err(|error| {
            // Writing to memory does not fail.
            LookupTableError::Unexpected { status: 0, message: error.to_string() }
        })?;
        let parts = self.request("PUT", id, Some(body));
        let response = self.transport.send(parts).await?;
        if response.status != 200 {
            return Err(self.refusal(&response, id));
        }
        // Some of Mixpanel's refusals come with status 200 (`reference/mixpanel-api.md` 8), and so do
        // the pages of whatever else answers at an address.
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let rows = body.get("failed_records").and_then(Value::as_array);
        let named = rows.is_some_and(|rows| !rows.is_empty());
        match receipt::says_success(&body) {
            Some(true) if !named => Ok(()),
            Some(true | false) => Err(self.refused(&response)),
            None => Err(LookupTableError::Unexpected {
                status: response.status,
                message: "an answer that does not say whether the table was taken".to_owned(),
            }),
        }
    }

    fn request(&self, method: &'static str, id: &str, body: Option<Vec<u8>>) -> RequestParts {
        let base = self.options.region().base_url();
        let url = match id {
            "" => format!("{base}/lookup-tables"),
            id => format!("{base}/lookup-tables/{id}"),
        };
        let mut headers = vec![("authorization", self.authorization.clone())];
        if body.is_some() {
            headers.push(("content-type", "text/csv".to_owned()));
            headers.push(("content-encoding", Encoding::Gzip.as_str().to_owned()));
        }
        RequestParts {
            method,
            url,
            params: vec![("project_id", self.project_id.to_owned())],
            headers,
            // The body is compressed already.
            encoding: Encoding::Identity,
            body: Bytes::from(body.unwrap_or_default()),
        }
    }

    fn message(&self, response: &Response) -> String {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let message = match body.get("error").and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => String::from_utf8_lossy(&response.body).into_owned(),
        };
        self.options.redact(&message).chars().take(SHOWN_CHARS).collect()
    }

    fn refused(&self, response: &Response) -> LookupTableError {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let rows = body.get("failed_records").and_then(Value::as_array);
        let rows = rows.into_iter().flatten().take(SHOWN_ROWS);
        let rows = rows.map(|row| self.failed_record(row)).collect();
        LookupTableError::Refused { message: self.message(response), rows }
    }

    fn refusal(&self, response: &Response, id: &str) -> LookupTableError {
        let message = self.message(response);
        match response.status {
            400 | 422 => self.refused(response),
            401 | 403 => LookupTableError::Credentials(message),
            404 if !id.is_empty() => {
                LookupTableError::NoSuchTable { wanted: id.to_owned(), known: Vec::new() }
            }
            413 => LookupTableError::TooLarge(message),
            429 => LookupTableError::TooManyCalls {
                message,
                retry_after: response.retry_after.clone(),
            },
            status => LookupTableError::Unexpected { status, message },
        }
    }

    fn failed_record(&self, one: &Value) -> FailedRecord {
        let index = one.get("index").and_then(Value::as_u64);
        let message = match one.get("message").and_then(Value::as_str) {
            Some(text) => self.options.redact(text),
            None => self.options.redact(&one.to_string()),
        };
        FailedRecord { index, message: message.chars().take(SHOWN_CHARS).collect() }
    }
}

fn gzip(csv: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(csv.len() / 4), Compression::default());
    encoder.write_all(csv)?;
    encoder.finish()
}

//! `millrace lookup-table`: puts a product catalogue into a lookup table of Mixpanel, and lists the
//! tables that there are.
//!
//! It needs no running server. The whole file is checked before anything is sent, and Mixpanel
//! replaces a table as a whole or not at all.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use millrace_delivery::mixpanel::http::{HttpTimeouts, HttpTransport};
use millrace_delivery::mixpanel::lookup_table::table::MAX_TABLE_BYTES;
use millrace_delivery::mixpanel::lookup_table::{
    LookupTable, LookupTableError, LookupTables, TableError, TableFormat, TableInfo,
};
use millrace_delivery::mixpanel::{Credentials, MixpanelOptions};
use millrace_model::code::ErrorKind;
use millrace_model::secret::Secret;
use serde_json::{Value, json};

use super::check;
use crate::app;
use crate::cli::{
    LookupTableAction, LookupTableArguments, LookupTableProject, LookupTablePutArguments,
};
use crate::config::DEFAULT_FILE;
use crate::exit::{Failure, Outcome};

/// The variable that holds the secret of `--service-account`.
const SECRET_VARIABLE: &str = "MILLRACE_SERVICE_SECRET";

/// A file larger than this cannot come to a table within the limit: JSONL repeats the names of its
/// members on each line.
const MAX_FILE_BYTES: usize = MAX_TABLE_BYTES * 4;

/// How long the answer to a table may take: a full one takes a while to send and to be read.
const PUT_TIME: Duration = Duration::from_secs(600);

pub(super) fn run(arguments: &LookupTableArguments) -> Result<Outcome, Failure> {
    match &arguments.action {
        LookupTableAction::List { project, json } => list(project, *json),
        LookupTableAction::Put(arguments) => put(arguments),
    }
}

fn list(project: &LookupTableProject, json: bool) -> Result<Outcome, Failure> {
    let options = options(project)?;
    let transport = transport(&options)?;
    let tables = LookupTables::new(&options, &transport).map_err(|error| failed(&error))?;
    let tables = super::runtime()?.block_on(tables.list()).map_err(|error| failed(&error))?;
    if json {
        let shown: Vec<Value> =
            tables.iter().map(|one| json!({ "id": one.id, "name": one.name })).collect();
        super::print_line(&Value::Array(shown).to_string())?;
        return Ok(Outcome::Fine);
    }
    for TableInfo { id, name } in &tables {
        if !super::print_line(&format!("{id}  {name}"))? {
            return Ok(Outcome::Fine);
        }
    }
    if tables.is_empty() {
        let words = "the project has no lookup tables; they are made in Mixpanel";
        let _ = writeln!(io::stderr(), "{words}");
    }
    Ok(Outcome::Fine)
}

fn put(arguments: &LookupTablePutArguments) -> Result<Outcome, Failure> {
    let file = arguments.file.display().to_string();
    let format = match arguments.format.as_deref() {
        Some("csv") => Some(TableFormat::Csv),
        Some(_) => Some(TableFormat::JsonLines),
        None => TableFormat::of_name(&file),
    };
    let format = format.ok_or_else(|| {
        Failure::usage(anyhow!("{file} ends neither in .csv nor in .jsonl: say --format"))
    })?;
    let options = options(&arguments.project)?;
    let bytes = read(&arguments.file)?;
    let table = match LookupTable::read(&bytes, format, arguments.key.as_deref()) {
        Ok(table) => table,
        Err(error) => return wrong_file(&file, &error, arguments.json),
    };
    drop(bytes);
    if arguments.dry_run {
        told(arguments, &table, None)?;
        return Ok(Outcome::Fine);
    }
    if !matches!(options.credentials(), Credentials::ServiceAccount { .. }) {
        return Err(failed(&LookupTableError::NoServiceAccount));
    }
    let transport = transport(&options)?;
    let tables = LookupTables::new(&options, &transport).map_err(|error| failed(&error))?;
    let sent = super::runtime()?.block_on(async {
        let found = tables.find(&arguments.table).await?;
        tables.put(&found.id, &table).await?;
        Ok(found)
    });
    match sent {
        Ok(found) => {
            told(arguments, &table, Some(&found))?;
            Ok(Outcome::Fine)
        }
        Err(error) => refused(&error, arguments.json),
    }
}

/// The integration's project, with the service account of the command line where there is one.
fn options(project: &LookupTableProject) -> Result<MixpanelOptions, Failure> {
    let path = project.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let (config, _plans) = check::read_or_explain(&path)?;
    let named = |id: &str| id == project.integration;
    let found = config.integrations.iter().find(|one| named(one.id.as_str()));
    let integration = found.ok_or_else(|| {
        let known: Vec<&str> = config.integrations.iter().map(|one| one.id.as_str()).collect();
        let wanted = &project.integration;
        super::unknown_integration(wanted, &known)
    })?;
    let twin = config.twin.as_ref().map(|twin| twin.listen);
    let options = app::mixpanel_options(integration, twin)?;
    let (Some(user), Some(project_id)) = (&project.service_account, &project.project_id) else {
        return Ok(options);
    };
    let secret = std::env::var(SECRET_VARIABLE).map_err(|_| {
        Failure::usage(anyhow!("--service-account needs its secret in {SECRET_VARIABLE}"))
    })?;
    options.with_service_account(user, Secret::new(secret), project_id).map_err(Failure::usage)
}

fn transport(options: &MixpanelOptions) -> Result<HttpTransport, Failure> {
    let timeouts = HttpTimeouts { overall: PUT_TIME, ..HttpTimeouts::default() };
    HttpTransport::new(options.region(), timeouts).map_err(Failure::unavailable)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = path.display();
    let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes))
        .with_context(|| super::unreadable(path))
        .map_err(Failure::usage)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Failure::usage(anyhow!("{shown}: {}", TableError::TooLarge)));
    }
    Ok(bytes)
}

/// What was sent, or would be.
fn told(
    arguments: &LookupTablePutArguments,
    table: &LookupTable,
    sent: Option<&TableInfo>,
) -> Result<(), Failure> {
    let (rows, key) = (table.rows(), table.columns().first().map_or("", String::as_str));
    if arguments.json {
        let line = json!({
            "table": sent.map(|one| json!({ "id": one.id, "name": one.name })),
            "dry_run": arguments.dry_run, "rows": rows, "key": key,
            "columns": table.columns(), "bytes": table.csv().len(), "error": null
        });
        return super::print_line(&line.to_string()).map(|_| ());
    }
    let columns = table.columns().len();
    let what = format!("{rows} rows and {columns} columns, keyed by `{key}`");
    let line = match sent {
        Some(one) => format!("the lookup table `{}` holds {what}", one.name),
        None => format!("would send {what} to `{}`", arguments.table),
    };
    super::print_line(&line).map(|_| ())
}

/// Shows what is wrong with a file, row by row.
fn wrong_file(file: &str, error: &TableError, json: bool) -> Result<Outcome, Failure> {
    let (rows, total) = match error {
        TableError::Rows { mistakes, total } => (mistakes.as_slice(), *total),
        _ => (&[][..], 0),
    };
    if json {
        let shown: Vec<Value> =
            rows.iter().map(|row| json!({ "line": row.line, "message": row.message })).collect();
        let error = json!({ "code": error.code().as_str(), "message": error.to_string() });
        super::print_line(&json!({ "error": error, "rows": shown }).to_string())?;
    }
    let mut stderr = io::stderr().lock();
    for row in rows {
        let _ = writeln!(stderr, "{file}:{}: {}", row.line, row.message);
    }
    let listed = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    if total > listed {
        let _ = writeln!(stderr, "and {} more", total.saturating_sub(listed));
    }
    Err(Failure::usage(anyhow!("{} {file}: {error}", error.code())))
}

/// Shows what Mixpanel refused, row by row.
fn refused(error: &LookupTableError, json: bool) -> Result<Outcome, Failure> {
    let rows = match error {
        LookupTableError::Refused { rows, .. } => rows.as_slice(),
        _ => &[],
    };
    if json {
        let shown: Vec<Value> =
            rows.iter().map(|row| json!({ "index": row.index, "message": row.message })).collect();
        let error = json!({ "code": error.code().as_str(), "message": error.to_string() });
        super::print_line(&json!({ "error": error, "rows": shown }).to_string())?;
    }
    let mut stderr = io::stderr().lock();
    for row in rows {
        let place = row.index.map(|index| format!("row {index}: ")).unwrap_or_default();
        let _ = writeln!(stderr, "{place}{}", row.message);
    }
    Err(failed(error))
}

fn failed(error: &LookupTableError) -> Failure {
    let told = anyhow!("{} {error}", error.code());
    match error.kind() {
        ErrorKind::Retry => Failure::unavailable(told),
        _ => Failure::usage(told),
    }
}

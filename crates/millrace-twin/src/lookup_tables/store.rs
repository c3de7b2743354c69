//! The tables: in memory, or as files in a folder beside the journal.
//!
//! A file has the table's name and times as one line of JSON, and the CSV below it. It is written
//! under another name, put on stable storage and then renamed, so a table is the old one or the new
//! one and never half of it.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use millrace_model::code::Code;
use millrace_model::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::sheet::{self, Sheet};
use crate::error::TwinError;
use crate::limits;

/// The folder inside of the twin's.
const FOLDER: &str = "lookup-tables";

/// How table files end; what is being written ends otherwise.
const ENDING: &str = "table";

const DAY_MILLIS: i64 = 86_400_000;

/// One table without its content.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) sheet: Sheet,
    pub(crate) updated_at: Option<UnixMillis>,
    /// The CSV, for a twin without a folder.
    csv: Vec<u8>,
}

/// The first line of a file.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    project: u64,
    id: String,
    name: String,
    updated_at: Option<i64>,
}

type Tables = BTreeMap<(u64, String), Table>;

/// All tables of a twin.
#[derive(Debug, Default)]
pub(crate) struct LookupTables {
    folder: Option<PathBuf>,
    tables: Mutex<Tables>,
    /// When each project's calls of the last day came.
    calls: Mutex<BTreeMap<u64, VecDeque<UnixMillis>>>,
}

impl LookupTables {
    /// The tables of a twin's folder.
    pub(crate) fn open(folder: Option<&Path>) -> Result<LookupTables, TwinError> {
        let Some(folder) = folder.map(|folder| folder.join(FOLDER)) else {
            return Ok(LookupTables::default());
        };
        let tables = read_folder(&folder).map_err(|error| TwinError::Journal {
            text: format!("lookup tables: {error}"),
            code: Code::DiskFailed,
        })?;
        let tables = Mutex::new(tables);
        Ok(LookupTables { folder: Some(folder), tables, calls: Mutex::default() })
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tables of a project, by id.
    pub(crate) fn of(&self, project: u64) -> Vec<(String, Table)> {
        let tables = self.tables();
        let own = tables.iter().filter(|((of, _), _)| *of == project);
        own.map(|((_, id), table)| (id.clone(), Table { csv: Vec::new(), ..table.clone() }))
            .collect()
    }

    /// Whether the project has this table.
    pub(crate) fn has(&self, project: u64, id: &str) -> bool {
        self.tables().contains_key(&(project, id.to_owned()))
    }

    /// Counts a call; false when there were too many in the last 24 hours.
    pub(crate) fn may_call(&self, project: u64, now: UnixMillis) -> bool {
        let mut all = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = all.entry(project).or_default();
        while calls.front().is_some_and(|first| first.0 <= now.0.saturating_sub(DAY_MILLIS)) {
            calls.pop_front();
        }
        let free = calls.len() < limits::LOOKUP_TABLE_CALLS;
        if free {
            calls.push_back(now);
        }
        free
    }

    /// Makes an empty table.
    pub(crate) fn make(&self, project: u64, id: &str, name: String) -> io::Result<()> {
        let table = Table { name, sheet: Sheet::default(), updated_at: None, csv: Vec::new() };
        self.keep(project, id, table)
    }

    /// Replaces what a table holds.
    pub(crate) fn replace(
        &self,
        project: u64,
        id: &str,
        sheet: Sheet,
        csv: Vec<u8>,
        now: UnixMillis,
    ) -> io::Result<()> {
        let have = self.tables().get(&(project, id.to_owned())).map(|table| table.name.clone());
        let name = have.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        self.keep(project, id, Table { name, sheet, updated_at: Some(now), csv })
    }

    /// Writes a table, where there is a folder, and only then shows it.
    fn keep(&self, project: u64, id: &str, mut table: Table) -> io::Result<()> {
        // Held over the writing, so that two calls for one table cannot end as a mixture.
        let mut tables = self.tables();
        if let Some(folder) = &self.folder {
            let head = Head {
                project,
                id: id.to_owned(),
                name: table.name.clone(),
                updated_at: table.updated_at.map(|at| at.0),
            };
            write(folder, &head, &std::mem::take(&mut table.csv))?;
        }
        tables.insert((project, id.to_owned()), table);
        Ok(())
    }

    /// The CSV of a table; none when there is no such table.
    pub(crate) fn content(&self, project: u64, id: &str) -> io::Result<Option<Vec<u8>>> {
        let tables = self.tables();
        let Some(table) = tables.get(&(project, id.to_owned())) else { return Ok(None) };
        match &self.folder {
            None => Ok(Some(table.csv.clone())),
            Some(folder) => {
                let bytes = fs::read(path(folder, project, id))?;
                Ok(Some(parts(&bytes).map(|(_, csv)| csv.to_vec()).unwrap_or_default()))
            }
        }
    }
}

fn path(folder: &Path, project: u64, id: &str) -> PathBuf {
    folder.join(format!("{project}-{id}.{ENDING}"))
}

fn write(folder: &Path, head: &Head, csv: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let end = path(folder, head.project, &head.id);
    let fresh = end.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(serde_json::to_string(head)?.as_bytes())?;
    file.write_all(b"\n")?;
    file.write_all(csv)?;
    file.sync_all()?;
    fs::rename(&fresh, &end)?;
    File::open(folder)?.sync_all()
}

fn parts(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, csv) = bytes.split_at_checked(end)?;
    Some((serde_json::from_slice(head).ok()?, csv.get(1..)?))
}

fn read_folder(folder: &Path) -> io::Result<Tables> {
    let mut tables = Tables::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(tables),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let file = entry?.path();
        if file.extension().is_none_or(|ending| ending != ENDING) {
            continue;
        }
        let bytes = fs::read(&file)?;
        let damaged = || {
            let text = format!("{} is damaged", file.display());
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        let (head, csv) = parts(&bytes).ok_or_else(damaged)?;
        let sheet = if csv.is_empty() {
            Sheet::default()
        } else {
            sheet::read(csv).map_err(|_| damaged())?
        };
        let updated_at = head.updated_at.map(UnixMillis);
        let table = Table { name: head.name, sheet, updated_at, csv: Vec::new() };
        tables.insert((head.project, head.id), table);
    }
    Ok(tables)
}

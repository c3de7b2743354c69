//! A file as a lookup table: key column first, headers unique, one row for each key.
//!
//! What Mixpanel would refuse is found here first, with the line in the user's own file: Mixpanel
//! names at most ten rows and counts one of a hundred calls a day for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use millrace_model::code::{Code, ErrorKind};

use super::jsonl;

/// The most bytes that a table may have before it is compressed (`reference/mixpanel-api.md` 3.3).
/// Whether Mixpanel means 10^6 or 2^20 with "MB" is not said; this is the smaller.
pub const MAX_TABLE_BYTES: usize = 100_000_000;

/// More mistakes than this are counted, not listed.
pub const LISTED_MISTAKES: usize = 100;

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values, the headers in the first row (RFC 4180).
    Csv,
    /// A JSON object a line; the members are the columns.
    JsonLines,
}

impl TableFormat {
    /// The format that a file's name ends with; none for other endings.
    #[must_use]
    pub fn of_name(name: &str) -> Option<TableFormat> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "csv" => Some(TableFormat::Csv),
            "jsonl" | "ndjson" => Some(TableFormat::JsonLines),
            _ => None,
        }
    }
}

/// A row that cannot be in a lookup table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowMistake {
    /// The line of the file on which the row begins, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub message: String,
}

/// Why a file is no lookup table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// There are no headers, or no row below them.
    #[error("the file has no rows; a table needs headers and at least one row")]
    Empty,
    /// A header is empty or stands twice.
    #[error("{0}")]
    Headers(String),
    /// There is no such column.
    #[error("there is no column `{wanted}` to be the key; there are {}", .columns.join(", "))]
    NoKeyColumn {
        /// The column that was asked for.
        wanted: String,
        /// Those that there are.
        columns: Vec<String>,
    },
    /// Rows that cannot be in a table.
    #[error("{total} row{} cannot be in a lookup table", if *.total == 1 { "" } else { "s" })]
    Rows {
        /// The first of them, in the order of the file.
        mistakes: Vec<RowMistake>,
        /// How many there are.
        total: u64,
    },
    /// More bytes than Mixpanel takes.
    #[error(
        "the table has more than 100 MB, which is the most that Mixpanel takes; leave out columns that no report needs, or rows"
    )]
    TooLarge,
}

impl TableError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::BadCatalogue
    }

    /// What to do: change the file.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Fix
    }
}

/// A table that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupTable {
    columns: Vec<String>,
    rows: u64,
    csv: Vec<u8>,
}

impl LookupTable {
    /// Reads a file. `key` is the column that the table is keyed by; without one it is the first.
    ///
    /// # Errors
    /// When the file has no headers, no such column, rows that cannot be in a table, or is too
    /// large.
    pub fn read(
        bytes: &[u8],
        format: TableFormat,
        key: Option<&str>,
    ) -> Result<LookupTable, TableError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut mistakes = Mistakes::default();
        let sheet = match format {
            TableFormat::Csv => csv_sheet(bytes, &mut mistakes)?,
            TableFormat::JsonLines => jsonl::sheet(bytes, MAX_TABLE_BYTES, &mut mistakes)?,
        };
        sheet.into_table(key, mistakes)
    }

    /// The columns, the key first.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows there are below the headers.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The table as Mixpanel takes it: CSV with the key in the first column.
    #[must_use]
    pub fn csv(&self) -> &[u8] {
        &self.csv
    }
}

/// The mistakes so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    listed: Vec<RowMistake>,
    total: u64,
}

impl Mistakes {
    pub(super) fn add(&mut self, line: u64, message: impl Into<String>) {
        self.total += 1;
        if self.listed.len() < LISTED_MISTAKES {
            self.listed.push(RowMistake { line, message: message.into() });
        }
    }
}

/// A row: the line that it begins on, and its cells in the order of the columns. Cells that are
/// missing at the end are empty.
#[derive(Debug)]
pub(super) struct SheetRow {
    pub(super) line: u64,
    pub(super) cells: Vec<String>,
}

/// Columns and rows as the file has them.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<SheetRow>,
}

fn csv_sheet(bytes: &[u8], mistakes: &mut Mistakes) -> Result<Sheet, TableError> {
    // A file of this size makes no smaller table: quotes are all that could fall away.
    if bytes.len() > MAX_TABLE_BYTES.saturating_mul(2) {
        return Err(TableError::TooLarge);
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut sheet = Sheet::default();
    let mut record = csv::ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(false) => return Ok(sheet),
            Ok(true) => {}
            // From memory, and with rows of any length, there is nothing left to go wrong.
            Err(error) => {
                mistakes.add(reader.position().line(), error.to_string());
                return Ok(sheet);
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        let texts: Result<Vec<String>, usize> = record
            .iter()
            .enumerate()
            .map(|(place, cell)| {
                std::str::from_utf8(cell).map(str::to_owned).map_err(|_| place + 1)
            })
            .collect();
        let cells = match texts {
            Ok(cells) => cells,
            Err(place) => {
                mistakes.add(line, format!("cell {place} is not UTF-8 text"));
                continue;
            }
        };
        if sheet.columns.is_empty() {
            sheet.columns = cells;
        } else if cells.len() == sheet.columns.len() {
            sheet.rows.push(SheetRow { line, cells });
        } else {
            let (have, want) = (cells.len(), sheet.columns.len());
            mistakes.add(line, format!("it has {have} cells, and there are {want} columns"));
        }
    }
}

impl Sheet {
    fn into_table(
        self,
        key: Option<&str>,
        mut mistakes: Mistakes,
    ) -> Result<LookupTable, TableError> {
        check_headers(&self.columns)?;
        let key = match key {
            None => 0,
            Some(name) => self.columns.iter().position(|have| have == name).ok_or_else(|| {
                TableError::NoKeyColumn { wanted: name.to_owned(), columns: self.columns.clone() }
            })?,
        };
        let mut seen: HashMap<&str, u64> = HashMap::with_capacity(self.rows.len());
        for row in &self.rows {
            let id = row.cells.get(key).map_or("", String::as_str);
            if id.is_empty() {
                let name = self.columns.get(key).map_or("", String::as_str);
                mistakes.add(row.line, format!("its key `{name}` is empty"));
                continue;
            }
            match seen.entry(id) {
                Entry::Vacant(free) => {
                    free.insert(row.line);
                }
                Entry::Occupied(taken) => {
                    let first = taken.get();
                    let id: String = id.chars().take(100).collect();
                    mistakes
                        .add(row.line, format!("the key `{id}` stands on line {first} already"));
                }
            }
        }
        if mistakes.total > 0 {
            mistakes.listed.sort_by_key(|mistake| mistake.line);
            return Err(TableError::Rows { mistakes: mistakes.listed, total: mistakes.total });
        }
        if self.rows.is_empty() {
            return Err(TableError::Empty);
        }
        let order: Vec<usize> =
            std::iter::once(key).chain((0..self.columns.len()).filter(|one| *one != key)).collect();
        let csv = written(&self, &order).ok_or(TableError::TooLarge)?;
        let columns = order.iter().filter_map(|one| self.columns.get(*one).cloned()).collect();
        Ok(LookupTable { columns, rows: u64::try_from(self.rows.len()).unwrap_or(u64::MAX), csv })
    }
}

/// The sheet as CSV with its columns in this order; none when it is too large.
fn written(sheet: &Sheet, order: &[usize]) -> Option<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut bytes = 0_usize;
    let rows = std::iter::once(&sheet.columns).chain(sheet.rows.iter().map(|row| &row.cells));
    for cells in rows {
        let cells = order.iter().map(|one| cells.get(*one).map_or("", String::as_str));
        bytes += cells.clone().map(|cell| cell.len() + 1).sum::<usize>();
        if bytes > MAX_TABLE_BYTES {
            return None;
        }
        writer.write_record(cells).ok()?;
    }
    writer.into_inner().ok().filter(|csv| csv.len() <= MAX_TABLE_BYTES)
}

fn check_headers(columns: &[String]) -> Result<(), TableError> {
    if columns.is_empty() {
        return Err(TableError::Empty);
    }
    for (place, name) in columns.iter().enumerate() {
        if name.trim().is_empty() {
            return Err(TableError::Headers(format!(
                "the header of column {} is empty",
                place + 1
            )));
        }
        let earlier = columns.iter().take(place).position(|have| have == name);
        if let Some(earlier) = earlier {
            return Err(TableError::Headers(format!(
                "the header `{name}` stands twice, in columns {} and {}",
                earlier + 1,
                place + 1
            )));
        }
    }
    Ok(())
}

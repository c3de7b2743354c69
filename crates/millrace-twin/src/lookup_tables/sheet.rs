//! What is wrong with the rows of a CSV, in the order of the rows.
//!
//! The first row has the headers, each once; the first column is a key that stands once. Mixpanel
//! names at most ten rows. Where it counts them from is not documented: here the row below the
//! headers is 0.

use std::collections::HashSet;

use crate::limits;

/// A row that cannot be in a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RowFailure {
    pub(super) index: u64,
    pub(super) message: String,
}

/// What a table holds, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sheet {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: u64,
}

/// Reads a whole table.
pub(super) fn read(csv: &[u8]) -> Result<Sheet, Vec<RowFailure>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(csv);
    let mut sheet = Sheet::default();
    let mut failures = Vec::new();
    let mut keys: HashSet<Vec<u8>> = HashSet::new();
    for record in reader.byte_records() {
        if failures.len() >= limits::FAILED_RECORDS {
            break;
        }
        let index = sheet.rows;
        let mut fail = |message: String| failures.push(RowFailure { index, message });
        let Ok(record) = record else {
            fail("the row cannot be read".to_owned());
            break;
        };
        if sheet.columns.is_empty() {
            let headers = record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned());
            sheet.columns = headers.collect();
            let mut seen = HashSet::new();
            if !sheet.columns.iter().all(|name| !name.is_empty() && seen.insert(name)) {
                fail("headers must be there and stand once".to_owned());
                break;
            }
            continue;
        }
        sheet.rows += 1;
        let key = record.get(0).unwrap_or_default();
        if record.iter().any(|cell| std::str::from_utf8(cell).is_err()) {
            fail("the row is not UTF-8".to_owned());
        } else if record.len() != sheet.columns.len() {
            let (have, want) = (record.len(), sheet.columns.len());
            fail(format!("the row has {have} cells for {want} columns"));
        } else if key.is_empty() {
            fail("the key is empty".to_owned());
        } else if !keys.insert(key.to_vec()) {
            fail("the key stands in an earlier row".to_owned());
        }
    }
    if sheet.columns.is_empty() {
        failures.push(RowFailure { index: 0, message: "there is no header".to_owned() });
    }
    if failures.is_empty() { Ok(sheet) } else { Err(failures) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_rows_are_named_and_ten_are_enough() {
        let sheet = read(b"id,name\np1,\"a,b\"\np2,\n").unwrap();
        assert_eq!(sheet, Sheet { columns: vec!["id".into(), "name".into()], rows: 2 });
        let failures = read(b"id,name\np1,a\n,b\np1,c\np2\n").unwrap_err();
        let places: Vec<u64> = failures.iter().map(|one| one.index).collect();
        assert_eq!(places, [1, 2, 3]);
        let many = format!("id\n{}", "x\n".repeat(40));
        assert_eq!(read(many.as_bytes()).unwrap_err().len(), 10);
        for bad in [&b""[..], b"a,a\n1,2\n", b"a,\n1,2\n"] {
            assert_eq!(read(bad).unwrap_err().len(), 1);
        }
    }
}

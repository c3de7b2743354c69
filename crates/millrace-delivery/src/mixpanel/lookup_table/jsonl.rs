//! JSONL as a sheet: each line an object, the columns in the order in which they first appear.
//!
//! Scalars keep their text; null is an empty cell; a list of scalars becomes the bracketed list that
//! Mixpanel reads as one. Objects have no place in a table.

use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::table::{Mistakes, Sheet, SheetRow, TableError};

/// More columns than this are no table: the memory of a sheet grows with columns times rows.
const MOST_COLUMNS: usize = 1_000;

/// Reads all lines; those that are no rows are mistakes.
///
/// # Errors
/// When the rows come to more than `most_bytes` as CSV: a line names only its own columns, but its
/// row has a cell in all of them.
pub(super) fn sheet(
    bytes: &[u8],
    most_bytes: usize,
    mistakes: &mut Mistakes,
) -> Result<Sheet, TableError> {
    let mut sheet = Sheet::default();
    // Of the table as CSV, at least: each cell has a comma or the end of the line behind it.
    let mut table_bytes = 0_usize;
    let mut places: HashMap<String, usize> = HashMap::new();
    for (line, text) in (1_u64..).zip(bytes.split(|byte| *byte == b'\n')) {
        if text.trim_ascii().is_empty() {
            continue;
        }
        match row(text, &mut sheet.columns, &mut places) {
            Ok(mut cells) => {
                let texts: usize = cells.iter().map(String::len).sum();
                table_bytes = table_bytes.saturating_add(texts).saturating_add(cells.len());
                if table_bytes > most_bytes {
                    return Err(TableError::TooLarge);
                }
                // Most lines of a wide catalogue name few of its columns.
                let last = cells.iter().rposition(|cell| !cell.is_empty());
                cells.truncate(last.map_or(0, |last| last + 1));
                cells.shrink_to_fit();
                sheet.rows.push(SheetRow { line, cells });
            }
            Err(message) => mistakes.add(line, message),
        }
    }
    Ok(sheet)
}

fn row(
    text: &[u8],
    columns: &mut Vec<String>,
    places: &mut HashMap<String, usize>,
) -> Result<Vec<String>, String> {
    let members: Members<'_> = serde_json::from_slice(text).map_err(|error| {
        let what = error.to_string();
        // Each line is a text of its own: serde's line number would be 1 on all of them.
        let what = what.split(" at line ").next().unwrap_or_default();
        format!("it is no JSON object: {what} at column {}", error.column())
    })?;
    let mut cells = vec![String::new(); columns.len()];
    let mut named = vec![false; columns.len()];
    for (name, value) in members.0 {
        let place = match places.get(&name) {
            Some(place) => *place,
            None if columns.len() >= MOST_COLUMNS => {
                return Err(format!("`{name}` would be column {}", MOST_COLUMNS + 1));
            }
            None => {
                places.insert(name.clone(), columns.len());
                columns.push(name.clone());
                cells.push(String::new());
                named.push(false);
                columns.len().saturating_sub(1)
            }
        };
        if named.get(place).copied().unwrap_or_default() {
            return Err(format!("the member `{name}` stands twice"));
        }
        let text = cell(&name, value.get())?;
        if let (Some(cell), Some(named)) = (cells.get_mut(place), named.get_mut(place)) {
            *cell = text;
            *named = true;
        }
    }
    Ok(cells)
}

/// The text of a value in a cell.
fn cell(name: &str, raw: &str) -> Result<String, String> {
    match raw.as_bytes().first() {
        Some(b'n') => Ok(String::new()),
        Some(b'"') => serde_json::from_str(raw).map_err(|error| format!("`{name}`: {error}")),
        Some(b'{') => Err(format!(
            "`{name}` is an object, and a cell holds a text, a number, true, false or a list of them"
        )),
        Some(b'[') => {
            let items: Vec<Value> =
                serde_json::from_str(raw).map_err(|error| format!("`{name}`: {error}"))?;
            if items.iter().any(|item| item.is_object() || item.is_array()) {
                return Err(format!("`{name}` holds an object or a list inside of its list"));
            }
            Ok(Value::Array(items).to_string())
        }
        _ => Ok(raw.to_owned()),
    }
}

/// The members of an object in their order, their values as they are written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Visitor).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_say_little_count_with_all_their_commas() {
        let bytes = b"{\"a\":1,\"b\":2,\"c\":3}\n{}\n{\"c\":4}\n";
        let cells = |most| {
            let sheet = sheet(bytes, most, &mut Mistakes::default())?;
            Ok(sheet.rows.into_iter().map(|row| row.cells.len()).collect::<Vec<_>>())
        };
        assert_eq!(cells(13), Ok(vec![3, 0, 3]));
        assert_eq!(cells(12), Err(TableError::TooLarge));
    }
}

//! Lookup tables: a product catalogue that Mixpanel joins to events by the key in its first column
//! (`reference/mixpanel-api.md` 3.3).
//!
//! | module | owns |
//! | --- | --- |
//! | [`table`] | a CSV or JSONL file as the table that is sent, or every row that cannot be in it |
//! | `jsonl` | the objects of a JSONL file as rows |
//! | [`client`] | listing tables and replacing one, and what Mixpanel's refusals mean |
//!
//! Tables are made in Mixpanel by hand; there is no call for it. Replacing one is all or nothing.

pub mod client;
mod jsonl;
pub mod table;

#[cfg(test)]
mod tests;

pub use client::{FailedRecord, LookupTableError, LookupTables, TableInfo};
pub use table::{LookupTable, RowMistake, TableError, TableFormat};

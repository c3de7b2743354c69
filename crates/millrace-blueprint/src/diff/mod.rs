//! What differs between two blueprints: in what they say ([`BlueprintDiff`]), and in what they make
//! of the same events ([`DataDiff`]).

mod data;
mod data_report;
mod semantic;

pub use data::DataDiff;
pub use data_report::{DataReport, Example, FieldChange, NewToMixpanel, OutcomeChange};
pub use semantic::{BlueprintDiff, Change, ChangeKind};

//! Segment's notation, taken as it is: mappings of directives (`@path`, `@if`, ...) and the match
//! texts of subscriptions.
//!
//! Both become the same tree, nodes and tests as our own language: there is no second evaluator
//! (reference/segment-syft.md 5, 6). Inside a blueprint they stand where values and `when` stand.
//! Here is also what it takes to run one alone, over bare JSON over which no facts of admission
//! stand: to try a mapping before it is pasted, and to compare it with what Segment makes of it.

use millrace_model::diagnostic::Diagnostic;

use crate::Plan;
use crate::plan::lower;
use crate::plan::node::Test;
use crate::run::Mapper;
use crate::syntax::Problems;
use crate::syntax::ast::Place;

/// A match text of a subscription, compiled.
#[derive(Debug)]
pub struct Subscription {
    plan: Plan,
    test: Test,
}

impl Subscription {
    /// Reads a match text. `file` is how the user calls it in diagnostics.
    ///
    /// # Errors
    ///
    /// What is wrong with the text. Segment drops what it does not know without a word; here every
    /// unknown name is a mistake.
    pub fn parse(file: &str, text: &str) -> Result<Subscription, Vec<Diagnostic>> {
        let condition = crate::syntax::read_segment_match(text).map_err(|mistake| {
            let mut problems = Problems::new(file);
            let column = mistake.at.saturating_add(1);
            let code = millrace_model::code::Code::BadMatch;
            problems.add(Place { line: 1, column }, code, mistake.message, mistake.suggestion);
            problems.into_list()
        })?;
        let (plan, test) = lower::condition_alone(&condition);
        Ok(Subscription { plan, test })
    }

    /// Whether it selects an event; none when the bytes are not one JSON object.
    pub fn selects(&self, mapper: &mut Mapper, event: &[u8]) -> Option<bool> {
        mapper.test_alone(&self.plan, &self.test, event)
    }
}

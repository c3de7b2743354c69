//! Segment's notation, taken as it is: mappings of directives (`@path`, `@if`, ...) and the match
//! texts of subscriptions.
//!
//! Both become the same tree, nodes and tests as our own language: there is no second evaluator
//! (reference/segment-syft.md 5, 6). Inside a blueprint they stand where values and `when` stand.
//! Here is also what it takes to run one alone, over bare JSON over which no facts of admission
//! stand: to try a mapping before it is pasted, and to compare it with what Segment makes of it.

mod directive;
mod own_mapping;
mod path;

use std::collections::HashMap;

use millrace_model::code::Code;
use millrace_model::diagnostic::Diagnostic;

use crate::Plan;
use crate::plan::lower;
use crate::plan::node::{Node, Test};
use crate::run::Mapper;
use crate::syntax::ast::Place;
use crate::syntax::values::{Declared, Reader};
use crate::syntax::{Problems, tree};

pub(crate) use directive::{is_directive, read};
pub use own_mapping::{Rest, with_mapping};
pub(crate) use path::Path;

/// A mapping, compiled.
#[derive(Debug)]
pub struct Mapping {
    plan: Plan,
    node: Node,
}

impl Mapping {
    /// Reads a mapping from its JSON. `file` is how the user calls it in diagnostics.
    ///
    /// # Errors
    ///
    /// Every mistake in the mapping at once.
    pub fn parse(file: &str, json: &str) -> Result<Mapping, Vec<Diagnostic>> {
        let mut problems = Problems::new(file);
        let expression = tree::read(json, &mut problems).map(|root| {
            if !matches!(root.value, tree::NodeValue::Map(_)) {
                problems.add(root.place, Code::BadValue, "a mapping is a map", None);
            }
            let (shared, mut size) = (HashMap::new(), 0);
            let (problems, size) = (&mut problems, &mut size);
            let mut reader = Reader::new(problems, Declared::default(), &shared, size);
            read(&root, &mut reader)
        });
        match expression {
            Some(expression) if problems.count() == 0 => {
                let (plan, node) = lower::expression_alone(&expression);
                Ok(Mapping { plan, node })
            }
            _ => Err(problems.into_list()),
        }
    }

    /// What it makes of an event, as JSON; the inner none when that is nothing. The outer one when
    /// the bytes are not one JSON object, or what is made of them would be too large.
    pub fn apply(&self, mapper: &mut Mapper, event: &[u8]) -> Option<Option<Vec<u8>>> {
        mapper.value_alone(&self.plan, &self.node, event)
    }
}

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
            problems.add(
                Place { line: 1, column },
                Code::BadMatch,
                mistake.message,
                mistake.suggestion,
            );
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

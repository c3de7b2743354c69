//! `millrace test`: the tests beside blueprints, run by the plan of production behind the
//! collector's own admission.

use std::fs;
use std::path::{Path, PathBuf};

use millrace_blueprint::{
    Blueprint, CASE_MESSAGE_ID, Case, Coverage, Covered, Difference, EventView, Explanation,
};
use millrace_model::code::Code;
use millrace_model::diagnostic::Diagnostic;
use millrace_model::passage::Origin;
use serde_json::{Value, json};

use super::check::print_found;
use crate::admit::Door;
use crate::app::blueprints::{self, Found};
use crate::cli::TestArguments;
use crate::config::{BlueprintRef, Config, DEFAULT_FILE, Place};
use crate::exit::{Failure, Outcome};

/// Runs the tests; fine only when all of them pass.
pub(super) fn run(arguments: &TestArguments) -> Result<Outcome, Failure> {
    let suites = suites(arguments)?;
    let door = Door::new().map_err(Failure::internal)?;
    let mut results = Vec::new();
    for suite in &suites {
        results.push(suite.run(&door)?);
    }
    let failed: usize = results.iter().map(|result| result.failed().count()).sum();
    if arguments.json {
        let suites: Vec<Value> =
            results.iter().map(|result| result.to_json(arguments.coverage)).collect();
        let passed = results.iter().map(|result| result.tests.len()).sum::<usize>() - failed;
        let told = json!({ "passed": passed, "failed": failed, "blueprints": suites });
        super::print_line(&told.to_string())?;
    } else {
        for result in &results {
            super::print(result.to_text(arguments.coverage).as_bytes())?;
        }
    }
    Ok(if failed == 0 { Outcome::Fine } else { Outcome::Usage })
}

/// A blueprint with its tests.
struct Suite {
    file: String,
    blueprint: Blueprint,
    cases: Vec<Case>,
}

fn suites(arguments: &TestArguments) -> Result<Vec<Suite>, Failure> {
    let place = Place { file: "millrace test".to_owned(), line: 0, column: 0 };
    let found: Vec<Result<Found, Vec<Diagnostic>>> = if arguments.blueprints.is_empty() {
        of_config(&arguments.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE)))?
    } else {
        let find = |name: &String| blueprints::find(name, None, &place);
        arguments.blueprints.iter().map(find).collect()
    };
    let mut suites = Vec::new();
    let mut mistakes = Vec::new();
    for found in found {
        match found.and_then(|found| with_cases(found, &place)) {
            Ok(suite) => suites.push(suite),
            Err(more) => mistakes.extend(more),
        }
    }
    if mistakes.is_empty() {
        return Ok(suites);
    }
    print_found(&mistakes);
    if arguments.json {
        let told = json!({ "passed": 0, "failed": 0, "blueprints": [], "mistakes": mistakes });
        super::print_line(&told.to_string())?;
    }
    Err(Failure::usage(anyhow::anyhow!("the tests cannot be read")))
}

/// The blueprints that a configuration names, each once.
fn of_config(path: &Path) -> Result<Vec<Result<Found, Vec<Diagnostic>>>, Failure> {
    let uses = match Config::load(path, &|name| std::env::var(name).ok()) {
        Ok((config, _)) => {
            config.integrations.into_iter().map(|integration| integration.mapping).collect()
        }
        Err(refused) => {
            print_found(&refused.mistakes);
            let message = format!("{} has mistakes", path.display());
            return Err(Failure::usage(anyhow::anyhow!(message)));
        }
    };
    let mut seen: Vec<BlueprintRef> = Vec::new();
    let mut found = Vec::new();
    for used in <Vec<crate::config::BlueprintUse>>::into_iter(uses) {
        if !seen.contains(&used.blueprint) {
            found.push(blueprints::read(&used.blueprint, &used.place));
            seen.push(used.blueprint);
        }
    }
    Ok(found)
}

/// The tests in the blueprint, then those in the file beside it.
fn with_cases(found: Found, place: &Place) -> Result<Suite, Vec<Diagnostic>> {
    let Found { file, path, blueprint } = found;
    let mut cases = blueprint.cases();
    match &path {
        Some(path) => {
            let beside = path.with_extension("tests.yaml");
            if beside.is_file() {
                let text = fs::read_to_string(&beside).map_err(|error| {
                    let message = format!("cannot read {}: {error}", beside.display());
                    vec![place.diagnostic(Code::FileUnreadable, message, None)]
                })?;
                cases.extend(Case::parse_file(&beside.display().to_string(), &text)?);
            }
        }
        None => cases.extend(Blueprint::built_in_cases(blueprint.name()).unwrap_or(Ok(vec![]))?),
    }
    Ok(Suite { file, blueprint, cases })
}

/// A test that was run.
struct Tested<'s> {
    case: &'s Case,
    differences: Vec<Difference>,
}

/// What the tests of a blueprint came to.
struct SuiteResult<'s> {
    suite: &'s Suite,
    tests: Vec<Tested<'s>>,
    coverage: Coverage,
}

impl Suite {
    fn run(&self, door: &Door) -> Result<SuiteResult<'_>, Failure> {
        let mut coverage = Coverage::of(&self.blueprint);
        let mut tests = Vec::new();
        let mut mistakes = Vec::new();
        for case in &self.cases {
            match run_case(&self.blueprint, case, door) {
                Ok((differences, told)) => {
                    told.iter().for_each(|told| coverage.add(told));
                    tests.push(Tested { case, differences });
                }
                Err(more) => mistakes.extend(more.into_iter().map(|mut mistake| {
                    mistake.message = format!("test \"{}\": {}", case.name, mistake.message);
                    mistake
                })),
            }
        }
        if mistakes.is_empty() {
            return Ok(SuiteResult { suite: self, tests, coverage });
        }
        print_found(&mistakes);
        Err(Failure::usage(anyhow::anyhow!("{}: the tests cannot be run", self.file)))
    }
}

/// Admits the event of a test and maps it. No explanation when it is refused at the door.
fn run_case(
    blueprint: &Blueprint,
    case: &Case,
    door: &Door,
) -> Result<(Vec<Difference>, Option<Explanation>), Vec<Diagnostic>> {
    let plan = case.plan(blueprint)?;
    let mut event = match door.admit(with_message_id(&case.event).as_bytes(), case.received_at) {
        Ok(event) => event,
        Err(refused) => return Ok((case.refused(refused.code), None)),
    };
    if event.passage.origin == Origin::Mixpanel && !has_insert_id(&case.event) {
        // Mixpanel's records know no `messageId`, and one would be drawn.
        CASE_MESSAGE_ID.clone_into(&mut event.facts.message_id);
    }
    let view = EventView {
        kind: event.kind,
        facts: &event.facts,
        received_at: case.received_at,
        body: &event.body,
    };
    let outcome = case.run(&plan, &view);
    Ok((outcome.differences, Some(outcome.explanation)))
}

/// The event with a message id, so that a test comes to the same each time. Events of Adobe's have
/// an id of their own form.
fn with_message_id(event: &str) -> String {
    let parsed: Value = serde_json::from_str(event).unwrap_or_default();
    let has_id = parsed.get("messageId").is_some() || parsed.get("xdm").is_some();
    match event.strip_prefix('{') {
        Some(rest) if !has_id => {
            let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
            format!("{{\"messageId\":\"{CASE_MESSAGE_ID}\"{comma}{rest}")
        }
        _ => event.to_owned(),
    }
}

fn has_insert_id(record: &str) -> bool {
    let parsed: Value = serde_json::from_str(record).unwrap_or_default();
    parsed.pointer("/properties/$insert_id").is_some_and(|id| !id.is_null())
}

impl SuiteResult<'_> {
    fn failed(&self) -> impl Iterator<Item = &Tested<'_>> {
        self.tests.iter().filter(|test| !test.differences.is_empty())
    }

    fn to_text(&self, coverage: bool) -> String {
        let (all, failed) = (self.tests.len(), self.failed().count());
        let name = self.suite.blueprint.name();
        let file = &self.suite.file;
        let mut text = format!("{name} ({file}): {} of {all} tests pass\n", all - failed);
        for test in self.failed() {
            let code = Code::TestFailed;
            text.push_str(&format!("  {code} {} (line {})\n", test.case.name, test.case.line));
            for difference in &test.differences {
                text.push_str(&format!("    {difference}\n"));
            }
        }
        if coverage {
            for (what, list) in self.parts() {
                let hit = list.iter().filter(|one| one.hits > 0).count();
                text.push_str(&format!("  {what}: {hit} of {} hit\n", list.len()));
                for one in list.iter().filter(|one| one.hits == 0) {
                    text.push_str(&format!("    not hit: {} (line {})\n", one.what, one.line));
                }
            }
        }
        text
    }

    fn parts(&self) -> [(&'static str, &[Covered]); 3] {
        let Coverage { rules, actions, fields } = &self.coverage;
        [("rules", rules), ("actions", actions), ("fields", fields)]
    }

    fn to_json(&self, coverage: bool) -> Value {
        let test = |test: &Tested<'_>| {
            let differences: Vec<Value> = test
                .differences
                .iter()
                .map(|one| json!({ "at": one.at, "expected": one.expected, "found": one.found }))
                .collect();
            json!({
                "name": test.case.name, "line": test.case.line,
                "passed": differences.is_empty(), "differences": differences,
            })
        };
        let tests: Vec<Value> = self.tests.iter().map(test).collect();
        let name = self.suite.blueprint.name();
        let mut told = json!({ "blueprint": name, "file": self.suite.file, "tests": tests });
        if let (Value::Object(told), true) = (&mut told, coverage) {
            told.insert("coverage".to_owned(), self.coverage.to_json());
        }
        told
    }
}

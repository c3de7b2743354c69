//! The report and the lists.

use serde_json::json;

use super::deviations::Deviations;
use super::report::{Case, Outcome, Report};
use super::report_of;
use crate::process::shared_folder;

fn case(id: &str, outcome: Outcome) -> Case {
    Case { id: id.into(), class: "required".into(), kind: "batch".into(), outcome }
}

#[test]
fn only_listed_failures_keep_the_report() {
    let mut lists = Deviations::default();
    lists
        .read(
            "[[deviation]]\nid = \"a\"\nreason = \"because\"\n\
             [[not_run]]\nfile = \"f\"\nkind = \"batch\"\nreason = \"later\"\n",
        )
        .expect("a list");
    let mut report = Report::default();
    let fail = || Outcome::Fail("differs".into());
    let cases = vec![
        case("a", fail()),
        case("b", Outcome::Pass),
        case("c", Outcome::NotRun("no runner".into())),
    ];
    report.add("f", cases, &lists);
    assert!(report.is_kept());
    report.add("g", vec![case("d", fail())], &lists);
    assert!(!report.is_kept());
    assert_eq!(
        report.json(),
        json!({
            "groups": [
                {"file": "f", "class": "required", "pass": 1, "fail": 2},
                {"file": "g", "class": "required", "pass": 0, "fail": 1},
            ],
            "failed": [
                {"id": "a", "class": "required", "reason": "differs", "listed": true},
                {"id": "c", "class": "required", "reason": "not run: no runner", "listed": true},
                {"id": "d", "class": "required", "reason": "differs"},
            ],
        })
    );
    // A listed deviation says nothing about a case that could not be run, nor of another file.
    report.add("g", vec![case("a", Outcome::NotRun("no runner".into()))], &lists);
    assert_eq!(report.json()["failed"][3].get("listed"), None);
}

/// The cases that we have, in every run of the tests: nobody moves a mapping away from a peer's
/// without saying so in a list, and no list keeps what passes.
#[test]
fn the_cases_at_hand_pass_or_are_listed() {
    let folder = shared_folder().join("conformance");
    if !folder.is_dir() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", folder.display());
        eprintln!("not run: {} is missing", folder.display());
        return;
    }
    let report = report_of(&[folder.join("segment"), folder.join("rudderstack")]).expect("runs");
    assert!(report.is_kept() && report.outdated().is_empty(), "{}", report.table());
}

#[test]
fn a_list_needs_reasons_and_says_things_once() {
    for wrong in [
        "[[deviation]]\nid = \"a\"\nreason = \" \"\n",
        "[[deviation]]\nid = \"a\"\n",
        "[[deviation]]\nid = \"a\"\nreason = \"x\"\n[[deviation]]\nid = \"a\"\nreason = \"y\"\n",
    ] {
        assert!(Deviations::default().read(wrong).is_err(), "{wrong}");
    }
}

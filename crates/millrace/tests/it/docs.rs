//! Pages that must keep up with the code.

#![expect(clippy::panic, reason = "helper functions of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use millrace_model::code::Code;

fn errors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors")
}

fn page(name: &str) -> String {
    fs::read_to_string(errors().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let wanted: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
    let there: BTreeSet<String> = fs::read_dir(errors())
        .expect("docs/errors")
        .map(|entry| entry.expect("a page").file_name().to_string_lossy().into_owned())
        .filter(|name| name != "README.md")
        .collect();
    assert_eq!(there, wanted, "pages in docs/errors against the codes of millrace-model");
}

#[test]
fn every_page_says_what_the_code_means_and_what_to_do() {
    for code in Code::ALL {
        let page = page(&format!("{code}.md"));
        let heading = format!("# {code}: {}", code.summary().trim().trim_end_matches('.'));
        assert_eq!(page.lines().next(), Some(heading.as_str()));
        for part in ["**Where:**", "**Why:**", "**What to do:**"] {
            assert_eq!(page.matches(part).count(), 1, "{code}: {part}");
        }
    }
}

#[test]
fn the_index_lists_every_code_in_its_order() {
    let index = page("README.md");
    let lines: Vec<String> = Code::ALL
        .iter()
        .map(|code| format!("| [{code}]({code}.md) | {} |", code.summary().trim()))
        .collect();
    let listed: Vec<&str> = index.lines().filter(|line| line.starts_with("| [MR")).collect();
    assert_eq!(listed, lines);
}

//! Pages that must keep up with the code.

#![expect(clippy::panic, reason = "helper functions of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use millrace_model::code::Code;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn errors() -> PathBuf {
    root().join("docs/errors")
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

/// The Markdown pages of the repository, as paths from its root.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![PathBuf::from("README.md"), PathBuf::from("ARCHITECTURE.md")];
    for folder in ["docs", "docs/adr", "docs/errors"] {
        let entries = fs::read_dir(root().join(folder)).expect("a folder of pages");
        let names = entries.map(|entry| Path::new(folder).join(entry.expect("a page").file_name()));
        pages.extend(names.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    pages
}

/// A page without its blocks of code.
fn prose(path: &Path) -> String {
    let text = fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.split("```").step_by(2).collect()
}

/// The anchors of a page: its headings in lower case, words joined by hyphens.
fn anchors(page: &str) -> BTreeSet<String> {
    let anchor = |heading: &str| -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let text: String = heading.to_lowercase().chars().filter(kept).collect();
        text.trim().replace(' ', "-")
    };
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let mut broken = Vec::new();
    let mut links = 0;
    for page in pages() {
        let text = prose(&page);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            links += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = page.parent().expect("a folder");
            let other = if path.is_empty() { page.clone() } else { folder.join(path) };
            let there = root().join(&other).exists()
                && (anchor.is_empty() || anchors(&prose(&other)).contains(anchor));
            if !there {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(links > 100, "{links} links were found");
    assert!(broken.is_empty(), "{broken:#?}");
}

/// In the code map, paths are those of the crate in the first column.
#[test]
fn the_paths_of_the_architecture_page_exist() {
    let page = prose(Path::new("ARCHITECTURE.md"));
    let mut missing = Vec::new();
    let mut paths = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let quoted: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let owner = quoted.first().copied().unwrap_or_default();
        for path in quoted.iter().filter(|text| text.contains('/')) {
            paths += 1;
            let places = [
                root().join(path),
                root().join("crates").join(path),
                root().join("crates").join(owner).join(path),
            ];
            if !places.iter().any(|place| place.exists()) {
                missing.push(*path);
            }
        }
    }
    assert!(paths > 15, "{paths} paths were found");
    assert!(missing.is_empty(), "{missing:#?}");
}

//! Runs the examples of `docs/blueprints.md` and of the page of the `default` blueprint.
//!
//! Its fenced blocks are marked: `yaml` is a blueprint that reads well; `yaml wrong` is one that
//! does not, and the `text` block behind it holds its mistakes; `json event` is an event, and the
//! `json rows` block behind it what the last blueprint makes of it, or the `default` one when the
//! mark is `json event default`. Events have the message id `m-1`, the time
//! 2025-11-20T10:11:12.345Z and no known address.

use std::path::Path;

use millrace_blueprint::Blueprint;
use serde_json::{Value, json};

use crate::Mapping;

/// The fenced blocks of a page: mark, text, line.
pub(crate) fn blocks(page: &str) -> Vec<(String, String, usize)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String, usize)> = None;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(mark), None) => open = Some((mark.to_owned(), String::new(), number + 1)),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, text, _))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The guide, and the page of the `default` blueprint behind it.
fn guide() -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    ["blueprints.md", "blueprints/default.md"]
        .map(|page| std::fs::read_to_string(docs.join(page)).expect("a page"))
        .join("\n")
}

#[test]
fn every_example_is_true() {
    let page = guide();
    let mut last = Blueprint::built_in("default").expect("there").expect("right");
    let (mut read, mut mapped, mut refused) = (0, 0, 0);
    let blocks = blocks(&page);
    for (place, (mark, text, line)) in blocks.iter().enumerate() {
        let behind = |wanted: &str| match blocks.get(place + 1) {
            Some((mark, text, _)) if mark == wanted => text.clone(),
            _ => panic!("the block on line {line} needs a block `{wanted}` behind it"),
        };
        match mark.as_str() {
            "yaml" => {
                last = Blueprint::parse("guide", text)
                    .unwrap_or_else(|mistakes| panic!("line {line}: {mistakes:#?}"));
                read += 1;
            }
            "yaml wrong" => {
                let mistakes = Blueprint::parse("shop.yaml", text).expect_err("mistakes");
                let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                assert_eq!(shown.join("\n"), behind("text").trim_end(), "line {line}");
                refused += 1;
            }
            "json event" | "json event default" => {
                let mut mapping = match mark.as_str() {
                    "json event" => Mapping::new(&last, &json!({})),
                    _ => Mapping::default(&json!({})),
                };
                let wanted: Value = serde_json::from_str(&behind("json rows")).expect("rows");
                assert_eq!(mapping.outcome(text), wanted, "line {line}");
                mapped += 1;
            }
            _ => {}
        }
    }
    assert!(read >= 3 && mapped >= 3 && refused >= 1, "{read} {mapped} {refused}");
}

#[test]
fn every_word_of_the_language_is_in_the_guide() {
    let page = guide();
    let default = Blueprint::built_in("default").expect("there").expect("right");
    for setting in default.settings() {
        assert!(page.contains(&format!("`{}`", setting.name)), "{}", setting.name);
    }
    let functions = [
        "number",
        "text",
        "time",
        "iso_time",
        "lower",
        "upper",
        "nonblank",
        "identifier",
        "without_prefix",
        "domain",
        "query",
        "count",
        "sum",
        "join",
        "omit",
        "pick",
        "rename",
        "prefixed",
        "list",
        "age",
        "browser",
        "browser_version",
        "at",
        "fill",
        "plus",
        "minus",
        "negate",
        "place",
        "need_text",
        "need_number",
        "need_integer",
        "need_switch",
        "need_time",
        "need_object",
        "need_list",
        "exists",
        "uuid_shaped",
        "contains",
        "starts_with",
        "ends_with",
        "matches",
    ];
    for function in functions {
        assert!(page.contains(&format!("`{function}(")), "{function}");
    }
}

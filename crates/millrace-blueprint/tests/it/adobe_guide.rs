//! Runs the examples of `docs/blueprints/adobe.md`.
//!
//! `yaml` is a file of rules; `yaml wrong` is one with mistakes, which the `text` block behind it
//! lists; `json settings` are those of the blueprint `adobe`; `json event` is an event of the Edge
//! Network, and the `json rows` block behind it what the last of these make of it.

use std::path::Path;

use millrace_blueprint::Blueprint;
use millrace_protocol::edge::{Form, Visitor};
use serde_json::{Value, json};

use crate::Mapping;
use crate::adobe_blueprint::outcomes;
use crate::guide::blocks;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/blueprints/adobe.md");
    std::fs::read_to_string(path).expect("the page")
}

#[test]
fn every_example_of_the_adobe_page_is_true() {
    let page = page();
    let blocks = blocks(&page);
    let mut last: Option<Mapping> = None;
    let (mut mapped, mut refused) = (0, 0);
    for (place, (mark, text, line)) in blocks.iter().enumerate() {
        let behind = |wanted: &str| match blocks.get(place + 1) {
            Some((mark, text, _)) if mark == wanted => text.clone(),
            _ => panic!("the block on line {line} needs a block `{wanted}` behind it"),
        };
        match mark.as_str() {
            "yaml" => {
                let rules = Blueprint::parse("rules.yaml", text)
                    .unwrap_or_else(|mistakes| panic!("line {line}: {mistakes:#?}"));
                last = Some(Mapping::new(&rules, &json!({})));
            }
            "json settings" => {
                let adobe = Blueprint::built_in("adobe").expect("there").expect("right");
                last = Some(Mapping::new(&adobe, &serde_json::from_str(text).expect("JSON")));
            }
            "yaml wrong" => {
                let mistakes = Blueprint::parse("rules.yaml", text).expect_err("mistakes");
                let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                assert_eq!(shown.join("\n"), behind("text").trim_end(), "line {line}");
                refused += 1;
            }
            "json event" => {
                let mapping = last.as_mut().expect("rules or settings above");
                let rows = outcomes(mapping, Form::Bare, text.as_bytes(), Visitor::default());
                let wanted: Value = serde_json::from_str(&behind("json rows")).expect("rows");
                assert_eq!(rows, [wanted], "line {line}");
                mapped += 1;
            }
            _ => {}
        }
    }
    assert!(mapped >= 4 && refused >= 1, "{mapped} {refused}");
}

#[test]
fn the_adobe_page_names_every_operator() {
    let page = page();
    for name in [
        "`equals`",
        "`doesNotEqual`",
        "`contains`",
        "`doesNotContain`",
        "`startsWith`",
        "`doesNotStartWith`",
        "`endsWith`",
        "`doesNotEndWith`",
        "`matchesRegex`",
        "`doesNotMatchRegex`",
        "`lessThan`",
        "`lessThanOrEqual`",
        "`greaterThan`",
        "`greaterThanOrEqual`",
        "`isTrue`",
        "`isFalse`",
        "`isTruthy`",
        "`isFalsy`",
    ] {
        assert!(page.contains(name), "{name}");
    }
}

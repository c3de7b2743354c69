//! The language, by what reads well and what is refused.

use crate::Blueprint;

fn problems(text: &str) -> Vec<String> {
    match Blueprint::parse("b.yaml", text) {
        Ok(_) => Vec::new(),
        Err(list) => list.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn built_in_blueprints_read_well() {
    for name in Blueprint::built_in_names() {
        let read = Blueprint::built_in(name).expect("a name without a text");
        assert!(read.is_ok(), "{:#?}", read.err());
    }
}

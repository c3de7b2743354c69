//! Parsers under random and bent texts: no panic, an end, and mistakes that stand in the text.

use proptest::prelude::*;

use super::lexer;
use super::tree::Scalar;
use super::{matching, scalar};
use crate::segment::{Mapping, Subscription};
use crate::{Blueprint, Plan, SettingValues};

/// The texts of the built-ins, and what the small languages are made of.
fn built_in_lines() -> Vec<String> {
    let texts = Blueprint::built_in_names().iter().filter_map(|name| crate::built_in::find(name));
    texts.flat_map(|(_, text)| text.lines().map(str::to_owned)).collect()
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "$",
        ".",
        "$.",
        "$.a",
        ".b",
        "[0]",
        "[",
        "]",
        "[\"",
        "\"",
        "?\"",
        "??",
        "?|",
        "||",
        "(",
        ")",
        ",",
        " ",
        "{{",
        "}}",
        "{",
        "}",
        "\\",
        "\\n",
        "*",
        "=",
        "!=",
        "<",
        "!",
        "not ",
        " and ",
        " or ",
        " in ",
        "contains",
        "match(",
        "exists(",
        "number(",
        "omit(",
        "place()",
        "need_text(",
        "plus(",
        "settings.",
        "shared.",
        "parameters.x",
        "type",
        "userId",
        "properties.a\\ b",
        "0",
        "-1",
        "1e400",
        "true",
        "null",
        "'",
        "ä",
        "\u{0}",
        "\u{200b}",
        "😀",
        "@path",
        ": ",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(400),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_small_languages_take_any_text(text in prop_oneof![pieces(), "(?s).{0,80}"], plain: bool) {
        let length = u32::try_from(text.chars().count()).expect("short");
        let inside = |mistake: lexer::Mistake| assert!(mistake.at <= length, "{text:?} {mistake:?}");
        let scalar = Scalar { text: text.clone(), plain, indent: None };
        let _ = scalar::read_scalar(&scalar).map_err(inside);
        let _ = matching::read(&text).map_err(inside);
        let _ = matching::read_segment(&text).map_err(inside);
        let _ = Subscription::parse("m", &text);
        let _ = Mapping::parse("m", &text);
        for directive in ["@path", "@template", "@literal"] {
            let _ = Mapping::parse("m", &format!("{{{directive:?}: {text:?}}}"));
        }
        let _ = Blueprint::parse("b", &text);
    }

    #[test]
    fn what_reads_well_means_what_it_says(text in pieces()) {
        // The meaning that `readings` tells reads as the same again.
        let again = |text: &str| {
            scalar::read_scalar(&Scalar { text: text.to_owned(), plain: true, indent: None })
        };
        if let Ok(read) = again(&text) {
            let told = read.to_string();
            prop_assert_eq!(again(&told), Ok(read), "{} {}", text, told);
        }
    }

    #[test]
    fn bent_built_ins_are_read_or_refused(
        name in prop::sample::select(Blueprint::built_in_names().to_vec()),
        bends in prop::collection::vec((any::<prop::sample::Index>(), 0..5_u8, pieces()), 1..5),
    ) {
        let (_, text) = crate::built_in::find(name).expect("a name without a text");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let others = built_in_lines();
        for (at, how, piece) in &bends {
            let line = at.index(lines.len());
            match how {
                0 => drop(lines.remove(line)),
                1 => lines.insert(line, at.get(&others).clone()),
                2 => lines[line].push_str(piece),
                3 => lines[line] = lines[line].replacen(": ", &format!(": {piece}"), 1),
                _ => lines.swap(line, at.index(line + 1)),
            }
        }
        match Blueprint::parse("b", &lines.join("\n")) {
            Ok(blueprint) => drop(Plan::compile(&blueprint, &SettingValues::default())),
            Err(mistakes) => {
                let last = u32::try_from(lines.len() + 2).expect("short");
                prop_assert!(!mistakes.is_empty());
                prop_assert!(mistakes.iter().all(|one| one.line <= last), "{:?}", mistakes);
            }
        }
    }
}

/// How many nodes a plan has grows with the rules of its blueprint, and not faster.
#[test]
fn a_plan_grows_with_its_blueprint() {
    let size = |rules: usize| {
        let mut text = "blueprint: b\nrules:\n".to_owned();
        for rule in 0..rules {
            text.push_str(&format!(
                "  - name: r{rule}\n    when: event = \"e{rule}\" and $.a{rule} ?? $.b > 1\n    send:\n      - event:\n          \
                 name: '\"n $.p{rule}\"'\n          distinct_id: $.userId\n          properties: {{ a: $.a{rule}, l: {{ each: $.l, as: .x{rule} }} }}\n"
            ));
        }
        let blueprint = Blueprint::parse("b", &text).expect("right");
        let plan = Plan::compile(&blueprint, &SettingValues::default()).expect("no settings");
        format!("{plan:?}").len()
    };
    let [one, two, four] = [50, 100, 200].map(size);
    assert!(two <= one * 5 / 2 && four <= one * 5, "{one} {two} {four}");
}

//! The language, by what reads well and what is refused.

use super::readings::kind;
use super::scalar::read_scalar;
use super::tree::Scalar;
use crate::Blueprint;

/// The mistakes of a text, as they are shown.
fn problems(text: &str) -> Vec<String> {
    match Blueprint::parse("b.yaml", text) {
        Ok(_) => Vec::new(),
        Err(list) => list.iter().map(ToString::to_string).collect(),
    }
}

/// A blueprint with one property and one match text.
fn with(value: &str, when: &str) -> String {
    format!(
        "blueprint: b\nsettings:\n  tone: {{ kind: choice, of: [low, high], default: low }}\n\
         rules:\n  - name: r\n    when: {when}\n    send:\n      - event:\n          name: n\n          \
         distinct_id: $.userId\n          properties:\n            p: {value}\n"
    )
}

#[test]
fn built_in_blueprints_read_well() {
    for name in Blueprint::built_in_names() {
        let read = Blueprint::built_in(name).expect("a name without a text");
        assert!(read.is_ok(), "{:#?}", read.err());
    }
}

#[test]
fn these_values_read_well() {
    for value in [
        "$.a.b[0][\"odd key\"].$c",
        "'$[\"a.b\"]'",
        "$.a ?? $.b ?| 12",
        "'\"a $.b {{ lower($.c) }} \\$.d\"'",
        "Viewed {{name}}",
        "'?\"$.a\"'",
        "plain text, with (brackets)",
        "'12'",
        "null",
        "settings.tone",
        "sum($.list, price)",
        "join($.list, \", \")",
        "{ each: $.list, as: { x: .a, y: ., z: $.b } }",
        "{ when: 'a_b', then: 1 }".replace("a_b", "exists($.a)").as_str(),
        "[1, $.a, [two]]",
    ] {
        assert_eq!(problems(&with(value, "type = \"track\"")), [""; 0], "{value}");
    }
}

#[test]
fn lists_in_settings_are_checked() {
    let text = |value: &str, each: &str| {
        format!(
            "blueprint: b\nsettings:\n  keys: {{ kind: list, default: [a] }}\n  names: \
             {{ kind: list, default: [a] }}\n  tone: {{ kind: text, default: x }}\nrules:\n  - name: \
             r\n    send:\n      - group:\n          for_each: {each}\n          group_key: \
             settings.names\n          group_id: {value}\n          set: {{ a: 1 }}\n"
        )
    };
    let right = text("at($.traits, settings.names)", "settings.names");
    assert_eq!(problems(&right), [""; 0]);
    for (value, each, wanted) in [
        ("$.a", "names", "10:21: MR5004 `for_each` takes a list setting"),
        ("$.a", "settings.tone", "10:21: MR5004 the setting `tone` is not a list of texts"),
        ("$.a", "settings.name", "10:21: MR5104 the setting `name` is not known"),
        ("pick($.a, settings.tone)", "settings.names", "12:21: MR5004 the setting `tone` is not a"),
        ("at($.a, settings.nams)", "settings.names", "12:21: MR5104 the setting `nams` is not"),
        ("at($.a)", "settings.names", "MR5101 `at` has the wrong arguments"),
        ("rename($.a, b)", "settings.names", "MR5101 `rename` has the wrong arguments"),
        ("fill($.a, $.b)", "settings.names", "MR5101 `fill` has the wrong arguments"),
    ] {
        let found = problems(&text(value, each));
        assert!(found.len() == 1 && found[0].contains(wanted), "{value} {each}: {found:?}");
    }
    let wrong = right.replace("default: [a]", "default: [1]");
    assert!(problems(&wrong)[0].contains("the default must be a list of texts"));
}

#[test]
fn variants_are_the_same_blueprint_with_other_defaults() {
    let text = "blueprint: b\nabout: plain\nreplaces: Tool\ndeviations:\n  - { what: A, why: B }\n\
        checks: { time_ahead: keep }\nsettings:\n  tone: { kind: choice, of: [low, high], default: low }\n\
        variants:\n  b-classic: { about: old, settings: { tone: high }, checks: { wide_values: set_aside } }\n\
        rules: [{ name: r, drop: true }]\n";
    let blueprint = Blueprint::parse("b.yaml", text).expect("right");
    assert_eq!((blueprint.about(), blueprint.replaces()), ("plain", "Tool"));
    assert_eq!(blueprint.deviations().len(), 1);
    let variant = blueprint.variant("b-classic").expect("there");
    assert_eq!((variant.name(), variant.about()), ("b-classic", "old"));
    assert_eq!(variant.settings()[0].default, "high");
    assert!(variant.variants().is_empty() && blueprint.variant("c").is_none());
    assert_ne!(variant.checked.checks.wide_values, blueprint.checked.checks.wide_values);
    assert_eq!(variant.checked.checks.time_ahead, blueprint.checked.checks.time_ahead);
    for (from, to, wanted) in [
        ("tone: high", "tune: high", "10:40: MR5104 the setting `tune` is not known"),
        ("tone: high", "tone: hi", "10:46: MR5004 the setting `tone` takes one of low, high"),
        ("b-classic:", "b:", "10:3: MR5006 a variant needs another name than its blueprint"),
        ("time_ahead: keep", "time_ahead: kep", "6:23: MR5004 the choice `kep` is not known"),
        ("what: A, ", "", "5:5: MR5005 a deviation needs the text `what`"),
    ] {
        let found = problems(&text.replace(from, to));
        assert!(found.len() == 1 && found[0].contains(wanted), "{wanted}: {found:?}");
    }
}

#[test]
fn these_values_are_refused_at_their_place() {
    // Columns count from the 16th, where the value begins.
    for (value, wanted) in [
        ("$.a b", "12:20: MR5101 `b` is left over here"),
        ("$", "12:16: MR5101 `$` is no value"),
        ("$.a.", "12:19: MR5101 a path is left over here"),
        ("$.a[-1]", "12:19: MR5101 lists are counted from 0"),
        ("Viewed $.name", "12:23: MR5101 this text holds a path but is no expression"),
        ("'\"open'", "12:17: MR5101 the quote is not closed"),
        ("$.a || $.b", "12:20: MR5101 `||` is not a word of this language"),
        ("numbr($.a)", "12:16: MR5102 the function `numbr` is not known (did you mean `number`?)"),
        ("number()", "12:23: MR5101 a value is expected before `)`"),
        ("number($.a, $.b)", "12:28: MR5101 `number` does not take a path"),
        ("omit($.a)", "12:16: MR5101 `omit` has the wrong arguments"),
        ("settings.tune", "12:16: MR5104 the setting `tune` is not known (did you mean `tone`?)"),
        (".a", "12:16: MR5101 a path that starts with a dot"),
        ("{ each: $.a, az: 1 }", "12:16: MR5101 this map is neither"),
        ("{ each: lower($.a), as: 1 }", "12:24: MR5101 `each` takes a path to a list"),
        ("{ each: $.a, as: { each: $.b, as: 1 } }", "12:41: MR5101 an `each` inside another one"),
        ("&x 1", "12:19: MR5002 anchors and tags"),
        ("yes", "12:16: MR5101 `yes` is a boolean to some readers of YAML (write true or false"),
        ("True", "12:16: MR5101 `True` is a boolean"),
        ("0x1F", "12:16: MR5101 `0x1F` is a number to some readers of YAML"),
        ("007", "12:16: MR5101 `007` is a number"),
        ("userId", "12:16: MR5101 `userId` can be a text or a path (write $.userId for"),
        ("traits.plan", "12:16: MR5101 `traits.plan` can be a text or a path"),
        ("'say \"x\" {{ a'", "12:25: MR5101 the braces are not closed"),
        ("a ?? b", "12:18: MR5101 this text holds `??` but is no expression"),
        ("'\"x\" ?? $.a'", "12:21: MR5101 what follows can never be used"),
        ("'\"a $.b\" ?? $.a'", "MR5101 what follows can never be used"),
        ("'$.a ?? 1 ?? $.b'", "MR5101 what follows can never be used"),
        ("{ a: join($.l, $.m) }", "(a text with a comma inside { } or [ ] must stand in quotes)"),
        ("{ a: [$.a }", "(inside { } and [ ] a text with ?"),
        ("place()", "12:16: MR5101 `place()` is the place of an item, and there is no `each` here"),
        (
            "{ map: $.a, to: { a: 1 }, x: 1 }",
            "12:16: MR5101 a map of values has the keys `map` and `to`",
        ),
        ("{ map: $.a, to: {} }", "12:32: MR5101 the map of values has no rows"),
        ("parameters.x", "12:16: MR5104 the parameter `x` is not known (there are none)"),
    ] {
        let found = problems(&with(value, "type = \"track\""));
        assert!(found.iter().any(|one| one.contains(wanted)), "{value}: {found:#?}");
    }
}

#[test]
fn match_texts_read_well_or_are_refused() {
    for when in [
        "type = \"track\" and (event in [\"a\", \"b\"] or not exists($.x))",
        "!contains(event, \"a\") and event starts_with \"b\"",
        "($.a ?? $.b) = 1 or properties.total >= 10 and context.page[\"url\"] matches \"*x*\"",
        "settings.tone = \"low\" or userId = null",
        "not not ((traits.plan == \"pro\"))",
    ] {
        assert_eq!(problems(&with("1", &format!("'{when}'"))), [""; 0], "{when}");
    }
    for (when, wanted) in [
        ("type = \"trak\"", "6:17: MR5103 no event is of the type `trak` (did you mean `track`?)"),
        ("event = \"a\" AND x", "6:24: MR5103 `and` or `or` is expected before `AND`"),
        (
            "evnt = \"a\"",
            "6:12: MR5103 the name `evnt` is not known in a match text (did you mean `event`?)",
        ),
        ("event matches \"a\"", "6:26: MR5103 a pattern needs a star"),
        ("event < \"a\"", "6:18: MR5103 `<` compares numbers only"),
        ("(event = \"a\"", "MR5103"),
        ("(event = \"a\" or evnt = \"b\") and exists($.x)", "6:28: MR5103 the name `evnt`"),
        ("event =", "6:19: MR5103 a value is expected before the end"),
        (
            "settings.tone = \"lo\"",
            "6:11: MR5103 the choice of the setting `tone` `lo` is not known (did you mean `low`?)",
        ),
        (
            "event = \"a\" and event in [\"b\", \"c\"]",
            "MR5105 the rule `r` can never be reached (its `when` holds for no event)",
        ),
    ] {
        let found = problems(&with("1", &format!("'{when}'")));
        // The opening quote of the YAML text takes one column.
        assert!(found.iter().any(|one| one.contains(wanted)), "{when}: {found:#?}");
    }
}

#[test]
fn every_scalar_has_one_reading_that_means_the_same() {
    let text = "blueprint: b\nsettings: { tone: { kind: text, default: low } }\nshared:\n  all: { a: $.a }\nrules:\n  \
        - name: r\n    when: '$.a = 1'\n    send:\n      - event:\n          name: '\"Viewed $.name\"'\n          \
        distinct_id: $.userId ?| lower($[\"odd key\"])\n          properties:\n            \"...\": shared.all\n            \
        tone: settings.tone\n            one: 1\n            text: as it is\n            seg: { \"@path\": \"$.a.b\" }\n";
    let blueprint = Blueprint::parse("b", text).expect("right");
    let told: Vec<(u32, &str, String)> = blueprint
        .readings()
        .iter()
        .map(|one| (one.line, one.read_as, one.meaning.clone()))
        .collect();
    let wanted = [
        (1, "plain data", ""),
        (2, "plain data", ""),
        (2, "plain data", ""),
        (4, "path", "$.a"),
        (6, "plain data", ""),
        (7, "match text", ""),
        (10, "template", "\"Viewed {{$.name}}\""),
        (11, "first present", "$.userId ?| lower($[\"odd key\"])"),
        (13, "shared block", ""),
        (14, "setting", "settings.tone"),
        (15, "number", "1"),
        (16, "text", "\"as it is\""),
        (17, "path", "$.a.b"),
    ];
    assert_eq!(told, wanted.map(|(line, kind, meaning)| (line, kind, meaning.to_owned())));
    for name in Blueprint::built_in_names() {
        let blueprint = Blueprint::built_in(name).expect("there").expect("right");
        for one in blueprint.readings() {
            if one.meaning.is_empty() {
                continue;
            }
            let scalar = Scalar { text: one.meaning.clone(), plain: true, indent: None };
            let again = read_scalar(&scalar).unwrap_or_else(|found| panic!("{one:?}: {found:?}"));
            assert_eq!((kind(&again), again.to_string()), (one.read_as, one.meaning), "{name}");
        }
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let found = problems(
        "blueprnt: x\nrules:\n  - name: a\n    snd: []\n  - name: a\n    drop: yes\n    when: type = \"track\"\n  \
         - name: b\n    when: type = \"track\"\n    send:\n      - evnt: {}\n      - event: { name: x, colour: 1 }\n  \
         - name: c\n    drop: true\n  - name: d\n    when: type = \"page\"\n    drop: true\n",
    );
    for wanted in [
        "1:1: MR5003 the key of a blueprint `blueprnt` is not known (did you mean `blueprint`?)",
        "1:1: MR5005 the blueprint has no name",
        "MR5005 a rule has exactly one of `send`, `drop` and `set_aside`",
        "4:5: MR5003 the key of a rule `snd` is not known (did you mean `send`?)",
        "6:11: MR5004 `drop` can only be true",
        "MR5105 the rule `b` can never be reached",
        "11:9: MR5003 the action `evnt` is not known (did you mean `event`?)",
        "12:27: MR5106 the field of `event` `colour` is not known",
        "12:9: MR5005 `event` needs the field `distinct_id`",
        "MR5105 the rule `d` can never be reached",
    ] {
        assert!(found.iter().any(|one| one.contains(wanted)), "{wanted}\n{found:#?}");
    }
}

#[test]
fn shared_blocks_are_values_and_names_too() {
    let text = |value: &str| {
        format!(
            "blueprint: b\nshared:\n  who: {{ when: exists($.a), then: $.a, else: $.b }}\n  \
             names: {{ a: A, b: B }}\n  odd: {{ a: $.a }}\nrules:\n  - name: r\n    send:\n      - event:\n          \
             name: N\n          distinct_id: shared.who\n          properties: {{ \"...\": '{value}' }}\n"
        )
    };
    for value in ["rename($.p, shared.names, c, \"C\")", "omit($.p, shared.names, c)", "shared.odd"]
    {
        assert_eq!(problems(&text(value)), [""; 0], "{value}");
    }
    for (value, wanted) in [
        ("rename($.p, shared.nams)", "MR5007 the shared block `nams` is not known"),
        ("pick($.p, shared.odd)", "MR5101 the shared block `odd` is no list of names"),
        ("join($.p, shared.names)", "MR5101 `join` does not take"),
        ("shared.wh", "MR5007 the shared block `wh` is not known"),
    ] {
        let found = problems(&text(value));
        assert!(found.len() == 1 && found[0].contains(wanted), "{value}: {found:?}");
    }
}

#[test]
fn what_is_missing_or_too_much_in_the_whole_is_told() {
    let rule = "rules:\n  - name: r\n    drop: true\n";
    let inherits =
        |like: &str| format!("  - name: s\n    send: [{{ event: {{ like: {like} }} }}]\n");
    let chain: String = (0..40)
        .map(|n| format!("  - name: r{n}\n    send: [{{ event: {{ like: r{} }} }}]\n", n + 1))
        .collect();
    let many: String = (0..5_001).map(|n| format!("  - {{ name: r{n}, drop: true }}\n")).collect();
    let test = "tests:\n  - { name: t, givn: {}, expect: {} }\n";
    let below = "shared:\n  a: { x: shared.b }\n  b: { y: $.a, z: shared.b }\n";
    for (text, count, wanted) in [
        ("rules: []\n".to_owned(), 1, "2:8: MR5005 the blueprint has no rules (for one that sends"),
        (format!("rules:\n{many}"), 1, "3:3: MR5004 the blueprint has 5001 rules, of 5000 at most"),
        (format!("{test}{rule}"), 2, "3:16: MR5003 the key of a test `givn` is not known (did you"),
        (format!("{below}{rule}"), 2, "3:11: MR5007 the shared block `b` does not stand above"),
        (format!("{rule}{}", inherits("t")), 1, "MR5007 the rule `t` is not known"),
        (format!("{rule}{}", inherits("r")), 1, "MR5007 the rule `r` has no action `event`"),
        (format!("rules:\n{chain}"), 25, "MR5004 `like` goes over more than 16 rules"),
        (
            format!("settings:\n  a: {{ kind: choice, of: [x, x], default: x }}\n{rule}"),
            1,
            "3:30: MR5006 the choice `x` stands twice",
        ),
    ] {
        let found = problems(&format!("blueprint: b\n{text}"));
        let told = found.iter().any(|one| one.contains(wanted));
        assert!(found.len() >= count && told, "{wanted}: {found:#?}");
    }
}

#[test]
fn rules_below_ones_that_take_their_events_are_found() {
    for (above, below, reached) in [
        ("event = \"a\"", "event = \"a\" and $.x = 1", false),
        ("event in [\"a\", \"b\"]", "\"b\" = event", false),
        ("event = \"a\" or $.x = \"1\"", "$.x = \"1\"", false),
        ("exists($.x)", "$.x in [\"1\", true]", false),
        ("type = \"track\" and $.x = 1", "$.x = 1 and type = \"track\" and $.y = 2", false),
        ("not ($.x = \"1\" and $.y = 2)", "not $.x = \"1\"", false),
        ("event = \"a\" and $.x = 1", "event = \"a\"", true),
        ("event in [\"a\", \"b\"]", "event in [\"b\", \"c\"]", true),
        ("$.x = 1", "$.x = 1.0", true),
        ("exists($.x)", "$.x = null", true),
        ("$.x < 5", "$.x < 4", true),
    ] {
        let text = format!(
            "blueprint: b\nrules:\n  - {{ name: one, when: '{above}', drop: true }}\n  \
             - {{ name: two, when: '{below}', drop: true }}\n"
        );
        let found = problems(&text);
        assert_eq!(found.is_empty(), reached, "{above} / {below}: {found:?}");
        assert!(
            reached || found[0].contains("MR5105 the rule `two` can never be reached"),
            "{found:?}"
        );
    }
    let text = "blueprint: b\nrules:\n  - name: one\n    send:\n      - delete: { when: 'event = \"a\" and event = \"b\"', distinct_id: u }\n";
    assert!(problems(text)[0].contains("5:9: MR5105 the action can never be reached"));
}

#[test]
fn texts_that_would_grow_without_end_are_refused() {
    let mut text = "blueprint: b\nshared:\n  b0: { a: 1, b: 2 }\n".to_owned();
    for n in 1..40 {
        text.push_str(&format!("  b{n}: {{ \"...\": [shared.b{0}, shared.b{0}] }}\n", n - 1));
    }
    text.push_str("rules: [{ name: r, drop: true }]\n");
    assert!(
        problems(&text).iter().any(|one| one.contains("the blueprint has more than 50000 values"))
    );
    for value in [format!("$.a{}", ".a".repeat(9000)), format!("$.a{}", " ?? $.a".repeat(9000))] {
        let found = problems(&with(&value, "type = \"track\""));
        assert!(found.iter().any(|one| one.contains("too ")), "{found:?}");
    }
}

#[test]
fn the_same_blueprint_can_be_json() {
    let json = r#"{"blueprint": "j", "rules": [{"name": "r", "send": [
        {"event": {"name": "$.event ?? \"none\"", "distinct_id": "$.userId",
                   "properties": {"n": "12", "...": ["$.a", "$.b"]}}}]}]}"#;
    assert_eq!(problems(json), [""; 0]);
    assert_eq!(problems("a: [1"), problems("a: [1"));
    assert!(!problems("").is_empty());
    assert!(!problems(&"[".repeat(5000)).is_empty());
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "(?s).{0,60}", value in "[$.a\"'?{}()\\[\\], =!<>0-9]{0,20}") {
        let _ = problems(&text);
        let _ = problems(&with(&value, "type = \"track\""));
        let _ = problems(&with("1", &value));
    }
}

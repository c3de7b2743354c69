//! The operators of Adobe's value comparison: what they hold for, and their names.

use millrace_blueprint::Blueprint;
use serde_json::{Value, json};

use crate::Mapping;

/// The operators as the UI names them, and the letter of the table; negations have none.
const OPERATORS: [(&str, Option<char>); 12] = [
    ("Equal", Some('=')),
    ("Does Not Equal", None),
    ("Contains", Some('c')),
    ("Does Not Contain", None),
    ("Starts With", Some('s')),
    ("Does Not Start With", None),
    ("Ends With", Some('e')),
    ("Does Not End With", None),
    ("Is Less Than", Some('<')),
    ("Is Less Than Or Equal To", Some('l')),
    ("Is Greater Than", Some('>')),
    ("Is Greater Than Or Equal To", Some('g')),
];

/// Two values (`-`: absent) and the operators that hold for them: `=` equal, `c` contains, `s`
/// starts with, `e` ends with, `<` and `l` less (or equal), `>` and `g` greater (or equal). Made by
/// a script from the vendor's words, with JavaScript's own operators.
#[rustfmt::skip]
const TABLE: [(&str, &str, &str); 68] = [
    ("-", "-", "="),
    ("-", "null", "="),
    ("-", r#""""#, ""),
    ("-", r#""null""#, ""),
    ("-", "0", ""),
    ("-", "false", ""),
    ("null", r#""null""#, ""),
    ("null", "0", ""),
    ("true", r#""true""#, ""),
    ("true", "1", "="),
    ("true", r#""1""#, "="),
    ("true", "true", "="),
    ("false", "0", "="),
    ("false", r#""""#, "="),
    ("false", "-", ""),
    ("0", r#""""#, "=cse"),
    ("0", r#"" ""#, "="),
    ("0", r#""0""#, "=cselg"),
    ("1", r#""1""#, "=cselg"),
    ("1", r#"" 1 ""#, "=lg"),
    ("12.50", r#""12.5""#, "=cselg"),
    ("12.50", r#""2.""#, "c>g"),
    ("12.50", "12", "cs>g"),
    ("12.50", r#""12""#, "cs>g"),
    ("-3", r#""-""#, "cs"),
    ("-3", "1", "<l"),
    ("1e21", r#""1e+21""#, "=cselg"),
    ("1e21", r#""1e21""#, "=lg"),
    ("1e-7", r#""1e-7""#, "=cselg"),
    ("1e-7", "0", ">g"),
    (r#""""#, r#""""#, "=cse"),
    (r#""abc""#, r#""""#, "cse"),
    (r#""""#, r#""abc""#, ""),
    (r#""abc""#, r#""b""#, "c"),
    (r#""abc""#, r#""a""#, "cs"),
    (r#""abc""#, r#""c""#, "ce"),
    (r#""abc""#, r#""ABC""#, ""),
    (r#""abc""#, "1", ""),
    (r#""abc1""#, "1", "ce"),
    (r#""1""#, "2", "<l"),
    (r#""10""#, r#""9""#, ">g"),
    (r#""a""#, r#""b""#, ""),
    (r#"" 12.5 ""#, "12.5", "=clg"),
    (r#""0x10""#, "16", "=lg"),
    (r#""Infinity""#, "1e21", ">g"),
    (r#""-5""#, "-5.0", "=cselg"),
    (r#""+5""#, "5", "=celg"),
    (r#"".5""#, "0.5", "=lg"),
    (r#""5.""#, "5", "=cslg"),
    (r#""1_0""#, "10", ""),
    (r#""inf""#, "0", ""),
    (r#""true""#, r#""true""#, "=cse"),
    ("[]", r#""""#, "="),
    ("[]", "0", "="),
    ("[]", "[]", ""),
    ("[1]", "1", "="),
    ("[1]", r#""1""#, "="),
    (r#"["a"]"#, r#""a""#, "="),
    ("[1,[2,null]]", r#""1,2,""#, "="),
    ("[true,{}]", r#""true,[object Object]""#, "="),
    (r#"{"a":1}"#, r#""[object Object]""#, "="),
    ("{}", "{}", ""),
    ("{}", "true", ""),
    ("[1]", "true", "="),
    ("[2]", "1", ""),
    ("true", "[1]", "="),
    (r#""é""#, r#""é""#, "=cse"),
    (r#""\u00e9x""#, r#""é""#, "cs"),
];

/// A file of rules, one for each condition, that sends an event of the rule's name when it holds.
fn one_rule_each(conditions: &[(String, Value)]) -> Blueprint {
    let rules: Vec<Value> = conditions
        .iter()
        .map(|(name, condition)| {
            let track = json!({"track_event": {"event_type": name}});
            json!({"name": name, "conditions": [condition], "actions": [track]})
        })
        .collect();
    let elements = json!({
        "l": {"type": "path", "path": "arc.event.xdm.l"},
        "r": {"type": "path", "path": "arc.event.xdm.r"},
    });
    let file = json!({"adobe": "1", "name": "table", "data_elements": elements, "rules": rules});
    Blueprint::parse("table", &file.to_string()).expect("rules that read")
}

/// The names of the events that the rules send for two values.
fn held(mapping: &mut Mapping, left: &str, right: &str) -> Vec<String> {
    let member = |name: &str, value: &str| match value {
        "-" => String::new(),
        value => format!(", \"{name}\": {value}"),
    };
    let event = format!(
        r#"{{"anonymousId": "d", "xdm": {{"x": 1{}{}}}}}"#,
        member("l", left),
        member("r", right)
    );
    match mapping.outcome(&event) {
        Value::Array(rows) => rows
            .iter()
            .map(|row| row["body"]["event"].as_str().expect("a name").to_owned())
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_operators_hold_for_what_the_vendor_says() {
    let conditions: Vec<(String, Value)> = OPERATORS
        .iter()
        .map(|(name, _)| {
            let condition =
                json!({"left_operand": "{{l}}", "operator": name, "right_operand": "{{r}}"});
            ((*name).to_owned(), condition)
        })
        .collect();
    let mut mapping = Mapping::new(&one_rule_each(&conditions), &json!({}));
    for (left, right, holds) in TABLE {
        let mut positive = false;
        let wanted: Vec<&str> = OPERATORS
            .iter()
            .filter(|(_, letter)| {
                // A negation stands behind its operator.
                positive = letter.map_or(!positive, |letter| holds.contains(letter));
                positive
            })
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(held(&mut mapping, left, right), wanted, "{left} {right}");
    }
}

#[test]
fn the_operators_of_one_value_look_at_its_type() {
    let names = ["Is True", "Is False", "Is Truthy", "Is Falsy"];
    let condition = |name: &str| json!({"left_operand": "{{l}}", "operator": name});
    let conditions: Vec<_> =
        names.iter().map(|name| ((*name).to_owned(), condition(name))).collect();
    let mut mapping = Mapping::new(&one_rule_each(&conditions), &json!({}));
    for (value, wanted) in [
        ("true", ["Is True", "Is Truthy"].as_slice()),
        ("false", &["Is False", "Is Falsy"]),
        ("-", &["Is Falsy"]),
        ("null", &["Is Falsy"]),
        ("0", &["Is Falsy"]),
        ("-0.0", &["Is Falsy"]),
        ("1", &["Is Truthy"]),
        ("\"\"", &["Is Falsy"]),
        ("\"true\"", &["Is Truthy"]),
        ("\"false\"", &["Is Truthy"]),
        ("\"0\"", &["Is Truthy"]),
        ("[]", &["Is Truthy"]),
        ("{}", &["Is Truthy"]),
    ] {
        assert_eq!(held(&mut mapping, value, "-"), wanted, "{value}");
    }
}

#[test]
fn patterns_look_at_texts_and_numbers() {
    let names = ["Matches Regex", "Does Not Match Regex"];
    let condition = |name: &str| json!({"left_operand": "{{l}}", "operator": name, "right_operand": "^1\\.5|[^0-9.]b$"});
    let conditions: Vec<_> =
        names.iter().map(|name| ((*name).to_owned(), condition(name))).collect();
    let mut mapping = Mapping::new(&one_rule_each(&conditions), &json!({}));
    for (value, matches) in [
        ("\"1.5\"", true),
        ("1.50", true),
        ("\"ab\"", true),
        ("\"aB\"", false),
        ("\"1b\"", false),
        ("2", false),
        ("true", false),
        ("null", false),
        ("-", false),
        ("[\"ab\"]", false),
        ("{}", false),
    ] {
        let wanted = if matches { names[0] } else { names[1] };
        assert_eq!(held(&mut mapping, value, "-"), [wanted], "{value}");
    }
}

#[test]
fn typed_words_are_texts_and_case_can_be_ignored() {
    let condition = |operator: &str, right: &str, ignore: bool| {
        let condition = json!({
            "left_operand": "{{l}}", "operator": operator, "right_operand": right, "case_insensitive": ignore,
        });
        (format!("{operator} {right} {ignore}"), condition)
    };
    let conditions = [
        condition("equals", "true", false),
        condition("equals", "null", false),
        condition("equals", "5", false),
        condition("equals", "ABC", true),
        condition("endsWith", "C", true),
        condition("matchesRegex", "^B?A", true),
    ];
    let mut mapping = Mapping::new(&one_rule_each(&conditions), &json!({}));
    for (value, wanted) in [
        ("true", [].as_slice()),
        ("\"true\"", &["equals true false"]),
        ("null", &[]),
        ("\"null\"", &["equals null false"]),
        ("5", &["equals 5 false"]),
        ("\"aBc\"", &["equals ABC true", "endsWith C true", "matchesRegex ^B?A true"]),
    ] {
        assert_eq!(held(&mut mapping, value, "-"), wanted, "{value}");
    }
}

#[test]
fn operators_have_the_names_of_the_ui_and_of_the_api() {
    for name in
        ["Does Not Start With", "does not start with", "doesNotStartWith", "does_not_start_with"]
    {
        let condition = json!({"left_operand": "{{l}}", "operator": name, "right_operand": "a"});
        let mut mapping =
            Mapping::new(&one_rule_each(&[("rule".to_owned(), condition)]), &json!({}));
        assert_eq!(held(&mut mapping, "\"b\"", "-"), ["rule"], "{name}");
    }
}

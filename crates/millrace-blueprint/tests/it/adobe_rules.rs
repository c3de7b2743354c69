//! Rules of Adobe's event forwarding: what the operators mean, what the actions send, and what a
//! file of rules is refused for.

use millrace_blueprint::{Blueprint, Parameters, Plan, SettingValues};
use millrace_model::row::ProjectKey;
use proptest::prelude::*;
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

/// The sign-in rule of the vendor's page, and one for every event.
const SIGN_IN: &str = r#"
adobe: 1
name: forwarding
data_elements:
  Distinct ID: { type: path, path: arc.event.xdm._acme.distinct_id }
  Event Type: { type: path, path: arc.event.xdm._acme.event_type }
  Known User ID: { type: path, path: arc.event.xdm._acme.LoginID }
  Data: { type: path, path: arc.event.xdm._acme.properties }
  Channel: { type: constant, value: { kind: web, beta: null } }
  Page: { type: path, path: "arc.event.xdm.web.webPageDetails['URL']", default: none }
  SKU: { type: path, path: arc.event.xdm.productListItems.0.SKU, force_lower_case: true }
rules:
  - name: Every event
    exceptions:
      - { left_operand: "{{Event Type}}", operator: Equal, right_operand: signin }
    actions:
      - track_event:
          event_type: "{{Event Type}}"
          distinct_id: "{{Distinct ID}}"
          event_time: "{{arc.event.data.at}}"
          insert_id: "{{arc.event.data.id}}"
          event_properties: |
            {"page": "{{Page}}", "channel": "{{Channel}}", "sku": "{{SKU}}", "gone": "{{arc.event.data.gone}}",
             "text": "at {{Page}}!", "n": 1.5, "none": null, "list": [1, "{{SKU}}"]}
  - name: Sign in
    conditions:
      - { left_operand: "{{Event Type}}", operator: Equal, right_operand: signin }
    actions:
      - track_event: { event_type: "{{Event Type}}", distinct_id: "{{Distinct ID}}", event_properties: "{{Data}}" }
      - alias: { known_user_id: "{{Known User ID}}", distinct_id: "{{Distinct ID}}" }
      - identify: { known_user_id: "{{Known User ID}}", distinct_id: "{{Distinct ID}}" }
"#;

const DEVICE: &str = "d19a4a76-2ec6-440c-b50e-b574d3763384";

fn sign_in(settings: &Value, event: &str) -> Value {
    let blueprint = Blueprint::parse("rules", SIGN_IN).expect("rules that read");
    Mapping::new(&blueprint, settings).outcome(event)
}

#[test]
fn the_identity_rule_sends_its_three_rows_in_order() {
    let event = json!({"xdm": {"_acme": {"distinct_id": DEVICE, "event_type": "signin", "LoginID": "a@b.example",
        "properties": {"method": "password", "token": "t"}}}})
    .to_string();
    let original = json!([
        {"path": "/import", "body": {"event": "signin", "properties": {
            "time": 1_763_633_472_345_i64, "distinct_id": DEVICE, "$insert_id": "m-1", "method": "password"}}},
        {"path": "/import", "body": {"event": "$create_alias", "properties": {"distinct_id": DEVICE, "alias": "a@b.example"}}},
        {"path": "/import", "body": {"event": "$identify", "properties": {"$identified_id": "a@b.example", "$anon_id": DEVICE}}},
    ]);
    assert_eq!(sign_in(&json!({}), &event), original);
    // Legacy projects know aliases only.
    let legacy = sign_in(&json!({"identity": "legacy"}), &event);
    assert_eq!(
        legacy.as_array().map(Vec::as_slice),
        Some(&original.as_array().expect("rows")[..2])
    );
    // Simplified ones know neither: the two actions become one link event.
    let simplified = sign_in(&json!({"identity": "simplified"}), &event);
    let rows = simplified.as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{simplified}");
    assert_eq!(rows[0]["body"]["properties"]["$device_id"], DEVICE);
    assert_eq!(rows[0]["body"]["properties"]["distinct_id"], format!("$device:{DEVICE}"));
    let link = &rows[1]["body"];
    assert_eq!(link["event"], "Identity Linked");
    assert_eq!(link["properties"]["$user_id"], "a@b.example");
    assert_eq!(link["properties"]["$device_id"], DEVICE);
}

#[test]
fn references_keep_types_alone_and_become_text_among_text() {
    let event = json!({
        "xdm": {"_acme": {"distinct_id": "u-1", "event_type": "Viewed"}, "productListItems": [{"SKU": "AB"}]},
        "data": {"at": 1_763_600_000, "id": "i-1"},
    });
    let wanted = json!([{"path": "/import", "body": {"event": "Viewed", "properties": {
        "time": 1_763_600_000_000_i64, "distinct_id": "u-1", "$insert_id": "i-1",
        "page": "none", "channel": {"kind": "web", "beta": null}, "sku": "ab", "text": "at none!", "n": 1.5,
        "none": null, "list": [1, "ab"]}}}]);
    assert_eq!(sign_in(&json!({}), &event.to_string()), wanted);
}

#[test]
fn an_empty_distinct_id_is_the_visitor_of_the_page() {
    let event = |context: Value, ecid: Value| {
        let event = json!({"xdm": {"_acme": {"event_type": "Viewed", "distinct_id": ""}}, "context": context, "anonymousId": ecid});
        let rows = sign_in(&json!({}), &event.to_string());
        rows[0]["body"]["properties"]["distinct_id"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(
        event(json!({"mixpanel": {"distinct_id": "$device:m"}}), json!("ecid")),
        "$device:m"
    );
    assert_eq!(event(json!({"mixpanel": {"distinct_id": "undefined"}}), json!("ecid")), "ecid");
    assert_eq!(event(json!({}), json!("ecid")), "ecid");
    assert_eq!(event(json!({}), json!(null)), "");
}

#[test]
fn a_token_names_another_project_and_a_secret_the_integrations_own() {
    let file = r#"
adobe: 1
name: two projects
data_elements:
  Secret: { type: secret, secret: mixpanel }
  Token: { type: path, path: arc.event.data.token }
rules:
  - name: all
    actions:
      - track_event: { token: "{{Secret}}", event_type: own, distinct_id: u }
      - track_event: { token: 0123abc, event_type: other, distinct_id: u }
      - track_event: { token: "{{Token}}", event_type: named, distinct_id: u }
      - identify: { token: 0123abc, known_user_id: k, distinct_id: u }
"#;
    let blueprint = Blueprint::parse("rules", file).expect("rules that read");
    let mut mapping = Mapping::new(&blueprint, &json!({}));
    mapping.outcome(r#"{"data": {"token": "fedc"}}"#);
    let projects: Vec<_> = mapping.rows.rows.iter().map(|row| row.project).collect();
    let key = |token: &str| Some(ProjectKey::of(token));
    assert_eq!(projects, [None, key("0123abc"), key("fedc"), key("0123abc")]);
}

#[test]
fn secrets_are_parameters_and_several_must_be_given() {
    let file = |token: &str| {
        let actions = json!([
            {"track_event": {"token": "{{A}}", "event_type": "a", "distinct_id": "u"}},
            {"track_event": {"token": token, "event_type": "b", "distinct_id": "u"}},
        ]);
        let secret = |name: &str| json!({"type": "secret", "secret": name});
        let rules = json!({"adobe": "1", "name": "x", "rules": [{"name": "r", "actions": actions}],
            "data_elements": {"A": secret("first"), "B": secret("second")}});
        Blueprint::parse("rules", &rules.to_string()).expect("rules that read")
    };
    let projects = |blueprint: &Blueprint, given: &[(&str, &str)]| {
        let given: Parameters = given.iter().copied().collect();
        let plan = Plan::compile_with(blueprint, &SettingValues::default(), &given).ok()?;
        let mut mapping = Mapping::new(&file("{{A}}"), &json!({}));
        mapping.plan = plan;
        mapping.outcome("{}");
        Some(mapping.rows.rows.iter().map(|row| row.project).collect::<Vec<_>>())
    };
    let key = |token: &str| Some(ProjectKey::of(token));
    let one = file("{{A}}");
    assert_eq!(projects(&one, &[]), Some(vec![None, None]));
    assert_eq!(projects(&one, &[("first", "t1")]), Some(vec![key("t1"), key("t1")]));
    let two = file("{{B}}");
    assert_eq!(projects(&two, &[]), None);
    assert_eq!(projects(&two, &[("first", "")]), None);
    assert_eq!(projects(&two, &[("first", ""), ("second", "t2")]), Some(vec![None, key("t2")]));
}

/// What is wrong with rules that have this for the rest of the file.
fn mistakes(rest: &str) -> Vec<String> {
    let text = format!("adobe: 1\nname: x\n{rest}");
    let mistakes = Blueprint::parse("rules.yaml", &text).expect_err("mistakes");
    mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn what_cannot_be_taken_over_is_told_with_its_place() {
    let track = "actions: [{ track_event: { event_type: e } }]";
    for (rest, wanted) in [
        ("rules:\n- name: r\n  action: []".to_owned(), "5:3: MR5003 the key of a rule `action` is not known (did you mean `actions`?)"),
        (format!("rules: [{{ name: r, {track}, conditions: [{{ custom_code: 'return true' }}] }}]"), "MR5109 custom code is not run"),
        ("data_elements: { a: { type: custom_code } }\nrules: []".to_owned(), "3:29: MR5109 custom code is not run"),
        ("data_elements: { a: { type: path, path: arc.ruleStash.core.x } }\nrules: []".to_owned(), "MR5109 there is no rule stash"),
        ("data_elements: { a: { type: path, path: arc.request.body } }\nrules: []".to_owned(), "MR5109 the request is not kept"),
        ("data_elements: { a: { type: path, path: arc.event.xmd.a } }\nrules: []".to_owned(), "MR5007 an event has no `xmd`"),
        ("data_elements: { a: { type: path, path: xdm.a } }\nrules: []".to_owned(), "`xdm.a` is no path here"),
        ("data_elements: { a: { type: constant, path: x } }\nrules: []".to_owned(), "has no `path`"),
        ("data_elements: { Page: { type: path, path: arc.event.xdm.a } }\nrules: [{ name: r, actions: [{ track_event: { event_type: '{{page}}' } }] }]".to_owned(), "the data element `page` is not known (did you mean `Page`?)"),
        ("rules: [{ name: r, actions: [{ identify: { known_user_id: u } }] }]".to_owned(), "a rule without a Track Event sends nothing at Adobe"),
        ("rules: [{ name: r, actions: [{ track_event: { distinct_id: u } }] }]".to_owned(), "the action needs `event_type`"),
        ("rules: [{ name: r, actions: [{ track_event: { event_type: '' } }] }]".to_owned(), "the action needs `event_type`"),
        ("rules: [{ name: r, actions: [{ make_fetch_call: {} }] }]".to_owned(), "the action `make_fetch_call` is not known"),
        ("rules: [{ name: r, actions: [{ custom_code: {} }] }]".to_owned(), "MR5109 custom code is not run"),
        (format!("rules: [{{ name: r, {track}, conditions: [{{ left_operand: a, operator: contain, right_operand: b }}] }}]"), "did you mean `Contains`?"),
        (format!("rules: [{{ name: r, {track}, conditions: [{{ left_operand: a, operator: Contains }}] }}]"), "the operator needs a `right_operand`"),
        (format!("rules: [{{ name: r, {track}, conditions: [{{ left_operand: a, operator: Is True, right_operand: b }}] }}]"), "looks at the left operand alone"),
        (format!("rules: [{{ name: r, {track}, conditions: [{{ left_operand: a, operator: Matches Regex, right_operand: '(?=a)' }}] }}]"), "MR5109 looking ahead or behind is not taken"),
        (format!("rules: [{{ name: r, {track}, conditions: [{{ left_operand: a, operator: Matches Regex, right_operand: '{{{{x}}}}' }}] }}]"), "MR5109 a pattern has no references"),
        (format!("rules: [{{ name: r, {track} }}, {{ name: r, {track} }}]"), "there is a rule `r` above"),
        ("rules: [{ name: r, actions: [{ track_event: { event_type: e, event_properties: '{\"a\": {{b}}}' } }] }]".to_owned(), "a reference stands in quotes"),
        ("rules: [{ name: r, actions: [{ track_event: { event_type: e, event_properties: '[1]' } }] }]".to_owned(), "event properties are an object"),
        ("rules: [{ name: r, actions: [{ track_event: { event_type: e, event_properties: { distinct_id: x } } }] }]".to_owned(), "`distinct_id` is no property"),
        ("data_elements: { S: { type: secret, secret: token } }\nrules: [{ name: r, actions: [{ track_event: { event_type: '{{S}}' } }] }]".to_owned(), "MR5109 a secret can stand as `token` only"),
        ("identity: merged\nrules: []".to_owned(), "the identity mode `merged` is not known"),
        ("blueprint: x\nrules: []".to_owned(), "`blueprint` is not known"),
    ] {
        let found = mistakes(&rest);
        assert!(found.iter().any(|one| one.contains(wanted)), "{rest}\n{found:#?}");
    }
    let version = Blueprint::parse("r", "adobe: 2\nname: x\nrules: []").expect_err("a mistake");
    assert!(version[0].to_string().contains("write adobe: 1"), "{version:?}");
}

#[test]
fn references_cannot_make_a_small_file_large() {
    let items = "1,".repeat(2_000);
    let pairs: String = (0..40).map(|n| format!("p{n}: '{{{{Big}}}}', ")).collect();
    let found = mistakes(&format!(
        "data_elements: {{ Big: {{ type: constant, value: [{items}] }} }}\n\
         rules: [{{ name: r, actions: [{{ track_event: {{ event_type: e, event_properties: {{ {pairs} }} }} }}] }}]"
    ));
    assert!(found.iter().any(|one| one.contains("the file is too large")), "{found:#?}");
}

/// A text in the form of a file of rules, with odd words at its places.
fn file() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "{{a}}",
        "{{ b }}x",
        "{{",
        "}}{{",
        "arc.event.xdm.a",
        "arc",
        "arc.event.data[0]['q'].1.2.3.4",
        "path",
        "constant",
        "secret",
        "",
        "1",
        "null",
        "true",
        "Equal",
        "Is Falsy",
        "matchesRegex",
        "(a|b)*[",
        "[1]",
        "'{\"k\": \"{{a}}\"}'",
        "{ x: 1 }",
        "[a, {}]",
        "'{\"a\": [[{}]]}'",
    ]);
    prop::collection::vec(word, 14).prop_map(|w| {
        let quoted = |n: usize| match w[n].chars().next() {
            Some('\'' | '{' | '[') if !w[n].starts_with("{{") => w[n].to_owned(),
            _ => format!("\"{}\"", w[n].replace(['\\', '"'], "")),
        };
        format!(
            "adobe: 1\nname: x\ndata_elements:\n  a: {{ type: path, path: {}, default: {} }}\n  b: {{ type: {}, value: {} }}\nrules:\n\
             - name: r\n  conditions: [{{ left_operand: {}, operator: {}, right_operand: {} }}]\n  actions:\n\
             \x20 - track_event: {{ event_type: {}, distinct_id: {}, event_time: {}, insert_id: {}, event_properties: {} }}\n\
             \x20 - alias: {{ known_user_id: {}, distinct_id: {} }}\n",
            quoted(0), quoted(1), quoted(2), quoted(3), quoted(4), quoted(5), quoted(6), quoted(7), quoted(8),
            quoted(9), quoted(10), quoted(11), quoted(12), quoted(13),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_file_of_rules_panics(text in file(), at in any::<prop::sample::Index>(), other: char) {
        let mut changed: Vec<char> = text.chars().collect();
        let place = at.index(changed.len());
        changed[place] = other;
        for text in [text, changed.into_iter().collect()] {
            if let Ok(blueprint) = Blueprint::parse("fuzz", &text) {
                let event = r#"{"xdm": {"a": {"1": [1, "x"]}}, "data": [{"q": 1}], "anonymousId": "d"}"#;
                let _ = Mapping::new(&blueprint, &json!({})).outcome(event);
            }
        }
    }
}

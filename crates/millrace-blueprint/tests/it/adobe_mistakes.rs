//! What a file of Adobe's rules is refused for, and that no file does harm.

use millrace_blueprint::Blueprint;
use proptest::prelude::*;
use serde_json::json;

use crate::Mapping;

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
        ("rules: [{ name: r, actions: [{ track_event: { event_type: e, event_properties: '{\"a\": {{b}}}' } }] }]".to_owned(), "the data element `b` is not known"),
        ("rules: [{ name: r, actions: [{ track_event: { event_type: e, event_properties: '{{{a}}: 1}' } }] }]".to_owned(), "a reference is a value"),
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

//! Segment's notation alone: what it means, and what is refused.

use millrace_blueprint::Mapper;
use millrace_blueprint::segment::{Mapping, Subscription};
use serde_json::{Value, json};

#[test]
fn match_texts_mean_what_they_mean_at_segment() {
    let mut mapper = Mapper::new();
    for (text, event, wanted) in [
        (r#"properties.a\ b = 1"#, json!({"properties": {"a b": 1}}), true),
        ("properties.n != 5", json!({"properties": {"n": 6}}), true),
        ("properties.n != 5", json!({"properties": {"n": "6"}}), false),
        ("properties.n != 5", json!({}), false),
        (r#"properties.n != "5""#, json!({}), true),
        (r#"!contains(event, "x")"#, json!({"event": "abc"}), true),
        (r#"!contains(event, "x")"#, json!({"event": null}), false),
        (r#"!contains(event, "x")"#, json!({"event": 7}), false),
        (r#"contains(traits.l, "x")"#, json!({"traits": {"l": ["x"]}}), false),
        (r#"!match(event, "a*")"#, json!({"event": "b"}), true),
        (r#"!match(event, "a*")"#, json!({}), false),
        (r#"!(type = "track" or userId = null)"#, json!({"type": "page", "userId": "u"}), true),
        (r#"type = "delete""#, json!({"type": "delete"}), true),
        // No facts stand over bare JSON.
        (r#"type != "track""#, json!({}), true),
    ] {
        let subscription = Subscription::parse("m", text).expect("a text that reads");
        let found = subscription.selects(&mut mapper, event.to_string().as_bytes());
        assert_eq!(found, Some(wanted), "{text} {event}");
    }
    let subscription = Subscription::parse("m", "userId != null").expect("right");
    assert_eq!(subscription.selects(&mut mapper, b"[1]"), None);
}

#[test]
fn what_segment_drops_without_a_word_is_a_mistake() {
    for (text, wanted) in [
        (r#"evnt = "x""#, "did you mean `event`?"),
        (r#"type = "track" AND event = "x""#, "write `and`"),
        (r#"type = "track" event = "x""#, "`and` or `or` is expected"),
        ("event = 'x'", "double quotes"),
        (r#"match(event, "x")"#, "a pattern needs a star"),
        ("", "a value is expected"),
    ] {
        let mistakes = Subscription::parse("m", text).expect_err(text);
        assert!(mistakes[0].to_string().contains(wanted), "{text}: {}", mistakes[0]);
    }
}

fn apply(mapping: &Value, event: &str) -> Option<Value> {
    let mapping = Mapping::parse("m", &mapping.to_string()).expect("a mapping that reads");
    let json = mapping.apply(&mut Mapper::new(), event.as_bytes()).expect("an object");
    json.map(|json| serde_json::from_slice(&json).expect("JSON"))
}

#[test]
fn mappings_tell_null_from_nothing() {
    let event = r#"{"a": null, "l": [{"x": 1}, null, "t"], "o": {"p": {"q": null, "r": []}}, "0": "zero",
        "d": {"k": 1, "\u006b": null}, "s": "{\"z\": [1, {\"y\": null}]}", "deep": [[[[[1]]]]]}"#;
    for (mapping, wanted) in [
        (json!({"v": {"@path": "$.a"}, "w": {"@path": "$.b"}}), json!({"v": null})),
        (json!({"v": [{"@path": "b"}, {}, []]}), json!({"v": [null, {}, []]})),
        (json!({"v": {"@path": "l.0.x"}, "w": {"@path": "0"}}), json!({"v": 1, "w": "zero"})),
        (
            json!({"v": {"@arrayPath": ["$.l", {"x": {"@path": "$.x"}}]}}),
            json!({"v": [{"x": 1}, {}, {}]}),
        ),
        (json!({"v": {"@excludeWhenNull": {"@path": "$.o"}}}), json!({"v": {"p": {"r": []}}})),
        // The last of two equal names counts, whatever their escapes.
        (json!({"v": {"@excludeWhenNull": {"@path": "$.d"}}}), json!({"v": {}})),
        (
            json!({"v": {"@flatten": {"separator": "_", "value": {"@path": "$.d"}}}}),
            json!({"v": {"k": null}}),
        ),
        (
            json!({"v": {"@json": {"mode": "decode", "value": {"@path": "$.s"}}}}),
            json!({"v": {"z": [1, {"y": null}]}}),
        ),
        (
            json!({"v": {"@json": {"mode": "encode", "value": {"w": {"@path": "$.deep"}}}}}),
            json!({"v": "{\"w\":[[[[[1]]]]]}"}),
        ),
        (
            json!({"v": {"@transform": {
                "apply": {"p": {"@path": "$.l"}, "a": {"@path": "$.a"}},
                "mapping": {"first": {"@path": "$.p[0]"}, "a": {"@path": "$.a"}, "b": {"@path": "$.l"}},
            }}}),
            json!({"v": {"first": {"x": 1}, "a": null}}),
        ),
        (
            json!({"v": {"@replace": {"pattern": "ZE", "replacement": "h", "ignorecase": true,
                "value": {"@path": "$.0"}}}}),
            json!({"v": "hro"}),
        ),
    ] {
        assert_eq!(apply(&mapping, event), Some(wanted), "{mapping}");
    }
    assert_eq!(apply(&json!({"@path": "$.b"}), event), None);
}

#[test]
fn a_path_may_come_from_the_event() {
    let event = r#"{"at": "o.l[0].x", "o": {"l": [{"x": 1, "y": "k"}, null], "k": null}, "n": 5,
        "root": "", "odd": "o[", "numeric": "$.o.l.1", "twice": "d.d", "d": {"d": 1},
        "\u0064": {"d": 2}, "names": [{"of": "x", "x": "ex"}, {"of": "y", "x": 0}]}"#;
    let at = |path: &str| json!({"@path": {"@path": path}});
    for (mapping, wanted) in [
        (json!({"v": at("$.at")}), json!({"v": 1})),
        // No text, no path, or nothing there.
        (json!({"v": at("n"), "w": at("odd"), "x": at("gone"), "y": at("o")}), json!({})),
        (json!({"v": at("numeric")}), json!({"v": null})),
        // The last of two equal names counts.
        (json!({"v": at("twice")}), json!({"v": 2})),
        (json!({"v": {"@path": {"@template": "o.{{o.l.0.y}}"}}}), json!({"v": null})),
        (json!({"v": {"@path": at("gone")}, "w": {"@path": {"@literal": "n"}}}), json!({"w": 5})),
        (
            json!({"v": {"@if": {"exists": at("$.at"), "then": at("at"), "else": 0}}}),
            json!({"v": 1}),
        ),
        (
            json!({"v": {"@arrayPath": [{"@path": {"@literal": "names"}}, {"x": at("of")}]}}),
            json!({"v": [{"x": "ex"}, {}]}),
        ),
        (
            json!({"v": {"@transform": {"apply": {"p": "q", "q": [1, 2]}, "mapping": {"r": at("p")}}}}),
            json!({"v": {"r": [1, 2]}}),
        ),
    ] {
        assert_eq!(apply(&mapping, event), Some(wanted), "{mapping}");
    }
    let whole = apply(&at("root"), event).expect("the root");
    assert_eq!(whole["n"], json!(5));
    for wrong in [json!({"@path": {}}), json!({"@path": {"a": 1}}), json!({"@path": ["a"]})] {
        assert!(Mapping::parse("m", &wrong.to_string()).is_err(), "{wrong}");
    }
}

#[test]
fn mistakes_of_a_mapping_are_found_at_once() {
    let text = r#"{"a": {"@path": 5}, "b": {"@pth": "x"}, "c": {"@path": "a", "@case": 1},
        "d": {"@template": "{{a"}, "e": {"@liquid": "{{a}}"}, "f": {"@merge": {"direction": "right", "objects": [1]}},
        "g": {"@replace": {"pattern": ""}}, "h": {"@path": "a[*]"}}"#;
    let mistakes = Mapping::parse("m", text).expect_err("mistakes");
    assert_eq!(mistakes.len(), 8, "{mistakes:#?}");
    assert!(mistakes[1].to_string().contains("did you mean `@path`?"), "{}", mistakes[1]);
    assert!(
        Mapping::parse("m", &format!("{}1{}", r#"{"@literal":"#.repeat(60), "}".repeat(60)))
            .is_err()
    );
}

#[test]
fn what_grows_without_end_is_given_up() {
    let mut growing = json!({"@path": "$.a"});
    for _ in 0..12 {
        growing =
            json!({"@replace": {"pattern": "a", "replacement": "aaaaaaaaaa", "value": growing}});
    }
    let mut quoted = json!({"@path": "$.a"});
    for _ in 0..20 {
        quoted = json!({"@json": {"mode": "encode", "value": quoted}});
    }
    for (mapping, event) in
        [(growing, r#"{"a": "a"}"#), (quoted, r#"{"a": "\"\"\"\"\"\"\"\"\"\"\"\""}"#)]
    {
        let mapping = Mapping::parse("m", &mapping.to_string()).expect("a mapping that reads");
        assert_eq!(mapping.apply(&mut Mapper::new(), event.as_bytes()), None);
    }
}

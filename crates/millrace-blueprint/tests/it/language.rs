//! Forms of the language: value maps, parameters, inherited actions.

use millrace_blueprint::{Blueprint, Parameters, Plan, SettingValues};
use serde_json::json;

use crate::Mapping;

fn read(text: &str) -> Blueprint {
    Blueprint::parse("b", text).unwrap_or_else(|found| panic!("{found:#?}"))
}

fn mistakes(text: &str) -> Vec<String> {
    let found = Blueprint::parse("b", text).expect_err("mistakes");
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn values_are_mapped_by_their_text() {
    let blueprint = read(
        "blueprint: b\nsettings: { region: { kind: text, default: eu } }\nrules:\n  - name: r\n    send:\n      - event:\n          \
         name: n\n          distinct_id: u\n          properties:\n            \
         plain: { map: $.a, to: { gold: 1, '7': seven, 'true': yes-indeed, \"q\\\"\": quoted } }\n            \
         any: { map: $.a, to: { gold: $.b, \"*\": '\"not $.a\"' } }\n            \
         known: { map: settings.region, to: { eu: Europe, us: America } }\n",
    );
    let mut mapping = Mapping::new(&blueprint, &json!({}));
    for (value, plain, any) in [
        ("\"gold\"", json!(1), json!("B")),
        ("\"g\\u006fld\"", json!(1), json!("B")),
        ("\"q\\\"\"", json!("quoted"), json!("not q\"")),
        ("7", json!("seven"), json!("not 7")),
        ("true", json!("yes-indeed"), json!("not true")),
        ("\"silver\"", json!(null), json!("not silver")),
        ("[1]", json!(null), json!("not ")),
        ("null", json!(null), json!(null)),
    ] {
        let rows = mapping.outcome(&format!(r#"{{"a": {value}, "b": "B"}}"#));
        let properties = &rows[0]["body"]["properties"];
        assert_eq!((&properties["plain"], &properties["any"]), (&plain, &any), "{value}");
        assert_eq!(properties["known"], "Europe");
    }
}

#[test]
fn a_pipeline_gives_parameters() {
    let text = "blueprint: b\nparameters:\n  site: { about: The name of the site }\n  \
        team: { about: Who asks, default: web }\nrules:\n  - name: r\n    when: $.site = parameters.site\n    send:\n      \
        - event: { name: n, distinct_id: u, properties: { site: parameters.site, team: '\"team {{parameters.team}}\"' } }\n";
    let blueprint = read(text);
    assert_eq!(blueprint.parameters().len(), 2);
    let none = SettingValues::default();
    let found = Plan::compile(&blueprint, &none).expect_err("a missing parameter");
    assert_eq!((found.len(), found[0].code.as_str()), (1, "MR5005"));
    assert!(found[0].message.contains("needs the parameter `site`: The name of the site"));
    let given: Parameters = [("site", "shop"), ("other", "x")].into_iter().collect();
    let mut mapping =
        Mapping::new(&Blueprint::built_in("default").expect("there").expect("right"), &json!({}));
    mapping.plan = Plan::compile_with(&blueprint, &none, &given).expect("all that is needed");
    let rows = mapping.outcome(r#"{"site": "shop"}"#);
    assert_eq!(rows[0]["body"]["properties"]["site"], "shop");
    assert_eq!(rows[0]["body"]["properties"]["team"], "team web");
    assert_eq!(mapping.outcome(r#"{"site": "x"}"#), json!({"filtered": "no_rule"}));
    let wrong = mistakes(&text.replace("= parameters.site", "= parameters.sit"));
    assert!(
        wrong[0].contains("the parameter `sit` is not known (did you mean `site`?)"),
        "{wrong:?}"
    );
}

const LIKE: &str = "blueprint: b
rules:
  - name: Track
    when: type = \"track\"
    send:
      - event:
          name: $.event
          distinct_id: $.userId
          user_id: $.userId
          properties: { a: 1, b: $.b, \"...\": $.properties }
  - name: Page
    when: type = \"page\"
    send:
      - event:
          like: Track
          name: '\"Viewed $.name\"'
          user_id: null
          properties: { b: 2, c: 3 }
  - name: Screen
    send:
      - event: { like: Page, properties: { c: 4 } }
";

#[test]
fn an_action_is_like_that_of_another_rule() {
    let mut mapping = Mapping::new(&read(LIKE), &json!({}));
    let event = |kind: &str| {
        json!({"type": kind, "userId": "u", "event": "E", "name": "N", "b": 9, "properties": {"b": 8, "c": 8, "d": 8}})
            .to_string()
    };
    let row = |mapping: &mut Mapping, kind: &str| {
        let body = mapping.outcome(&event(kind))[0]["body"].clone();
        let own = &body["properties"];
        (body["event"].clone(), json!([own["$user_id"], own["a"], own["b"], own["c"], own["d"]]))
    };
    assert_eq!(row(&mut mapping, "track"), (json!("E"), json!(["u", 1, 8, 8, 8])));
    assert_eq!(row(&mut mapping, "page"), (json!("Viewed N"), json!([null, 1, 2, 3, 8])));
    assert_eq!(row(&mut mapping, "screen"), (json!("Viewed N"), json!([null, 1, 2, 4, 8])));
    for (from, to, wanted) in [
        ("like: Track", "like: Trak", "the rule `Trak` is not known (did you mean `Track`?)"),
        ("like: Track", "like: Page", "the rule `Page` inherits from itself"),
        (
            "- event:\n          like",
            "- alias:\n          like",
            "the rule `Track` has no action `alias`",
        ),
        ("like: Track", "like: { a: 1 }", "`like` takes a text"),
    ] {
        let found = mistakes(&LIKE.replace(from, to));
        assert!(found.iter().any(|one| one.contains(wanted)), "{wanted}: {found:#?}");
    }
}

//! The laws: the plan does what the oracle does, and what it writes is JSON whatever comes in.

use std::sync::LazyLock;

use millrace_model::disposition::FilterReason;
use millrace_model::event::{EventKind, Facts, TimeSource};
use millrace_model::row::{Mapped, Row, Rows};
use millrace_model::time::UnixMillis;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Oracle, OracleRow, Outcomes};
use crate::plan::fold::Values;
use crate::plan::lists::written_out;
use crate::syntax::ast::Checked;
use crate::{Blueprint, EventView, Mapper, Plan, Setting, SettingValues};

/// Every node and function of the language, with names that random events have, too.
const WIDE: &str = r#"
blueprint: wide
parameters:
  site: { about: a name, default: shop }
settings:
  key: { kind: text, default: group, about: a name }
  on: { kind: switch, default: true, about: a switch }
  list: { kind: list, default: [a, b.c, group], about: names }
  mode: { kind: choice, of: [simplified, original, legacy], default: simplified, about: a mode }
  link: { kind: text, default: Linked, about: a name }
  none: { kind: list, default: [], about: no names }
  form: { kind: text, default: 'a {{ a }} b  {{n}}', about: a template }
shared:
  block:
    a: $.a
    deep: $.b.c
    settings.key: upper($.a)
rules:
  - name: dropped
    when: $.a = "drop" or $.n in [1, 2.5, "x"]
    drop: true
  - name: joined
    when: $.userId != null and settings.on and type = "identify"
    continue: true
    send:
      - link: { name: Linked, user_id: $.userId, device_id: $.anonymousId }
      - identify: { user_id: $.userId, anonymous_id: $.anonymousId }
      - alias: { distinct_id: $.anonymousId, alias: $.userId }
  - name: needed
    when: type = "screen"
    send:
      - event:
          name: need_text($.event) ?| "none"
          distinct_id: need_text($.userId) ?? "nobody"
          time: need_time($.context)
          user_id: need_text($.anonymousId)
          properties:
            text: need_text($.a)
            number: need_number($.n ?? $.a)
            whole: need_integer($.b.n)
            switch: need_switch($.c.a)
            object: need_object($.properties)
            list: need_list($.list)
            inside: { each: $.list, as: { a: need_text(.a), at: 'plus(place(), 1)' } }
            chosen: { when: 'need_text($.name) = "a"', then: need_number($.category) }
      - profile:
          distinct_id: need_text($.userId)
          set: { a: need_list($.traits) }
          union: { b: need_number($.traits.a) }
      - group: { group_key: group, group_id: need_text($.groupId), set: { "...": need_object($.b) } }
  - name: items
    when: type = "page"
    continue: true
    send:
      - event:
          each: $.list ?? $.b
          when: .a != "x" and place() < 3
          name: '"Item {{plus($.n, 1)}}"'
          distinct_id: .name ?? identifier($.userId) ?? "nobody"
          insert_id: '?"$.a-{{.}}{{place()}}"'
          token: .a ?| $.b.a
          alone: settings.on
          properties:
            "...": .b
            place: place()
            less: minus($.n, place())
            negative: negate(.n ?? $.a)
            inner: { each: .list, as: { at: place(), a: . } }
            outer: { with: $.b, as: { at: place(), a: .a } }
            sum: plus($.a, .n)
      - profile:
          each: $.c
          distinct_id: .a
          token: settings.key
          add: { n: negate($.n) }
          remove: { list: .b }
      - delete: { distinct_id: $.previousId ?? "gone", ignore_alias: settings.on }
      - join: { identity: settings.mode, user_id: $.userId, device_id: $.anonymousId, name: settings.link }
      - join: { each: $.list, identity: simplified, user_id: .a, device_id: $.a, name: Linked, alone: true }
      - merge: { ids: [$.userId, $.previousId] }
  - name: all
    send:
      - event:
          name: '$.event ?| "none"'
          distinct_id: identifier($.userId) ?? identifier($.anonymousId) ?? "nobody"
          user_id: $.userId
          device_id: $.anonymousId
          ip: $.context.ip
          properties:
            early: $.a
            "...":
              - shared.block
              - omit($.b, c, "odd key")
              - pick($.c, a, b)
              - { when: 'exists($.c)', then: $.properties, else: $.b }
            number: number($.a)
            text: text($.n)
            lower: lower($.a)
            time_of: time($.a) ?? time($.n)
            iso: iso_time($.timestamp)
            nonblank: nonblank($.a)
            count: count($.list)
            sum: sum($.list)
            sum_of: sum($.list, a)
            join: join($.list, ", ")
            domain: domain($.a)
            age: age($.timestamp)
            aged: age($.a)
            as_list: list($.a)
            browser: browser($.a)
            version: browser_version($.a)
            prefixed: prefixed($.b, "p_")
            renamed: rename($.b, a, "$a", c, "$a", n, b, a, n)
            at: at($.b, settings.key)
            filled: fill(settings.form, $.a, $.b.n)
            listed: pick($.properties, settings.list)
            not_listed: omit($.properties, settings.list, x)
            in_list: { when: '$.a in settings.list', then: 1, else: settings.list }
            in_none: { when: '$.a in settings.none or exists(settings.none)', then: 1 }
            strict: '?"<$.a-$.n>"'
            lenient: '"<$.a-{{b.c}}>"'
            first: $.a ?? $.b ?| $.c ?? 1
            picked: pick($.b, a, c)
            index: $.list[1].a
            nested: { x: $.a, y: { z: text($.n) } }
            pair: [$.a, 1, $.n]
            items:
              each: $.list ?? $.b
              as: { it: .a, all: count(.), outer: text($.n), inner: { each: .list, as: text(.) } }
            replaced: replace($.a, "a", "-$-", ignore_case)
            once: replace(text($.n), "1", "", first)
            flat: flatten($.b, ".")
            followed: follow($.b ?? $.list, $.a)
            steps: { each: $.list, as: { of: 'follow(., "a.0")', made: { with: { b: . }, as: 'follow(., "b.n")' } } }
            flat_lists: flatten($.list, "/", keep_lists)
            json: from_json(json($.b))
            from_json: from_json($.a)
            clean: without_nulls($.c)
            with: { with: "$.b ?? $.list", as: { it: .a, deep: .b.c, all: "." } }
            made: { with: { x: $.a, l: [$.b, $.list] }, as: { x: .x, l: ".l[0]" } }
            directives: { "@literal": { a: { "@path": $.a }, empty: {}, none: null } }
            hole: { "@literal": [ { "@path": $.b }, 1 ] }
            mapped:
              "@arrayPath": [ $.list, { it: { "@path": a }, n: { "@template": "<{{n}}>" } } ]
            tested: { "@if": { blank: { "@path": $.a }, then: { "@path": $.b }, else: 0 } }
            stages: { "@transform": { apply: { p: { "@flatten": { separator: ".", value: { "@path": b } } } }, mapping: { q: { "@excludeWhenNull": { "@path": p } } } } }
            merged: { "@merge": { direction: left, objects: [ { "@path": c }, { "@path": b }, { a: one } ] } }
            pointed: { "@path": { "@path": $.a } }
            points: { "@arrayPath": [ { "@path": { "@path": c.a } }, { it: { "@path": { "@template": "{{a}}.0" } } } ] }
            written: { "@template": "{{ a }}-{{b.c}}" }
            table: { map: $.a, to: { a: 1, '12': $.b, 'true': text($.n), "*": '"other $.n"' } }
            known: { map: settings.key, to: { group: $.c, x: 1 } }
            site: parameters.site
            choice:
              when: '$.n < 10 and not ($.a contains "x") or ($.a ?? $.n) matches "*a*b"'
              then: small
              else: { when: 'contains($.list, "a") or uuid_shaped($.a)', then: has, else: $.b }
      - profile:
          distinct_id: identifier($.userId) ?? "nobody"
          time: time($.a)
          ignore_time: $.a
          ignore_alias: $.b.a
          latitude: $.n
          longitude: $.a
          set: { "...": $.properties, a: $.b.a }
          add: { n: $.n, a: $.a }
          union: { a: $.a, list: $.list }
          unset: [gone, $.a]
      - group:
          for_each: settings.list
          group_key: settings.list
          group_id: at($.b, settings.list)
          set: { settings.list: 'list(at($.b, settings.list))' }
      - group: { group_key: settings.key, group_id: $.a, set_once: { "...": $.c } }
"#;

/// The blueprints, read once.
static DEFAULT: LazyLock<Blueprint> =
    LazyLock::new(|| Blueprint::built_in("default").expect("there").expect("right"));
static RUDDERSTACK: LazyLock<Blueprint> =
    LazyLock::new(|| Blueprint::built_in("rudderstack").expect("there").expect("right"));
static DATAFLY: LazyLock<Blueprint> =
    LazyLock::new(|| Blueprint::built_in("datafly").expect("there").expect("right"));
static WIDE_BLUEPRINT: LazyLock<Blueprint> =
    LazyLock::new(|| Blueprint::parse("wide", WIDE).expect("right"));

fn setting_values(blueprint: &Blueprint, chosen: &SettingValues) -> Vec<(Setting, Value)> {
    let value = |setting: &Setting| chosen.get(&setting.name).unwrap_or(&setting.default).clone();
    blueprint.settings().iter().map(|setting| (setting.clone(), value(setting))).collect()
}

/// Settings of the blueprint `datafly`, all switches one way or the other.
pub(super) fn datafly(mode: &str, on: bool) -> Value {
    let key = if on { "company" } else { "" };
    json!({
        "identity": mode, "retail": on, "transactions": on, "anonymous_profiles": on,
        "context": !on, "group_key": key,
    })
}

/// Settings of the blueprint `rudderstack` with lists in both forms, and every other time without.
pub(super) fn rudderstack(place: usize) -> SettingValues {
    let mode = if place.is_multiple_of(2) { "original" } else { "simplified" };
    let mut settings = json!({
        "identityMergeApi": mode, "useNewMapping": place.is_multiple_of(3),
        "groupKeySettings": [{"groupKey": "groupId"}, "company", "a"],
    });
    if place.is_multiple_of(2) {
        settings["setOnceProperties"] =
            json!([{"property": "plan"}, "address.city", "a.b", "a.b.c", "firstName"]);
        settings["unionProperties"] = json!(["name", "b.c"]);
        settings["propIncrements"] = json!([{"property": "quantity"}, "n"]);
    }
    SettingValues::from_json(&settings)
}

/// A blueprint with settings, ready for both.
pub(super) struct Compared {
    pub(super) name: String,
    plan: Plan,
    settings: Vec<(Setting, Value)>,
    written_out: Checked,
}

impl Compared {
    pub(super) fn new(blueprint: &Blueprint, chosen: &SettingValues) -> Compared {
        let settings = setting_values(blueprint, chosen);
        let written_out = written_out(&blueprint.checked, &values(&settings));
        Compared {
            name: format!("{} {chosen:?}", blueprint.name()),
            plan: Plan::compile(blueprint, chosen).expect("settings"),
            settings,
            written_out,
        }
    }

    /// What plan and oracle make of an event, in the oracle's form.
    pub(super) fn both(&self, mapper: &mut Mapper, event: EventView<'_>) -> (Outcomes, Outcomes) {
        let mut rows = Rows::default();
        let ours = match mapper.map(&self.plan, &event, &mut rows) {
            Mapped::Send => Outcomes::Rows(parsed(&rows)),
            Mapped::Filtered { reason: FilterReason::NoRule, .. } => Outcomes::Rows(Vec::new()),
            other => Outcomes::Other(other),
        };
        let oracle = Oracle {
            settings: &values(&self.settings),
            event,
            body: serde_json::from_slice(event.body).expect("a valid event"),
            checks: self.written_out.checks,
            exact: false.into(),
            refused: None.into(),
        };
        (ours, oracle.map(&self.written_out))
    }
}

fn values(settings: &[(Setting, Value)]) -> Values<'_> {
    Values {
        settings: settings.iter().map(|(one, value)| (one, value.clone())).collect(),
        parameters: vec![("site", "shop")],
    }
}

/// What plan and oracle make of an event.
pub(super) fn both(
    blueprint: &Blueprint,
    chosen: &SettingValues,
    mapper: &mut Mapper,
    event: EventView<'_>,
) -> (Outcomes, Outcomes) {
    Compared::new(blueprint, chosen).both(mapper, event)
}

fn parsed(rows: &Rows) -> Vec<OracleRow> {
    let body = |row: &Row| serde_json::from_slice(rows.body(row)).expect("a row that is no JSON");
    let row = |row: &Row| OracleRow {
        path: row.endpoint.path(),
        body: body(row),
        project: row.project,
        alone: row.alone,
        lanes: row.lanes,
    };
    rows.rows.iter().map(row).collect()
}

pub(super) fn facts(id: &str) -> Facts {
    Facts {
        message_id: id.to_owned(),
        time: UnixMillis(1_763_633_472_345),
        time_source: TimeSource::Client,
        client_ip: Some("192.0.2.7".to_owned()),
    }
}

/// Scalars as JSON text, in forms that survive a round trip through a float.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "1",
            "-3",
            "2.5",
            "1763633472",
            "\"\"",
            "\"a\"",
            "\"b\"",
            "\" \"",
            "\"12\"",
            "\"1.5\"",
            "\"null\"",
            "\"drop\"",
            "\"x\"",
            "\"aXb\"",
            "\"\\u0061\"",
            "\"https://u@h.example:80/p?q\"",
            "\"2025-11-20T10:11:12Z\"",
            "\"$device:d\"",
            "\"Mozilla/5.0 Version/17.6 Mobile/15E148 Safari/604.1\"",
            "\"d19a4a76-2ec6-440c-b50e-b574d3763384\"",
            "\"\\ud83d\\ude00\\n\\\"\"",
        ])
        .prop_map(str::to_owned),
        "[a-z äß]{0,6}".prop_map(|text| json!(text).to_string()),
        any::<i32>().prop_map(|number| number.to_string()),
    ]
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "b", "c", "n", "list", "odd key", "\\u0061", "group", "text", "time", "token",
        "$user_id", "revenue", "email", "name", "a\\\"q", "it",
    ])
}

pub(super) fn tree() -> impl Strategy<Value = String> {
    scalar().prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key(), inner), 0..4).prop_map(object),
        ]
    })
}

fn object(members: Vec<(&'static str, String)>) -> String {
    let members: Vec<String> =
        members.into_iter().map(|(key, value)| format!("\"{key}\" : {value}")).collect();
    format!("{{{}}}", members.join(" ,"))
}

/// An event with members that blueprints look at, some of them twice.
pub(super) fn event() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "userId",
        "anonymousId",
        "previousId",
        "groupId",
        "event",
        "name",
        "category",
        "properties",
        "traits",
        "context",
        "a",
        "b",
        "c",
        "n",
        "list",
        "\\u0061",
        "type",
        "messageId",
    ]);
    prop::collection::vec((name, tree()), 0..14).prop_map(object)
}

pub(super) fn kind() -> impl Strategy<Value = EventKind> {
    prop::sample::select(EventKind::ALL.to_vec())
}

proptest! {
    // More than the usual number, and as many as PROPTEST_CASES says when it says more.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(600),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn plan_and_oracle_agree_on_any_event(
        body in event(), kind in kind(), mode in 0..3_usize, flag: bool,
    ) {
        let facts = facts("m-1");
        let view =
            EventView { kind, facts: &facts, received_at: facts.time, body: body.as_bytes() };
        let mut mapper = Mapper::new();
        let mode = ["simplified", "original", "legacy"][mode];
        let chosen = SettingValues::from_json(&json!({
            "identity": mode, "transactions": flag, "traits_on_events": flag,
        }));
        let (ours, theirs) = both(&DEFAULT, &chosen, &mut mapper, view);
        prop_assert_eq!(ours, theirs, "default, {}", body);
        let (ours, theirs) =
            both(&RUDDERSTACK, &rudderstack(usize::from(flag)), &mut mapper, view);
        prop_assert_eq!(ours, theirs, "rudderstack, {}", body);
        let chosen = SettingValues::from_json(&datafly(mode, flag));
        let (ours, theirs) = both(&DATAFLY, &chosen, &mut mapper, view);
        prop_assert_eq!(ours, theirs, "datafly, {}", body);
        let chosen = SettingValues::from_json(&json!({
            "on": flag, "mode": mode, "link": if flag { "" } else { "Linked" },
        }));
        let (ours, theirs) = both(&WIDE_BLUEPRINT, &chosen, &mut mapper, view);
        prop_assert_eq!(ours, theirs, "wide, {}", body);
    }

    #[test]
    fn rows_are_json_whatever_the_event_is(
        body in odd_event(), cut in any::<prop::sample::Index>(), kind in kind(),
    ) {
        let facts = facts("an odd id \u{0} \" \\");
        let mut mapper = Mapper::new();
        let mut rows = Rows::default();
        for blueprint in [&*WIDE_BLUEPRINT, &*DEFAULT, &*RUDDERSTACK] {
            let plan = Plan::compile(blueprint, &SettingValues::default()).expect("settings");
            for body in [body.as_slice(), &body[..cut.index(body.len() + 1)]] {
                let view = EventView { kind, facts: &facts, received_at: facts.time, body };
                let _ = mapper.map(&plan, &view, &mut rows);
                parsed(&rows);
            }
        }
    }
}

/// Events with numbers out of range, halves of pairs, deep nesting, and bytes that are no JSON.
fn odd_event() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop_oneof![
        4 => tree(),
        1 => prop::sample::select(vec![
            "1e400", "-1e999", "\"\\ud800\"", "\"\\udc00x\"", "{\"\\ud800\":1,\"a\":2}",
            "[[[[[[1]]]]]]", "{\"a\":{\"a\":{\"a\":{\"a\":{\"\\udfff\":1e999}}}}}", "[1e400,{\"a\":1e400}]",
            "tru", "01", "\"\t\"", "[1,]", "{\"a\"}",
        ]).prop_map(str::to_owned),
        1 => (1..200_usize).prop_map(|depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth))),
        1 => (250..260_usize).prop_map(|count| format!("[{}0]", "0,".repeat(count - 1))),
    ];
    let name = prop::sample::select(vec![
        "userId",
        "anonymousId",
        "event",
        "properties",
        "traits",
        "context",
        "a",
        "b",
        "c",
        "list",
    ]);
    prop_oneof![
        9 => prop::collection::vec((name, odd), 0..8).prop_map(|members| object(members).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

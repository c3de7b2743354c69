use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn watch(paths: &[(&str, Reach)]) -> (Watch, Vec<PathId>) {
    let mut watch = Watch::default();
    let ids = paths.iter().map(|(path, reach)| watch.add(&Path::parse(path).unwrap(), *reach));
    let ids = ids.collect();
    (watch, ids)
}

fn texts<'a>(finds: &Finds, path: PathId, event: &'a str) -> Vec<&'a str> {
    finds.all(path).map(|found| event.get(found.value.range()).unwrap()).collect()
}

#[test]
fn values_are_found_by_path_in_one_pass() {
    let event = r#" {"traits":{"email":"a@b.c","n":[1,{"email":2},[3]]},"em\u0061il":4,"x":{}} "#;
    let table: &[(&str, Reach, &[&str])] = &[
        ("$.traits.email", Reach::Whole, &["\"a@b.c\""]),
        ("$.email", Reach::Whole, &["4"]),
        ("$..email", Reach::Whole, &["\"a@b.c\"", "2", "4"]),
        ("$.traits..email", Reach::Whole, &["\"a@b.c\"", "2"]),
        ("$.traits.n[0]", Reach::Whole, &["1"]),
        ("$.traits.n[*]", Reach::Whole, &["1", "{\"email\":2}", "[3]"]),
        ("$.traits.n", Reach::Leaves, &["1", "2", "3"]),
        ("$.*.email", Reach::Whole, &["\"a@b.c\""]),
        ("$.x", Reach::Whole, &["{}"]),
        ("$.x", Reach::Leaves, &[]),
        ("$.email", Reach::Leaves, &["4"]),
        ("$.nothing.here", Reach::Whole, &[]),
    ];
    let paths: Vec<_> = table.iter().map(|(path, reach, _)| (*path, *reach)).collect();
    let (watch, ids) = watch(&paths);
    let finds = watch.find(event.as_bytes()).unwrap();
    for ((path, reach, wanted), id) in table.iter().zip(ids) {
        assert_eq!(texts(&finds, id, event), *wanted, "{path} {reach:?}");
    }
}

#[test]
fn of_copies_of_a_key_the_last_counts_and_all_are_found() {
    let paths = [("$.context.ip", Reach::Whole), ("$.a", Reach::Whole)];
    let (watch, ids) = watch(&paths);
    let table = [
        (r#"{"context":{"ip":1,"ip":2}}"#, vec!["1", "2"], Some("2")),
        (r#"{"context":{"ip":1},"context":{"ip":2}}"#, vec!["1", "2"], Some("2")),
        (r#"{"context":{"ip":1},"context":{}}"#, vec!["1"], None),
        (r#"{"context":{"ip":1},"b":2,"context":null}"#, vec!["1"], None),
        (r#"{"context":{"ip":1},"b":{"context":null}}"#, vec!["1"], Some("1")),
        (r#"{"b":1}"#, vec![], None),
    ];
    for (event, all, last) in table {
        let finds = watch.find(event.as_bytes()).unwrap();
        assert_eq!(texts(&finds, ids[0], event), all, "{event}");
        let found = finds.last(ids[0]).map(|found| event.get(found.value.range()).unwrap());
        assert_eq!(found, last, "{event}");
    }
}

#[test]
fn commas_go_with_what_is_removed() {
    let table = [
        (r#"{"a":1}"#, &["$.a"][..], "{}"),
        (r#"{"a":1, "b":2 ,"c":3}"#, &["$.a"], r#"{ "b":2 ,"c":3}"#),
        (r#"{"a":1, "b":2 ,"c":3}"#, &["$.b"], r#"{"a":1 ,"c":3}"#),
        (r#"{"a":1, "b":2 ,"c":3}"#, &["$.c"], r#"{"a":1, "b":2 }"#),
        (r#"{"a":1,"b":2,"c":3}"#, &["$.a", "$.b"], r#"{"c":3}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &["$.b", "$.c"], r#"{"a":1}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &["$.a", "$.c", "$.b"], "{}"),
        (r#"{"a":1,"a":2,"c":3}"#, &["$.a"], r#"{"c":3}"#),
        (r#"[1,{"a":[2,3]},4]"#, &["$[0]", "$[1].a[1]"], r#"[{"a":[2]},4]"#),
        (r#"{"a":{"b":1},"c":2}"#, &["$.a", "$.a.b"], r#"{"c":2}"#),
    ];
    for (event, paths, wanted) in table {
        let paths: Vec<_> = paths.iter().map(|path| (*path, Reach::Whole)).collect();
        let (watch, _) = watch(&paths);
        let mut edits = Edits::default();
        let finds = watch.find(event.as_bytes()).unwrap();
        finds.iter().for_each(|found| edits.remove(found));
        let edited = String::from_utf8(edits.apply(event.as_bytes())).unwrap();
        assert_eq!(edited, wanted, "{event} without {paths:?}");
    }
}

#[test]
fn members_are_inserted_into_full_empty_and_emptied_objects() {
    let table = [
        ("{}", "", r#"{"n":0,"m":1}"#),
        ("{ }", "", r#"{"n":0,"m":1 }"#),
        (r#"{"a":1}"#, "", r#"{"n":0,"m":1,"a":1}"#),
        (r#"{"a":1}"#, "$.a", r#"{"n":0,"m":1}"#),
        (r#"{"a":1,"b":2}"#, "$.a", r#"{"n":0,"m":1,"b":2}"#),
        (r#"{"a":1,"b":2}"#, "$.*", r#"{"n":0,"m":1}"#),
    ];
    for (event, removed, wanted) in table {
        let mut watch = Watch::default();
        if !removed.is_empty() {
            watch.add(&Path::parse(removed).unwrap(), Reach::Whole);
        }
        let mut scanner = millrace_protocol::json::Scanner::new(event.as_bytes());
        let whole = scanner.value().unwrap();
        let mut edits = Edits::default();
        edits.insert(whole, event.as_bytes(), b"\"n\":0");
        edits.insert(whole, event.as_bytes(), b"\"m\":1");
        watch.find(event.as_bytes()).unwrap().iter().for_each(|found| edits.remove(found));
        assert_eq!(String::from_utf8(edits.apply(event.as_bytes())).unwrap(), wanted, "{event}");
    }
}

/// What the edits of the property do, done to a tree.
fn edit_tree(value: &mut Value, top: bool) {
    match value {
        Value::Object(members) => {
            members.remove("gone");
            for (name, member) in members.iter_mut() {
                if name == "other" {
                    *member = json!("x\"y");
                } else {
                    edit_tree(member, false);
                }
            }
            if top {
                let mut all = Map::new();
                all.insert("new".to_owned(), json!(1));
                all.append(members);
                *members = all;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| edit_tree(item, false)),
        _ => {}
    }
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    let name = prop_oneof![Just("gone"), Just("other"), Just("a"), Just("b\""), Just("new")];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let members = prop::collection::vec((name.clone(), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::from),
            members.prop_map(|all| {
                all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn edits_give_what_a_tree_gives(mut value in tree(), pretty in any::<bool>()) {
        let bytes = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        let bytes = bytes.unwrap();
        let (watch, ids) = watch(&[("$..gone", Reach::Whole), ("$..other", Reach::Whole)]);
        let finds = watch.find(&bytes).unwrap();
        let mut edits = Edits::default();
        for found in finds.iter() {
            if found.path == ids[0] {
                edits.remove(found);
            } else {
                edits.replace(found.value, b"\"x\\\"y\"".to_vec());
            }
        }
        let whole = millrace_protocol::json::Scanner::new(&bytes).value().unwrap();
        edits.insert(whole, &bytes, b"\"new\":1");
        let edited = edits.apply(&bytes);
        edit_tree(&mut value, true);
        let read: Result<Value, _> = serde_json::from_slice(&edited);
        prop_assert_eq!(read.ok(), Some(value), "{}", String::from_utf8_lossy(&edited));
    }

    #[test]
    fn leaves_are_all_the_leaves(value in tree()) {
        fn count(value: &Value) -> usize {
            match value {
                Value::Array(items) => items.iter().map(count).sum(),
                Value::Object(members) => members.values().map(count).sum(),
                _ => 1,
            }
        }
        let event = json!({ "a": value });
        let (watch, _) = watch(&[("$.a", Reach::Leaves)]);
        let bytes = serde_json::to_vec(&event).unwrap();
        prop_assert_eq!(watch.find(&bytes).unwrap().iter().count(), count(&event));
    }

    #[test]
    fn no_bytes_panic(bytes in "[\\{\\}\\[\\],:\"ab\\\\ 1]{0,60}") {
        let (watch, _) = watch(&[("$..a", Reach::Leaves), ("$.a.b[1]", Reach::Whole)]);
        if let Ok(finds) = watch.find(bytes.as_bytes()) {
            let mut edits = Edits::default();
            finds.iter().for_each(|found| edits.remove(found));
            let edited = edits.apply(bytes.as_bytes());
            prop_assert!(millrace_protocol::json::Scanner::new(&edited).value().is_ok());
        }
    }
}

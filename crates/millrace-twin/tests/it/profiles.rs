//! The operators and modifiers of reference/mixpanel-api.md 3.1, and the answers of 3.2.

use serde_json::{Value, json};

use crate::client::{Client, NOW};

/// The profile after some updates, without `$last_seen`; null when there is none.
fn after(updates: &[Value]) -> Value {
    let client = Client::new();
    let seen = json!([{"event":"E","properties":{"token":"T","distinct_id":"u"}}]);
    assert_eq!(client.post("/track", &seen).text(), "1");
    for update in updates {
        let mut whole = json!({"$token":"T","$distinct_id":"u"});
        for (name, value) in update.as_object().unwrap() {
            whole[name] = value.clone();
        }
        assert_eq!(client.post("/engage", &whole).text(), "1", "{update}");
    }
    let mut profile = client.profile("u");
    if let Some(members) = profile.as_object_mut() {
        members.remove("$last_seen");
    }
    profile
}

#[test]
fn operators() {
    let have = json!({"$set":{"n":1,"s":"x","l":[1,2,1],"f":1.5}});
    for (name, update, expected) in [
        (
            "set",
            json!({"$set":{"n":2,"new":null}}),
            json!({"n":2,"s":"x","l":[1,2,1],"f":1.5,"new":null}),
        ),
        (
            "set_once",
            json!({"$set_once":{"n":2,"o":3}}),
            json!({"n":1,"s":"x","l":[1,2,1],"f":1.5,"o":3}),
        ),
        (
            "add",
            json!({"$add":{"n":2,"m":-3,"f":1}}),
            json!({"n":3,"s":"x","l":[1,2,1],"f":2.5,"m":-3}),
        ),
        (
            "add to text is ignored",
            json!({"$add":{"s":1}}),
            json!({"n":1,"s":"x","l":[1,2,1],"f":1.5}),
        ),
        (
            "append",
            json!({"$append":{"l":{"a":1},"k":7}}),
            json!({"n":1,"s":"x","l":[1,2,1,{"a":1}],"f":1.5,"k":[7]}),
        ),
        (
            "append to no list",
            json!({"$append":{"n":1}}),
            json!({"n":1,"s":"x","l":[1,2,1],"f":1.5}),
        ),
        (
            "union",
            json!({"$union":{"l":[2.0,3,3],"k":[1,1]}}),
            json!({"n":1,"s":"x","l":[1,2,1,3],"f":1.5,"k":[1]}),
        ),
        (
            "remove takes all equal",
            json!({"$remove":{"l":1}}),
            json!({"n":1,"s":"x","l":[2],"f":1.5}),
        ),
        (
            "remove from no list",
            json!({"$remove":{"s":"x","q":1}}),
            json!({"n":1,"s":"x","l":[1,2,1],"f":1.5}),
        ),
        ("unset", json!({"$unset":["n","l","q"]}), json!({"s":"x","f":1.5})),
        ("delete", json!({"$delete":""}), Value::Null),
        (
            "several at once, in the stated order",
            json!({"$unset":["s"],"$append":{"z":2},"$add":{"n":1},"$set":{"n":5,"z":[1]},
                "$set_once":{"n":9},"$remove":{"l":1},"$union":{"l":[8]}}),
            json!({"n":6,"z":[1,2],"l":[2,8],"f":1.5}),
        ),
        ("set and delete", json!({"$set":{"n":2},"$delete":true}), Value::Null),
        (
            "last_seen is not set by hand",
            json!({"$set":{"$last_seen":"2001-01-01T00:00:00","n":4}}),
            json!({"n":4,"s":"x","l":[1,2,1],"f":1.5}),
        ),
    ] {
        assert_eq!(after(&[have.clone(), update]), expected, "{name}");
    }
}

#[test]
fn which_operators_make_a_profile() {
    for (update, made) in [
        (json!({"$set":{}}), true),
        (json!({"$set_once":{"a":1}}), true),
        (json!({"$add":{"a":1}}), true),
        (json!({"$append":{"a":1}}), true),
        (json!({"$union":{"a":[1]}}), true),
        (json!({"$remove":{"a":1}}), false),
        (json!({"$unset":["a"]}), false),
        (json!({"$delete":"u"}), false),
    ] {
        assert_eq!(after(std::slice::from_ref(&update)).is_object(), made, "{update}");
    }
}

#[test]
fn modifiers() {
    let client = Client::new();
    let send = |update: Value| {
        let mut update = update;
        update["$token"] = json!("T");
        assert_eq!(client.post("/engage?verbose=1", &update).json()["status"], 1);
    };
    let seen = || client.profile("u")["$last_seen"].clone();
    send(json!({"$distinct_id":"u","$time":NOW / 1000 - 3600,"$set":{"a":1},"$ip":"1.2.3.4"}));
    assert_eq!(seen(), "2026-11-22T11:00:00");
    send(json!({"$distinct_id":"u","$ignore_time":true,"$set":{"a":2}}));
    assert_eq!(seen(), "2026-11-22T11:00:00", "$ignore_time keeps it");
    send(json!({"$distinct_id":"u","$time":1.0e9,"$set":{"a":3}}));
    assert_eq!(seen(), "2026-11-22T11:00:00", "it never goes back");
    send(json!({"$distinct_id":"u","$set":{"a":4}}));
    assert_eq!(seen(), "2026-11-22T12:00:00");
    assert_eq!(client.profile("u"), json!({"a":4,"$last_seen":"2026-11-22T12:00:00"}));

    // $ignore_alias takes the id literally: the device's own hidden profile, not the user's.
    send(json!({"$distinct_id":"$device:D","$set":{"hidden":1}}));
    let link = json!([{"event":"E","properties":{"token":"T","$device_id":"D","$user_id":"u"}}]);
    client.post("/track", &link);
    send(json!({"$distinct_id":"$device:D","$ignore_alias":true,"$delete":""}));
    assert_eq!(client.profile("u")["a"], 4);
    send(json!({"$distinct_id":"$device:D","$delete":""}));
    assert_eq!(client.profile("u"), Value::Null);
}

#[test]
fn updates_of_one_request_follow_their_time() {
    let client = Client::new();
    let at = |seconds: i64, value: i64| json!({"$token":"T","$distinct_id":"u","$time":NOW / 1000 - seconds,"$set":{"v":value}});
    assert_eq!(client.post("/engage", &json!([at(10, 2), at(20, 1)])).text(), "1");
    assert_eq!(client.profile("u")["v"], 2);
}

#[test]
fn limits_of_a_profile() {
    let many: serde_json::Map<String, Value> =
        (0..250).map(|n| (format!("k{n}"), json!(n))).collect();
    let mut updates: Vec<Value> = Vec::new();
    for round in 0..9 {
        let renamed: serde_json::Map<String, Value> =
            many.iter().map(|(k, v)| (format!("{round}-{k}"), v.clone())).collect();
        updates.push(json!({"$set":renamed}));
    }
    assert_eq!(after(&updates).as_object().unwrap().len(), 2_000);
    let long = after(&[json!({"$set":{"s":"é".repeat(200), "x".repeat(300):1}})]);
    assert_eq!(long["s"].as_str().unwrap().len(), 254);
    assert_eq!(long["x".repeat(255)], 1);
}

#[test]
fn invalid_updates_say_what_is_wrong() {
    let client = Client::new();
    for (update, error) in [
        (json!({"$distinct_id":"u","$set":{}}), "$token, missing or empty"),
        (json!({"$token":"","$distinct_id":"u","$set":{}}), "$token, missing or empty"),
        (json!({"$token":"T","$set":{}}), "$distinct_id, missing or empty"),
        (json!({"$token":"T","$distinct_id":"u"}), "no operator, such as $set"),
        (json!({"$token":"T","$distinct_id":"u","$set":[]}), "$set, must be an object"),
        (
            json!({"$token":"T","$distinct_id":"u","$add":{"a":"1"}}),
            "$add, must be an object of numbers",
        ),
        (
            json!({"$token":"T","$distinct_id":"u","$unset":[1]}),
            "$unset, must be a list of property names",
        ),
        (
            json!({"$token":"T","$distinct_id":"u","$set":{"a":{"b":{"c":{"d":{"e":1}}}}}}),
            "$set, a: object is nested too deeply",
        ),
    ] {
        let answer = client.post("/engage?verbose=2", &update);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({"error":error,"status":0}), "{update}");
        assert_eq!(client.post("/engage", &update).text(), "0", "{update}");
    }
    assert_eq!(client.view("summary")["profiles"], 0);
}

#[test]
fn strict_answers_for_every_record() {
    let client = Client::new();
    let good = json!({"$token":"T","$distinct_id":"u","$set":{"a":1}});
    let answer =
        client.post("/engage?strict=1", &json!([good, {"$distinct_id":"u","$set":{}}, good]));
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({
            "code": 400, "error": "some data points in the request failed validation",
            "status": "Bad Request", "num_good_events": 2,
            "failed_records": [{"index":1,"field":"$token","message":"$token, missing or empty"}]
        })
    );
    let answer = client.post("/engage?strict=1&verbose=1", &json!([good]));
    assert_eq!(answer.json(), json!({"code":200,"num_good_events":1,"error":null,"status":1}));
}

#[test]
fn groups_take_their_operators_and_registered_keys() {
    let client = Client::new();
    let send = |key: &str, operator: Value| {
        let mut update = json!({"$token":"T","$group_key":key,"$group_id":"acme"});
        for (name, value) in operator.as_object().unwrap() {
            update[name] = value.clone();
        }
        client.post("/groups?verbose=1", &update).json()
    };
    let fine = json!({"error":null,"status":1});
    assert_eq!(send("company_id", json!({"$set":{"plan":"pro","l":[1]}})), fine);
    assert_eq!(send("company_id", json!({"$set_once":{"plan":"x","o":1}})), fine);
    assert_eq!(send("company_id", json!({"$union":{"l":[2]}})), fine);
    assert_eq!(send("company_id", json!({"$remove":{"l":1}})), fine);
    assert_eq!(send("company_id", json!({"$unset":["o"]})), fine);
    for operator in ["$add", "$append"] {
        let error = format!("{operator}, not supported for groups");
        assert_eq!(
            send("company_id", json!({operator:{"a":1}})),
            json!({"error":error,"status":0})
        );
    }
    assert_eq!(
        client.view("groups/company_id/acme")["profile"],
        json!({"plan":"pro","l":[2],"$last_seen":"2026-11-22T12:00:00"})
    );
    assert_eq!(client.view("summary")["groups"], 1);
    // A key that is not registered is accepted and leads nowhere, which only the notes tell.
    assert_eq!(send("team", json!({"$set":{"a":1}})), fine);
    assert_eq!(client.view("summary")["groups"], 1);
    assert_eq!(
        client.view("refusals?limit=1")["refusals"][0]["reason"],
        "group key team is not registered in the project"
    );
    assert_eq!(send("company_id", json!({"$delete":""})), fine);
    assert_eq!(client.view("summary")["groups"], 0);
}

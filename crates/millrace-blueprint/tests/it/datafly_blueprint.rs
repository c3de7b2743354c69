//! What the `datafly` blueprint and its variants make of events: Datafly's own tables, the three
//! vocabularies of commerce events, and golden rows for each call.

use millrace_blueprint::Blueprint;
use serde_json::{Value, json};

use crate::Mapping;

const VARIANTS: [&str; 3] = ["datafly", "datafly-retail", "datafly-classic"];

fn mapped(name: &str, settings: &Value, event: &Value) -> Value {
    let blueprint = Blueprint::built_in(name).expect("there").expect("right");
    Mapping::new(&blueprint, settings).outcome(&event.to_string())
}

fn track(name: &str, properties: &Value) -> Value {
    json!({"type": "track", "event": name, "userId": "u", "properties": properties})
}

/// The properties of the first row, without ids, time and insert id.
fn properties(name: &str, event: &Value) -> Value {
    let rows = mapped(name, &json!({"context": false}), event);
    let mut properties = rows[0]["body"]["properties"].clone();
    let members = properties.as_object_mut().unwrap_or_else(|| panic!("no event in {rows}"));
    for own in ["time", "distinct_id", "$insert_id", "$user_id", "$device_id"] {
        members.remove(own);
    }
    properties
}

/// A meaning of Datafly's vocabulary table: what Mixpanel calls it, and the forms it comes in.
fn vocabulary() -> Vec<(&'static str, Vec<(&'static str, Value)>)> {
    let flat =
        json!({"product_id": "p1", "name": "Cup", "category": "Home", "brand": "B", "price": 9.5});
    let ga4 = json!({"items": [
        {"item_id": "p1", "item_name": "Cup", "item_category": "Home", "item_brand": "B", "price": 9.5}]});
    let products =
        json!([{"product_id": "p1", "name": "Cup", "price": 9.5}, {"id": "p2", "variant": "red"}]);
    let items = json!([{"item_id": "p1", "item_name": "Cup", "price": 9.5},
        {"item_id": "p2", "item_variant": "red"}]);
    let of = |more: Value, name: &str, list: &Value| {
        let mut more = more;
        more[name] = list.clone();
        more
    };
    let one = |title, snake, google| {
        (title, vec![(title, flat.clone()), (snake, flat.clone()), (google, ga4.clone())])
    };
    let cart = |title, snake, google| {
        let money = json!({"value": 12.5, "currency": "EUR"});
        let own = of(money.clone(), "products", &products);
        let ours = of(money, "items", &items);
        (title, vec![(title, own.clone()), (snake, own), (google, ours)])
    };
    let promotion = |title, snake, google| {
        let own = json!({"promotion_id": "x", "name": "Sale", "creative": "top", "position": "1"});
        let ours = json!({"promotion_id": "x", "promotion_name": "Sale", "creative_name": "top",
            "creative_slot": "1"});
        (title, vec![(title, own.clone()), (snake, own), (google, ours)])
    };
    let list = json!({"list_id": "l1"});
    let search = json!({"query": "cup"});
    vec![
        one("Product Viewed", "product_viewed", "view_item"),
        (
            "Product List Viewed",
            vec![
                ("Product List Viewed", of(list.clone(), "products", &products)),
                ("product_list_viewed", of(list, "products", &products)),
                ("view_item_list", of(json!({"item_list_id": "l1"}), "items", &items)),
            ],
        ),
        (
            "Products Searched",
            vec![
                ("Products Searched", search.clone()),
                ("products_searched", search.clone()),
                ("product_searched", search),
                ("search", json!({"search_term": "cup"})),
            ],
        ),
        one("Product Added", "product_added", "add_to_cart"),
        one("Product Removed", "product_removed", "remove_from_cart"),
        cart("Cart Viewed", "cart_viewed", "view_cart"),
        cart("Checkout Started", "checkout_started", "begin_checkout"),
        cart("Payment Info Entered", "payment_info_entered", "add_payment_info"),
        cart("Shipping Info Entered", "shipping_info_entered", "add_shipping_info"),
        (
            "Order Completed",
            vec![
                (
                    "Order Completed",
                    json!({"order_id": "o1", "total": 19.5, "currency": "EUR",
                        "products": products}),
                ),
                (
                    "Order Completed",
                    json!({"orderId": "o1", "revenue": "19.5", "currency": "EUR",
                        "products": products}),
                ),
                (
                    "order_completed",
                    json!({"order_id": "o1", "revenue": 19.5, "currency": "EUR",
                        "products": products}),
                ),
                (
                    "purchase",
                    json!({"transaction_id": "o1", "value": 19.5, "currency": "EUR",
                        "items": items}),
                ),
            ],
        ),
        (
            "Order Refunded",
            vec![
                ("Order Refunded", json!({"order_id": "o1", "total": 19.5, "products": products})),
                (
                    "order_refunded",
                    json!({"order_id": "o1", "revenue": -19.5, "products": products}),
                ),
                ("refund", json!({"transaction_id": "o1", "value": 19.5, "items": items})),
            ],
        ),
        promotion("Promotion Viewed", "promotion_viewed", "view_promotion"),
        promotion("Promotion Clicked", "promotion_clicked", "select_promotion"),
    ]
}

#[test]
fn all_vocabularies_give_the_same_rows() {
    for variant in VARIANTS {
        let blueprint = Blueprint::built_in(variant).expect("there").expect("right");
        let mut mapping = Mapping::new(&blueprint, &json!({}));
        for (title, forms) in vocabulary() {
            let mut first: Option<Value> = None;
            for (name, properties) in forms {
                let rows = mapping.outcome(&track(name, &properties).to_string());
                assert_eq!(rows[0]["body"]["event"], json!(title), "{variant}: {name}: {rows}");
                let first = first.get_or_insert_with(|| rows.clone());
                assert_eq!(rows, *first, "{variant}: {name}");
            }
        }
    }
}

#[test]
fn every_row_of_the_event_table_of_the_page_is_mapped() {
    let Some(tables) = crate::mapping_tables() else { return };
    let systems = tables["systems"].as_array().expect("systems");
    let page = systems.iter().find(|one| one["system"] == "datafly").expect("datafly");
    let mut seen = 0;
    for row in page["event_mapping"].as_array().expect("rows") {
        let (from, to) = (row["from"].as_str().expect("from"), row["to"].as_str().expect("to"));
        let event = match from {
            "page" => json!({"type": "page", "userId": "u"}),
            "*" => track("Anything at all", &json!({})),
            name => track(name, &json!({})),
        };
        let wanted = if to == "same name" { "Anything at all" } else { to };
        for variant in VARIANTS {
            let rows = mapped(variant, &json!({}), &event);
            assert_eq!(rows[0]["body"]["event"], json!(wanted), "{variant}: {from}");
        }
        seen += 1;
    }
    for row in page["revenue"]["mapping"].as_array().expect("rows") {
        for from in row["from"].as_array().expect("from") {
            let order = match from.as_str().expect("a name") {
                "products[].product_id" => json!({"products": [{"product_id": 7}]}),
                name => json!({ name: 7 }),
            };
            let found = properties("datafly", &track("Order Completed", &order));
            let to = row["to"].as_str().expect("to");
            let wanted = if to == "Product ID" { json!([7]) } else { json!(7) };
            assert_eq!(found[to], wanted, "{from}");
            seen += 1;
        }
    }
    assert!(seen >= 13, "{seen}");
}

#[test]
fn pages_checkouts_and_searches_have_the_names_of_the_page() {
    let page = json!({"type": "page", "userId": "u", "name": "Home",
        "properties": {"url": "https://a.example/x", "title": "Hi", "path": "/x"},
        "context": {"page": {"url": "https://b.example/", "referrer": "https://c.example/y"}}});
    assert_eq!(
        properties("datafly", &page),
        json!({"name": "Home", "path": "/x", "Page URL": "https://a.example/x",
            "Page Title": "Hi", "Referrer": "https://c.example/y",
            "$current_url": "https://a.example/x", "$referrer": "https://c.example/y",
            "$referring_domain": "c.example"})
    );
    let checkout = json!({"value": "12.50", "currency": "EUR", "step": 1,
        "products": [{"id": "p1", "name": "Cup", "sku": "s"}]});
    assert_eq!(
        properties("datafly", &track("Checkout Started", &checkout)),
        json!({"Cart Value": 12.50, "$currency": "EUR", "step": 1,
            "Items": [{"product_id": "p1", "name": "Cup", "sku": "s"}]})
    );
    let search = json!({"query": "cup", "results": 3});
    assert_eq!(
        properties("datafly", &track("Products Searched", &search)),
        json!({"Search Query": "cup", "results": 3})
    );
}

#[test]
fn an_order_is_revenue() {
    let order = json!({"order_id": "o1", "total": 25, "revenue": "20", "currency": "EUR",
        "tax": 5, "products": [{"product_id": "p1"}, {"product_id": "p2"}]});
    let event = json!({"type": "track", "event": "Order Completed", "userId": "u",
        "anonymousId": "d", "properties": order});
    let rows = mapped("datafly", &json!({}), &event);
    assert_eq!(
        rows,
        json!([
            {"path": "/import", "body": {"event": "Order Completed", "properties": {
                "time": 1_763_633_472_345_i64, "distinct_id": "u", "$insert_id": "m-1",
                "$device_id": "d", "$user_id": "u",
                "tax": 5, "Order ID": "o1", "$currency": "EUR", "Product ID": ["p1", "p2"],
                "products": [{"product_id": "p1"}, {"product_id": "p2"}],
                "$amount": 25, "revenue": "20"}}},
            {"path": "/engage", "body": {"$distinct_id": "u", "$append": {"$transactions":
                {"$time": "2025-11-20T10:11:12", "$amount": 25}}}}
        ])
    );
    let without = mapped("datafly", &json!({"transactions": false}), &event);
    assert_eq!(without.as_array().map(Vec::len), Some(1), "{without}");
}

#[test]
fn an_order_without_an_amount_says_so() {
    for properties_sent in [json!({}), json!({"total": "a lot"}), json!({"revenue": null})] {
        let event = track("Order Completed", &properties_sent);
        assert_eq!(properties("datafly", &event)["Amount Missing"], json!(true));
        let rows = mapped("datafly", &json!({}), &event);
        assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    }
    let event = track("Order Completed", &json!({"total": 0}));
    let found = properties("datafly", &event);
    assert_eq!((&found["$amount"], &found["Amount Missing"]), (&json!(0), &Value::Null));
}

#[test]
fn a_refund_is_negative_whatever_its_sign() {
    for (sent, wanted) in [
        (json!({"total": 5}), json!(-5)),
        (json!({"total": "5.50"}), json!(-5.50)),
        (json!({"revenue": -5}), json!(-5)),
        (json!({"refund_amount": 2, "total": 5}), json!(-2)),
        (json!({}), Value::Null),
    ] {
        let rows = mapped("datafly-retail", &json!({}), &track("Order Refunded", &sent));
        assert_eq!(rows[0]["body"]["properties"]["$amount"], wanted, "{sent}");
        let transaction = rows.as_array().and_then(|rows| {
            rows.iter().find_map(|row| row.pointer("/body/$append/$transactions/$amount"))
        });
        assert_eq!(transaction.cloned().unwrap_or_default(), wanted, "{sent}");
        let lifetime = rows.as_array().and_then(|rows| {
            rows.iter().find_map(|row| row.pointer("/body/$add/Lifetime Revenue"))
        });
        assert_eq!(lifetime.cloned().unwrap_or_default(), wanted, "{sent}");
    }
}

#[test]
fn amounts_that_lose_keep_their_own_names() {
    let amounts = json!({"value": "abc", "total": 5, "revenue": 7});
    for (name, wanted) in [
        ("begin_checkout", json!({"Cart Value": 5, "value": "abc", "revenue": 7})),
        ("Order Completed", json!({"$amount": 5, "value": "abc", "revenue": 7})),
        ("refund", json!({"$amount": -5, "value": "abc", "revenue": 7})),
    ] {
        let rows = mapped("datafly", &json!({}), &track(name, &amounts));
        let sent = &rows[0]["body"]["properties"];
        for (name, value) in wanted.as_object().expect("an object") {
            assert_eq!(sent[name], *value, "{name}: {sent}");
        }
        assert_eq!(sent["total"], Value::Null, "{sent}");
    }
}

#[test]
fn retail_flattens_products_and_keeps_the_customer() {
    let order = json!({"order_id": "o1", "total": 30, "currency": "EUR", "products": [
        {"product_id": "p1", "name": "Cup", "category": "Home", "brand": "B", "price": 10},
        {"product_id": "p2", "name": "Tea", "category": "Food", "quantity": 2, "price": 10}]});
    let rows = mapped("datafly-retail", &json!({}), &track("Order Completed", &order));
    let event = &rows[0]["body"]["properties"];
    assert_eq!(event["Product ID"], json!(["p1", "p2"]));
    assert_eq!(event["Product Names"], json!(["Cup", "Tea"]));
    assert_eq!(event["Categories"], json!(["Home", "Food"]));
    assert_eq!(event["Brands"], json!(["B"]));
    assert_eq!(event["Item Count"], json!(2));
    assert_eq!(event["products"].as_array().map(Vec::len), Some(2));
    let updates: Vec<Value> = rows.as_array().expect("rows")[1..]
        .iter()
        .map(|row| {
            let mut body = row["body"].clone();
            body.as_object_mut().expect("an update").remove("$distinct_id");
            body
        })
        .collect();
    let at = "2025-11-20T10:11:12";
    assert_eq!(
        json!(updates),
        json!([
            {"$set_once": {"First Order Date": at}},
            {"$set": {"Last Order Date": at}},
            {"$add": {"Lifetime Revenue": 30, "Order Count": 1}},
            {"$append": {"$transactions": {"$time": at, "$amount": 30}}},
            {"$union": {"Categories Bought": ["Home", "Food"]}}
        ])
    );
    let viewed = json!({"product_id": "p1", "name": "Cup", "category": "Home"});
    assert_eq!(
        properties("datafly-retail", &track("product_clicked", &viewed)),
        json!({"product_id": "p1", "name": "Cup", "category": "Home", "Product ID": ["p1"],
            "Product Names": ["Cup"], "Categories": ["Home"], "Item Count": 1})
    );
}

#[test]
fn names_beyond_the_table_are_custom_events_unless_retail_knows_them() {
    let rows = [
        ("select_item", "select_item", "Product Clicked"),
        ("coupon_applied", "coupon_applied", "Coupon Applied"),
        ("checkout_step_viewed", "checkout_step_viewed", "Checkout Step Viewed"),
        ("my_own_event", "my_own_event", "my_own_event"),
        ("Coupon Applied", "Coupon Applied", "Coupon Applied"),
    ];
    for (sent, plain, retail) in rows {
        let event = track(sent, &json!({"a": 1}));
        for (variant, wanted) in [("datafly", plain), ("datafly-retail", retail)] {
            let rows = mapped(variant, &json!({}), &event);
            assert_eq!(rows[0]["body"]["event"], json!(wanted), "{variant}");
            assert_eq!(rows[0]["body"]["properties"]["a"], json!(1), "{variant}");
        }
    }
}

#[test]
fn identify_joins_by_the_mode_and_sets_the_profile() {
    let event = json!({"type": "identify", "userId": "u", "anonymousId": "d", "traits": {
        "email": "a@b.example", "firstName": "Ada", "last_name": "L", "phone": "+1", "plan": "pro",
        "address": {"city": "Bonn", "state": "NW", "country": "DE"}, "avatar": "https://x/",
        "created_at": "2020-01-02T03:04:05Z"}});
    let profile = json!({"path": "/engage", "body": {"$distinct_id": "u", "$set": {
        "plan": "pro", "$email": "a@b.example", "$phone": "+1", "$avatar": "https://x/",
        "$first_name": "Ada", "$last_name": "L", "$name": "Ada L", "$city": "Bonn",
        "$region": "NW", "$country_code": "DE", "$created": "2020-01-02T03:04:05"}}});
    let rows = mapped("datafly", &json!({}), &event);
    assert_eq!(rows[0]["body"]["event"], json!("Identity Linked"));
    assert_eq!(rows[0]["body"]["properties"]["$device_id"], json!("d"));
    assert_eq!(rows[0]["body"]["properties"]["$user_id"], json!("u"));
    assert_eq!(rows[1], profile);
    let rows = mapped("datafly-classic", &json!({}), &event);
    let join = &rows[0]["body"];
    assert_eq!(join["event"], json!("$identify"));
    assert_eq!(join["properties"]["$identified_id"], json!("u"));
    assert_eq!(join["properties"]["$anon_id"], json!("d"));
    assert_eq!(rows[1], profile);
    let rows = mapped("datafly", &json!({"identity": "legacy"}), &event);
    assert_eq!(rows, json!([profile]));
}

#[test]
fn anonymous_users_have_a_profile_where_it_is_wanted() {
    let event = json!({"type": "page", "anonymousId": "d",
        "context": {"page": {"referrer": "https://a.example/x"}, "campaign": {"source": "s"}}});
    let rows = mapped("datafly", &json!({}), &event);
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    let rows = mapped("datafly-classic", &json!({}), &event);
    assert_eq!(rows[1]["body"]["properties"]["distinct_id"], json!("d"));
    assert_eq!(
        rows[0]["body"],
        json!({"$distinct_id": "d", "$set_once": {"First Seen": "2025-11-20T10:11:12",
            "$initial_referrer": "https://a.example/x",
            "$initial_referring_domain": "a.example", "initial_utm_source": "s"}})
    );
    let rows = mapped("datafly", &json!({"anonymous_profiles": true}), &event);
    assert_eq!(rows[0]["body"]["$distinct_id"], json!("$device:d"));
    // Somebody known gets none of it.
    let event = json!({"type": "page", "userId": "u", "anonymousId": "d"});
    let rows = mapped("datafly-classic", &json!({}), &event);
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    let ids = &rows[0]["body"]["properties"];
    assert_eq!((&ids["distinct_id"], &ids["$user_id"]), (&json!("u"), &json!("u")));
}

#[test]
fn both_spellings_of_ids_are_read() {
    for event in [
        json!({"type": "track", "event": "E", "userId": "u", "anonymousId": "d"}),
        json!({"type": "track", "event": "E", "user_id": "u", "anonymous_id": "d"}),
        json!({"type": "track", "event": "E", "userId": "", "user_id": "u",
            "context": {"anonymous_id": "d"}}),
    ] {
        let rows = mapped("datafly", &json!({}), &event);
        let found = &rows[0]["body"]["properties"];
        assert_eq!(found["distinct_id"], json!("u"), "{event}");
        assert_eq!(found["$user_id"], json!("u"), "{event}");
        assert_eq!(found["$device_id"], json!("d"), "{event}");
    }
}

#[test]
fn groups_are_off_until_a_key_is_set() {
    let event = json!({"type": "group", "userId": "u", "groupId": "acme",
        "traits": {"name": "Acme", "size": 3}});
    assert_eq!(mapped("datafly", &json!({}), &event), json!({"filtered": "drop_rule"}));
    let settings = json!({"group_key": "company"});
    assert_eq!(
        mapped("datafly", &settings, &event),
        json!([
            {"path": "/groups", "body": {"$group_key": "company", "$group_id": "acme",
                "$set": {"size": 3, "$name": "Acme"}}},
            {"path": "/engage", "body": {"$distinct_id": "u", "$union": {"company": ["acme"]}}}
        ])
    );
    let event = json!({"type": "group", "userId": "u"});
    assert_eq!(mapped("datafly", &settings, &event), json!({"set_aside": "MR1106"}));
}

/// Whether there is an event among the rows.
fn sent(rows: &Value) -> bool {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().any(|row| row["body"]["event"].is_string())
}

#[test]
fn odd_events_are_mapped_or_set_aside() {
    for variant in VARIANTS {
        let blueprint = Blueprint::built_in(variant).expect("there").expect("right");
        let mut mapping = Mapping::new(&blueprint, &json!({}));
        for odd in [
            json!(null),
            json!(""),
            json!([]),
            json!([1, null]),
            json!({}),
            json!(7),
            json!({"products": "none", "total": {}, "order_id": []}),
            json!({"products": [1, null, {"product_id": {}}], "items": {}}),
            json!({"products": {"product_id": "p"}, "currency": null}),
        ] {
            for name in ["Order Completed", "refund", "begin_checkout", "view_item", "search", "X"]
            {
                for ids in [json!("u"), json!(""), json!(null), json!([])] {
                    let event = json!({"type": "track", "event": name, "userId": ids,
                        "anonymousId": "d", "properties": odd});
                    let rows = mapping.outcome(&event.to_string());
                    assert!(sent(&rows), "{variant} {event}: {rows}");
                    let event = json!({"type": "track", "event": name, "userId": ids,
                        "properties": odd});
                    let rows = mapping.outcome(&event.to_string());
                    let sent = sent(&rows);
                    assert_eq!(sent, ids == json!("u"), "{variant} {event}: {rows}");
                    let reasons = [json!("MR2002"), json!("MR1104")];
                    assert!(sent || reasons.contains(&rows["set_aside"]), "{event}: {rows}");
                }
            }
        }
    }
}

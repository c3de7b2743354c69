//! The ways into a pipeline beside its write keys.

use super::*;

/// The minimal file with more sections of its pipeline.
fn with_sections(sections: &str) -> String {
    changed("[[integrations]]", &format!("{sections}\n[[integrations]]"))
}

#[test]
fn the_other_ways_into_a_pipeline_are_read() {
    let text = with_sections(
        r#"
[pipelines.datafly]
strict = true
require_signature = true
hmac_secrets = [{ env = "ONE" }, { env = "TWO" }]

[pipelines.cookie]
age = "30d"
domain = ".shop.example"
device_name = "_dfdid"

[pipelines.syft]
path = "/api/syft"

[[pipelines.webhooks]]
id = "wh_stripe"
type = "stripe"
secret = { env = "STRIPE" }
mappings = { userId = "$.data.object.customer", "properties.system" = "stripe" }

[[pipelines.webhooks]]
id = "wh_hub"
type = "hubspot"
secret = { env = "HUB" }
public_url = "https://collect.shop.example/"

[[pipelines.webhooks]]
id = "wh_own"
type = "custom"
signature = "shared_secret"
secret = { env = "OWN" }
header = "X-Own"
event_type_path = "$.kind"
"#,
    );
    let (config, warnings) = parse(&text).unwrap();
    assert_eq!(warnings, []);
    let door = &config.pipelines[0].door;
    assert!(door.datafly.strict && door.datafly.require_signature);
    assert_eq!(door.datafly.hmac_secrets[1].expose(), "value-of-TWO");
    let cookie = door.cookie.as_ref().unwrap();
    assert_eq!((cookie.name.as_str(), cookie.age.as_secs()), ("_dfid", 30 * 86_400));
    assert_eq!(cookie.domain.as_deref(), Some("shop.example"));
    assert_eq!(cookie.device_name.as_deref(), Some("_dfdid"));
    assert_eq!(door.syft_path.as_deref(), Some("/api/syft"));
    let proofs: Vec<String> =
        door.webhooks.iter().map(|webhook| format!("{:?}", webhook.proof)).collect();
    assert_eq!(proofs[0], "Stripe(Secret(****))");
    assert!(proofs[1].contains("public_url: \"https://collect.shop.example\""), "{proofs:?}");
    assert!(proofs[2].contains("header: \"x-own\""), "{proofs:?}");
}

#[test]
fn mistakes_of_the_other_ways_are_told_with_their_line() {
    let webhook = |rest: &str| format!("[[pipelines.webhooks]]\nid = \"w\"\n{rest}\n");
    let stripe = "type = \"stripe\"\nsecret = { env = \"S\" }";
    let table = [
        ("[pipelines.datafly]\nstrict = 1\n".to_owned(), "10:10: MR5004"),
        ("[pipelines.datafly]\nstrickt = true\n".to_owned(), "did you mean `strict`?"),
        (
            "[pipelines.datafly]\nrequire_signature = true\n".to_owned(),
            "needs a secret, or nothing could be sent",
        ),
        ("[pipelines.cookie]\nname = \"a b\"\n".to_owned(), "must be 1 to 64 letters"),
        ("[pipelines.cookie]\ndomain = \"https://a.b\"\n".to_owned(), "must be a domain"),
        ("[pipelines.cookie]\nage = \"1s\"\n".to_owned(), "must be 1m to"),
        ("[pipelines.cookie]\ndevice_name = \"_dfid\"\n".to_owned(), "must differ from `name`"),
        ("[pipelines.syft]\n".to_owned(), "`pipelines.syft` needs `path`"),
        ("[pipelines.syft]\npath = \"api\"\n".to_owned(), "must be a path such as /api/syft"),
        ("[pipelines.syft]\npath = \"/v1/x\"\n".to_owned(), "where another protocol has its paths"),
        (webhook("type = \"github\""), "must be stripe, shopify, hubspot or custom"),
        (webhook("type = \"stripe\""), "the webhook needs `secret`"),
        (webhook("type = \"hubspot\"\nsecret = { env = \"S\" }"), "needs `public_url`"),
        (webhook(&format!("{stripe}\nheader = \"X\"")), "is only for webhooks of the type custom"),
        (webhook("type = \"custom\"\nsecret = { env = \"S\" }"), "needs `event_type_path`"),
        (
            webhook(&format!("{stripe}\nevent_type_path = \"type\"")),
            "13:19: MR5004 `pipelines.webhooks.event_type_path` is wrong: a path begins with $",
        ),
        (
            webhook(&format!("{stripe}\n[pipelines.webhooks.mappings]\nuser = \"$.a\"")),
            "14:1: MR5004",
        ),
        (
            webhook(&format!("{stripe}\n[pipelines.webhooks.mappings]\nuserId = \"$.a[*]\"")),
            "name many values",
        ),
        (format!("{}{}", webhook(stripe), webhook(stripe)), "the id of the webhook is used twice"),
    ];
    for (sections, wanted) in table {
        let found = mistakes(&with_sections(&sections)).join("\n");
        assert!(found.contains(wanted), "{sections}\n{found}");
    }
    let open = webhook("type = \"custom\"\nsignature = \"none\"\nevent_type_path = \"$.a\"");
    let (_, warnings) = parse(&with_sections(&open)).unwrap();
    assert!(warnings[0].message.contains("anybody sends who knows its id"), "{warnings:?}");
}

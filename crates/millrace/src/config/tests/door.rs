//! What the door of a pipeline is told.

use millrace_http::KeyState;
use millrace_model::time::UnixMillis;

use super::*;

#[test]
fn write_keys_have_names_and_states() {
    let keys = "[{ env = \"KEY\" }, { key = \"a\", name = \"old\", revoked = true }, \
                { key = { env = \"TOKEN\" }, until = \"2026-12-01T00:00:00Z\" }, \
                { key = \"b\", until = 2026-12-01T01:00:00+01:00 }, { key = \"c\", revoked = false }]";
    let (config, _) = parse(&changed("[{ env = \"KEY\" }]", keys)).unwrap();
    let end = KeyState::Until(UnixMillis::parse("2026-12-01").unwrap());
    let read: Vec<_> = config.pipelines[0]
        .door
        .write_keys
        .iter()
        .map(|key| (key.key.expose(), key.name.as_deref(), key.state))
        .collect();
    assert_eq!(
        read,
        [
            ("value-of-KEY", None, KeyState::Active),
            ("a", Some("old"), KeyState::Revoked),
            ("value-of-TOKEN", None, end),
            ("b", None, end),
            ("c", None, KeyState::Active),
        ]
    );
}

#[test]
fn wrong_doors_are_told_with_their_place() {
    for (keys, words) in [
        ("[{ key = \"a\", revoked = \"yes\" }]", "must be true or false"),
        ("[{ name = \"x\" }]", "MR5005 `pipelines.write_keys` needs `key`"),
        ("[{ key = \"a\", until = \"soon\" }]", "must be a moment with its zone"),
        ("[{ key = \"a\", until = \"2026-12-01\" }]", "must be a moment with its zone"),
        ("[{ key = \"a\", until = \"2026-12-01T00:00:00\" }]", "must be a moment with its zone"),
        ("[{ key = \"a\", until = 2026-12-01 }]", "must be a moment with its zone"),
        ("[{ key = \"a\", until = 5 }]", "must be a moment with its zone"),
        ("[{ key = \"a\", revoked = true, until = \"2026-12-01T00:00Z\" }]", "revoked already"),
        ("[{ key = \"a\", unti = \"2026-12-01T00:00Z\" }]", "did you mean `until`"),
        ("[{ key = \"a\" }, \"a\"]", "MR5006 the write key is used twice"),
        ("[{ key = \"a:b\" }]", "must have no `:`"),
    ] {
        let found = mistakes(&changed("[{ env = \"KEY\" }]", keys));
        assert_eq!(found.len(), 1, "{keys}: {found:#?}");
        assert!(found[0].contains(words) && found[0].contains("millrace.toml:"), "{found:#?}");
    }
}

//! `[pipelines.adobe]` and `[server.tls]`.

use millrace_http::KeyState;
use rcgen::generate_simple_self_signed;

use super::*;

const ADOBE: &str = r#"
[pipelines.adobe]
datastreams = ["shop-prod", { id = "shop-2024", name = "old site", revoked = true }]
disabled_datastreams = ["shop-old"]
organisation = "0123@AdobeOrg"
tokens = [{ env = "EDGE_TOKEN" }]
require_token = true
base_path = "/shop/edge/"
keep_decisioning = true
"#;

fn with(table: &str) -> String {
    let key = "write_keys = [{ env = \"KEY\" }]\n";
    changed(key, &format!("{key}{table}"))
}

#[test]
fn adobes_table_is_read() {
    let (config, warnings) = parse(&with(ADOBE)).unwrap();
    assert_eq!(warnings, []);
    let adobe = &config.pipelines[0].door.adobe;
    let streams: Vec<_> = adobe
        .datastreams
        .iter()
        .map(|stream| (stream.key.expose(), stream.name.as_deref(), stream.state))
        .collect();
    assert_eq!(
        streams,
        [("shop-prod", None, KeyState::Active), ("shop-2024", Some("old site"), KeyState::Revoked)]
    );
    assert_eq!(adobe.disabled_datastreams, ["shop-old"]);
    assert_eq!(adobe.organisation.as_deref(), Some("0123@AdobeOrg"));
    assert_eq!(adobe.tokens[0].expose(), "value-of-EDGE_TOKEN");
    assert_eq!(adobe.base_path.as_deref(), Some("shop/edge"));
    assert!(adobe.keep_decisioning && adobe.require_token);
    let (_, warnings) = parse(&with("[pipelines.adobe]\ndatastreams = [\"d\"]\n")).unwrap();
    assert!(warnings[0].message.contains("organisation"), "{warnings:?}");
}

#[test]
fn mistakes_in_adobes_table_are_told_with_their_place() {
    for (line, wanted) in [
        ("datastreams = [\"a\", \"a\"]", "MR5006"),
        ("datastreams = [\"a\"]\ndisabled_datastreams = [\"a\"]", "MR5006"),
        ("datastreams = [\"a b\"]", "must be a datastream id"),
        ("datastreams = [\"\"]", "must be a datastream id"),
        ("datastreams = [{ id = \"a\", until = \"tomorrow\" }]", "with its zone"),
        ("datastreams = [{ id = \"a\", revoke = true }]", "did you mean `revoked`?"),
        ("datastreams = [\"a\", { id = \"a\", revoked = true }]", "MR5006"),
        ("disabled_datastreams = [{ id = \"a\", revoked = true }]", "must be a text"),
        ("datastreams = \"a\"", "must be a list"),
        ("organisation = \"a;b\"", "must be an organisation id"),
        ("base_path = \"/\"", "must be a path"),
        ("base_path = \"a//b\"", "must be a path"),
        ("base_path = \"{x}\"", "must be a path"),
        ("tokens = []", "is empty"),
        ("keep_decisioning = 1", "true or false"),
        ("require_token = true", "needs `tokens`"),
        ("require_token = \"yes\"", "true or false"),
        ("organization = \"a\"", "did you mean `organisation`?"),
    ] {
        let found = mistakes(&with(&format!("[pipelines.adobe]\n{line}\n")));
        assert!(found.len() == 1 && found[0].contains(wanted), "{line}: {found:?}");
    }
    let second = "\n[[pipelines]]\nid = \"app\"\nwrite_keys = [\"k\"]\n[pipelines.adobe]\ndatastreams = [\"shop-old\"]\n";
    let found = mistakes(&format!("{}{second}", with(ADOBE)));
    assert!(found.len() == 1 && found[0].contains("MR5006"), "{found:?}");
}

#[test]
fn certificates_are_read_when_the_configuration_is() {
    let folder = tempfile::tempdir().unwrap();
    let pair = || generate_simple_self_signed(vec!["collect.example".to_owned()]).unwrap();
    let (own, other) = (pair(), pair());
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("cert.pem"), own.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), own.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("other.pem"), other.signing_key.serialize_pem()).unwrap();
    let text = |cert: &str, key: &str| {
        let tls = format!(
            "[server.tls]\nlisten = \"0.0.0.0:443\"\ncert = \"{}\"\nkey = \"{}\"\n\n[[pipelines]]",
            path(cert),
            path(key)
        );
        changed("[[pipelines]]", &tls)
    };
    let tls = parse(&text("cert.pem", "key.pem")).unwrap().0.server.tls.unwrap();
    assert_eq!(tls.listen.to_string(), "0.0.0.0:443");
    assert!(matches!(tls.source, CertificateSource::Files { .. }));
    for (cert, key, place) in [
        ("cert.pem", "other.pem", "`server.tls.cert`"),
        ("key.pem", "key.pem", "`server.tls.cert`"),
        ("cert.pem", "cert.pem", "`server.tls.key`"),
        ("missing.pem", "key.pem", "`server.tls.cert`"),
    ] {
        let found = mistakes(&text(cert, key));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("MR5119") && found[0].contains(place), "{found:?}");
    }
    let found = mistakes(&changed("[[pipelines]]", "[server.tls]\n\n[[pipelines]]"));
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn the_dev_configuration_has_a_datastream_and_tls_on_loopback() {
    let address = |text: &str| text.parse().unwrap();
    let dev = || Config::dev(address("127.0.0.1:1"), address("127.0.0.1:2"), "d".into()).unwrap();
    let config = dev();
    let adobe = &config.pipelines[0].door.adobe;
    assert_eq!(
        (adobe.datastreams[0].key.expose(), adobe.organisation.as_deref()),
        ("dev", Some("dev@AdobeOrg"))
    );
    assert_eq!(config.server.tls, None);
    assert!(config.with_dev_tls(address("[::1]:8443")).unwrap().server.tls.is_some());
    assert_eq!(dev().with_dev_tls(address("0.0.0.0:8443")).unwrap_err().len(), 1);
}

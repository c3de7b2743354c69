//! The words of each system, what is refused, and what is left.

use serde_json::json;

use super::*;
use crate::mixpanel::Credentials;

fn take(settings: Value) -> (Result<ConnectionSettings, Vec<SettingNote>>, Map<String, Value>) {
    let Value::Object(mut settings) = settings else { panic!("an object") };
    let taken = ConnectionSettings::take(&mut settings, false);
    (taken, settings)
}

/// Region, credentials and strictness of the options, and the settings that are warned about.
fn come_to(settings: &Value) -> (String, String, bool, Vec<&'static str>) {
    let taken =
        take(settings.clone()).0.unwrap_or_else(|mistakes| panic!("{settings}: {mistakes:?}"));
    let region = taken.region_warning();
    let warned = taken.warnings.iter().chain(&region).map(|warning| warning.setting).collect();
    let options = taken.options().unwrap();
    let credentials = match options.credentials() {
        Credentials::Token => "token".to_owned(),
        Credentials::ApiSecret(secret) => secret.expose().to_owned(),
        Credentials::ServiceAccount { user, project_id, .. } => format!("{user}@{project_id}"),
    };
    (options.region().to_string(), credentials, options.strict(), warned)
}

#[test]
fn every_system_is_understood_in_its_own_words() {
    let account =
        json!({"serviceAccountUserName": "svc", "serviceAccountSecret": "sec", "projectId": 42});
    let with = |more: Value| {
        let mut all = account.as_object().unwrap().clone();
        all.extend(more.as_object().unwrap().clone());
        Value::Object(all)
    };
    let none: &[&str] = &[];
    let rows: &[(Value, &str, &str, bool, &[&str])] = &[
        (
            json!({"projectToken": "t", "apiRegion": "EU 🇪🇺", "strictMode": "1"}),
            "eu",
            "token",
            true,
            none,
        ),
        (json!({"projectToken": "t", "apiRegion": "IN 🇮🇳"}), "in", "token", true, none),
        (
            json!({"projectToken": "t", "apiSecret": "s", "apiRegion": "US 🇺🇸"}),
            "us",
            "s",
            true,
            &["apiSecret"],
        ),
        (
            json!({"projectToken": "t", "apiSecret": "", "apiRegion": "US 🇺🇸"}),
            "us",
            "token",
            true,
            none,
        ),
        (json!({"projectToken": "t"}), "us", "token", true, &["projectToken"]),
        (
            json!({"projectToken": "t", "apiRegion": "US 🇺🇸", "strictMode": "0"}),
            "us",
            "token",
            false,
            &["strictMode"],
        ),
        (
            json!({"token": "t", "dataResidency": "eu", "strictMode": true}),
            "eu",
            "token",
            true,
            none,
        ),
        (
            json!({"token": "t", "dataResidency": "us", "strictMode": false}),
            "us",
            "token",
            false,
            &["strictMode"],
        ),
        (json!({"token": "t", "dataResidency": "au"}), "us", "token", true, &["dataResidency"]),
        (
            json!({"token": "t", "dataResidency": "in", "apiSecret": "s", "apiKey": "k"}),
            "in",
            "token",
            true,
            &["apiSecret"],
        ),
        (
            with(json!({"token": "t", "dataResidency": "us"})),
            "us",
            "token",
            true,
            &["serviceAccountUserName"],
        ),
        (with(json!({"dataResidency": "us"})), "us", "svc@42", true, &["serviceAccountUserName"]),
        (json!({"token": "t", "dataResidency": "us", "projectId": "7"}), "us", "token", true, none),
        (
            json!({"project_token": "t", "api_secret": "s", "eu_data_residency": true}),
            "eu",
            "s",
            true,
            &["api_secret"],
        ),
        (json!({"project_token": "t", "eu_data_residency": false}), "us", "token", true, none),
        (json!({"token": "t", "region": "eu"}), "eu", "token", true, none),
        (
            json!({"token": "t", "url": "https://mp.example"}),
            "https://mp.example",
            "token",
            true,
            none,
        ),
    ];
    for (settings, region, credentials, strict, warned) in rows {
        let wanted = ((*region).to_owned(), (*credentials).to_owned(), *strict, warned.to_vec());
        assert_eq!(come_to(settings), wanted, "{settings}");
    }
}

#[test]
fn what_cannot_be_used_is_told_without_secrets() {
    let rows: &[(Value, &str)] = &[
        (json!({"projectToken": "hush", "token": "hush"}), "token"),
        (json!({"projectToken": ["hush"]}), "projectToken"),
        (json!({"projectToken": "hush", "apiRegion": "Mars"}), "apiRegion"),
        (json!({"token": "hush", "region": "mars"}), "region"),
        (json!({"token": "hush", "url": "http://10.0.0.7"}), "url"),
        (json!({"token": "hush", "region": "eu", "url": "https://mp.example"}), "url"),
        (json!({"project_token": "hush", "eu_data_residency": "maybe"}), "eu_data_residency"),
        (json!({"token": "hush", "dataResidency": "eu", "strictMode": "yes"}), "strictMode"),
        (json!({"serviceAccountUserName": "svc", "projectId": "1"}), "serviceAccountUserName"),
        (json!({"projectToken": "hush", "apiSecret": {"a": "hush"}}), "apiSecret"),
    ];
    for (settings, setting) in rows {
        let mistakes = take(settings.clone()).0.expect_err(&settings.to_string());
        assert_eq!(
            mistakes.iter().map(|m| m.setting).collect::<Vec<_>>(),
            [*setting],
            "{settings}"
        );
        assert!(mistakes.iter().all(|m| !m.message.contains("hush")), "{mistakes:?}");
    }
}

#[test]
fn the_rest_is_the_blueprints() {
    let (taken, rest) = take(json!({"projectToken": "t", "apiRegion": "EU 🇪🇺", "apiKey": "k",
        "sourceName": "web", "strictMode": null, "generatePurchaseEventPerProduct": true}));
    assert!(taken.is_ok());
    assert_eq!(rest.keys().collect::<Vec<_>>(), ["generatePurchaseEventPerProduct", "sourceName"]);
    let (nothing, _) = take(json!({}));
    let nothing = nothing.unwrap();
    assert!(nothing.warnings.is_empty() && nothing.token.is_none());
    assert_eq!(nothing.region_warning(), None);
    assert_eq!(nothing.options().err(), Some(OptionsError::Token));
    assert!(is_vendor_setting("apiKey") && !is_vendor_setting("region"));
    assert!(SECRET_SETTINGS.iter().all(|name| is_vendor_setting(name)));
}

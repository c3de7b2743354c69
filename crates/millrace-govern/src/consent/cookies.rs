//! Consent in the cookies of a request, as consent platforms keep it there.
//!
//! | platform | cookie | form |
//! | --- | --- | --- |
//! | OneTrust | `OptanonConsent` | form fields; `groups=C0001:1,C0002:0` |
//! | Cookiebot | `CookieConsent` | names and true or false in braces; `-1` where no consent is asked for |
//! | Didomi | `didomi_token` | JSON in base64; purposes enabled and disabled |
//! | Osano | `osano_consentmanager` | JSON, plain or in base64; ACCEPT and DENY |
//! | IAB TCF | `euconsent-v2` | a consent string |
//! | any other | as configured | [`CookieFormat`] |
//!
//! A cookie that is there and cannot be read says nothing, and the trace tells so.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::evidence::Statement;
use super::tcf::{self, TcfMeaning};
use super::values;

/// Longer cookies are not read; browsers keep none above 4 KiB.
const COOKIE_BYTES: usize = 8 << 10;

/// The form of a cookie of the customer's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieFormat {
    /// A JSON object of codes and answers, or a list of what is granted.
    Json,
    /// Codes, each with `:` or `=` and an answer or just granted, between commas.
    Comma,
    /// The same between semicolons.
    Semicolon,
    /// Form fields, `code=answer&code=answer`.
    Form,
}

/// A cookie of the customer's own that holds consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomCookie {
    /// Its name.
    pub name: String,
    /// Its form.
    pub format: CookieFormat,
    /// The members of a JSON cookie under which the codes stand, from the outside in.
    pub field: Vec<String>,
    /// The answers that mean granted, all others denied; without any, the usual words.
    pub granted: Vec<String>,
}

/// What every cookie says that may know something, the customer's own first.
#[must_use]
pub(super) fn read(
    header: &str,
    custom: &[CustomCookie],
    meaning: &TcfMeaning,
) -> Vec<(&'static str, Statement)> {
    let mut statements = Vec::new();
    for cookie in custom {
        if let Some(value) = value_of(header, &cookie.name) {
            statements.push(("cookie of the pipeline", own(value, cookie)));
        }
    }
    type Read = fn(&str, &TcfMeaning) -> Statement;
    let platforms: [(&'static str, &'static str, Read); 5] = [
        ("OptanonConsent", "cookie OptanonConsent", |value, _| onetrust(value)),
        ("CookieConsent", "cookie CookieConsent", |value, _| cookiebot(value)),
        ("didomi_token", "cookie didomi_token", |value, _| didomi(value)),
        ("osano_consentmanager", "cookie osano_consentmanager", |value, _| osano(value)),
        ("euconsent-v2", "cookie euconsent-v2", tcf::statement),
    ];
    for (name, source, read) in platforms {
        if custom.iter().all(|cookie| cookie.name != name)
            && let Some(value) = value_of(header, name)
        {
            statements.push((source, read(value, meaning)));
        }
    }
    statements
}

/// The value of a cookie, without quotes; none when it is not there or too long.
fn value_of<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = header.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
    let value = value.trim().trim_matches('"');
    (!value.is_empty() && value.len() <= COOKIE_BYTES).then_some(value)
}

fn unescaped(value: &str) -> Cow<'_, str> {
    percent_decode_str(value).decode_utf8_lossy()
}

/// `OptanonConsent`: the member `groups` of form fields, each value escaped once; some sites escape
/// the whole once more.
fn onetrust(value: &str) -> Statement {
    let mut statement = Statement::default();
    let whole = unescaped(value);
    let groups = |text: &str| {
        let mut fields = text.split('&').filter_map(|field| field.split_once('='));
        let (_, groups) = fields.find(|(name, _)| *name == "groups")?;
        Some(unescaped(groups).into_owned())
    };
    match groups(value).or_else(|| groups(&whole)) {
        Some(groups) => pairs(&groups, ',', &[], &mut statement),
        None => statement.unreadable(),
    }
    statement
}

/// `CookieConsent`: `{stamp:'..',necessary:true,preferences:false,statistics:false,marketing:false}`.
fn cookiebot(value: &str) -> Statement {
    const NAMES: [&str; 4] = ["necessary", "preferences", "statistics", "marketing"];
    let mut statement = Statement::default();
    let text = unescaped(value);
    // Cookiebot's word for a visitor of a region where no consent is needed: all is accepted.
    if text.trim() == "-1" {
        NAMES.iter().for_each(|name| statement.say(name, true));
        return statement;
    }
    let Some(inner) = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        statement.unreadable();
        return statement;
    };
    for (name, answer) in inner.split(',').filter_map(|pair| pair.split_once(':')) {
        let name = name.trim().trim_matches(['"', '\'']);
        if NAMES.contains(&name) {
            statement.say_in_words(name, answer.trim().trim_matches(['"', '\'']));
        }
    }
    statement
}

/// `didomi_token`: `{"purposes":{"enabled":[..],"disabled":[..]},"vendors":{..}}`.
fn didomi(value: &str) -> Statement {
    let mut statement = Statement::default();
    let Some(token) = json_of(&unescaped(value)) else {
        statement.unreadable();
        return statement;
    };
    for (member, granted) in [("enabled", true), ("disabled", false)] {
        if let Some(list) = token.get("purposes").and_then(|purposes| purposes.get(member)) {
            values::list(list, granted, &mut statement);
        }
    }
    statement
}

/// `osano_consentmanager`: `{"ESSENTIAL":"ACCEPT","MARKETING":"DENY",..}`. `OPT_OUT` is the other way
/// round: who accepts it objects to being sold.
fn osano(value: &str) -> Statement {
    let mut statement = Statement::default();
    let Some(Value::Object(categories)) = json_of(&unescaped(value)) else {
        statement.unreadable();
        return statement;
    };
    for (name, answer) in &categories {
        let Some(answer) = answer.as_str() else { continue };
        if name.eq_ignore_ascii_case("opt_out") {
            if super::evidence::granted(answer) == Some(true) {
                statement.say("marketing", false);
            }
        } else {
            statement.say_in_words(name, answer);
        }
    }
    statement
}

fn own(value: &str, cookie: &CustomCookie) -> Statement {
    let mut statement = Statement::default();
    let text = unescaped(value);
    match cookie.format {
        CookieFormat::Json => {
            let found = json_of(&text);
            let mut inner = found.as_ref();
            for name in &cookie.field {
                inner = inner.and_then(|value| value.get(name));
            }
            match inner {
                Some(value) => values::map_or_list(value, &cookie.granted, &mut statement),
                None => statement.unreadable(),
            }
        }
        CookieFormat::Comma => pairs(&text, ',', &cookie.granted, &mut statement),
        CookieFormat::Semicolon => pairs(&text, ';', &cookie.granted, &mut statement),
        CookieFormat::Form => {
            for (code, answer) in value.split('&').filter_map(|field| field.split_once('=')) {
                let (code, answer) = (unescaped(code), unescaped(answer));
                values::answer(&code, &answer, &cookie.granted, &mut statement);
            }
        }
    }
    statement
}

/// `code:answer` or `code=answer` or just a code that is granted, between separators.
fn pairs(text: &str, between: char, granted: &[String], statement: &mut Statement) {
    for pair in text.split(between).map(str::trim).filter(|pair| !pair.is_empty()) {
        match pair.rsplit_once([':', '=']) {
            Some((code, answer)) => values::answer(code, answer, granted, statement),
            None => statement.say(pair, true),
        }
    }
}

/// JSON as it stands, or in base64 of either alphabet, padded or not.
fn json_of(text: &str) -> Option<Value> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let text = text.trim();
    if text.starts_with(['{', '[']) {
        return serde_json::from_str(text).ok();
    }
    let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let octets = GeneralPurpose::new(alphabet, LENIENT).decode(text).ok()?;
    serde_json::from_slice(&octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::evidence::Evidence;
    use crate::consent::tcf::tests::encode;
    use crate::consent::vocabulary::Vocabulary;
    use proptest::prelude::*;

    fn said(header: &str, custom: &[CustomCookie]) -> (Vec<(String, bool)>, String) {
        let vocabulary = Vocabulary::default();
        let mut evidence = Evidence::default();
        for (source, statement) in read(header, custom, &TcfMeaning::default()) {
            evidence.take(source, statement, &vocabulary);
        }
        let canonical = evidence.canonical().iter();
        let canonical =
            canonical.map(|(category, granted)| (category.as_str().to_owned(), *granted));
        (canonical.collect(), evidence.describe())
    }

    fn wanted(list: &[(&str, bool)]) -> Vec<(String, bool)> {
        list.iter().map(|(name, granted)| ((*name).to_owned(), *granted)).collect()
    }

    /// Row C-01: one cookie of each platform as browsers send them.
    #[test]
    fn the_cookies_of_platforms_are_read() {
        let didomi =
            |json: &str| base64::engine::general_purpose::STANDARD.encode(json).replace('=', "%3D");
        let token = r#"{"user_id":"17e0","created":"2026-01-02T03:04:05.678Z","updated":"2026-01-02T03:04:05.678Z","vendors":{"enabled":["google"]},"purposes":{"enabled":["cookies","measure_content_performance","market_research","improve_products"],"disabled":["select_personalized_ads"]},"version":2,"ac":"AAAA.AAAA"}"#;
        let tcf = encode(&[1, 8, 9], &[]);
        for (cookie, categories) in [
            (
                "OptanonConsent=isGpcEnabled=0&datestamp=Mon+Jan+05+2026+10%3A11%3A12+GMT%2B0100&version=202405.1.0&isIABGlobal=false&consentId=3f1c&interactionCount=1&landingPath=NotLandingPage&groups=C0001%3A1%2CC0002%3A1%2CC0003%3A0%2CC0004%3A0&geolocation=DE%3BBE&AwaitingReconsent=false".to_owned(),
                wanted(&[("essential", true), ("functional", false), ("analytics", true), ("marketing", false), ("personalization", false)]),
            ),
            (
                "OptanonConsent=isIABGlobal%3Dfalse%26groups%3DC0001%253A1%252CC0002%253A0".to_owned(),
                wanted(&[("essential", true), ("analytics", false)]),
            ),
            (
                "CookieConsent={stamp:%27Xq3+bQ==%27%2Cnecessary:true%2Cpreferences:false%2Cstatistics:true%2Cmarketing:false%2Cmethod:%27explicit%27%2Cver:1%2Cutc:1767603072000%2Cregion:%27de%27}".to_owned(),
                wanted(&[("essential", true), ("functional", false), ("analytics", true), ("marketing", false), ("personalization", false)]),
            ),
            (
                "CookieConsent=-1".to_owned(),
                wanted(&[("essential", true), ("functional", true), ("analytics", true), ("marketing", true), ("personalization", true)]),
            ),
            (
                format!("didomi_token={}", didomi(token)),
                wanted(&[("functional", true), ("analytics", true), ("marketing", false)]),
            ),
            (
                "osano_consentmanager=%7B%22ESSENTIAL%22%3A%22ACCEPT%22%2C%22STORAGE%22%3A%22ACCEPT%22%2C%22MARKETING%22%3A%22DENY%22%2C%22PERSONALIZATION%22%3A%22DENY%22%2C%22ANALYTICS%22%3A%22ACCEPT%22%2C%22OPT_OUT%22%3A%22DENY%22%7D".to_owned(),
                wanted(&[("essential", true), ("functional", true), ("analytics", true), ("marketing", false), ("personalization", false)]),
            ),
            (
                "osano_consentmanager=%7B%22MARKETING%22%3A%22ACCEPT%22%2C%22OPT_OUT%22%3A%22ACCEPT%22%7D".to_owned(),
                wanted(&[("marketing", false)]),
            ),
            (
                format!("euconsent-v2={tcf}.YAAAAAAAAAAA"),
                wanted(&[("functional", true), ("analytics", true), ("marketing", false), ("personalization", false)]),
            ),
        ] {
            let among = format!("_ga=GA1.1.2.3; {cookie}; theme=dark");
            assert_eq!(said(&among, &[]).0, categories, "{cookie}");
        }
    }

    #[test]
    fn a_cookie_that_cannot_be_read_says_nothing_and_is_told() {
        for cookie in [
            "OptanonConsent=version=1",
            "CookieConsent=0",
            "didomi_token=%%%",
            "osano_consentmanager=4Fj_encrypted",
            "euconsent-v2=CO",
        ] {
            let (categories, told) = said(cookie, &[]);
            assert_eq!(categories, [], "{cookie}");
            assert!(told.ends_with("1 unreadable"), "{told}");
        }
        assert_eq!(said("a=b; broken; =; ;", &[]), (Vec::new(), String::new()));
        assert_eq!(said("CookieConsent=", &[]).1, "");
    }

    #[test]
    fn cookies_of_the_customers_own_are_read_as_configured() {
        let cookie = |format, field: &[&str], granted: &[&str]| CustomCookie {
            name: "prefs".to_owned(),
            format,
            field: field.iter().map(|name| (*name).to_owned()).collect(),
            granted: granted.iter().map(|word| (*word).to_owned()).collect(),
        };
        let both = wanted(&[("analytics", true), ("marketing", false)]);
        for (value, custom) in [
            ("%7B%22analytics%22%3Atrue%2C%22ads%22%3A0%7D", cookie(CookieFormat::Json, &[], &[])),
            (
                "%7B%22a%22%3A%7B%22b%22%3A%7B%22analytics%22%3A%22ja%22%2C%22ads%22%3A%22nein%22%7D%7D%7D",
                cookie(CookieFormat::Json, &["a", "b"], &["ja"]),
            ),
            ("analytics:1,ads:0", cookie(CookieFormat::Comma, &[], &[])),
            ("analytics%3Dyes%3Bads%3Dno", cookie(CookieFormat::Semicolon, &[], &[])),
            ("analytics=2&ads=1", cookie(CookieFormat::Form, &[], &["2"])),
        ] {
            assert_eq!(said(&format!("prefs={value}"), &[custom]).0, both, "{value}");
        }
        let list = cookie(CookieFormat::Comma, &[], &[]);
        assert_eq!(
            said("prefs=analytics, ads", &[list]).0,
            wanted(&[("analytics", true), ("marketing", true)])
        );
        let list = cookie(CookieFormat::Json, &[], &[]);
        assert_eq!(said("prefs=%5B%22analytics%22%5D", &[list]).0, wanted(&[("analytics", true)]));
    }

    proptest! {
        #[test]
        fn no_header_panics_and_what_it_says_is_bounded(
            name in "OptanonConsent|CookieConsent|didomi_token|osano_consentmanager|euconsent-v2|own",
            value in "\\PC{0,400}|[A-Za-z0-9%=&:,._-]{0,400}",
        ) {
            for format in [CookieFormat::Json, CookieFormat::Comma, CookieFormat::Semicolon, CookieFormat::Form] {
                let custom = CustomCookie { name: "own".to_owned(), format, field: vec!["a".to_owned()], granted: Vec::new() };
                let (_, told) = said(&format!("{name}={value}"), &[custom]);
                prop_assert!(told.len() < 600);
            }
        }
    }
}

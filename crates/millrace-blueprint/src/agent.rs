//! The browser that a user agent names: its name and version, in the words of Mixpanel's own
//! libraries where they have one.
//!
//! Nearly every browser says that it is several others as well, so the most particular token comes
//! first in the table, and Safari, which everybody claims to be, last. Pure; the mapper keeps the
//! answers (`run::call`), since a few user agents make up nearly all events.

pub(crate) mod segment;

/// A token of a user agent and the browser that it stands for.
struct Token {
    /// How its part of the user agent begins; the version follows.
    begin: &'static str,
    name: &'static str,
}

const fn token(begin: &'static str, name: &'static str) -> Token {
    Token { begin, name }
}

/// From the most particular to those that others claim to be.
const TOKENS: [Token; 26] = [
    token("OPiOS/", "Opera Mini"),
    token("Opera Mini/", "Opera Mini"),
    token("OPR/", "Opera"),
    token("EdgiOS/", "Edge"),
    token("EdgA/", "Edge"),
    token("Edg/", "Edge"),
    token("Edge/", "Edge"),
    token("SamsungBrowser/", "Samsung Internet"),
    token("UCBrowser/", "UCBrowser"),
    token("YaBrowser/", "Yandex"),
    token("Vivaldi/", "Vivaldi"),
    token("Whale/", "Whale"),
    token("DuckDuckGo/", "DuckDuckGo"),
    token("Silk/", "Silk"),
    token("MiuiBrowser/", "MIUI Browser"),
    token("HuaweiBrowser/", "Huawei Browser"),
    token("GSA/", "GSA"),
    token("FBAV/", "Facebook"),
    token("Instagram ", "Instagram"),
    token("HeadlessChrome/", "Chrome Headless"),
    token("CriOS/", "Chrome"),
    token("FxiOS/", "Firefox"),
    token("Chromium/", "Chromium"),
    token("Chrome/", "Chrome"),
    token("Firefox/", "Firefox"),
    token("MSIE ", "IE"),
];

/// The name and the version of the browser; none for what is no browser.
pub(crate) fn browser(agent: &str) -> Option<(&'static str, Option<&str>)> {
    if agent.contains("; wv)")
        && let Some(version) = version_after(agent, "Chrome/")
        && !["FBAV/", "Instagram ", "GSA/"].iter().any(|begin| agent.contains(begin))
    {
        return Some(("Chrome WebView", Some(version)));
    }
    for token in &TOKENS {
        if agent.contains(token.begin) {
            return Some((token.name, version_after(agent, token.begin)));
        }
    }
    if agent.contains("Trident/") {
        return Some(("IE", version_after(agent, "rv:")));
    }
    if let Some(version) = version_after(agent, "Version/") {
        if agent.contains("Android") {
            return Some(("Android Browser", Some(version)));
        }
        if agent.contains("Safari/") {
            let name = if agent.contains("Mobile") { "Mobile Safari" } else { "Safari" };
            return Some((name, Some(version)));
        }
        if agent.starts_with("Opera/") {
            return Some(("Opera", Some(version)));
        }
    }
    agent.starts_with("Opera/").then(|| ("Opera", version_after(agent, "Opera/")))
}

/// The digits and dots behind a token.
fn version_after<'a>(agent: &'a str, begin: &str) -> Option<&'a str> {
    let (_, rest) = agent.split_once(begin)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest.get(..end).filter(|version| !version.is_empty())
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn the_most_particular_name_wins() {
        let table = [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.6723.58 Safari/537.36",
                Some(("Chrome", Some("130.0.6723.58"))),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.2849.46",
                Some(("Edge", Some("130.0.2849.46"))),
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_1) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15",
                Some(("Safari", Some("17.1"))),
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 16_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.2 Mobile/15E148 Safari/604.1",
                Some(("Mobile Safari", Some("16.2"))),
            ),
            (
                "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko",
                Some(("IE", Some("11.0"))),
            ),
            (
                "Mozilla/5.0 (X11; rv:131.0) Gecko/20100101 Firefox/131.0",
                Some(("Firefox", Some("131.0"))),
            ),
            ("Shop/7.3 CFNetwork/1496 Darwin/23.5.0", None),
            ("curl/8.5.0", None),
            ("", None),
        ];
        for (agent, wanted) in table {
            assert_eq!(browser(agent), wanted, "{agent}");
        }
    }
}

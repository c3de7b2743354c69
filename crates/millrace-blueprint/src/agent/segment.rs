//! The browser that Segment's Mixpanel destination reads from a user agent, for the blueprints that
//! give the same as it does (reference/segment-syft.md 4, "User agent"). [`super::browser`] knows
//! more browsers and is right more often.
//!
//! An ordered list of tests picks the name; each name has one way to find its version. A browser
//! that is not known has the empty name.

/// How many numbers of a version are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Components {
    /// All of them; a version of one number alone is none.
    All,
    /// The first two, or one alone, as Syft's older copy has it.
    Two,
}

/// A name, and the texts in front of its version.
struct Name {
    name: &'static str,
    version: &'static [&'static str],
}

const fn named(name: &'static str, version: &'static [&'static str]) -> Name {
    Name { name, version }
}

const OPERA_MINI: Name = named("Opera Mini", &[]);
const OPERA: Name = named("Opera", &["Opera/", "OPR/"]);
const BLACKBERRY: Name = named("BlackBerry", &["BlackBerry "]);
const EXPLORER_MOBILE: Name = named("Internet Explorer Mobile", &["rv:"]);
const SAMSUNG: Name = named("Samsung Internet", &["SamsungBrowser/"]);
const EDGE: Name = named("Microsoft Edge", &["Edge/", "Edg/"]);
const FACEBOOK: Name = named("Facebook Mobile", &[]);
const CHROME: Name = named("Chrome", &["Chrome/"]);
const CHROME_IOS: Name = named("Chrome iOS", &["CriOS/"]);
const UC: Name = named("UC Browser", &["UCBrowser/", "UCWEB/"]);
const FIREFOX_IOS: Name = named("Firefox iOS", &["FxiOS/"]);
const MOBILE_SAFARI: Name = named("Mobile Safari", &["Version/"]);
const SAFARI: Name = named("Safari", &["Version/"]);
// Small letters, as the peer has it: no user agent writes them, so that there is never a version.
const ANDROID: Name = named("Android Mobile", &["android "]);
const KONQUEROR: Name = named("Konqueror", &["Konqueror:"]);
const FIREFOX: Name = named("Firefox", &["Firefox/"]);
const EXPLORER: Name = named("Internet Explorer", &["rv:", "MSIE "]);
const MOZILLA: Name = named("Mozilla", &["rv:"]);
const UNKNOWN: Name = named("", &[]);

/// The tests in their order: the first of which one text is found picks the name.
const TESTS: [(&[&str], Name); 15] = [
    (&["IEMobile", "WPDesktop"], EXPLORER_MOBILE),
    (&["SamsungBrowser/"], SAMSUNG),
    (&["Edge", "Edg/"], EDGE),
    (&["FBIOS"], FACEBOOK),
    (&["Chrome"], CHROME),
    (&["CriOS"], CHROME_IOS),
    (&["UCWEB", "UCBrowser"], UC),
    (&["FxiOS"], FIREFOX_IOS),
    (&["Safari"], SAFARI),
    (&["Android"], ANDROID),
    (&["Konqueror"], KONQUEROR),
    (&["Firefox"], FIREFOX),
    (&["MSIE", "Trident/"], EXPLORER),
    (&["Gecko"], MOZILLA),
    (&[""], UNKNOWN),
];

/// Found in letters of either case.
const BLACKBERRIES: [&str; 3] = ["BlackBerry", "PlayBook", "BB10"];

fn name_of(agent: &str) -> &'static Name {
    if agent.contains(" OPR/") {
        return if agent.contains("Mini") { &OPERA_MINI } else { &OPERA };
    }
    let in_any_case = |part: &&str| {
        let mut windows = agent.as_bytes().windows(part.len());
        windows.any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
    };
    if BLACKBERRIES.iter().any(in_any_case) {
        return &BLACKBERRY;
    }
    let found = TESTS.iter().find(|(parts, _)| parts.iter().any(|part| agent.contains(part)));
    match found {
        Some((_, name)) if name.name == SAFARI.name && agent.contains("iPhone") => &MOBILE_SAFARI,
        Some((_, name)) => name,
        None => &UNKNOWN,
    }
}

/// The name of the browser, empty for one that is not known.
pub(crate) fn browser(agent: &str) -> &'static str {
    name_of(agent).name
}

/// The version of the browser, where one stands behind its text.
pub(crate) fn version(agent: &str, components: Components) -> Option<&str> {
    let begins = name_of(agent).version;
    (0..agent.len()).find_map(|at| {
        let rest = agent.get(at..)?;
        let rest = begins.iter().find_map(|begin| rest.strip_prefix(begin))?;
        numbers(rest, components)
    })
}

/// The numbers with dots between them that a text begins with.
fn numbers(text: &str, components: Components) -> Option<&str> {
    let digits = |from: usize| {
        let rest = text.as_bytes().get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut end = digits(0);
    let mut count = usize::from(end > 0);
    while count > 0 && text.as_bytes().get(end) == Some(&b'.') {
        let more = digits(end + 1);
        if more == 0 || (components == Components::Two && count == 2) {
            break;
        }
        end += 1 + more;
        count += 1;
    }
    let enough = match components {
        Components::All => count > 1,
        Components::Two => count > 0,
    };
    text.get(..end).filter(|_| enough)
}

#[cfg(test)]
mod tests {
    use super::{Components, browser, version};

    #[test]
    fn the_first_test_picks_the_name_and_one_text_the_version() {
        let table = [
            (
                "Mozilla/5.0 (X11) Chrome/99.1.2.3 Safari/5",
                "Chrome",
                Some("99.1.2.3"),
                Some("99.1"),
            ),
            ("Mozilla/5.0 (X11) Chrome/99 Safari/5", "Chrome", None, Some("99")),
            ("Mozilla/5.0 Chrome/9.9 Safari/5 OPR/7.1.2", "Opera", Some("7.1.2"), Some("7.1")),
            ("x Chrome/9.9 OPR/7.1 Mini", "Opera Mini", None, None),
            ("Mozilla/5.0 (PLAYBOOK) Version/7.2", "BlackBerry", None, None),
            ("BlackBerry 9.8 Chrome/1.2", "BlackBerry", Some("9.8"), Some("9.8")),
            (
                "SamsungBrowser/20.0 Chrome/106.0.1.2",
                "Samsung Internet",
                Some("20.0"),
                Some("20.0"),
            ),
            ("Chrome/64.0 Edge/17.17134", "Microsoft Edge", Some("17.17134"), Some("17.17134")),
            ("Mozilla/5.0 (iPad) Version/16.2.1 Safari/6", "Safari", Some("16.2.1"), Some("16.2")),
            (
                "Mozilla/5.0 (iPhone) Version/16.2 Safari/6",
                "Mobile Safari",
                Some("16.2"),
                Some("16.2"),
            ),
            ("Mozilla/5.0 (Android 14; rv:130.0) Firefox/130.0", "Android Mobile", None, None),
            ("x rv:11.0 Trident/7.0 MSIE 9.0", "Internet Explorer", Some("11.0"), Some("11.0")),
            ("rv:1 rv:1.9. Gecko", "Mozilla", Some("1.9"), Some("1")),
            ("Chrome/ Chrome/x Chrome/1.", "Chrome", None, Some("1")),
            ("", "", None, None),
            ("ü", "", None, None),
        ];
        for (agent, name, all, two) in table {
            assert_eq!(browser(agent), name, "{agent}");
            assert_eq!(version(agent, Components::All), all, "{agent}");
            assert_eq!(version(agent, Components::Two), two, "{agent}");
        }
    }
}

//! The user agents of programs that are known not to be a person's browser.
//!
//! They are told by whole words, because parts of words are names of phones (`Cubot`) and of
//! engines. What calls itself a bot, crawler or spider at the end of a word is one.

use std::sync::LazyLock;

use crate::document::Sieve;

/// Ends of words that say what the program is.
const ENDINGS: [&str; 4] = ["bot", "crawler", "spider", "scraper"];

/// Words that end so and are none: a maker of phones.
const NONE_THOUGH: [&str; 1] = ["cubot"];

/// Words that only such programs have, in order.
const WORDS: [&str; 84] = [
    "adsbot",
    "ahrefssiteaudit",
    "anthropic",
    "archiver",
    "barkrowler",
    "bitlybot",
    "bluecoat",
    "bots",
    "browserless",
    "browsershots",
    "bubing",
    "bytespider",
    "catchpoint",
    "ccbot",
    "censysinspect",
    "chatgpt",
    "checkly",
    "claude",
    "cocolyzebot",
    "cognitiveseo",
    "cohere",
    "contentking",
    "crawl",
    "crawling",
    "cypress",
    "datadog",
    "datadogsynthetics",
    "dataprovider",
    "dotcom",
    "dynatrace",
    "embedly",
    "expanse",
    "facebookcatalog",
    "facebookexternalhit",
    "facebookplatform",
    "feedburner",
    "feedfetcher",
    "feedly",
    "flipboardproxy",
    "freshping",
    "ghostinspector",
    "googleimageproxy",
    "googleother",
    "gtmetrix",
    "headless",
    "headlesschrome",
    "headlessshell",
    "hetrixtools",
    "httrack",
    "hubspot",
    "iframely",
    "inspectiontool",
    "jsdom",
    "lighthouse",
    "linkwalker",
    "mediapartners",
    "monitis",
    "netcraft",
    "newrelicsynthetics",
    "nutch",
    "pagespeed",
    "perplexity",
    "phantomjs",
    "pingability",
    "pingdom",
    "playwright",
    "prerender",
    "ptst",
    "puppeteer",
    "rigor",
    "scanner",
    "screaming",
    "selenium",
    "semrush",
    "site24x7",
    "sitechecker",
    "slurp",
    "splash",
    "statuscake",
    "summify",
    "virustotal",
    "webmon",
    "whatsapp",
    "zgrab",
];

/// Beginnings of the whole text: tools that speak HTTP.
const TOOLS: [&str; 20] = [
    "apache-httpclient/",
    "axios/",
    "curl/",
    "go-http-client/",
    "got (",
    "guzzlehttp/",
    "httpie/",
    "java/",
    "k6/",
    "libwww-perl/",
    "node-fetch",
    "node.js",
    "postmanruntime/",
    "python-requests/",
    "python-urllib/",
    "python/",
    "ruby",
    "scrapy/",
    "undici",
    "wget/",
];

/// The word that says that it is a bot.
pub(super) fn known_bot(agent: &str) -> Option<&'static str> {
    let start = agent.get(..24).unwrap_or(agent);
    let begins = |tool: &&&str| {
        start.get(..tool.len()).is_some_and(|start| start.eq_ignore_ascii_case(tool))
    };
    // What every browser begins with, and no tool does.
    if !start.starts_with("Mozilla/")
        && let Some(tool) = TOOLS.iter().find(begins)
    {
        return Some(tool.trim_end_matches(['/', ' ', '(']));
    }
    agent.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()).find_map(known_word)
}

/// Tells most words of real browsers from the list without a search.
static SIEVE: LazyLock<Sieve> = LazyLock::new(|| {
    let mut sieve = Sieve::default();
    WORDS.iter().for_each(|word| sieve.put(word.as_bytes()));
    sieve
});

fn known_word(word: &[u8]) -> Option<&'static str> {
    // Most words are numbers and names of two letters; the longest in the list has 19.
    if word.len() < 3 || word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut lower = [0; 32];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    let lower = std::str::from_utf8(lower).ok()?;
    // The last letters of all endings.
    if lower.ends_with(['t', 'r'])
        && let Some(ending) = ENDINGS.into_iter().find(|ending| lower.ends_with(ending))
    {
        return (!NONE_THOUGH.contains(&lower)).then_some(ending);
    }
    if !SIEVE.may_hold(Sieve::place(lower.as_bytes())) {
        return None;
    }
    let at = WORDS.binary_search(&lower).ok()?;
    WORDS.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_order() {
        assert!(WORDS.is_sorted());
        assert!(WORDS.iter().all(|word| word.len() >= 3));
        assert!(ENDINGS.iter().all(|ending| ending.ends_with(['t', 'r'])));
        assert!(!TOOLS.iter().any(|tool| tool.starts_with("mozilla")));
    }

    #[test]
    fn bots_are_known_and_people_are_not() {
        let bots = [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0) Chrome/116.0",
            "Mozilla/5.0 (compatible; Baiduspider/2.0)",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/120.0 Safari/537.36",
            "Mozilla/5.0 (Linux; Android 11) Chrome/116.0 Mobile Safari/537.36 Chrome-Lighthouse",
            "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
            "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
            "curl/8.4.0",
            "python-requests/2.31",
            "GPTBot/1.0",
            "Go-http-client/1.1",
            "SomeNewCrawler 1.0",
        ];
        for agent in bots {
            assert!(known_bot(agent).is_some(), "{agent}");
        }
        let people = [
            "Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36 Chrome/96.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 10; CUBOT) AppleWebKit/537.36 Chrome/96.0",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile Safari/604.1",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:121.0) Gecko/20100101 Firefox/121.0",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
            "Dalvik/2.1.0 (Linux; U; Android 13; Pixel 6 Build/TQ3A)",
            "okhttp/4.12.0",
            "Shop/12 CFNetwork/1410.0.3 Darwin/22.6.0",
            "\u{65e5}\u{672c} bo\u{ef}t",
            "",
        ];
        for agent in people {
            assert_eq!(known_bot(agent), None, "{agent}");
        }
    }
}

//! Parameters of addresses: `?email=..` in the address of a page, its search and its fragment.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Which parameters are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// The ones of this name, in whatever case.
    Named(String),
    /// All.
    Every,
}

impl Parameter {
    pub(super) fn is(&self, name: &str) -> bool {
        match self {
            Parameter::Named(wanted) => wanted.eq_ignore_ascii_case(name),
            Parameter::Every => true,
        }
    }
}

/// Changes the values of some parameters in one pass. `change` gets the name of each and its value:
/// none leaves it as it is, and a parameter with nothing for its value goes. None when the address
/// has no such parameter.
pub(super) fn treat(
    address: &str,
    mut change: impl FnMut(&str, &dyn Fn() -> String) -> Option<Option<String>>,
) -> Option<String> {
    if !address.contains(['?', '#', '=']) {
        return None;
    }
    let (before_fragment, fragment) = match address.split_once('#') {
        Some((before, fragment)) => (before, Some(fragment)),
        None => (address, None),
    };
    let mut changed = false;
    let (base, query) = match before_fragment.split_once('?') {
        Some((base, query)) => (base, Some(query)),
        // `a=1&b=2` alone is a query as well, when it is no address with a scheme or a path.
        None if before_fragment.contains('=') && !before_fragment.contains('/') => {
            let pairs = pairs(before_fragment, &mut change, &mut changed);
            return changed.then(|| with_fragment(pairs, fragment));
        }
        None => (before_fragment, None),
    };
    let mut treated = base.to_owned();
    if let Some(query) = query {
        let pairs = pairs(query, &mut change, &mut changed);
        if !pairs.is_empty() {
            treated.push('?');
            treated.push_str(&pairs);
        }
    }
    if let Some(fragment) = fragment {
        // Pages of one address keep a path and a query in there.
        let (path, query) = match fragment.split_once('?') {
            Some((path, query)) => (Some(path), query),
            None => (None, fragment),
        };
        let pairs = match (path, fragment.contains('=')) {
            (None, false) => fragment.to_owned(),
            _ => pairs(query, &mut change, &mut changed),
        };
        treated.push('#');
        treated.push_str(path.unwrap_or_default());
        if path.is_some() && !pairs.is_empty() {
            treated.push('?');
        }
        treated.push_str(&pairs);
    }
    changed.then_some(treated)
}

fn with_fragment(mut text: String, fragment: Option<&str>) -> String {
    if let Some(fragment) = fragment {
        text.push('#');
        text.push_str(fragment);
    }
    text
}

fn pairs(
    query: &str,
    change: &mut impl FnMut(&str, &dyn Fn() -> String) -> Option<Option<String>>,
    changed: &mut bool,
) -> String {
    let mut kept = String::with_capacity(query.len());
    // Both signs part pairs: what one server takes for a value, another takes for two.
    for pair in query.split(['&', ';']) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let treated = match pair {
            "" => None,
            _ => change(&decode(name), &|| decode(value).into_owned()),
        };
        *changed |= treated.is_some();
        if matches!(treated, Some(None)) {
            continue;
        }
        if !kept.is_empty() {
            kept.push('&');
        }
        match treated.flatten() {
            Some(value) => {
                kept.push_str(name);
                kept.push('=');
                kept.extend(utf8_percent_encode(&value, NON_ALPHANUMERIC));
            }
            None => kept.push_str(pair),
        }
    }
    kept
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_go_and_the_rest_stays() {
        let table = [
            ("https://a.example/x?email=a%40b.c&y=1", Some("https://a.example/x?y=1")),
            ("https://a.example/x?y=1&EMAIL=q#top", Some("https://a.example/x?y=1#top")),
            ("https://a.example/?email=1", Some("https://a.example/")),
            ("https://a.example/?%65mail=1&z", Some("https://a.example/?z")),
            ("https://a.example/?x=1;email=2", Some("https://a.example/?x=1")),
            ("?email=1&email=2&b=3", Some("?b=3")),
            ("email=1&b=3", Some("b=3")),
            ("https://a.example/#/in?email=1&b=2", Some("https://a.example/#/in?b=2")),
            ("https://a.example/#email=1", Some("https://a.example/#")),
            ("https://a.example/x?mail=1", None),
            ("https://a.example/email", None),
            ("", None),
        ];
        let treat =
            |address: &str, parameter: &Parameter, change: &dyn Fn(&str) -> Option<String>| {
                super::treat(address, |name, value| parameter.is(name).then(|| change(&value())))
            };
        let email = Parameter::Named("email".to_owned());
        for (address, wanted) in table {
            assert_eq!(treat(address, &email, &|_| None).as_deref(), wanted, "{address}");
        }
        let every = treat("https://a.example/x?a=1&b=2#c", &Parameter::Every, &|_| None);
        assert_eq!(every.as_deref(), Some("https://a.example/x#c"));
        let doubled = treat("/x?email=a+b", &email, &|value| Some(value.repeat(2)));
        assert_eq!(doubled.as_deref(), Some("/x?email=a%20ba%20b"));
    }
}

//! What a call of Mixpanel's says beside its records: in the query, or as further fields of the
//! form (`reference/mixpanel-api.md` 2.2).

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Longer names of a callback are no names.
const CALLBACK_LIMIT: usize = 128;

/// The options of a call. `test`, `api_key`, `_`, `project_id` and whatever else comes along change
/// nothing here. `redirect` is not followed: anybody could make links with it that lead from the
/// collector's trusted name to anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// The answer is wanted as JSON.
    pub verbose: bool,
    /// Whether the address of the request is that of the person; none when nothing was said.
    pub ip: Option<bool>,
    /// The answer is wanted as an image.
    pub img: bool,
    /// The answer is wanted as a call of this function of the page.
    pub callback: Option<String>,
    /// The answer is wanted record by record.
    pub strict: bool,
}

impl Options {
    /// What a query says.
    #[must_use]
    pub fn of_query(query: &str) -> Options {
        let mut options = Options::default();
        options.take_in(query.as_bytes());
        options
    }

    /// Takes the fields of a query or a form in, and gives the bytes of its field `data`.
    pub(super) fn take_in(&mut self, fields: &[u8]) -> Option<Vec<u8>> {
        let mut data = None;
        for field in fields.split(|byte| *byte == b'&') {
            let mut halves = field.splitn(2, |byte| *byte == b'=');
            let (name, value) = (halves.next().unwrap_or_default(), halves.next());
            let value = value.unwrap_or_default();
            match unescaped(name).as_ref() {
                b"data" if data.is_none() => data = Some(unescaped(value).into_owned()),
                b"verbose" => self.verbose |= is_on(value),
                b"ip" => self.ip = Some(is_on(value)),
                b"img" => self.img |= is_on(value),
                b"strict" => self.strict |= is_on(value),
                b"callback" => {
                    let name = String::from_utf8(unescaped(value).into_owned());
                    self.callback = name.ok().filter(|name| is_function_name(name));
                }
                _ => {}
            }
        }
        data
    }
}

/// SDKs write "0" for off, and "1", "true" or "2" for on.
fn is_on(value: &[u8]) -> bool {
    !matches!(value, b"" | b"0" | b"false" | b"False")
}

/// A name such as `mixpanel.cb[0]`: nothing that could be any other script.
fn is_function_name(name: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"_$.[]".contains(&byte);
    !name.is_empty() && name.len() <= CALLBACK_LIMIT && name.bytes().all(letters)
}

/// The bytes that a field of a form stands for.
fn unescaped(field: &[u8]) -> Cow<'_, [u8]> {
    if !field.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(field);
    }
    let spaced: Vec<u8> =
        field.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_from_the_query_and_from_the_form() {
        let mut options = Options::default();
        assert_eq!(options.take_in(b"ip=0&verbose=0&_=1795&test=1&redirect=https%3A%2F%2Fx"), None);
        assert_eq!(options, Options { ip: Some(false), ..Options::default() });
        let data = options.take_in(b"data=%7B%22a%22%3A%22b+c%22%7D&verbose=1&ip=1&strict=1&img=1");
        assert_eq!(data.as_deref(), Some(br#"{"a":"b c"}"#.as_slice()));
        let all =
            Options { verbose: true, ip: Some(true), img: true, strict: true, callback: None };
        assert_eq!(options, all);
    }

    #[test]
    fn only_the_name_of_a_function_is_called_back() {
        for (value, wanted) in [
            ("jsonp_1", Some("jsonp_1")),
            ("mixpanel.cb%5B0%5D", Some("mixpanel.cb[0]")),
            ("alert(1)//", None),
            ("a%3Cb", None),
            ("", None),
        ] {
            let mut options = Options::default();
            options.take_in(format!("callback={value}").as_bytes());
            assert_eq!(options.callback.as_deref(), wanted, "{value}");
        }
    }
}

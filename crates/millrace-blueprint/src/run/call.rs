//! What the functions do. All are pure, and total: what they cannot work with gives nothing, or
//! the value as it is where that is what a reader would expect.

use millrace_model::time::UnixMillis;

use millrace_model::code::Code;

use super::object::{Gathering, Layout, Members};
use super::value::Value;
use super::{ARENA_LIMIT, Run};
use crate::json::{careful, number, text};
use crate::plan::keys::Keys;
use crate::plan::node::{Call, Filter, Node, Object};
use crate::syntax::functions::Function;

/// Mixpanel's rule, as far as it is known: times below are seconds, others milliseconds
/// (reference/mixpanel-api.md 2.1).
const FIRST_MILLIS: f64 = 1e11;

impl<'a> Run<'a> {
    /// What a call makes of its argument, which is something.
    pub(super) fn call(&mut self, call: &'a Call, value: Value, level: u8) -> Value {
        match call.function {
            Function::Number => self.number_of(value),
            Function::Text => self.text_of(value),
            Function::Time => self.time_of(value, |at, out| {
                out.extend_from_slice(itoa::Buffer::new().format(at.0).as_bytes());
            }),
            Function::Seconds => self.time_of(value, |at, out| {
                let seconds = at.0.div_euclid(1_000);
                out.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
            }),
            Function::IsoTime => self.time_of(value, |at, out| {
                // Profile dates have no zone and no fraction (reference/mixpanel-api.md 5.2).
                let iso = at.to_string();
                text::write(iso.get(..19).unwrap_or(&iso), out);
            }),
            Function::Lower => self.change_text(value, |text| text.to_lowercase()),
            Function::Upper => self.change_text(value, |text| text.to_uppercase()),
            Function::Nonblank => self.nonblank(value),
            Function::AsSent => value,
            Function::Identifier => {
                let mut spare = String::new();
                let usable = self.identifier_text(value, &mut spare).is_some();
                if !usable {
                    self.left_out(value);
                    Value::Nothing
                } else if self.json(value).first() == Some(&b'"') {
                    value
                } else {
                    self.text_of(value)
                }
            }
            Function::WithoutPrefix => self.without_prefix(value, call),
            Function::Domain => self.domain(value),
            Function::Query => self.query(value),
            Function::Count => self.count(value, false),
            Function::Size => self.count(value, true),
            Function::Sum => self.sum(value, call),
            Function::Join => self.join(value, call),
            Function::Omit | Function::Pick => self.filtered(value, call, level),
            Function::Age => {
                let received_at = self.event.received_at.0;
                self.time_of(value, |at, out| {
                    let age = received_at.saturating_sub(at.0);
                    out.extend_from_slice(itoa::Buffer::new().format(age).as_bytes());
                })
            }
            Function::List => self.list_of(value, level),
            Function::Browser => self.browser(value, |browser| &browser.name),
            Function::BrowserVersion => self.browser(value, |browser| &browser.version),
            Function::Member => self.member(value, &call.second),
            Function::Follow => self.follow(value, &call.second, call.exact),
            Function::NeedNumbers => self.needed_numbers(value, level),
            Function::SegmentBrowser => self.browser(value, |browser| &browser.segment_name),
            Function::SegmentBrowserVersion => {
                self.browser(value, |browser| &browser.segment_version)
            }
            Function::SyftBrowserVersion => self.browser(value, |browser| &browser.syft_version),
            Function::Prefixed => self.prefixed(value, call, level),
            Function::Rename => self.renamed(value, call, level),
            Function::Fill => self
                .change_text(value, |text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
            Function::Plus => self.reckon(value, &call.second, |a, b| a + b),
            Function::Minus => self.reckon(value, &call.second, |a, b| a - b),
            Function::Negate => self.negative(value),
            // Written out before a plan is made; the conversions are nodes of their own.
            Function::At
            | Function::NeedText
            | Function::NeedNumber
            | Function::NeedInteger
            | Function::NeedSwitch
            | Function::NeedTime
            | Function::NeedObject
            | Function::NeedList => Value::Nothing,
            Function::Replace => self.replace(value, &call.words),
            Function::Flatten => self.flatten(value, &call.words, call.exact),
            Function::Json => self.encoded(value),
            Function::FromJson => self.decoded(value, call.exact),
            Function::WithoutNulls => self.without_nulls(value, call.exact),
            Function::Empties => self.by_emptiness(value, true),
            Function::WithoutEmpties => self.by_emptiness(value, false),
        }
    }

    pub(super) fn number_of(&mut self, value: Value) -> Value {
        if careful::is_number(self.json(value)) {
            return value;
        }
        let mut spare = String::new();
        let digits = self.text(value, &mut spare).map(|text| text.trim().to_owned());
        match digits {
            Some(digits) if number::is_finite_number(digits.as_bytes()) => self.make(|_, out| {
                out.extend_from_slice(digits.as_bytes());
                true
            }),
            _ => Value::Nothing,
        }
    }

    pub(super) fn text_of(&mut self, value: Value) -> Value {
        if self.json(value).first() == Some(&b'"') {
            return value;
        }
        self.make(|run, out| {
            out.push(b'"');
            let done = run.put_text(value, out);
            out.push(b'"');
            done
        })
    }

    /// A time from a number (seconds or milliseconds) or from ISO 8601 text.
    pub(super) fn time_of(
        &mut self,
        value: Value,
        write: impl Fn(UnixMillis, &mut Vec<u8>),
    ) -> Value {
        let at = match self.float(value) {
            Some(number) => {
                let millis = if number.abs() < FIRST_MILLIS { number * 1000.0 } else { number };
                // From there on floats leave out whole numbers; no time lies so far away.
                (millis.abs() < 9e15).then_some(UnixMillis(millis as i64))
            }
            None => {
                let mut spare = String::new();
                self.text(value, &mut spare).and_then(UnixMillis::parse)
            }
        };
        match at {
            Some(at) => self.make(|_, out| {
                write(at, out);
                true
            }),
            None => Value::Nothing,
        }
    }

    /// What two numbers come to; numeric text counts as a number.
    fn reckon(&mut self, first: Value, second: &'a Node, how: fn(f64, f64) -> f64) -> Value {
        let second = self.value(second, 1);
        let (Some(first), Some(second)) = (numeric(self.json(first)), numeric(self.json(second)))
        else {
            return Value::Nothing;
        };
        let result = how(first, second);
        if !result.is_finite() {
            return Value::Nothing;
        }
        self.make(|_, out| {
            number::write(result, out);
            true
        })
    }

    /// A number with the other sign, digit by digit as it was sent.
    fn negative(&mut self, value: Value) -> Value {
        let number = self.number_of(value);
        if number.is_nothing() || self.float(number) == Some(0.0) {
            return number;
        }
        self.make(|run, out| {
            match run.json(number) {
                [b'-', digits @ ..] => out.extend_from_slice(digits),
                digits => {
                    out.push(b'-');
                    out.extend_from_slice(digits);
                }
            }
            true
        })
    }

    fn change_text(&mut self, value: Value, change: impl Fn(&str) -> String) -> Value {
        self.notice_halves(value);
        let mut spare = String::new();
        match self.text(value, &mut spare).map(change) {
            Some(changed) => self.make(|_, out| {
                text::write(&changed, out);
                true
            }),
            None => value,
        }
    }

    fn without_prefix(&mut self, value: Value, call: &'a Call) -> Value {
        self.notice_halves(value);
        let prefix = self.value(&call.second, 1);
        let (mut spare, mut other) = (String::new(), String::new());
        let (Some(text), Some(prefix)) =
            (self.text(value, &mut spare), self.text(prefix, &mut other))
        else {
            return value;
        };
        match text.strip_prefix(prefix).map(str::to_owned) {
            Some(rest) => self.make(|_, out| {
                text::write(&rest, out);
                true
            }),
            None => value,
        }
    }

    /// The host of a URL, without user, port and path; nothing for what is no absolute URL.
    fn domain(&mut self, value: Value) -> Value {
        let mut spare = String::new();
        let host = self.text(value, &mut spare).and_then(|url| {
            let (scheme, rest) = url.split_once("://")?;
            let host = rest.split(['/', '?', '#']).next()?;
            let host = host.rsplit('@').next()?;
            let host = match host.strip_prefix('[') {
                Some(v6) => v6.split(']').next()?,
                None => host.split(':').next()?,
            };
            (!scheme.is_empty() && !host.is_empty()).then(|| host.to_owned())
        });
        match host {
            Some(host) => self.make(|_, out| {
                text::write(&host, out);
                true
            }),
            None => Value::Nothing,
        }
    }

    /// The number of items of a list, or, where that is asked for, of members of an object.
    fn count(&mut self, value: Value, members: bool) -> Value {
        let mut count: u64 = 0;
        match self.json(value).first() {
            Some(b'[') => self.items(value, &mut |_, _| {
                count += 1;
                true
            }),
            Some(b'{') if members => count = super::scan::members(self.json(value)),
            _ => return Value::Nothing,
        }
        self.make(|_, out| {
            out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
            true
        })
    }

    /// The member of an object whose name is the text of a value.
    fn member(&mut self, object: Value, name: &'a Node) -> Value {
        let name = self.value(name, 1);
        let mut spare = String::new();
        let mut names = Keys::default();
        let Some(name) = self.text(name, &mut spare) else { return Value::Nothing };
        let mut plain = Vec::new();
        text::write_inner(name, &mut plain);
        names.add(&plain, 0);
        let found = super::scan::member(self.json(object), &names).map(<[u8]>::to_vec);
        match found {
            Some(json) if json != b"null" => self.piece(&json),
            _ => Value::Nothing,
        }
    }

    /// The sum of the numbers of a list, or of one member of its objects. Numeric text counts;
    /// other items do not. Nothing when no item counts.
    fn sum(&mut self, value: Value, call: &Call) -> Value {
        let mut sum = None;
        self.items(value, &mut |item, _| {
            let number = if call.names.is_empty() {
                numeric(item)
            } else {
                super::scan::member(item, &call.names).and_then(numeric)
            };
            if let Some(number) = number {
                sum = Some(sum.unwrap_or(0.0) + number);
            }
            true
        });
        match sum {
            Some(sum) if sum.is_finite() => self.make(|_, out| {
                number::write(sum, out);
                true
            }),
            _ => Value::Nothing,
        }
    }

    /// The scalars of a list as one text. Nothing when there are none.
    fn join(&mut self, value: Value, call: &'a Call) -> Value {
        let separator = self.value(&call.second, 1);
        self.make(|run, out| {
            let mut first = true;
            out.push(b'"');
            run.items(value, &mut |item, _| {
                if matches!(item.first(), Some(b'{' | b'[' | b'n')) {
                    return true;
                }
                if !std::mem::take(&mut first) {
                    run.put_text(separator, out);
                }
                // A separator may come from the event, too.
                if out.len() > ARENA_LIMIT {
                    run.overflow.set(Some(Code::RowTooLarge));
                    return false;
                }
                let mut decoded = String::new();
                match item.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
                    Some(inner) => text::decode(inner, &mut decoded),
                    None => decoded.push_str(std::str::from_utf8(item).unwrap_or_default()),
                }
                text::write_inner(&decoded, out);
                true
            });
            out.push(b'"');
            !first
        })
    }

    /// `omit` and `pick` where they are not right under a spread.
    fn filtered(&mut self, value: Value, call: &'a Call, level: u8) -> Value {
        let filter: &Filter = match &call.filter {
            Some(filter) => filter,
            None => return Value::Nothing,
        };
        let object = Object::default();
        let base = self.scratch.pending.len();
        self.spread(&object, &mut Gathering::from(base), 0, value, Some(filter));
        self.make(|run, out| {
            out.push(b'{');
            let below = level.saturating_add(1);
            let layout = Layout { members: Members::Any, level: below, first: true };
            let count = run.write_members(&object, base, layout, out);
            out.push(b'}');
            run.close(count, level, out)
        })
    }
}

/// The number of a JSON number or of numeric text.
fn numeric(json: &[u8]) -> Option<f64> {
    let digits = match json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
        Some(inner) => inner.trim_ascii(),
        None => json,
    };
    number::is_finite_number(digits).then(|| number::parse(digits)).flatten()
}

//! Source paths: `properties.total`, `user_id`, `properties.products[].product_id`.
//!
//! They have no root. Ids and context are found in both spellings, snake_case as the config writes
//! them and camelCase as SDKs send them; properties and traits are read as they are written.

use millrace_model::diagnostic::nearest;

/// What a source begins with.
const ROOTS: [&str; 17] = [
    "properties",
    "traits",
    "context",
    "user_id",
    "anonymous_id",
    "group_id",
    "previous_id",
    "event",
    "name",
    "type",
    "category",
    "timestamp",
    "sent_at",
    "received_at",
    "message_id",
    "vendor_ids",
    "click_ids",
];

/// Why a path is not taken, and what to write instead.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
}

impl Mistake {
    /// Something stands behind what is whole already.
    pub(super) fn left_over(behind: &str) -> Mistake {
        mistake(format!("`{behind}` is left over"), "write '' for a quote in a text")
    }
}

pub(super) fn mistake(message: impl Into<String>, suggestion: impl Into<String>) -> Mistake {
    Mistake { message: message.into(), suggestion: Some(suggestion.into()) }
}

/// A source as expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The list that `[]` goes over.
    pub(super) list: Option<String>,
    /// The value, or that of each item.
    pub(super) value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(u32),
    Each,
}

/// Reads a source path.
pub(super) fn read(text: &str) -> Result<Source, Mistake> {
    let steps = steps(text)?;
    let Some((Step::Key(root), rest)) = steps.split_first() else {
        return Err(mistake("a source begins with a name", "write properties.x or user_id"));
    };
    if root == "event" && !rest.is_empty() {
        let short: Vec<&str> = text.splitn(2, '.').skip(1).collect();
        return Err(mistake(
            "sources of version 2 have no root `event.`",
            format!("write {}", short.concat()),
        ));
    }
    let (before, after) = match rest.iter().position(|step| *step == Step::Each) {
        Some(at) => {
            let (before, each_and_after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            (before, each_and_after.get(1..))
        }
        None => (rest, None),
    };
    let paths = from_root(root, before)?;
    let Some(after) = after else { return Ok(Source { list: None, value: paths }) };
    if after.contains(&Step::Each) {
        let message = "a source goes over one list only";
        return Err(mistake(message, "take the inner list as a whole"));
    }
    let value = if after.is_empty() { ".".to_owned() } else { written("", after) };
    if value.starts_with('[') {
        return Err(mistake(
            "behind [] comes a name of letters, digits and _",
            "write products[].product_id",
        ));
    }
    Ok(Source { list: Some(paths), value })
}

fn steps(text: &str) -> Result<Vec<Step>, Mistake> {
    if let Some(rest) = text.strip_prefix("$.") {
        return Err(mistake("a source has no root `$.`", format!("write {rest}")));
    }
    let mut steps = Vec::new();
    for part in text.split('.') {
        let (name, places) = match part.find('[') {
            Some(at) => part.split_at_checked(at).unwrap_or((part, "")),
            None => (part, ""),
        };
        let bad = |c: char| matches!(c, '"' | '\\' | ']' | '{' | '}') || c.is_control();
        if name.is_empty() || name.trim() != name || name.contains(bad) {
            return Err(mistake(
                format!("`{text}` is no path: `{part}` is no name"),
                "write names with dots between them",
            ));
        }
        steps.push(Step::Key(name.to_owned()));
        let mut places = places;
        while let Some(rest) = places.strip_prefix('[') {
            let Some((inner, behind)) = rest.split_once(']') else {
                return Err(mistake("the bracket is not closed", "write [] or [0]"));
            };
            steps.push(match inner {
                "" | "*" => Step::Each,
                digits => Step::Index(digits.parse().map_err(|_| {
                    mistake(format!("`[{inner}]` is no place in a list"), "write [] or [0]")
                })?),
            });
            places = behind;
        }
        if !places.is_empty() {
            return Err(mistake(format!("`{places}` is left over"), "write a dot in front of it"));
        }
    }
    Ok(steps)
}

/// All places where the value may be, the likeliest first.
fn from_root(root: &str, rest: &[Step]) -> Result<String, Mistake> {
    let under = |roots: &[&str], join: &str| {
        let paths: Vec<String> = roots.iter().map(|root| written(root, rest)).collect();
        paths.join(join)
    };
    let id = |roots: &[&str]| {
        if rest.is_empty() { Ok(under(roots, " ?| ")) } else { Err(no_object(root)) }
    };
    let one = |path: &str| {
        if rest.is_empty() { Ok(path.to_owned()) } else { Err(no_object(root)) }
    };
    match root {
        "properties" => Ok(under(&["$.properties"], "")),
        "traits" => Ok(under(&["$.traits"], "")),
        "context" => match rest {
            [Step::Key(name)] if matches!(name.as_str(), "anonymous_id" | "anonymousId") => Ok(
                "$.context.anonymous_id ?| $.context.anonymousId ?| $.anonymousId ?| $.anonymous_id"
                    .to_owned(),
            ),
            rest => {
                let (snake, camel) = (written("$.context", rest), camel(rest));
                let camel = written("$.context", &camel);
                Ok(if snake == camel { snake } else { format!("{snake} ?? {camel}") })
            }
        },
        "user_id" | "userId" => id(&["$.userId", "$.user_id"]),
        "anonymous_id" | "anonymousId" => {
            id(&["$.anonymousId", "$.anonymous_id", "$.context.anonymous_id"])
        }
        "group_id" | "groupId" => id(&["$.groupId", "$.group_id"]),
        "previous_id" | "previousId" => id(&["$.previousId", "$.previous_id"]),
        "event" | "name" | "type" | "category" | "timestamp" => one(&format!("$.{root}")),
        "message_id" | "messageId" => one("$.messageId"),
        "received_at" | "receivedAt" => one("$.receivedAt"),
        "sent_at" | "sentAt" => id(&["$.sentAt", "$.sent_at"]),
        "vendor_ids" | "vendorIds" => Ok(under(
            &["$.vendor_ids", "$.vendorIds", "$.context.vendor_ids", "$.context.vendorIds"],
            " ?? ",
        )),
        "click_ids" | "clickIds" => Ok(under(
            &["$.click_ids", "$.clickIds", "$.context.click_ids", "$.context.clickIds"],
            " ?? ",
        )),
        unknown => Err(mistake(
            format!("the source `{unknown}` is not known"),
            match nearest(unknown, ROOTS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("sources begin with {}", ROOTS.join(", ")),
            },
        )),
    }
}

fn no_object(root: &str) -> Mistake {
    mistake(format!("there is nothing below `{root}`"), format!("write {root} alone"))
}

/// The steps with camelCase in place of snake_case.
fn camel(steps: &[Step]) -> Vec<Step> {
    let change = |step: &Step| match step {
        Step::Key(name) => {
            let mut out = String::with_capacity(name.len());
            let mut up = false;
            for c in name.chars() {
                if c == '_' && !out.is_empty() {
                    up = true;
                } else if up {
                    out.extend(c.to_uppercase());
                    up = false;
                } else {
                    out.push(c);
                }
            }
            Step::Key(out)
        }
        other => other.clone(),
    };
    steps.iter().map(change).collect()
}

/// A path as the language writes it.
fn written(root: &str, steps: &[Step]) -> String {
    let mut path = root.to_owned();
    for step in steps {
        match step {
            Step::Key(name) if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
                path.push('.');
                path.push_str(name);
            }
            Step::Key(name) => {
                path.push_str("[\"");
                for c in name.chars() {
                    if matches!(c, '$' | '{') {
                        path.push('\\');
                    }
                    path.push(c);
                }
                path.push_str("\"]");
            }
            Step::Index(place) => path.push_str(&format!("[{place}]")),
            Step::Each => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_become_paths() {
        let rows = [
            ("user_id", None, "$.userId ?| $.user_id"),
            ("properties.total", None, "$.properties.total"),
            ("properties.Order Total", None, "$.properties[\"Order Total\"]"),
            ("properties.$amount", None, "$.properties[\"\\$amount\"]"),
            ("properties.products[0].sku", None, "$.properties.products[0].sku"),
            ("properties.products[].sku", Some("$.properties.products"), ".sku"),
            ("properties.tags[*]", Some("$.properties.tags"), "."),
            ("context.page.url", None, "$.context.page.url"),
            ("context.user_agent", None, "$.context.user_agent ?? $.context.userAgent"),
            ("traits.first_name", None, "$.traits.first_name"),
        ];
        for (text, list, value) in rows {
            let wanted = Source { list: list.map(str::to_owned), value: value.to_owned() };
            assert_eq!(read(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_source_says_what_to_write() {
        for (text, words) in [
            ("", "no name"),
            ("propertes.x", "did you mean `properties`?"),
            ("$.properties.x", "write properties.x"),
            ("event.properties.x", "write properties.x"),
            ("user_id.x", "write user_id alone"),
            ("properties.x[", "not closed"),
            ("properties.x[a]", "no place"),
            ("properties.x[0]y", "left over"),
            ("properties..x", "no name"),
            ("properties.a[].b[].c", "one list"),
            ("properties.a[].b c", "behind []"),
            ("properties.a\"b", "no name"),
        ] {
            let mistake = read(text).unwrap_err();
            let told = format!("{} {}", mistake.message, mistake.suggestion.unwrap_or_default());
            assert!(told.contains(words), "{text}: {told}");
        }
    }
}

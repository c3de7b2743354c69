//! Lists as tables, for people.

use serde_json::Value;

/// A value as it stands in a cell: without line ends and other control characters, which a
/// terminal would obey.
pub(super) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Rows under their heads, in columns as wide as needed; the last is not filled up.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let heads = heads.map(str::to_owned);
    let all = || std::iter::once(&heads).chain(rows);
    let mut widths = [0_usize; N];
    for row in all() {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    let mut out = String::new();
    for row in all() {
        let mut line = String::new();
        for (width, text) in widths.iter().zip(row) {
            line.push_str(text);
            line.extend(std::iter::repeat_n(' ', width - text.chars().count() + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_needed_and_control_characters_are_gone() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let shown = table(["id", "what"], &[row("ä-long", "x"), row("b", "")]);
        assert_eq!(shown, "id      what\nä-long  x\nb\n");
        assert_eq!(cell(&json!("a\u{1b}[2J\nb")), "a [2J b");
        assert_eq!((cell(&Value::Null), cell(&json!(7))), ("-".to_owned(), "7".to_owned()));
    }
}

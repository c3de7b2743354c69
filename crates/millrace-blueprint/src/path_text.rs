//! Paths as the texts that people write: `$.items[0].id`, `$["odd key"]`.

use crate::plan::trie::Trie;
use crate::syntax::ast::Step;

/// A path as text. `root` is `$` for the event; empty for an item, whose own path is `.`.
pub(crate) fn path_text<'a>(root: &str, steps: impl IntoIterator<Item = &'a Step>) -> String {
    let mut text = root.to_owned();
    for step in steps {
        match step {
            Step::Key(key) => push_key(&mut text, key),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// A path with one more member behind it.
pub(crate) fn with_member(path: &str, key: &str) -> String {
    let mut text = path.to_owned();
    push_key(&mut text, key);
    text
}

/// A path below another: an item's `.price` below `$.items[0]`.
pub(crate) fn below(base: &str, item: &str) -> String {
    format!("{base}{}", if item == "." { "" } else { item })
}

fn push_key(text: &mut String, key: &str) {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-');
    if !key.is_empty() && key.chars().all(plain) {
        text.push('.');
        text.push_str(key);
    } else {
        text.push_str(&format!("[{}]", serde_json::Value::from(key)));
    }
}

impl Trie {
    /// The path of each slot, as text.
    pub(crate) fn path_texts(&self, root: &str) -> Vec<String> {
        let mut texts = vec![String::new(); self.slots];
        let mut open = vec![(0_usize, root.to_owned())];
        while let Some((at, text)) = open.pop() {
            let Some(node) = self.nodes.get(at) else { continue };
            for (key, child) in &node.keys {
                let key = String::from_utf8_lossy(key);
                open.push((usize::try_from(*child).unwrap_or_default(), with_member(&text, &key)));
            }
            for (index, child) in &node.indexes {
                let child = usize::try_from(*child).unwrap_or_default();
                open.push((child, format!("{text}[{index}]")));
            }
            if let Some(slot) = node.slot.and_then(|slot| texts.get_mut(usize::from(slot))) {
                *slot = if text.is_empty() { ".".to_owned() } else { text };
            }
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_they_are_written() {
        let key = |text: &str| Step::Key(text.to_owned());
        let steps = [key("items"), Step::Index(0), key("odd key"), key("$x")];
        assert_eq!(path_text("$", &steps), r#"$.items[0]["odd key"].$x"#);
        assert_eq!(path_text("", []), ".");
        let item = [key("a"), key("b")];
        let trie = Trie::build([&item[..], &[]]);
        assert_eq!(trie.path_texts(""), [".", ".a.b"]);
        assert_eq!(below("$.l[1]", ".a"), "$.l[1].a");
        assert_eq!(below("$.l[1]", "."), "$.l[1]");
    }
}

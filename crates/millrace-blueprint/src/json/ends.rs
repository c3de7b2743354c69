//! Where the lists and objects in JSON end, so that whoever goes through a value level by level
//! need not go through what lies below again and again.

use super::cursor::Cursor;

/// The ends of all lists and objects in one valid JSON value.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// Where each begins, in order, and the place behind it.
    places: Vec<(usize, usize)>,
}

impl Ends {
    /// Goes through the value once.
    pub(crate) fn of(json: &[u8]) -> Ends {
        let mut places: Vec<(usize, usize)> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut cursor = Cursor::new(json);
        while let Some(byte) = cursor.peek() {
            match byte {
                b'"' => {
                    if cursor.string().is_err() {
                        break;
                    }
                    continue;
                }
                b'{' | b'[' => {
                    open.push(places.len());
                    places.push((cursor.at, json.len()));
                }
                b'}' | b']' => {
                    if let Some((_, end)) = open.pop().and_then(|at| places.get_mut(at)) {
                        *end = cursor.at + 1;
                    }
                }
                _ => {}
            }
            cursor.at += 1;
        }
        Ends { places }
    }

    /// Goes past the value at the cursor; false when there is none.
    pub(crate) fn skip(&self, cursor: &mut Cursor<'_>) -> bool {
        match self.places.binary_search_by_key(&cursor.at, |(start, _)| *start) {
            Ok(found) => {
                cursor.at = self.places.get(found).map_or(cursor.bytes.len(), |(_, end)| *end);
                true
            }
            Err(_) => cursor.skip(1).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_passed_in_one_step() {
        let json = br#"{"a":[1,"]}",{"b":{}}] ,"c" :2}"#;
        let ends = Ends::of(json);
        for (at, end) in [(0, 31), (5, 22), (13, 21), (18, 20), (24, 27), (29, 30)] {
            let mut cursor = Cursor { bytes: json, at };
            assert!(ends.skip(&mut cursor));
            assert_eq!(cursor.at, end, "{at}");
        }
        assert!(!ends.skip(&mut Cursor { bytes: json, at: 31 }));
    }
}

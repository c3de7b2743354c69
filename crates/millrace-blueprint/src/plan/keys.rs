//! Sets of member names with a quick answer to "is this name one of them, and which?".

/// A fixed set of names; each has the number under which it was put in.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Open addressing; the length is a power of two, at least half of it empty. The hashes stand
    /// close together, apart from the names: most names are asked for in vain.
    tags: Vec<u64>,
    /// Which of the names stands in a cell.
    places: Vec<usize>,
    names: Vec<(Box<[u8]>, u16)>,
}

impl Keys {
    /// Adds a name unless it is there; gives its number.
    pub(crate) fn add(&mut self, name: &[u8], number: u16) -> u16 {
        let hash = hash(name);
        if let Some(have) = self.find(name, hash) {
            return have;
        }
        self.names.push((name.into(), number));
        if self.tags.len() < self.names.len() * 2 {
            let cells = (self.tags.len() * 2).max(8);
            self.tags = vec![EMPTY; cells];
            self.places = vec![0; cells];
            for place in 0..self.names.len() {
                let hash = self.names.get(place).map_or(0, |(name, _)| self::hash(name));
                self.put(hash, place);
            }
        } else {
            self.put(hash, self.names.len() - 1);
        }
        number
    }

    /// True when there are no names.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn put(&mut self, hash: u64, place: usize) {
        let mask = self.tags.len().saturating_sub(1);
        let mut at = index(hash, mask);
        while self.tags.get(at).is_some_and(|tag| *tag != EMPTY) {
            at = (at + 1) & mask;
        }
        if let (Some(tag), Some(cell)) = (self.tags.get_mut(at), self.places.get_mut(at)) {
            (*tag, *cell) = (tag_of(hash), place);
        }
    }

    /// The number of a name, given with its [`hash`].
    pub(crate) fn find(&self, name: &[u8], hash: u64) -> Option<u16> {
        let mask = self.tags.len().saturating_sub(1);
        let mut at = index(hash, mask);
        while let Some(tag) = self.tags.get(at).filter(|tag| **tag != EMPTY) {
            if *tag == tag_of(hash)
                && let Some((have, number)) = self.places.get(at).and_then(|at| self.names.get(*at))
                && same(have, name)
            {
                return Some(*number);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

/// The tag of a cell without a name.
const EMPTY: u64 = 0;

/// What stands for a hash in the cells: never [`EMPTY`].
fn tag_of(hash: u64) -> u64 {
    hash | 1
}

fn index(hash: u64, mask: usize) -> usize {
    usize::try_from(hash >> 40).unwrap_or_default() & mask
}

/// A quick hash of a short name. It need not resist anybody: whoever makes names collide pays with
/// comparisons that are bounded by the number of members a row can have.
pub(crate) fn hash(name: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = u64::try_from(name.len()).unwrap_or_default().wrapping_mul(ODD);
    let mut chunks = name.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        hash = (hash ^ word).wrapping_mul(ODD);
        hash ^= hash >> 32;
    }
    hash = (hash ^ last_bytes(name)).wrapping_mul(ODD);
    hash ^ (hash >> 29)
}

/// The last eight bytes of a name, or all of a shorter one.
fn last_bytes(name: &[u8]) -> u64 {
    if let Some(word) = name.last_chunk::<8>() {
        return u64::from_le_bytes(*word);
    }
    match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => name.iter().fold(0, |word, b| (word << 8) | u64::from(*b)),
    }
}

/// True for equal names. Most have at most 16 bytes: two comparisons of words, which overlap.
fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() || last_bytes(one) != last_bytes(other) {
        return false;
    }
    match one.len() {
        0..=8 => true,
        9..=16 => one.first_chunk::<8>() == other.first_chunk::<8>(),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_others_are_not() {
        let mut keys = Keys::default();
        assert_eq!(keys.find(b"a", hash(b"a")), None);
        let names: Vec<String> = (0..200).map(|n| format!("name_{n}")).collect();
        for (name, number) in names.iter().zip(0..) {
            assert_eq!(keys.add(name.as_bytes(), number), number);
            assert_eq!(keys.add(name.as_bytes(), 999), number);
        }
        for (name, number) in names.iter().zip(0..) {
            assert_eq!(keys.find(name.as_bytes(), hash(name.as_bytes())), Some(number));
        }
        assert_eq!(keys.find(b"name_200", hash(b"name_200")), None);
    }
}

//! Sets of member names with a quick answer to "is this name one of them, and which?".

/// A fixed set of names; each has the number under which it was put in.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Open addressing; the length is a power of two, at least half of it empty.
    cells: Vec<Option<Cell>>,
    count: usize,
}

#[derive(Clone, Debug)]
struct Cell {
    hash: u64,
    number: u16,
    name: Box<[u8]>,
}

impl Keys {
    /// Adds a name unless it is there; gives its number.
    pub(crate) fn add(&mut self, name: &[u8], number: u16) -> u16 {
        let hash = hash(name);
        if let Some(have) = self.find(name, hash) {
            return have;
        }
        if self.cells.len() < (self.count + 1) * 2 {
            let old = std::mem::take(&mut self.cells);
            self.cells = vec![None; (old.len() * 2).max(8)];
            for cell in old.into_iter().flatten() {
                self.put(cell);
            }
        }
        self.count += 1;
        self.put(Cell { hash, number, name: name.into() });
        number
    }

    /// True when there are no names.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn put(&mut self, cell: Cell) {
        let mask = self.cells.len().saturating_sub(1);
        let mut at = index(cell.hash, mask);
        while self.cells.get(at).is_some_and(Option::is_some) {
            at = (at + 1) & mask;
        }
        if let Some(free) = self.cells.get_mut(at) {
            *free = Some(cell);
        }
    }

    /// The number of a name, given with its [`hash`].
    pub(crate) fn find(&self, name: &[u8], hash: u64) -> Option<u16> {
        let mask = self.cells.len().saturating_sub(1);
        let mut at = index(hash, mask);
        while let Some(Some(cell)) = self.cells.get(at) {
            if cell.hash == hash && *cell.name == *name {
                return Some(cell.number);
            }
            at = (at + 1) & mask;
        }
        None
    }
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
    let last = chunks.remainder().iter().fold(0, |word, b| (word << 8) | u64::from(*b));
    hash = (hash ^ last).wrapping_mul(ODD);
    hash ^ (hash >> 29)
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

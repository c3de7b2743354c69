//! The seam for randomness: ids, jitter and everything else that is not a function of its input.

use std::fmt::Debug;

use uuid::Uuid;

/// A source of random numbers. Production takes the system's, tests a seeded one.
pub trait Entropy: Send + Sync + Debug {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;

    /// A random UUID (version 4).
    fn uuid(&self) -> Uuid {
        let bits = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }

    /// A number from 0 up to, but not including, `bound`; 0 when the bound is 0.
    fn below(&self, bound: u64) -> u64 {
        // The high half of a 128-bit product: no modulo, no bias worth a loop.
        let product = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }
}

/// The system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the seam itself")]
    fn next_u64(&self) -> u64 {
        u64::from_be_bytes(Uuid::new_v4().as_bytes().last_chunk::<8>().copied().unwrap_or_default())
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ u64::from_be_bytes(
                Uuid::new_v4().as_bytes().first_chunk::<8>().copied().unwrap_or_default(),
            )
    }
}

/// A seeded source (SplitMix64): the same seed gives the same numbers, from any thread in turn.
#[derive(Debug)]
pub struct SeededEntropy(std::sync::atomic::AtomicU64);

impl SeededEntropy {
    /// A source that starts from this seed.
    #[must_use]
    pub fn new(seed: u64) -> SeededEntropy {
        SeededEntropy(std::sync::atomic::AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.0.fetch_add(STEP, std::sync::atomic::Ordering::Relaxed).wrapping_add(STEP);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_bounds_hold() {
        let (a, b) = (SeededEntropy::new(7), SeededEntropy::new(7));
        for _ in 0..1000 {
            let n = a.below(10);
            assert!(n < 10);
            assert_eq!(n, b.below(10));
        }
        assert_eq!(a.below(0), 0);
        assert_eq!(a.uuid().get_version_num(), 4);
    }
}

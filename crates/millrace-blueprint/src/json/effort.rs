//! How much work is done, counted in tests alone: bytes looked at, values asked for. So that growth
//! can be told without a clock.

#[cfg(test)]
thread_local! {
    static SPENT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts work.
#[inline]
pub(crate) fn spend(_work: usize) {
    #[cfg(test)]
    SPENT.with(|spent| {
        spent.set(spent.get().saturating_add(u64::try_from(_work).unwrap_or(u64::MAX)));
    });
}

/// What was counted on this thread since the last time.
#[cfg(test)]
pub(crate) fn take() -> u64 {
    SPENT.with(|spent| spent.replace(0))
}

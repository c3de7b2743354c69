//! The bytes of JSON: one validating scan, texts in and out, and the careful copy of values that
//! Mixpanel would not take as they are. Knows nothing of blueprints.

pub(crate) mod careful;
pub(crate) mod cursor;
pub(crate) mod effort;
pub(crate) mod ends;
pub(crate) mod name;
pub(crate) mod number;
pub(crate) mod sizes;
pub(crate) mod text;

//! Mappings with fixed keys: the tables that describe them, and reading a mapping and its values by
//! its table.
//!
//! Which objects a plan has and what their keys mean is not known here.

mod fields;
mod keys;
mod values;

pub use keys::{Key, Object, ValueKind};

pub(in crate::plan) use fields::{Fields, UnknownKey, unknown_key};
pub(in crate::plan) use keys::{key, required};

//! How large an expression may be.

/// The longest text of an expression, in bytes.
pub const MAX_BYTES: usize = 1_024;

/// How deep parentheses and `!` may be nested.
pub const MAX_DEPTH: usize = 16;

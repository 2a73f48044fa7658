//! The text of a plan file: its lines and positions, its YAML as a tree, quantities with units, and
//! texts with placeholders.
//!
//! What is wrong is collected here as [`Diagnostics`]. Nothing here knows a key of a plan.

mod diagnostic;
mod phrases;
mod source;
mod template;
mod tree;
mod units;

pub use diagnostic::{Diagnostic, DiagnosticCode, PlanError, TextPosition};
pub use units::{Bytes, Cost, Count, Millis, Share, UnitError};

pub(in crate::plan) use diagnostic::{Diagnostics, Reported};
pub(in crate::plan) use phrases::{all_of, enumerate, numbered, shorten};
pub(in crate::plan) use source::{SourceText, Span, Spanned};
pub(in crate::plan) use template::{Hole, Piece, Template, is_name};
pub(in crate::plan) use tree::{Node, Yaml, read as read_tree};

//! What the names and placeholders of a plan stand for: items, groups, matrices, parameters, inputs
//! and outputs; and what waits for itself.
//!
//! It knows names and texts, not the keys of the objects that they are read from.

mod cell;
mod command_text;
mod cycles;
mod expansion;
mod names;
mod need_text;

pub use command_text::{CommandText, RenderError, TextPart};

pub(in crate::plan) use cell::{CellResolver, InputText, ItemTexts, Parameter, TextScope};
pub(in crate::plan) use command_text::STANDARD_INPUT;
pub(in crate::plan) use cycles::{Wait, refuse_cycles};
pub(in crate::plan) use expansion::{Expansion, MAX_CELLS, PIECE_WEIGHT};
pub(in crate::plan) use names::{Cell, NamedItem, Names};
pub(in crate::plan) use need_text::{NeedText, Wanted, WantedAgent};

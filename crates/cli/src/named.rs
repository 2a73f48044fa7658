//! Which run, and which of its items, a command is about: the one place that knows prefixes, `last`,
//! what is meant where nothing is named, and what may have been meant by what is not there.

mod items;
mod runs;
mod spoken_run;
mod target;

pub(crate) use items::{Chosen, items};
pub(crate) use runs::{Qualifies, existing, newest, shown, the_only};
pub(crate) use spoken_run::SpokenRun;
pub(crate) use target::Target;

use crate::command_error::{CommandError, Kind};

/// Names that are listed where more than one may be meant.
const LISTED: usize = 10;

/// What a word may name.
enum Found<T> {
    /// It is the whole name.
    Exact(T),
    /// It begins one name and no other.
    Prefix(T),
    /// It begins several names.
    Several(Vec<String>),
    Nothing,
}

impl<T> Found<T> {
    /// How well it fits; 0 if nothing is named by it.
    fn fit(&self) -> u8 {
        match self {
            Self::Exact(_) => 2,
            Self::Prefix(_) => 1,
            Self::Several(_) | Self::Nothing => 0,
        }
    }
}

/// A word that begins more than one name.
fn ambiguous(word: &str, what: &str, names: &[String]) -> CommandError {
    let text = format!("{word:?} begins more than one of {what}: {}", listed(names));
    CommandError::new(Kind::Usage, text).with_hint("give more of the name, or all of it")
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() > LISTED {
        true => format!("{shown} and more"),
        false => shown,
    }
}

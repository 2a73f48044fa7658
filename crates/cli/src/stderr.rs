//! What goes to standard error for people: lines that a terminal shows and does not obey.

use std::fmt::Display;
use std::io::Write as _;

use crate::text::printable_in_colours;

/// Says a line. That standard error is closed could not be reported anywhere.
pub(crate) fn say(line: impl Display) {
    let line = line.to_string();
    let _written = writeln!(anstream::stderr().lock(), "{}", printable_in_colours(&line));
}

//! The command line of Antiphon.

fn main() {}

//! Secrets of a run that its engine has not got: what is said of them, and of the command that
//! brings them.

use std::fmt::Display;

use antiphon::id::CoordinationId;
use antiphon::plan::{SecretFrom, SecretSource};

use crate::command_error::CommandError;

/// The command that continues a run and brings its secrets, with what has to be there for it.
pub(crate) fn resuming(id: impl Display, sources: &[SecretSource]) -> String {
    let (mut variables, mut commands) = (Vec::new(), Vec::new());
    for SecretSource { name, from } in sources {
        match from {
            SecretFrom::Variable => variables.push(name.as_str()),
            SecretFrom::Command { .. } => commands.push(name.as_str()),
        }
    }
    let mut conditions = Vec::new();
    if !variables.is_empty() {
        conditions.push(format!("{} set", listed(&variables)));
    }
    if !commands.is_empty() {
        let noun = if commands.len() == 1 { "command" } else { "commands" };
        conditions.push(format!("the {noun} for {} working", listed(&commands)));
    }
    match conditions.is_empty() {
        true => format!("`antiphon resume {id}`"),
        false => format!("`antiphon resume {id}`, with {},", conditions.join(" and ")),
    }
}

/// That a run waits for a secret which is not here, and what brings it.
pub(crate) fn waits(id: &CoordinationId, source: &SecretSource, absent: &CommandError) -> String {
    let how = resuming(id, std::slice::from_ref(source));
    format!("{id} waits for a secret: {}; {how} brings it", absent.message())
}

fn listed(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}

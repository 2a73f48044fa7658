//! Which measurements were asked for.

use crate::command_error::{CommandError, Kind};

/// Which measurements were asked for.
#[derive(Debug)]
pub(crate) struct Selection(Vec<&'static str>);

impl Selection {
    /// Finds measurements by their names or the beginnings of their names; all of them if none is
    /// given.
    pub(super) fn among(known: &[&'static str], given: &[String]) -> Result<Self, CommandError> {
        let all = || known.iter().copied();
        if let Some(unknown) =
            given.iter().find(|name| !all().any(|known| known.starts_with(name.as_str())))
        {
            let hint = format!(
                "known names are {}; a prefix selects every measurement that begins with it",
                all().collect::<Vec<_>>().join(", ")
            );
            return Err(CommandError::new(
                Kind::Usage,
                format!("there is no measurement {unknown:?}"),
            )
            .with_hint(hint));
        }
        let asked = |known: &&'static str| {
            let exact = |name: &String| name == known;
            let begins = |name: &String| {
                known.starts_with(name.as_str()) && !all().any(|other| other == name)
            };
            given.is_empty() || given.iter().any(|name| exact(name) || begins(name))
        };
        Ok(Self(all().filter(asked).collect()))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> &[&'static str] {
        &self.0
    }
}

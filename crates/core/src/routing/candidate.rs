//! Who carries something out: the least loaded of those that can.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::{Name, listed};

/// What a runner or an agent can, or what an item wants of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(BTreeSet<Name>);

/// A runner or an agent that something can be given to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// What it is called.
    pub name: Name,
    /// What it can.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// How much it does already, such as the number of its running sessions.
    #[serde(default)]
    pub load: u64,
}

/// Who was chosen, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assignment<'c> {
    /// The candidate.
    pub candidate: &'c Candidate,
    /// Why, in words.
    pub reasoning: String,
}

/// Why nobody was chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum NoCandidate {
    /// There is nobody to choose from.
    #[error("there is nobody to choose from; add a runner or an agent{}", with(wanted))]
    Nobody { wanted: Capabilities },
    /// Each candidate lacks something.
    #[error(
        "no candidate has {wanted}: {nearest} is nearest and lacks {lacks}{}",
        unheard_of(nowhere)
    )]
    NoneFits {
        wanted: Capabilities,
        /// Who lacks the least; of several, the least loaded, then the first.
        nearest: Name,
        /// What that one lacks.
        lacks: Capabilities,
        /// What no candidate has.
        nowhere: Capabilities,
    },
}

/// Chooses the least loaded candidate that has all that is wanted; of equally loaded ones the
/// first.
///
/// # Errors
/// [`NoCandidate`] says what is missing, and who is nearest.
pub fn assign<'c>(
    wanted: &Capabilities,
    candidates: &'c [Candidate],
) -> Result<Assignment<'c>, NoCandidate> {
    let fitting: Vec<&Candidate> = candidates
        .iter()
        .filter(|candidate| wanted.0.is_subset(&candidate.capabilities.0))
        .collect();
    match fitting.iter().min_by_key(|candidate| candidate.load) {
        Some(candidate) => {
            Ok(Assignment { candidate, reasoning: reasoning(wanted, candidate, &fitting) })
        }
        None => Err(nobody_for(wanted, candidates)),
    }
}

fn reasoning(wanted: &Capabilities, chosen: &Candidate, fitting: &[&Candidate]) -> String {
    let Candidate { name, load, .. } = chosen;
    let fits = if wanted.0.is_empty() {
        format!("Nothing is wanted of '{name}'")
    } else {
        format!("'{name}' has {wanted}")
    };
    let ties = fitting.iter().filter(|candidate| candidate.load == *load).count();
    match (fitting.len(), ties) {
        (1, _) => format!("{fits}; nobody else fits (load {load})"),
        (all, 1) => format!("{fits}; it is the least loaded of {all} that fit (load {load})"),
        (all, ties) => format!(
            "{fits}; it is the first of {ties} that are the least loaded of {all} that fit (load {load})"
        ),
    }
}

fn nobody_for(wanted: &Capabilities, candidates: &[Candidate]) -> NoCandidate {
    let lacks = |candidate: &Candidate| wanted.without(&candidate.capabilities);
    let nearest =
        candidates.iter().min_by_key(|candidate| (lacks(candidate).0.len(), candidate.load));
    let wanted = wanted.clone();
    let Some(nearest) = nearest else { return NoCandidate::Nobody { wanted } };
    let nowhere = candidates
        .iter()
        .fold(wanted.clone(), |left, candidate| left.without(&candidate.capabilities));
    let lacks = lacks(nearest);
    NoCandidate::NoneFits { wanted, nearest: nearest.name.clone(), lacks, nowhere }
}

fn with(wanted: &Capabilities) -> String {
    if wanted.0.is_empty() { String::new() } else { format!(" with {wanted}") }
}

fn unheard_of(nowhere: &Capabilities) -> String {
    if nowhere.0.is_empty() { String::new() } else { format!("; nobody has {nowhere}") }
}

impl Capabilities {
    /// Those that the others are not.
    fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).cloned().collect())
    }

    /// Each of them, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        self.0.iter()
    }
}

impl FromIterator<Name> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Name>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&listed(self.0.iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities(text: &str) -> Capabilities {
        text.split_whitespace().map(|name| Name::new(name).unwrap()).collect()
    }

    fn candidates(all: &[(&str, &str, u64)]) -> Vec<Candidate> {
        let candidate = |(name, can, load): &(&str, &str, u64)| Candidate {
            name: name.parse().unwrap(),
            capabilities: capabilities(can),
            load: *load,
        };
        all.iter().map(candidate).collect()
    }

    /// Who is chosen and why, or why nobody is.
    fn chosen(wanted: &str, all: &[(&str, &str, u64)]) -> Result<(String, String), String> {
        match assign(&capabilities(wanted), &candidates(all)) {
            Ok(assignment) => Ok((assignment.candidate.name.to_string(), assignment.reasoning)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn who(name: &str, why: &str) -> Result<(String, String), String> {
        Ok((name.to_owned(), why.to_owned()))
    }

    #[test]
    fn the_least_loaded_that_fits_is_chosen_and_of_equals_the_first() {
        let all = [
            ("busy", "gpu rust", 3),
            ("idle", "rust", 0),
            ("second", "gpu rust python", 1),
            ("third", "gpu rust", 1),
        ];
        let table = [
            (
                "gpu rust",
                "second",
                "'second' has gpu, rust; it is the first of 2 that are the least loaded of 3 that fit (load 1)",
            ),
            ("rust", "idle", "'idle' has rust; it is the least loaded of 4 that fit (load 0)"),
            ("python", "second", "'second' has python; nobody else fits (load 1)"),
            (
                "",
                "idle",
                "Nothing is wanted of 'idle'; it is the least loaded of 4 that fit (load 0)",
            ),
        ];
        for (wanted, name, why) in table {
            assert_eq!(chosen(wanted, &all), who(name, why), "{wanted:?}");
        }
    }

    #[test]
    fn where_nobody_fits_it_is_said_what_is_missing_and_who_is_nearest() {
        let all = [("a", "gpu", 2), ("b", "rust", 1), ("c", "python", 0)];
        let table = [
            ("gpu rust", "no candidate has gpu, rust: b is nearest and lacks gpu"),
            ("gpu tpu", "no candidate has gpu, tpu: a is nearest and lacks tpu; nobody has tpu"),
            ("tpu", "no candidate has tpu: c is nearest and lacks tpu; nobody has tpu"),
        ];
        for (wanted, why) in table {
            assert_eq!(chosen(wanted, &all), Err(why.to_owned()), "{wanted:?}");
        }
    }

    #[test]
    fn without_candidates_nobody_is_chosen() {
        let told = |wanted| chosen(wanted, &[]).unwrap_err();
        assert_eq!(told(""), "there is nobody to choose from; add a runner or an agent");
        assert_eq!(
            told("gpu"),
            "there is nobody to choose from; add a runner or an agent with gpu"
        );
    }
}

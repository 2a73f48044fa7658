//! Items of a run by their names, and what stands for several of them: a group, or a matrix.

use std::collections::BTreeSet;

use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::{CoordinationId, StreamName, WorkId};

use super::{Found, ambiguous};
use crate::command_error::{CommandError, Kind};
use crate::ledger::{Ledger, alike, erased};

/// The names of the items of a run.
pub(crate) struct RunItemNames {
    run: CoordinationId,
    /// Each with its group, in the order of addition.
    items: Vec<(String, Option<String>)>,
    /// Whether there may have been others.
    pub(super) erased: bool,
}

/// The items of a run that a word means; the word itself where nothing is named by it.
pub(crate) fn items(
    ledger: &Ledger,
    run: &CoordinationId,
    word: &WorkId,
) -> Result<Vec<WorkId>, CommandError> {
    match RunItemNames::read(ledger, run)?.look_up(word.as_str()) {
        Found::Exact(chosen) | Found::Prefix(chosen) => {
            let ids = chosen.items.iter().map(WorkId::new);
            ids.collect::<Result<_, _>>().map_err(CommandError::from)
        }
        Found::Several(names) => {
            Err(ambiguous(word.as_str(), &format!("the items of {run}"), &names))
        }
        Found::Nothing => Ok(vec![word.clone()]),
    }
}

/// What a word names in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The name, written out.
    pub(crate) name: String,
    /// The items that it means, in the order of addition.
    pub(crate) items: Vec<String>,
    /// Whether it is the name of one item, not of several together.
    pub(crate) is_item: bool,
}

impl RunItemNames {
    pub(crate) fn read(ledger: &Ledger, run: &CoordinationId) -> Result<Self, CommandError> {
        let (mut items, mut erased) = (Vec::new(), false);
        ledger.each_event(&StreamName::Coordination(run.clone()), |event| {
            erased |= event.payload.bytes().is_none();
            if let Ok(CoordinationEvent::WorkAdded(added)) = CoordinationEvent::of(event) {
                items.extend(
                    added.items.into_iter().map(|item| {
                        (item.id.to_string(), item.group.map(|group| group.to_string()))
                    }),
                );
            }
            Ok(())
        })?;
        Ok(Self { run: run.clone(), items, erased })
    }

    /// What a word names.
    pub(crate) fn choose(&self, word: &str) -> Result<Chosen, CommandError> {
        match self.look_up(word) {
            Found::Exact(chosen) | Found::Prefix(chosen) => Ok(chosen),
            Found::Several(names) => {
                Err(ambiguous(word, &format!("the items of {}", self.run), &names))
            }
            Found::Nothing => Err(self.unknown(word)),
        }
    }

    pub(super) fn look_up(&self, word: &str) -> Found<Chosen> {
        if let Some(chosen) = self.item(word).or_else(|| self.several(word)) {
            return Found::Exact(chosen);
        }
        let begun = |name: &&str| name.starts_with(word);
        let items: Vec<&str> = self.names().filter(begun).collect();
        if let [item] = items.as_slice() {
            return self.item(item).map_or(Found::Nothing, Found::Prefix);
        }
        // All cells of one matrix, or all items of one group, are what is meant by its beginning.
        let whole = |name: &&str| !name.contains('[');
        let single = self.names().filter(whole).filter(begun);
        let several = self.matrices().chain(self.groups()).filter(begun);
        let names: BTreeSet<&str> = single.chain(several).collect();
        let mut left = names.iter();
        match (left.next(), left.next()) {
            (Some(name), None) => {
                self.item(name).or_else(|| self.several(name)).map_or(Found::Nothing, Found::Prefix)
            }
            (None, _) if items.is_empty() => Found::Nothing,
            (None, _) => Found::Several(items.into_iter().map(str::to_owned).collect()),
            _ => Found::Several(names.into_iter().map(str::to_owned).collect()),
        }
    }

    pub(super) fn unknown(&self, word: &str) -> CommandError {
        let id = &self.run;
        if self.erased {
            return erased(id);
        }
        let error = CommandError::new(Kind::Usage, format!("there is no item {word} in {id}"));
        match self.near(word).as_slice() {
            [] => error.with_hint(format!("`antiphon status {id}` shows its items")),
            near => error.with_hint(format!("did you mean {}?", near.join(" or "))),
        }
    }

    /// Names of items, groups and matrices that may have been meant.
    pub(super) fn near(&self, word: &str) -> Vec<String> {
        let names: BTreeSet<&str> =
            self.names().chain(self.groups()).chain(self.matrices()).collect();
        alike(word, names.into_iter())
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(|(name, _)| name.as_str())
    }

    fn groups(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|(_, group)| group.as_deref())
    }

    fn matrices(&self) -> impl Iterator<Item = &str> {
        self.names().filter_map(matrix_of)
    }

    fn item(&self, name: &str) -> Option<Chosen> {
        self.names().any(|item| item == name).then(|| Chosen {
            name: name.to_owned(),
            items: vec![name.to_owned()],
            is_item: true,
        })
    }

    /// The items of a group, else the cells of a matrix.
    fn several(&self, name: &str) -> Option<Chosen> {
        let of_group = self.items.iter().filter(|(_, group)| group.as_deref() == Some(name));
        let mut items: Vec<String> = of_group.map(|(item, _)| item.clone()).collect();
        if items.is_empty() {
            let cells = self.names().filter(|item| matrix_of(item) == Some(name));
            items = cells.map(str::to_owned).collect();
        }
        (!items.is_empty()).then(|| Chosen { name: name.to_owned(), items, is_item: false })
    }
}

/// The matrix that a cell is of.
fn matrix_of(item: &str) -> Option<&str> {
    item.strip_suffix(']')?.split_once('[').map(|(matrix, _)| matrix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> RunItemNames {
        let item = |name: &str, group: Option<&str>| (name.to_owned(), group.map(str::to_owned));
        RunItemNames {
            run: CoordinationId::new("build").unwrap(),
            items: vec![
                item("prepare", None),
                item("train[0.1,a]", None),
                item("train[0.2,a]", None),
                item("test", Some("checks")),
                item("tests", Some("checks")),
            ],
            erased: false,
        }
    }

    fn chosen(word: &str) -> Vec<String> {
        match names().look_up(word) {
            Found::Exact(chosen) | Found::Prefix(chosen) => chosen.items,
            Found::Several(_) | Found::Nothing => Vec::new(),
        }
    }

    #[test]
    fn an_exact_name_wins_and_a_unique_beginning_is_enough() {
        assert_eq!(chosen("test"), ["test"]);
        assert_eq!(chosen("p"), ["prepare"]);
        assert_eq!(chosen("train[0.2"), ["train[0.2,a]"]);
        assert_eq!(chosen("nothing"), Vec::<String>::new());
    }

    #[test]
    fn a_group_or_a_matrix_stands_for_its_items() {
        assert_eq!(chosen("checks"), ["test", "tests"]);
        assert_eq!(chosen("c"), ["test", "tests"]);
        for word in ["train", "tr"] {
            assert_eq!(chosen(word), ["train[0.1,a]", "train[0.2,a]"]);
        }
    }

    #[test]
    fn what_begins_several_names_lists_them() {
        let Found::Several(several) = names().look_up("t") else { panic!("it is one of several") };
        assert_eq!(several, ["test", "tests", "train"]);
    }
}

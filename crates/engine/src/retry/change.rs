//! Whether what is to be done is still the same.
//!
//! Ceilings, attempts and priorities do not make an item another one, nor does what sessions
//! inherit from the terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use antiphon_core::coordination::{Need, Runner, WorkSpec};
use antiphon_core::digest::Digest;
use antiphon_core::id::WorkId;
use antiphon_core::routing::Name;

use super::EarlierItem;
use crate::output_files::FileNow;
use crate::plan::{CommandSpec, EnvValue, Environment, InputSource, OutputSource, PlanSpec};

/// What of an item is not the same any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum Change {
    /// It is carried out in another way.
    Runner,
    Command,
    Directory,
    /// This variable of its environment.
    Environment(String),
    StandardInput,
    Check,
    /// How tokens and cost are read, which decides whether it has succeeded.
    Usage,
    /// What follows its attempts.
    Route,
    /// What its sessions are given to go by.
    Context,
    /// This input.
    Input(String),
    /// Of this input it was not recorded what it held.
    UnknownInput(String),
    /// This declared output: another file, or not what was left there.
    Output(String),
    /// This declared output, whose file is not there any more.
    MissingOutput(String),
    /// Of this declared file it was not recorded what was left there.
    UnknownOutput(String),
    /// What it needs.
    Needs,
    /// This item of its nested plan.
    Nested(WorkId),
    /// Its description is gone or cannot be read, so nobody can say.
    Unknown,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runner => f.write_str("runner"),
            Self::Command => f.write_str("command"),
            Self::Directory => f.write_str("directory"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::StandardInput => f.write_str("standard input"),
            Self::Check => f.write_str("check"),
            Self::Usage => f.write_str("usage"),
            Self::Route => f.write_str("route"),
            Self::Context => f.write_str("context"),
            Self::Input(name) => write!(f, "input {name}"),
            Self::UnknownInput(name) => {
                write!(f, "input {name}, of which it is not recorded what it held")
            }
            Self::Output(name) => write!(f, "output {name}"),
            Self::MissingOutput(name) => write!(f, "output {name}, which is missing"),
            Self::UnknownOutput(name) => {
                write!(f, "output {name}, of which it is not recorded what it held")
            }
            Self::Needs => f.write_str("needs"),
            Self::Nested(work) => write!(f, "item {work} of its plan"),
            Self::Unknown => f.write_str("its description is gone or cannot be read"),
        }
    }
}

/// Descriptions by their digests.
type Blobs<'a, 'b> = &'a dyn Fn(&Digest) -> Option<&'b [u8]>;

/// Who makes which file, as the descriptions of a plan's items declare it.
#[derive(Default)]
pub(super) struct Makers<'w>(BTreeMap<PathBuf, Vec<&'w WorkSpec>>);

impl Makers<'_> {
    /// Whether something makes this file that an item needs: then it is looked at there.
    fn is_needed(&self, path: &Path, item: &WorkSpec) -> bool {
        let mut makers = self.0.get(path).into_iter().flatten();
        makers.any(|maker| {
            item.needs.iter().any(|need| match need {
                Need::Work(id) => maker.id == *id,
                Need::Group(group) => maker.group.as_ref() == Some(group),
                _ => false,
            })
        })
    }
}

/// Compares descriptions, each pair of nested plans once.
pub(super) struct Comparison<'a, 'b> {
    blob: Blobs<'a, 'b>,
    nested: BTreeMap<(Digest, Digest), Option<Change>>,
}

impl<'a, 'b> Comparison<'a, 'b> {
    pub(super) fn new(blob: Blobs<'a, 'b>) -> Self {
        Self { blob, nested: BTreeMap::new() }
    }

    /// Who makes which file.
    pub(super) fn makers<'w>(&self, work: &'w [WorkSpec]) -> Makers<'w> {
        let mut makers = Makers::default();
        for item in work.iter().filter(|item| matches!(item.runner, Runner::Process { .. })) {
            let outputs = self.command_of(item).map(|command| command.outputs);
            for output in outputs.unwrap_or_default().into_values() {
                if let Some(path) = output.file() {
                    makers.0.entry(path.to_owned()).or_default().push(item);
                }
            }
        }
        makers
    }

    /// What of an item's description has changed.
    pub(super) fn description(
        &mut self,
        old: &WorkSpec,
        new: &WorkSpec,
        makers: &Makers<'_>,
    ) -> Option<Change> {
        if old.context != new.context {
            return Some(Change::Context);
        }
        match (&old.runner, &new.runner) {
            (Runner::Process { .. }, Runner::Process { .. }) => self.commands(old, new, makers),
            (Runner::Nested { .. }, Runner::Nested { .. }) => match (old.input, new.input) {
                (Some(old), Some(new)) => self.plan(old, new),
                _ => Some(Change::Unknown),
            },
            (old_runner, new_runner) if old_runner != new_runner => Some(Change::Runner),
            _ if old.input != new.input => Some(Change::Input("input".to_owned())),
            _ => None,
        }
    }

    /// What has changed of the command, or of that of one of the runners that it may be given to.
    fn commands(&self, old: &WorkSpec, new: &WorkSpec, makers: &Makers<'_>) -> Option<Change> {
        let names = |item: &WorkSpec| {
            let names = item.capable.as_ref().map(|capable| capable.inputs.keys().cloned());
            names.into_iter().flatten().collect::<Vec<_>>()
        };
        if names(old) != names(new) {
            return Some(Change::Runner);
        }
        let changed = |name: &Name| {
            let given = |item: &WorkSpec| item.clone().given_to(Some(name));
            self.command(&given(old), &given(new), makers)
        };
        self.command(old, new, makers).or_else(|| names(new).iter().find_map(changed))
    }

    fn command(&self, old: &WorkSpec, new: &WorkSpec, makers: &Makers<'_>) -> Option<Change> {
        let Some(now) = self.command_of(new) else { return Some(Change::Unknown) };
        let is_made = |path: &Path| makers.is_needed(path, new);
        if old.input == new.input {
            return unknown_input(&now, is_made);
        }
        let Some(then) = self.command_of(old) else { return Some(Change::Unknown) };
        // Paths in the command start from the directory.
        if then.dir != now.dir {
            return Some(Change::Directory);
        }
        if then.run != now.run {
            return Some(Change::Command);
        }
        if then.stdin != now.stdin {
            return Some(Change::StandardInput);
        }
        let checks = |command: &CommandSpec| command.check.as_ref().map(|check| check.run.clone());
        if checks(&then) != checks(&now) {
            return Some(Change::Check);
        }
        if then.route != now.route {
            return Some(Change::Route);
        }
        if then.usage != now.usage {
            return Some(Change::Usage);
        }
        let is_named = |(name, _): &(&String, &EnvValue)| !Environment::is_inherited(name);
        let (before, after) = (then.env.iter().filter(is_named), now.env.iter().filter(is_named));
        if let Some(name) = differing(before, after) {
            return Some(Change::Environment(name));
        }
        // How a file is looked at does not make it another one.
        let file = |(name, output): (&'_ String, &'_ OutputSource)| {
            (name.clone(), output.file().map(Path::to_owned))
        };
        let (before, after) = (then.outputs.iter().map(file), now.outputs.iter().map(file));
        let (before, after): (BTreeMap<_, _>, BTreeMap<_, _>) = (before.collect(), after.collect());
        if let Some(name) = differing(before.iter(), after.iter()) {
            return Some(Change::Output(name));
        }
        changed_input(&then, &now, is_made)
    }

    /// The first declared file of an item that succeeded that is not what it left any more.
    pub(super) fn files(&self, before: &EarlierItem) -> Option<Change> {
        if !matches!(before.spec.runner, Runner::Process { .. }) {
            return None;
        }
        let command = self.command_of(&before.spec)?;
        command.files().find_map(|file| match before.left.get(file.name) {
            Some(FileNow::AsLeft) => None,
            Some(FileNow::Missing) => Some(Change::MissingOutput(file.name.to_owned())),
            Some(FileNow::Changed) => Some(Change::Output(file.name.to_owned())),
            None => Some(Change::UnknownOutput(file.name.to_owned())),
        })
    }

    fn command_of(&self, item: &WorkSpec) -> Option<CommandSpec> {
        CommandSpec::from_bytes((self.blob)(&item.input?)?).ok()
    }

    /// What of a nested plan has changed: its items, or what one of them does.
    fn plan(&mut self, old: Digest, new: Digest) -> Option<Change> {
        if let Some(known) = self.nested.get(&(old, new)) {
            return known.clone();
        }
        let read = |digest| PlanSpec::from_bytes((self.blob)(&digest)?).ok();
        let change = match (read(old), read(new)) {
            (Some(then), Some(now)) => self.items(&then.work, &now.work),
            _ => Some(Change::Unknown),
        };
        self.nested.insert((old, new), change.clone());
        change
    }

    fn items(&mut self, old: &[WorkSpec], new: &[WorkSpec]) -> Option<Change> {
        let then: BTreeMap<&WorkId, &WorkSpec> = old.iter().map(|item| (&item.id, item)).collect();
        let now: BTreeSet<&WorkId> = new.iter().map(|item| &item.id).collect();
        let makers = self.makers(new);
        let gone = old.iter().find(|item| !now.contains(&item.id));
        let changed = gone.or_else(|| {
            new.iter().find(|item| {
                then.get(&item.id).is_none_or(|before| {
                    before.needs != item.needs
                        || before.group != item.group
                        || self.description(before, item, &makers).is_some()
                })
            })
        });
        changed.map(|item| Change::Nested(item.id.clone()))
    }
}

/// The first name for which two lists, in order, do not say the same.
fn differing<'v, V: PartialEq + 'v>(
    old: impl Iterator<Item = (&'v String, &'v V)>,
    new: impl Iterator<Item = (&'v String, &'v V)>,
) -> Option<String> {
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) = (old.collect(), new.collect());
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).copied().collect();
    names.into_iter().find(|name| old.get(*name) != new.get(*name)).cloned()
}

/// The first input that differs, or of which nobody can say.
fn changed_input(
    then: &CommandSpec,
    now: &CommandSpec,
    is_made: impl Fn(&Path) -> bool,
) -> Option<Change> {
    if let Some(name) = differing(without_digests(then).iter(), without_digests(now).iter()) {
        return Some(Change::Input(name));
    }
    let differs = |(name, input): (&String, &InputSource)| {
        let digest = |input: &InputSource| match input {
            InputSource::File { digest, .. } => *digest,
            InputSource::Value(_) => None,
        };
        let is_made = file_of(input).is_some_and(&is_made);
        let before = then.inputs.get(name).and_then(digest);
        (!is_made && before.is_some() && before != digest(input)).then(|| name.clone())
    };
    let changed = now.inputs.iter().find_map(differs).map(Change::Input);
    changed.or_else(|| unknown_input(then, is_made))
}

/// The first file of which it was not recorded what it held, and that nothing needed makes.
fn unknown_input(command: &CommandSpec, is_made: impl Fn(&Path) -> bool) -> Option<Change> {
    let is_unknown = |input: &InputSource| {
        matches!(input, InputSource::File { digest: None, .. })
            && file_of(input).is_some_and(|path| !is_made(path))
    };
    let unknown = command.inputs.iter().find(|(_, input)| is_unknown(input));
    unknown.map(|(name, _)| Change::UnknownInput(name.clone()))
}

/// The path of a file, unless an output makes it: then it is as its item left it.
fn file_of(input: &InputSource) -> Option<&Path> {
    match input {
        InputSource::File { path, .. } => path.as_known().map(Path::new),
        InputSource::Value(_) => None,
    }
}

fn without_digests(command: &CommandSpec) -> BTreeMap<String, InputSource> {
    let bare = |input: &InputSource| match input {
        InputSource::File { path, .. } => InputSource::File { path: path.clone(), digest: None },
        value => value.clone(),
    };
    command.inputs.iter().map(|(name, input)| (name.clone(), bare(input))).collect()
}

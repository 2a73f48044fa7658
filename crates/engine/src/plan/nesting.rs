//! Reading plan files from disk: their text, the files that they name, and the plans in them, each
//! once.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assembly::{Assembled, Step, StepWork};
use super::command::{CommandText, InputSource, OutputSource, StdinSource};
use super::fields::suggestion;
use super::problem::{DiagnosticCode, Diagnostics, PlanError};
use super::source::{Source, Span};
use super::{Plan, assembled};
use crate::coordination::MAX_DEPTH;

/// Largest plan file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Most files that a plan and the plans in it take.
const MAX_FILES: usize = 256;

/// Files of a directory that are looked through for one that was meant.
const LOOKED_THROUGH: usize = 1_000;

/// Reads a plan and all plans in it.
pub(super) fn read(path: &Path) -> Result<Plan, PlanError> {
    let mut reading = Loader { files: BTreeMap::new(), above: Vec::new() };
    let plan = reading.file(path)?;
    Ok(Arc::unwrap_or_clone(plan.plan))
}

/// Reads a plan that somebody sent, and all plans in it, which lie on this machine.
pub(super) fn read_text(text: &str, shown: &Path, dir: &Path) -> Result<Plan, PlanError> {
    let mut reading = Loader { files: BTreeMap::new(), above: Vec::new() };
    // Where the file lies that was sent, if it was one, so that a plan that runs itself is found.
    let real = shown.file_name().and_then(|name| fs::canonicalize(dir.join(name)).ok());
    reading.above.extend(real);
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(shown));
    }
    let plan = reading.whole(Source::new(shown, text), dir.to_owned())?;
    Ok(Arc::unwrap_or_clone(plan.plan))
}

/// A plan that was read, how deep the plans in it go, and how many sessions it takes with them if
/// none fails.
#[derive(Clone)]
struct Loaded {
    plan: Arc<Plan>,
    height: usize,
    sessions: u64,
}

struct Loader {
    /// What each file was found to be; a file that many items name is read once.
    files: BTreeMap<PathBuf, Result<Loaded, PlanError>>,
    /// The files that are being read, the outermost first.
    above: Vec<PathBuf>,
}

impl Loader {
    fn file(&mut self, shown: &Path) -> Result<Loaded, PlanError> {
        let unreadable = |error| {
            PlanError::of_file(
                DiagnosticCode::Unreadable,
                shown,
                format!("this file cannot be read: {error}"),
            )
        };
        let real = fs::canonicalize(shown).map_err(unreadable)?;
        if let Some(found) = self.files.get(&real) {
            return found.clone();
        }
        // Sessions run where the file is named, also through a link: that is where its neighbours
        // are.
        let dir =
            std::path::absolute(shown).ok().and_then(|path| path.parent().map(Path::to_owned));
        let dir = dir.or_else(|| real.parent().map(Path::to_owned)).unwrap_or_default();
        self.above.push(real.clone());
        let found = text(shown).and_then(|text| self.whole(Source::new(shown, &text), dir));
        self.above.pop();
        self.files.insert(real, found.clone());
        found
    }

    /// What a text and the plans that it names come to; relative paths start from `dir`.
    fn whole(&mut self, source: Source, dir: PathBuf) -> Result<Loaded, PlanError> {
        if dir.to_str().is_none() {
            // It is recorded as text, and sessions would run in another one.
            let message = format!(
                "the directory {} is not named in UTF-8; run the plan from another one",
                dir.display()
            );
            return Err(PlanError::of_file(DiagnosticCode::Unreadable, source.path(), message));
        }
        let mut diagnostics = Diagnostics::new(&source);
        let assembled = assembled(&dir, &mut diagnostics);
        let (mut nested, mut sessions_below) = (BTreeMap::new(), BTreeMap::new());
        let mut inside: Vec<(String, PlanError)> = Vec::new();
        let mut height = 0;
        let steps =
            assembled.as_ref().map(|assembled| assembled.steps.as_slice()).unwrap_or_default();
        inputs(steps, &dir, &mut diagnostics);
        for step in steps {
            let StepWork::Plan { path, .. } = &step.work else { continue };
            if nested.contains_key(&path.value)
                || inside.iter().any(|(name, _)| *name == path.value)
            {
                continue;
            }
            let below = shown_below(source.path(), &dir, &path.value);
            match self.below(&below, path.span, &mut diagnostics) {
                Some(Ok(whole)) => {
                    height = height.max(whole.height + 1);
                    if height > usize::from(MAX_DEPTH) {
                        let message =
                            format!("with this one, plans are nested more than {MAX_DEPTH} deep");
                        diagnostics.error(DiagnosticCode::TooLarge, path.span, message);
                    }
                    sessions_below.insert(path.value.clone(), whole.sessions);
                    nested.insert(path.value.clone(), whole.plan);
                }
                Some(Err(problems)) => inside.push((path.value.clone(), problems)),
                None => {}
            }
        }
        let sessions = steps.iter().fold(0_u64, |sum, step| {
            let below = match &step.work {
                StepWork::Plan { path, .. } => {
                    sessions_below.get(&path.value).copied().unwrap_or(0)
                }
                StepWork::Command(_) => 0,
            };
            sum.saturating_add(1).saturating_add(below)
        });
        if let Some(Assembled { budget, sessions_span, .. }) = &assembled
            && (steps.len() as u64..sessions).contains(&u64::from(budget.max_episodes()))
        {
            let message = format!(
                "{} sessions are not enough for {} items and those of the plans that they run, which take at least {sessions}",
                budget.max_episodes(),
                steps.len(),
            );
            diagnostics.error(DiagnosticCode::BadValue, *sessions_span, message);
        }
        let mut problems = diagnostics.finish().err();
        for (_, other) in inside {
            match &mut problems {
                Some(problems) => problems.join(other),
                None => problems = Some(other),
            }
        }
        match (assembled, problems) {
            (Some(assembled), None) => Ok(Loaded {
                plan: Arc::new(Plan { source, dir, assembled, nested }),
                height,
                sessions,
            }),
            (_, Some(problems)) => Err(problems),
            (None, None) => panic!("BUG: a plan that cannot be put together has a problem"),
        }
    }

    /// A nested plan. `None` if what is wrong with it is told where it is named.
    fn below(
        &mut self,
        path: &Path,
        span: Span,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Result<Loaded, PlanError>> {
        if diagnostics.is_full() {
            return None;
        }
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) => {
                let message = format!("the plan {} cannot be read: {error}", path.display());
                diagnostics.error(DiagnosticCode::MissingFile, span, message).hint_if(near(path));
                return None;
            }
        };
        if let Some(from) = self.above.iter().position(|above| *above == real) {
            let names = self.above[from..]
                .iter()
                .chain([&real])
                .map(|path| path.file_name().unwrap_or_default().to_string_lossy());
            let message = format!(
                "these plans would run each other without end: {}",
                names.collect::<Vec<_>>().join(" -> ")
            );
            diagnostics.error(DiagnosticCode::Cycle, span, message);
            return None;
        }
        if self.above.len() > usize::from(MAX_DEPTH) {
            diagnostics.error(
                DiagnosticCode::TooLarge,
                span,
                format!("plans are nested more than {MAX_DEPTH} deep here"),
            );
            return None;
        }
        if self.files.len() >= MAX_FILES {
            diagnostics.error(
                DiagnosticCode::TooLarge,
                span,
                format!("this plan takes more than {MAX_FILES} plan files"),
            );
            return None;
        }
        Some(self.file(path))
    }
}

/// A nested plan's path as the one above is shown, if that leads there, else from where relative
/// paths start.
fn shown_below(above: &Path, dir: &Path, below: &str) -> PathBuf {
    let beside = above.parent().unwrap_or(Path::new(""));
    match std::path::absolute(beside) {
        Ok(absolute) if absolute == dir => beside.join(below),
        _ if beside.as_os_str().is_empty()
            && std::env::current_dir().is_ok_and(|here| here == dir) =>
        {
            below.into()
        }
        _ => dir.join(below),
    }
}

fn too_large(path: &Path) -> PlanError {
    PlanError::of_file(
        DiagnosticCode::TooLarge,
        path,
        format!("this file is larger than {} MiB", MAX_FILE_BYTES >> 20),
    )
}

fn text(path: &Path) -> Result<String, PlanError> {
    let mut bytes = Vec::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    let unreadable = |error| {
        PlanError::of_file(
            DiagnosticCode::Unreadable,
            path,
            format!("this file cannot be read: {error}"),
        )
    };
    read.map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(path));
    }
    decoded(&bytes, path)
}

/// The text of a file, or where in it something else than UTF-8 begins.
fn decoded(bytes: &[u8], path: &Path) -> Result<String, PlanError> {
    // What a plan begins with has one byte in UTF-8, and a zero beside it in UTF-16.
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, ..] | [1..=255, 0, ..]) {
        let message = "this file is UTF-16, and a plan is UTF-8; save it as that";
        return Err(PlanError::of_file(DiagnosticCode::Unreadable, path, message));
    }
    let at = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text.to_owned()),
        Err(error) => error.valid_up_to(),
    };
    let source = Source::new(path, &String::from_utf8_lossy(bytes));
    let mut diagnostics = Diagnostics::new(&source);
    let mark = Span::new(at, at + char::REPLACEMENT_CHARACTER.len_utf8());
    let message = format!("this file is not UTF-8: byte {} begins no character", at + 1);
    diagnostics.error(DiagnosticCode::Unreadable, mark, message).hint("save it as UTF-8");
    diagnostics.finish().map(|()| String::new())
}

/// Tells of input files that are neither there nor made by an item of the plan.
fn inputs(steps: &[Step], dir: &Path, diagnostics: &mut Diagnostics<'_>) {
    let commands = || {
        steps.iter().filter_map(|step| match &step.work {
            StepWork::Command(command) => Some(command),
            StepWork::Plan { .. } => None,
        })
    };
    let made: std::collections::BTreeSet<&Path> = commands()
        .flat_map(|command| command.outputs.values())
        .filter_map(|output| match output {
            OutputSource::File(path) => Some(path.as_path()),
            OutputSource::Result => None,
        })
        .collect();
    let mut absent = |text: &CommandText, span: Span| {
        let Some(path) = text.as_known().map(|path| dir.join(path)) else { return };
        if made.contains(path.as_path()) || path.exists() || diagnostics.is_full() {
            return;
        }
        let shown = path.strip_prefix(dir).unwrap_or(&path).display().to_string();
        let hint = near(&path).unwrap_or_else(|| {
            "paths start from the plan's directory; what an item makes is named in its `output`"
                .to_owned()
        });
        diagnostics
            .error(DiagnosticCode::MissingFile, span, format!("there is no file {shown}"))
            .hint(hint);
    };
    for command in commands() {
        for (input, span) in command.inputs.values() {
            if let InputSource::File { path, .. } = input {
                absent(path, *span);
            }
        }
        if let (Some(StdinSource::File(path)), span) = (&command.stdin, command.stdin_span) {
            absent(path, span);
        }
    }
}

/// A file beside the one that is not there, which may have been meant.
fn near(path: &Path) -> Option<String> {
    let entries = fs::read_dir(path.parent()?).ok()?.take(LOOKED_THROUGH).flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    suggestion(&path.file_name()?.to_string_lossy(), names.iter().map(String::as_str))
}

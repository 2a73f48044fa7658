//! Reading plan files from disk: their text, the files that they name, and the plans in them, each
//! once.
//!
//! It compiles nothing, and takes nothing from an environment.

mod file;
mod missing;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::objects::{PlanAst, ResolvedPlan, RouteRules, Step, StepWork};
use super::text::{
    DiagnosticCode, Diagnostics, Node, PlanError, SourceText, Span, numbered, read_tree,
};
use super::wanted::Wanted;
use crate::coordination::MAX_DEPTH;
use missing::{refuse_missing_inputs, similar_file};

/// Most files that a plan and the plans in it take.
const MAX_FILES: usize = 256;

/// A plan without a problem.
#[derive(Debug, Clone)]
pub struct Plan {
    source: SourceText,
    /// The file that it was read from, by its absolute path, if it was one.
    file: Option<PathBuf>,
    /// The absolute directory that relative paths start from, and that sessions run in.
    dir: PathBuf,
    resolved: ResolvedPlan,
    /// The nested plans, by their paths as they are written.
    nested: BTreeMap<String, Arc<Self>>,
}

/// Looks at the text of a plan; relative paths in it start from the directory of `path`, which must
/// be absolute.
///
/// Whether the files that it names exist is not looked at, nor what is in nested plans:
/// [`Plan::read`] does.
///
/// # Errors
/// [`PlanError`] lists everything that is wrong.
pub fn parse(text: &str, path: &Path) -> Result<Plan, PlanError> {
    let dir = path.parent().unwrap_or(path);
    let source = SourceText::new(path, text);
    let mut diagnostics = Diagnostics::new(&source);
    let resolved = resolve(dir, PlanAst::read, &mut diagnostics);
    if let Some(plan) = &resolved {
        plan.refuse_too_few_sessions(&mut diagnostics);
        // What nested plans count is not known here.
        plan.refuse_uncounted(|step| counts(step, |_| true), &mut diagnostics);
    }
    diagnostics.finish()?;
    let resolved = resolved.expect("BUG: a plan that is not resolved has a problem");
    Ok(Plan { source, file: None, dir: dir.to_owned(), resolved, nested: BTreeMap::new() })
}

impl Plan {
    /// Reads a plan file and the nested plans that it names.
    ///
    /// The path may also lead to a pipe, which is waited for and read to its end; relative paths
    /// start from the current directory then. Nested plans are regular files.
    ///
    /// # Errors
    /// [`PlanError`] lists everything that is wrong with any of them.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, PlanError> {
        Loader::default().read(path.as_ref())
    }

    /// The same for a retry: of its items some may be taken over, so that its sessions may be fewer
    /// than its items.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub fn read_for_retry(path: impl AsRef<Path>) -> Result<Self, PlanError> {
        Loader { retries: true, ..Loader::default() }.read(path.as_ref())
    }

    /// Reads a plan from a stream, and the nested plans that it names from disk. Diagnostics call
    /// it `shown`; relative paths start from the current directory.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub fn read_stream(stream: impl Read, shown: impl AsRef<Path>) -> Result<Self, PlanError> {
        Loader::default().stream(stream, shown.as_ref())
    }

    /// The same for a retry, as [`Plan::read_for_retry`].
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub fn read_stream_for_retry(
        stream: impl Read,
        shown: impl AsRef<Path>,
    ) -> Result<Self, PlanError> {
        Loader { retries: true, ..Loader::default() }.stream(stream, shown.as_ref())
    }

    /// Reads a plan that was sent as text, and the nested plans that it names, which are read
    /// from disk. Diagnostics call it `shown`; relative paths start from `dir`, which must be
    /// absolute. The reading ends soon after the plan is not wanted any more.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub fn read_text(
        text: &str,
        shown: impl AsRef<Path>,
        dir: impl AsRef<Path>,
        wanted: &Wanted,
    ) -> Result<Self, PlanError> {
        let loader = Loader { wanted: wanted.clone(), ..Loader::default() };
        loader.text(text, shown.as_ref(), dir.as_ref())
    }

    /// The same for a retry: of its items some may be taken over, so that its sessions may be fewer
    /// than its items.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub fn read_text_for_retry(
        text: &str,
        shown: impl AsRef<Path>,
        dir: impl AsRef<Path>,
        wanted: &Wanted,
    ) -> Result<Self, PlanError> {
        let loader = Loader { wanted: wanted.clone(), retries: true, ..Loader::default() };
        loader.text(text, shown.as_ref(), dir.as_ref())
    }

    /// Reads items that are added to a run.
    pub(super) fn read_added(
        text: &str,
        shown: &Path,
        dir: &Path,
        wanted: &Wanted,
    ) -> Result<Self, PlanError> {
        let loader = Loader { wanted: wanted.clone(), adds: true, ..Loader::default() };
        loader.text(text, shown, dir)
    }

    /// The text that it was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source.text()
    }

    /// The file that it was read from, by its absolute path, if it was one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    #[expect(missing_docs, reason = "the method's name says it")]
    #[must_use]
    pub fn name(&self) -> &str {
        self.resolved.name()
    }

    /// The items that say what follows their attempts, each with its rules; a matrix is one.
    #[must_use]
    pub fn route_rules(&self) -> Vec<(&str, &RouteRules)> {
        let mut found: Vec<(&str, &RouteRules)> = Vec::new();
        for step in self.resolved().steps() {
            if let StepWork::Command(command) = &step.work
                && !command.route().is_empty()
                && found.last().is_none_or(|(last, _)| *last != step.item)
            {
                found.push((&step.item, command.route()));
            }
        }
        found
    }

    /// The directory that relative paths start from, and that sessions run in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn source(&self) -> &SourceText {
        &self.source
    }

    pub(super) fn resolved(&self) -> &ResolvedPlan {
        &self.resolved
    }

    /// A nested plan, by its path as it is written; `None` if it was not read.
    pub(super) fn nested(&self, path: &str) -> Option<&Self> {
        self.nested.get(path).map(Arc::as_ref)
    }
}

/// Reads what the text says; there may be something to look at further even with problems.
fn resolve(
    dir: &Path,
    read: fn(&Node, &mut Diagnostics<'_>) -> PlanAst,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<ResolvedPlan> {
    let root = read_tree(diagnostics)?;
    read(&root, diagnostics).resolve(dir, diagnostics)
}

/// Whether sessions of a step count tokens and cost; `below` says it of a nested plan by its path.
fn counts(step: &Step, below: impl Fn(&str) -> bool) -> bool {
    match &step.work {
        StepWork::Command(command) => command.reports_usage(),
        StepWork::Plan { path, .. } => below(&path.value),
    }
}

/// A plan that was read, how deep the plans in it go, and how many sessions it takes with them if
/// none fails.
#[derive(Clone)]
struct Loaded {
    plan: Arc<Plan>,
    height: usize,
    sessions: u64,
    /// Whether any of its sessions, or of the plans in it, counts tokens and cost.
    counts: bool,
}

#[derive(Default)]
struct Loader {
    /// What each file was found to be; a file that many items name is read once.
    files: BTreeMap<PathBuf, Result<Loaded, Arc<PlanError>>>,
    /// The files that are being read, the outermost first.
    above: Vec<PathBuf>,
    /// Whether somebody waits for it.
    wanted: Wanted,
    /// Whether items may be taken over, so that sessions may be fewer than items.
    retries: bool,
    /// Whether what is read next is added to a run.
    adds: bool,
}

impl Loader {
    fn read(mut self, path: &Path) -> Result<Plan, PlanError> {
        match file::open_stream(path)? {
            Some(stream) => self.stream(stream, path),
            None => match self.file(path) {
                Ok(loaded) => Ok(Arc::unwrap_or_clone(loaded.plan)),
                Err(problems) => Err(Arc::unwrap_or_clone(problems)),
            },
        }
    }

    fn stream(mut self, stream: impl Read, shown: &Path) -> Result<Plan, PlanError> {
        let text = file::read_stream(stream, shown)?;
        let here = std::env::current_dir().map_err(|error| {
            let message = format!("there is no directory to start from: {error}");
            PlanError::of_file(DiagnosticCode::Unreadable, shown, message)
        })?;
        let loaded = self.whole(SourceText::new(shown, &text), None, here)?;
        Ok(Arc::unwrap_or_clone(loaded.plan))
    }

    fn text(mut self, text: &str, shown: &Path, dir: &Path) -> Result<Plan, PlanError> {
        // Where the file lies that was sent, if it was one, so that a plan that runs itself is
        // found.
        let sent = shown.file_name().map(|name| dir.join(name));
        self.above.extend(sent.as_ref().and_then(|file| fs::canonicalize(file).ok()));
        file::check_size(text.len(), shown)?;
        let sent = sent.filter(|file| file::holds(file, text));
        let loaded = self.whole(SourceText::new(shown, text), sent, dir.to_owned())?;
        Ok(Arc::unwrap_or_clone(loaded.plan))
    }

    fn file(&mut self, shown: &Path) -> Result<Loaded, Arc<PlanError>> {
        let unreadable = |error| {
            let message = format!("cannot read this file: {error}");
            Arc::new(PlanError::of_file(DiagnosticCode::Unreadable, shown, message))
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
        let found = file::read(shown)
            .and_then(|text| {
                let file = shown.file_name().map(|name| dir.join(name));
                self.whole(SourceText::new(shown, &text), file, dir)
            })
            .map_err(Arc::new);
        self.above.pop();
        self.files.insert(real, found.clone());
        found
    }

    /// What a text and the plans that it names come to; it is that of `file`, if of any. Relative
    /// paths start from `dir`.
    fn whole(
        &mut self,
        source: SourceText,
        file: Option<PathBuf>,
        dir: PathBuf,
    ) -> Result<Loaded, PlanError> {
        self.wanted.check_file(source.path(), source.text().len())?;
        if dir.to_str().is_none() {
            // It is recorded as text, and sessions would run in another one.
            let message = format!(
                "the path of the directory {} is not UTF-8; run the plan from another one",
                dir.display()
            );
            return Err(PlanError::of_file(DiagnosticCode::Unreadable, source.path(), message));
        }
        let mut diagnostics = Diagnostics::new(&source);
        // What they need of sessions the run has, or has not.
        let adds = std::mem::take(&mut self.adds);
        let read = if adds { PlanAst::read_added } else { PlanAst::read };
        let resolved = resolve(&dir, read, &mut diagnostics);
        let (mut nested, mut sessions_below) = (BTreeMap::new(), BTreeMap::new());
        let mut silent_below = BTreeSet::new();
        // What is wrong with each nested plan, however many items name it in whatever way.
        let mut inside: Vec<Arc<PlanError>> = Vec::new();
        let mut broken = BTreeSet::new();
        let mut height = 0;
        if let Some(plan) = resolved.as_ref().filter(|_| !self.retries && !adds) {
            plan.refuse_too_few_sessions(&mut diagnostics);
        }
        let steps = resolved.as_ref().map(ResolvedPlan::steps).unwrap_or_default();
        refuse_missing_inputs(steps, &dir, &mut diagnostics);
        for step in steps {
            let StepWork::Plan { path, .. } = &step.work else { continue };
            self.wanted.check(source.path())?;
            if nested.contains_key(&path.value) || broken.contains(&path.value) {
                continue;
            }
            let below = shown_below(source.path(), &dir, &path.value);
            match self.below(&below, path.span, &mut diagnostics) {
                Some(Ok(whole)) => {
                    height = height.max(whole.height + 1);
                    if height > usize::from(MAX_DEPTH) {
                        let message = format!(
                            "with this one, plans are nested more than {MAX_DEPTH} levels deep"
                        );
                        diagnostics.error(DiagnosticCode::TooLarge, path.span, message);
                    }
                    if !whole.counts {
                        silent_below.insert(path.value.clone());
                    }
                    sessions_below.insert(path.value.clone(), whole.sessions);
                    nested.insert(path.value.clone(), whole.plan);
                }
                Some(Err(problems)) => {
                    broken.insert(path.value.clone());
                    if !inside.iter().any(|known| Arc::ptr_eq(known, &problems)) {
                        inside.push(problems);
                    }
                }
                None => {
                    broken.insert(path.value.clone());
                }
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
        if let Some(plan) = &resolved
            && !self.retries
            && !adds
            && (steps.len() as u64..sessions).contains(&u64::from(plan.budget().max_episodes()))
        {
            let message = format!(
                "{} cannot be enough for {} and those of its nested plans, which take at least \
                {sessions}",
                numbered(plan.budget().max_episodes().into(), "session"),
                numbered(steps.len() as u64, "item"),
            );
            diagnostics.error(DiagnosticCode::BadValue, plan.sessions_span(), message);
        }
        let step_counts = |step: &Step| counts(step, |path| !silent_below.contains(path));
        if let Some(plan) = &resolved {
            plan.refuse_uncounted(step_counts, &mut diagnostics);
        }
        let counts = steps.iter().any(step_counts);
        let mut problems = diagnostics.finish().err();
        for other in inside.into_iter().map(Arc::unwrap_or_clone) {
            match &mut problems {
                Some(problems) => problems.join(other),
                None => problems = Some(other),
            }
        }
        match (resolved, problems) {
            (Some(resolved), None) => Ok(Loaded {
                plan: Arc::new(Plan { source, file, dir, resolved, nested }),
                height,
                sessions,
                counts,
            }),
            (_, Some(problems)) => Err(problems),
            (None, None) => panic!("BUG: a plan that is not resolved has a problem"),
        }
    }

    /// A nested plan. `None` if what is wrong with it is reported where it is named.
    fn below(
        &mut self,
        path: &Path,
        span: Span,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Result<Loaded, Arc<PlanError>>> {
        if diagnostics.is_full() {
            return None;
        }
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) => {
                let message = format!("cannot read the plan {}: {error}", path.display());
                let hint = similar_file(path, diagnostics);
                diagnostics.error(DiagnosticCode::MissingFile, span, message).hint_if(hint);
                return None;
            }
        };
        if let Some(from) = self.above.iter().position(|above| *above == real) {
            let names = self.above[from..]
                .iter()
                .chain([&real])
                .map(|path| path.file_name().unwrap_or_default().to_string_lossy());
            let message = format!(
                "these plans would run each other forever: {}",
                names.collect::<Vec<_>>().join(" -> ")
            );
            diagnostics.error(DiagnosticCode::Cycle, span, message);
            return None;
        }
        if self.above.len() > usize::from(MAX_DEPTH) {
            diagnostics.error(
                DiagnosticCode::TooLarge,
                span,
                format!("plans are nested more than {MAX_DEPTH} levels deep"),
            );
            return None;
        }
        if self.files.len() >= MAX_FILES {
            diagnostics.error(
                DiagnosticCode::TooLarge,
                span,
                format!("this plan uses more than {MAX_FILES} plan files"),
            );
            return None;
        }
        Some(self.file(path))
    }
}

/// A nested plan's path as the one above is shown, if that leads there, else from where relative
/// paths start.
fn shown_below(above: &Path, dir: &Path, below: &str) -> PathBuf {
    let directory = above.parent().unwrap_or(Path::new(""));
    match std::path::absolute(directory) {
        Ok(absolute) if absolute == dir => directory.join(below),
        _ if directory.as_os_str().is_empty()
            && std::env::current_dir().is_ok_and(|here| here == dir) =>
        {
            below.into()
        }
        _ => dir.join(below),
    }
}

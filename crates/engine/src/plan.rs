//! Plan files: read with every problem at once, and compiled into what the engine takes.
//!
//! [`parse`] looks at a text alone; [`Plan::read`] also at the files that it names, nested plans
//! among them; [`Plan::compile`] gives a
//! [`CoordinationConfig`](crate::coordination::CoordinationConfig) and the blobs that its items
//! name. The keys of a plan are in one table, from which the reader, the JSON [`schema`] and the
//! check of the reference follow.

mod assembly;
mod command;
mod compilation;
mod draft;
mod fields;
mod filling;
mod keys;
mod nesting;
mod node;
mod outline;
mod problem;
mod read;
mod schema;
mod source;
mod template;
mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use command::{
    COMMAND_SCHEMA, CheckSpec, CommandError, CommandSpec, CommandText, EnvValue, InputSource,
    Invocation, OutputSource, SessionLimits, StdinSource, TextPart, UsageReader,
};
pub use compilation::{
    Compiled, Environment, PLAN_SCHEMA, PlanSpec, PlanSpecError, SecretFrom, SecretSource,
};
pub use filling::{OutputError, RenderError, Rendered, RenderedEnv, RenderedStdin};
pub use keys::{Key, Kind, OBJECTS, Object};
pub use outline::{Outline, OutlineItem};
pub use problem::{Diagnostic, DiagnosticCode, PlanError, Position};
pub use schema::schema;
pub use units::{Bytes, Cost, Count, Millis, Share, UnitError};

use assembly::Assembled;
use problem::Diagnostics;
use source::Source;

/// A plan without a problem.
#[derive(Debug, Clone)]
pub struct Plan {
    source: Source,
    /// The absolute directory that relative paths start from, and that sessions run in.
    dir: PathBuf,
    assembled: Assembled,
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
    let source = Source::new(path, text);
    let mut diagnostics = Diagnostics::new(&source);
    let assembled = assembled(dir, &mut diagnostics);
    diagnostics.finish()?;
    let assembled = assembled.expect("BUG: a plan that cannot be put together has a problem");
    Ok(Plan { source, dir: dir.to_owned(), assembled, nested: BTreeMap::new() })
}

impl Plan {
    /// Reads a plan file and the nested plans that it names.
    ///
    /// # Errors
    /// [`PlanError`] lists everything that is wrong with any of them.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, PlanError> {
        nesting::read(path.as_ref())
    }

    /// Reads a plan that somebody sent as text, and the nested plans that it names, which are read
    /// from disk. Problems call it `shown`; relative paths start from `dir`, which must be
    /// absolute.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub fn read_text(
        text: &str,
        shown: impl AsRef<Path>,
        dir: impl AsRef<Path>,
    ) -> Result<Self, PlanError> {
        nesting::read_text(text, shown.as_ref(), dir.as_ref())
    }

    /// The text that it was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source.text()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.assembled.name
    }

    /// The directory that relative paths start from, and that sessions run in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Reads and puts together what the text says; there may be something to look at further even with
/// problems.
fn assembled(dir: &Path, diagnostics: &mut Diagnostics<'_>) -> Option<Assembled> {
    let root = node::read(diagnostics)?;
    let draft = read::draft(&root, diagnostics);
    assembly::assemble(&draft, dir, diagnostics)
}

//! What is handed in: a run with its inputs and secrets, or work that is added to one later.

use std::collections::BTreeMap;
use std::fmt;

use antiphon_core::coordination::{CoordinationConfig, WorkSpec};
use antiphon_core::envelope::Blob;
use antiphon_core::id::CommandId;

use crate::signal_schemas::SignalSchemas;

/// A run to be submitted: what it is started with, and what its items need from outside.
///
/// A [`CoordinationConfig`] alone converts.
///
/// ```
/// use antiphon::{CoordinationBudget, CoordinationConfig, WorkSpec};
/// use antiphon::Digest;
/// use antiphon::{Engine, Failed, Output, SessionContext, Submission, SubmitError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let mut builder = Engine::builder(dir.path().join("state"))?;
/// builder.register("shout", |session: SessionContext| async move {
///     let input = session.input().await?.ok_or_else(|| Failed::because("there is no input"))?;
///     Ok(Output::text(String::from_utf8(input)?.to_uppercase()))
/// })?;
/// let engine = builder.start().await?;
///
/// let item = WorkSpec::function("a", "shout")?.with_input(Digest::of(b"hello"));
/// let budget = CoordinationBudget::new(10, 60_000, 1_000, None)?;
/// let config = CoordinationConfig::of_work(vec![item], budget)?.with_id("greeting")?;
/// let refused = engine.submit(config.clone()).await;
/// assert!(matches!(refused, Err(SubmitError::InputMissing { .. })), "nobody handed it in");
///
/// let run = engine.submit(Submission::new(config).with_input("hello")).await?;
/// run.wait().await?;
/// assert_eq!(run.output("a").await?, Some(Output::text("HELLO")));
/// engine.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Submission {
    pub(crate) config: CoordinationConfig,
    pub(crate) inputs: Vec<Blob>,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) command: Option<CommandId>,
}

impl Submission {
    /// A run without inputs or secrets.
    #[must_use]
    pub fn new(config: CoordinationConfig) -> Self {
        Self { config, inputs: Vec::new(), secrets: BTreeMap::new(), command: None }
    }

    /// The same with bytes that an item names by their digest.
    #[must_use]
    pub fn with_input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.inputs.push(Blob::new(bytes.into()));
        self
    }

    /// The same with several such inputs.
    #[must_use]
    pub fn with_inputs(mut self, inputs: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.inputs.extend(inputs.into_iter().map(|bytes| Blob::new(bytes.into())));
        self
    }

    /// The same with schemas that the data of the run's own types of signals must fit.
    #[must_use]
    pub fn with_signal_schemas(mut self, schemas: &SignalSchemas) -> Self {
        let blob = Blob::new(schemas.to_bytes());
        self.config = self.config.with_signal_schemas(blob.digest);
        self.inputs.push(blob);
        self
    }

    /// The same with the values of secrets that its processes need, by name. They stay in memory
    /// while the run lasts and are written nowhere; after a restart, submitting again under the
    /// chosen id brings them back.
    #[must_use]
    pub fn with_secrets(
        mut self,
        secrets: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        self.secrets.extend(secrets.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// The same under the id of a command, if it has one; the id is recorded.
    #[must_use]
    pub fn with_command(self, id: impl Into<Option<CommandId>>) -> Self {
        Self { command: id.into(), ..self }
    }
}

impl fmt::Debug for Submission {
    /// Names the secrets, and leaves out their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("config", &self.config)
            .field("inputs", &self.inputs.len())
            .field("secrets", &self.secrets.keys())
            .field("command", &self.command)
            .finish()
    }
}

impl From<CoordinationConfig> for Submission {
    fn from(config: CoordinationConfig) -> Self {
        Self::new(config)
    }
}

/// Work that is added to a run, with the inputs that it names.
///
/// Items alone convert.
#[derive(Debug, Clone, Default)]
pub struct Addition {
    pub(crate) items: Vec<WorkSpec>,
    pub(crate) inputs: Vec<Blob>,
}

impl Addition {
    /// Items without inputs.
    #[must_use]
    pub fn new(items: impl IntoIterator<Item = WorkSpec>) -> Self {
        Self { items: items.into_iter().collect(), inputs: Vec::new() }
    }

    /// The same with bytes that an item names by their digest.
    #[must_use]
    pub fn with_input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.inputs.push(Blob::new(bytes.into()));
        self
    }
}

impl From<Vec<WorkSpec>> for Addition {
    fn from(items: Vec<WorkSpec>) -> Self {
        Self::new(items)
    }
}

impl From<WorkSpec> for Addition {
    fn from(item: WorkSpec) -> Self {
        Self::new([item])
    }
}

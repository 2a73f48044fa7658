//! Plan files: read with every problem reported at once, and compiled into what the engine takes.
//!
//! [`parse`] looks at a text alone; [`Plan::read`] also at the files that it names, nested plans
//! among them; [`Plan::compile`] gives a
//! [`CoordinationConfig`](crate::coordination::CoordinationConfig) and the blobs that its items
//! name. The keys of a plan are in the tables of its [`OBJECTS`], from which the reader, the JSON
//! [`schema`] and the check of the reference follow. Plans know nothing of a running engine.

mod added;
mod caller;
mod compile;
mod input_digests;
mod load;
mod mapping;
mod objects;
mod origin;
mod outline;
mod requirements;
mod resolve;
mod schema;
mod text;
mod wanted;

pub use added::AddedWork;
pub use caller::{Environment, SecretFrom, SecretSource};
pub use compile::{Compiled, CompiledWork};
pub(crate) use input_digests::InputDigests;
pub use load::{Plan, parse};
pub use mapping::{Key, Object, ValueKind};
pub use objects::{
    COMMAND_SCHEMA, CheckSpec, CommandSpec, CommandSpecError, EnvValue, InputSource, Invocation,
    KeptStdin, MissingOutput, OBJECTS, OutputSource, PLAN_SCHEMA, PlanSpec, PlanSpecError,
    Rendered, RenderedEnv, RenderedStdin, RouteRule, RouteRules, SessionLimits, StdinSource,
    UsageReader,
};
pub use origin::{ORIGIN_SCHEMA, Origin, OriginError};
pub use outline::{Outline, OutlineItem};
pub use requirements::Requirements;
pub use resolve::{CommandText, RenderError, TextPart};
pub use schema::schema;
pub use text::{
    Bytes, Cost, Count, Diagnostic, DiagnosticCode, Millis, PlanError, Share, TextPosition,
    UnitError,
};
pub use wanted::Wanted;

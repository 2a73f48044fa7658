//! What may be asked of the world: one file for each noun, one line for each command.

mod approving;
mod carrying;
mod erasing;
mod expanding;
mod keys;
mod sessions;
mod signalling;
mod starting;
mod steering;
mod working;

pub use approving::{AnswerQuestion, AnswerSessionQuestion, AskQuestion, AskSessionQuestion};
pub use carrying::{Interrupt, TakeUp};
pub use erasing::EraseRequest;
pub use expanding::Expanded;
pub use keys::{SetKeys, SetSessionKeys, SetSharedKeys};
pub use sessions::{Cleared, EndSession};
pub use signalling::{SendSessionSignal, SendSignal};
pub use starting::Start;
pub use steering::{Continue, Pause, RaiseBudget, Stop};
pub use working::{AddSessionWork, AddWork, Skip};

use super::World;
use super::answer::{AskedQuestion, Asker, Done, Rejection, SessionQuestion, Started, Written};
use crate::coordination::Effect;
use crate::time::Now;

/// A command with the reply that it has.
pub trait Ask: Into<Command> + carry_out::CarryOut {}

/// Sealed: only the world carries commands out, as only it knows when it may.
pub(super) mod carry_out {
    use super::{Asker, Effect, Now, Rejection, World};

    /// A command, as the world carries it out.
    pub trait CarryOut {
        /// Its result.
        type Reply;

        /// What the first event that it causes may tell of it. Empty for a command that is not
        /// repeated under an id.
        fn effects(&self) -> Vec<Effect> {
            Vec::new()
        }

        /// Carries it out, or refuses it and changes nothing.
        ///
        /// # Errors
        /// A [`Rejection`] says what is wrong and what to do.
        fn carry_out(
            self,
            world: &mut World,
            asker: Asker,
            now: &Now,
        ) -> Result<Self::Reply, Rejection>;
    }
}

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident($command:ident) -> $reply:ident,)*) => {
        /// Something that is asked of the world.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names of its variants say it")]
        pub enum Command {
            $($(#[$doc])* $name($command),)*
        }

        /// The result of a command.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names of its variants say it")]
        pub enum Reply {
            $($(#[$doc])* $name($reply),)*
        }

        $(
            impl From<$command> for Command {
                fn from(command: $command) -> Self {
                    Self::$name(command)
                }
            }

            impl Ask for $command {}
        )*

        impl Ask for Command {}

        impl carry_out::CarryOut for Command {
            type Reply = Reply;

            fn effects(&self) -> Vec<Effect> {
                match self {
                    $(Self::$name(command) => command.effects(),)*
                }
            }

            fn carry_out(
                self,
                world: &mut World,
                asker: Asker,
                now: &Now,
            ) -> Result<Reply, Rejection> {
                match self {
                    $(Self::$name(command) => {
                        command.carry_out(world, asker, now).map(Reply::$name)
                    })*
                }
            }
        }
    };
}

/// The answer to an expansion was accepted.
pub type Taken = ();

commands! {
    Start(Start) -> Started,
    /// Add work, from outside.
    AddWork(AddWork) -> Done,
    /// Add work, from a session.
    AddSessionWork(AddSessionWork) -> Written,
    /// Send a signal, from outside.
    SendSignal(SendSignal) -> Done,
    /// Send a signal, from a session.
    SendSessionSignal(SendSessionSignal) -> Written,
    /// Change keys, from outside.
    SetKeys(SetKeys) -> Done,
    /// Change keys, from a session.
    SetSessionKeys(SetSessionKeys) -> Written,
    /// Ask a person something, from outside.
    AskQuestion(AskQuestion) -> AskedQuestion,
    /// Ask a person something, from a session.
    AskSessionQuestion(AskSessionQuestion) -> SessionQuestion,
    /// Answer a question, as a person.
    AnswerQuestion(AnswerQuestion) -> Done,
    /// A session's attempt to answer a question.
    AnswerSessionQuestion(AnswerSessionQuestion) -> Written,
    /// Change keys that all share, from a session.
    SetSharedKeys(SetSharedKeys) -> Written,
    EndSession(EndSession) -> Written,
    /// Nothing is left of a session that had left something running.
    Cleared(Cleared) -> Done,
    /// Answer to [`Action::Expand`](super::Action::Expand).
    Expanded(Expanded) -> Taken,
    /// End a coordination in some way.
    Stop(Stop) -> Done,
    /// Start nothing new for a while.
    Pause(Pause) -> Done,
    /// Go on, with higher ceilings if given.
    Continue(Continue) -> Done,
    RaiseBudget(RaiseBudget) -> Done,
    /// Carry a run out that was interrupted.
    TakeUp(TakeUp) -> Done,
    /// Leave a run alone until it is resumed.
    Interrupt(Interrupt) -> Done,
    Skip(Skip) -> Done,
    /// Erase payloads or blobs.
    Erase(EraseRequest) -> Done,
}

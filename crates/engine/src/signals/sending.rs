//! Sending signals to a run, and asking for those of it.

use std::time::Instant;

use antiphon_core::coordination::{Effect, Signal};
use antiphon_core::id::{Actor, CommandId, CoordinationId, Fence, SessionId, Version};
use antiphon_core::world::{Asker, Rejection, Written, commands};
use tokio::sync::oneshot;

use super::filter::SignalFilter;
use super::following::{From, Signals};
use super::heard::HeardSignal;
use super::history::history;
use super::secrecy::without_secrets;
use super::speakers::Speakers;
use crate::mailbox::{AskError, Handle, QueryError, Request, Unavailable, operator};
use crate::stats::Metric;

impl Handle {
    /// Sends a signal to a run, from outside.
    pub(crate) async fn send_signal(
        &self,
        run: &CoordinationId,
        signal: Signal,
        id: Option<CommandId>,
    ) -> Result<Version, AskError> {
        let began = Instant::now();
        self.check_schema(run, &signal).await?;
        let (signal, undeclared) = (Box::new(signal), None);
        let send = commands::SendSignal { coordination: run.clone(), signal, undeclared };
        let effects = vec![Effect::Signalled(send.signal.kind().clone())];
        let (reply, answer) = oneshot::channel();
        self.send(Request::SendSignal { send, asker: operator(id.clone()), reply }).await?;
        match answer.await.map_err(|_| Unavailable::Stopped)? {
            Err(AskError::Rejected(rejection)) => {
                self.accepted_before(run, id, effects, rejection).await
            }
            answer => {
                let done = answer?;
                self.note_sent(began);
                Ok(done.version)
            }
        }
    }

    fn note_sent(&self, began: Instant) {
        self.stats().record_time(Metric::SignalPropagation, began.elapsed());
        self.stats().record(Metric::SignalsSent, 1);
    }

    /// Sends a signal from a session to its own run, without values of the run's secrets; not where
    /// its fence is stale.
    pub(crate) async fn send_session_signal(
        &self,
        asking: &SessionId,
        fence: Option<Fence>,
        signal: Signal,
        id: Option<CommandId>,
    ) -> Result<Written, AskError> {
        let began = Instant::now();
        let signal = match self.secrets().of(&asking.coordination) {
            Some(values) => without_secrets(signal, &values).map_err(Rejection::from)?,
            None => signal,
        };
        self.check_schema(&asking.coordination, &signal).await?;
        let (session, signal) = (asking.clone(), Box::new(signal));
        let send = commands::SendSessionSignal { session, fence, signal };
        let written = self.ask(send, Asker { actor: Actor::session(asking), id }).await?;
        if matches!(written, Written::Done(_)) {
            self.note_sent(began);
        }
        Ok(written)
    }

    /// Follows the signals of a run.
    pub(crate) async fn signals(
        &self,
        run: &CoordinationId,
        filter: SignalFilter,
        from: From,
    ) -> Result<Signals, QueryError> {
        Signals::open(self, run, filter, from).await
    }

    /// The last signals of a run, the newest first.
    pub(crate) async fn signal_history(
        &self,
        run: &CoordinationId,
        filter: SignalFilter,
        limit: usize,
    ) -> Result<Vec<HeardSignal>, QueryError> {
        self.require(run).await?;
        let (speakers, run) = (Speakers::of(self, run).await?, run.clone());
        Ok(self.read(move |store| history(store, &run, speakers, &filter, limit)).await?)
    }
}

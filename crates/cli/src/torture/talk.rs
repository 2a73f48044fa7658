//! What is said to a run while it goes on: signals, counted keys, questions and answers, and waiting
//! for them. All of it is said again after a restart, under the same names.

use std::time::Duration;

use antiphon::approvals::{Answer, Question, QuestionId};
use antiphon::coordination::Need;
use antiphon::keys::{Expected, FoundKey, JsonText, KeyWrite};
use antiphon::random::Random;
use antiphon::signals::{Dedup, From, Signal, SignalFilter};
use antiphon::waits::{Met, SignalNeed, Waited};
use antiphon::{AskError, QueryError, Run, SessionContext, Stage, SubmitError, Version};

use super::journal::{Entry, JournalWriter};

/// Who speaks from outside.
const SPEAKER: &str = "driver";

/// The type of the signals that are sent.
pub(super) const NOTE: &str = "note";

/// The key that everybody counts up.
pub(super) const COUNT: &str = "count";

/// Times that somebody counts on when others were faster.
const TRIES: u32 = 4;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A command may come too late, or too early: that is no problem, but it was not acknowledged.
pub(super) fn accepted<T>(
    answer: Result<T, impl Into<SubmitError>>,
) -> Result<Option<T>, SubmitError> {
    match answer.map_err(Into::into) {
        Ok(value) => Ok(Some(value)),
        Err(SubmitError::Rejected(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number behind the one that a key has, written only where nobody else has been there.
pub(super) fn counted_on(found: Option<&FoundKey>) -> Result<(u64, KeyWrite), BoxError> {
    let last = found.map_or(Ok(0), |found| found.value.as_str().parse::<u64>())?;
    let expected = found.map_or(Expected::Nothing, |found| Expected::At(found.version));
    let write = KeyWrite::set(COUNT.parse()?, JsonText::new((last + 1).to_string())?)?;
    Ok((last + 1, write.expecting(expected)))
}

/// Somebody who speaks to a run from outside of it.
pub(super) struct Talk<'a> {
    run: Run,
    journal: &'a JournalWriter,
}

impl<'a> Talk<'a> {
    pub(super) fn of(run: Run, journal: &'a JournalWriter) -> Self {
        Self { run, journal }
    }
}

impl Talk<'_> {
    /// Says a few things.
    pub(super) async fn speak(&self, random: &mut Random) -> Result<(), BoxError> {
        for number in 0..random.between(1, 5) {
            match random.below(4) {
                0 => self.send(number).await?,
                1 => {
                    tokio::try_join!(self.count(), self.count())?;
                }
                2 => self.ask(number, random).await?,
                _ => self.answer_sessions().await?,
            }
            tokio::time::sleep(Duration::from_millis(random.below(4))).await;
        }
        Ok(())
    }

    /// Sends a signal twice at the same time, which is one signal, and waits for it.
    async fn send(&self, number: u64) -> Result<(), BoxError> {
        let note = || -> Result<Signal, BoxError> {
            let once = Dedup::new(format!("{NOTE}-{number}"));
            Ok(Signal::new(NOTE.parse()?).from(SPEAKER.parse()?).once(once))
        };
        let (one, other) = tokio::join!(self.run.signal(note()?), self.run.signal(note()?));
        for version in [accepted(one)?, accepted(other)?].into_iter().flatten() {
            let (id, key) = (self.run.id().clone(), format!("{NOTE}-{number}"));
            self.journal.write(&Entry::Signalled { id, from: SPEAKER.parse()?, key, version });
        }
        let need = Need::from(SignalNeed::new(NOTE.parse()?));
        // It may have ended by now, or end.
        let waited = self.run.wait_for([need], Some(Duration::from_millis(20))).await;
        if let Ok(Waited::Met(met)) = waited {
            for met in met {
                let Met::Signal { version: Some(version), .. } = met else { continue };
                self.journal.write(&Entry::Heard { id: self.run.id().clone(), version });
            }
        }
        Ok(())
    }

    /// Counts one on, or gives up where others always are faster.
    async fn count(&self) -> Result<(), BoxError> {
        for _ in 0..TRIES {
            let (value, write) = counted_on(self.run.key(COUNT).await?.as_ref())?;
            if let Some(version) = accepted(self.run.set_keys([write]).await)? {
                self.journal.write(&Entry::Counted { id: self.run.id().clone(), value, version });
                return Ok(());
            }
        }
        Ok(())
    }

    /// Asks something, and mostly has two people answer it, who do not agree.
    async fn ask(&self, number: u64, random: &mut Random) -> Result<(), BoxError> {
        let question: QuestionId = format!("q-{number}").parse()?;
        let asking = Question::new("Go on?")?.with_id(question.clone())?;
        let asking = match random.below(3) {
            0 => asking.expiring_in(Duration::from_millis(random.below(20))),
            _ => asking,
        };
        let Some(asked) = accepted(self.run.ask(asking).await)? else { return Ok(()) };
        let id = self.run.id().clone();
        let version = asked.version;
        self.journal.write(&Entry::Asked { id, question: asked.question, version });
        if random.one_in(4) {
            return Ok(());
        }
        tokio::try_join!(
            self.answer(question.clone(), Answer::Yes),
            self.answer(question, Answer::No)
        )?;
        Ok(())
    }

    async fn answer(&self, question: QuestionId, answer: Answer) -> Result<(), BoxError> {
        let given = self.run.answer(question.clone(), answer, None).await;
        if let Some(version) = accepted(given)? {
            let id = self.run.id().clone();
            let yes = answer == Answer::Yes;
            self.journal.write(&Entry::Answered { id, question, yes, version });
        }
        Ok(())
    }

    /// Answers what sessions have asked.
    async fn answer_sessions(&self) -> Result<(), BoxError> {
        for found in self.run.questions().await? {
            if found.state.answer.is_none() && found.state.by.as_str().starts_with("session") {
                self.answer(found.id, Answer::Yes).await?;
            }
        }
        Ok(())
    }

    /// Hears all signals that are sent, and watches the count, from the beginning: each once, and in
    /// order.
    pub(super) async fn listen(&self) -> Result<(), BoxError> {
        tokio::try_join!(self.hear(), self.watch()).map(|_| ())
    }

    async fn hear(&self) -> Result<(), BoxError> {
        let filter = SignalFilter::new().of_type(NOTE)?;
        let mut heard = self.run.signals(filter.clone(), From::Beginning).await?;
        let (mut last, mut given) = (Version(0), Vec::new());
        while let Some(signal) = heard.next().await? {
            let (id, version) = (self.run.id().clone(), signal.version);
            if version <= last {
                let about = format!("a listener of {id} was given version {version} after {last}");
                self.journal.write(&Entry::Complained { about });
            }
            last = version;
            given.push(version);
            self.journal.write(&Entry::Heard { id, version });
        }
        let ended = matches!(self.run.status().await?.stage, Stage::Ended(_));
        let sent = self.run.signal_history(filter, 1_000).await?;
        let sent: Vec<Version> = sent.iter().rev().map(|signal| signal.version).collect();
        if !sent.starts_with(&given) || ended && sent.len() != given.len() {
            let about = format!("a listener of {} was given {given:?} of {sent:?}", self.run.id());
            self.journal.write(&Entry::Complained { about });
        }
        Ok(())
    }

    async fn watch(&self) -> Result<(), BoxError> {
        let mut changes = self.run.watch_keys(COUNT, Version(0)).await?;
        let mut next = 1;
        while let Some(change) = changes.next().await? {
            let value = change.value.as_ref().map_or("nothing", JsonText::as_str);
            if value != next.to_string() {
                let (id, version) = (self.run.id(), change.version);
                let about =
                    format!("a watcher of {id} was given {value} at {version} instead of {next}");
                self.journal.write(&Entry::Complained { about });
            }
            next += 1;
        }
        Ok(())
    }
}

/// What sessions say of their own run. A session may be over by now, or speak too fast, so nothing
/// depends on it.
pub(super) async fn speak_as(
    session: &SessionContext,
    journal: &JournalWriter,
) -> Result<(), BoxError> {
    let id = session.coordination().clone();
    match session.work().as_str().split('-').next() {
        Some("sends") => {
            let key = session.session().to_string();
            let note = Signal::new(NOTE.parse()?).once(Dedup::new(&key));
            if let Some(version) = taken(session.signal(note).await) {
                let from = session.spec().speaks_as();
                journal.write(&Entry::Signalled { id, from, key, version });
            }
        }
        Some("counts") => {
            for _ in 0..TRIES {
                let found: Result<_, QueryError> = session.key(COUNT).await;
                let Ok(found) = found else { break };
                let (value, write) = counted_on(found.as_ref())?;
                if let Some(version) = taken(session.set_keys([write]).await) {
                    journal.write(&Entry::Counted { id, value, version });
                    break;
                }
            }
        }
        Some("asks") => {
            if let Some(asked) = taken(session.ask(Question::new("May I?")?).await) {
                let (question, version) = (asked.question, asked.version);
                journal.write(&Entry::Asked { id, question, version });
            }
        }
        _ => {}
    }
    Ok(())
}

fn taken<T>(answer: Result<T, AskError>) -> Option<T> {
    answer.ok()
}

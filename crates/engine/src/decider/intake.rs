//! What comes in: ends of sessions, commands, looks, and those who wait or follow.

use antiphon_core::append::HeadRow;
use antiphon_core::coordination::CoordinationConfig;
use antiphon_core::head::without_erased;
use antiphon_core::id::{CoordinationId, StreamName};
use antiphon_core::time::Now;
use antiphon_core::world::{Asker, Done, EraseRequest, Rejection, Started, Written, commands};

use super::Decider;
use crate::feed::Feed;
use crate::incidents::Incident;
use crate::mailbox::{AskError, EraseError, Release, Request, SubmitError, Unavailable, head_of};
use crate::session::ReportedEnd;
use crate::signals::undeclared;

impl Decider {
    pub(super) fn on_end(&mut self, mut end: ReportedEnd, now: &Now) {
        self.sessions.ended(&mut end);
        self.handle.shortages().forget(&end.session);
        if self.disk.is_sound() && !self.world.is_taking_over() {
            self.present(end, now);
        } else {
            self.sessions.keep([end]);
        }
    }

    pub(super) fn present(&mut self, end: ReportedEnd, now: &Now) {
        let command = commands::EndSession {
            session: end.session.clone(),
            fence: end.fence,
            end: Box::new(end.end.clone()),
            asked: end.asked,
            blobs: end.blobs.clone(),
        };
        match self.world.handle(command, Asker::engine(), now) {
            Ok(Written::Refused) => self.incidents.note(
                Incident::StaleEnd,
                &end.session,
                &"its fence is not valid any more",
            ),
            Ok(Written::Done(_)) => {}
            Err(error) => self.incidents.note(Incident::LateEnd, &end.session, &error),
        }
        self.draft.records(end);
    }

    pub(super) fn on_request(&mut self, request: Request, now: &Now) {
        match request {
            Request::Start { start, asker, minted, secrets, reply } => {
                let id = start.id.clone();
                let result = self.on_start(start, asker, minted, now);
                let is_taken_in = result.is_ok();
                if is_taken_in && self.sessions.hold_secrets(&id, secrets) {
                    self.world.hold_secrets(&id);
                }
                let release: Release = Box::new(move |durable| {
                    drop(reply.send(durable.map_err(SubmitError::from).and(result)));
                });
                match is_taken_in {
                    true => self.audience.await_start(id, release),
                    false => self.draft.answer(release),
                }
            }
            Request::SendSignal { send, asker, reply } => {
                let result = self.on_signal(send, asker, now);
                self.draft.answer(Box::new(move |durable| {
                    drop(reply.send(durable.map_err(AskError::from).and(result)));
                }));
            }
            Request::Erase { request, asker, spares, reply } => {
                let result = self.on_erase(request, asker, spares, now);
                self.draft.answer(Box::new(move |durable| {
                    drop(reply.send(durable.map_err(EraseError::from).and(result)));
                }));
            }
            Request::BeginPrune { prune, reply } => {
                self.named_since.begin(prune);
                self.draft.answer(Box::new(move |durable| drop(reply.send(durable))));
            }
            Request::HoldSecrets { run, secrets, needed, reply } => {
                if self.is_live(&run) && self.sessions.add_secrets(&run, secrets, &needed) {
                    self.world.hold_secrets(&run);
                }
                // A caller that no longer waits is no error.
                let _ = reply.send(());
            }
            Request::Command(carry) => {
                let world = match self.disk.refusal() {
                    Some(refusal) => Err(refusal),
                    None => Ok(&mut self.world),
                };
                let release = carry(world, now);
                self.draft.answer(release);
            }
            Request::Look(look) => {
                let release = look(&self.world, now);
                self.draft.answer(release);
            }
            Request::Wait { coordination, reply } => {
                if self.disk.is_closed_to_writes() {
                    // Nothing ends on the record any more.
                    let _ = reply.send(self.disk.refusal().map_or(Ok(None), Err));
                } else if self.is_live(&coordination) {
                    self.audience.await_end(coordination, reply);
                } else {
                    let _ = reply.send(Ok(None));
                }
            }
            Request::WaitFor(request) => self.on_wait_for(*request, now),
            Request::WaitGivenUp { run } => self.waits.given_up(&run),
            Request::Follow { stream, reply } => {
                let grows = match &stream {
                    StreamName::Coordination(id) => self.is_live(id),
                    // No other stream ends while the engine runs.
                    _ => true,
                };
                let feed = if grows && !self.disk.is_closed_to_writes() {
                    self.audience.follow(stream)
                } else {
                    Feed::ended()
                };
                // Turns on their way were filtered without this follower: it reads only once they
                // are durable.
                self.draft.answer(Box::new(move |_| drop(reply.send(feed))));
            }
            Request::Acknowledge { reply, .. } if self.disk.is_newer() => {
                let _ = reply.send(self.disk.refusal().map_or(Ok(()), Err));
            }
            // What was delivered is durable: the writer moves the cursor with whatever it writes
            // next.
            Request::Acknowledge { cursor, reply } => self.disk.move_cursor(cursor, reply),
            Request::Health { reply } => {
                let _ = reply.send(self.disk.refusal().map_or(Ok(()), Err));
            }
            Request::OnEnd { run, reply } => self.on_ends.ask(&run, reply),
            Request::OnEnds { reply } => drop(reply.send(self.on_ends.runs())),
            Request::OnEndDone { run, end } => self.on_end_done(&run, end),
            Request::Close { reply } => self.on_close(reply),
        }
    }

    fn on_start(
        &mut self,
        start: commands::Start,
        asker: Asker,
        minted: bool,
        now: &Now,
    ) -> Result<Started, SubmitError> {
        if let Some(refusal) = self.disk.refusal() {
            return Err(refusal.into());
        }
        if !minted && let Some(found) = self.find_ended(&start.id, &start.config)? {
            return Ok(found);
        }
        Ok(self.world.handle(start, asker, now)?)
    }

    /// A signal to a run that is not there begins one, where this engine allows it.
    fn on_signal(
        &mut self,
        mut send: commands::SendSignal,
        asker: Asker,
        now: &Now,
    ) -> Result<Done, AskError> {
        if let Some(refusal) = self.disk.refusal() {
            return Err(refusal.into());
        }
        let id = &send.coordination;
        if self.allows_undeclared && self.world.coordination(id).is_none() && !self.has_ended(id)? {
            let config = undeclared().with_id(id).map_err(Rejection::from)?;
            send.undeclared = Some(Box::new(config));
        }
        Ok(self.world.handle(send, asker, now)?)
    }

    /// Whether a coordination that is not live has ended, and was not merely never there.
    fn has_ended(&self, id: &CoordinationId) -> Result<bool, Unavailable> {
        // It may have ended in a turn that is on its way to the disk.
        Ok(self.audience.ending(id).is_some() || head_of(self.disk.store().as_ref(), id)?.is_some())
    }

    fn on_erase(
        &mut self,
        mut request: EraseRequest,
        asker: Asker,
        spares: bool,
        now: &Now,
    ) -> Result<(), EraseError> {
        if let Some(refusal) = self.disk.refusal() {
            return Err(refusal.into());
        }
        if spares {
            self.named_since.spare(&mut request.blobs);
            if request.blobs.is_empty() && request.payloads.is_none() {
                return Ok(());
            }
        }
        let redacted = self.check_erasure(&request)?;
        self.world.handle(request, asker, now)?;
        if let Some(head) = redacted {
            self.draft.redact(head);
        }
        Ok(())
    }

    /// Whether a coordination has not ended, as far as can be known. As long as there is no state,
    /// any may be live; that is seen once the state was read.
    fn is_live(&self, id: &CoordinationId) -> bool {
        self.disk.unread_since().is_some()
            || self.world.coordination(id).is_some()
            || self.audience.ending(id).is_some()
    }

    /// Whether a chosen id belongs to a coordination that has ended: one look-up by key, here so
    /// that nothing can come between.
    fn find_ended(
        &self,
        id: &CoordinationId,
        config: &CoordinationConfig,
    ) -> Result<Option<Started>, SubmitError> {
        if self.world.coordination(id).is_some() {
            return Ok(None);
        }
        let plan = match head_of(self.disk.store().as_ref(), id)? {
            Some(head) => match head.run_summary() {
                Ok(summary) => summary.plan,
                Err(error) => {
                    let (run, reason) = (id.clone(), error.to_string());
                    return Err(SubmitError::HeadRow { run, reason });
                }
            },
            // It may have ended in a turn that is on its way to the disk.
            None => match self.audience.ending(id) {
                Some(plan) => *plan,
                None => return Ok(None),
            },
        };
        match plan == config.digest() {
            true => Ok(Some(Started::Existing { coordination: id.clone() })),
            false => Err(Rejection::Conflict { coordination: id.clone() }.into()),
        }
    }

    /// Payloads can be erased of a coordination that has ended, but not its terminal event. Returns
    /// its head row if that must change.
    fn check_erasure(&self, request: &EraseRequest) -> Result<Option<HeadRow>, EraseError> {
        let Some((id, versions)) = &request.payloads else { return Ok(None) };
        let head = head_of(self.disk.store().as_ref(), id)?
            .ok_or_else(|| EraseError::UnknownRun { run: id.clone() })?;
        if !head.ended {
            return Err(Rejection::StillRunning { coordination: id.clone() }.into());
        }
        let last = head.tip.version;
        match versions.iter().find(|version| version.0 == 0 || **version >= last) {
            Some(version) => {
                Err(EraseError::NotErasable { run: id.clone(), version: *version, last })
            }
            None => Ok(without_erased(head, versions)),
        }
    }
}

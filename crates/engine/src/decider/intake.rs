//! What comes in: ends of sessions, commands, looks, and those who wait or follow.

use antiphon_core::append::HeadRow;
use antiphon_core::coordination::CoordinationConfig;
use antiphon_core::head::without_erased;
use antiphon_core::id::{CoordinationId, StreamName};
use antiphon_core::time::Now;
use antiphon_core::world::{
    Command, EraseRequest, Origin, Rejection, Reply, Started, Written, commands,
};

use super::Decider;
use crate::incidents::Incident;
use crate::mailbox::{EngineError, Feed, Release, Request, engine_origin, head_of};
use crate::session::ReportedEnd;

impl Decider {
    pub(super) fn on_end(&mut self, mut end: ReportedEnd, now: &Now) {
        self.sessions.ended(&mut end);
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
        match self.world.handle(command, engine_origin(), now) {
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
            Request::Command { command, origin, minted, secrets, reply } => {
                let started = match &command {
                    Command::Start(commands::Start { id, .. }) => Some(id.clone()),
                    _ => None,
                };
                let result = self.on_command(command, origin, minted, now);
                let started = started.filter(|_| result.is_ok());
                if let Some(id) = &started
                    && self.sessions.hold_secrets(id, secrets)
                {
                    self.world.hold_secrets(id);
                }
                let release: Release =
                    Box::new(move |durable| drop(reply.send(durable.and(result))));
                match started {
                    Some(id) => self.audience.await_start(id, release),
                    None => self.draft.answer(release),
                }
            }
            Request::Look(look) => {
                let release = look(&self.world, now);
                self.draft.answer(release);
            }
            Request::Wait { coordination, reply } => {
                if let Err(refusal) = self.disk.refusal_of_reads() {
                    // Nothing ends on the record any more.
                    let _ = reply.send(Err(refusal));
                } else if self.is_live(&coordination) {
                    self.audience.await_end(coordination, reply);
                } else {
                    let _ = reply.send(Ok(None));
                }
            }
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
            Request::Close { reply } => self.on_close(reply),
        }
    }

    fn on_command(
        &mut self,
        command: Command,
        origin: Origin,
        minted: bool,
        now: &Now,
    ) -> Result<Reply, EngineError> {
        if let Some(refusal) = self.disk.refusal() {
            return Err(refusal);
        }
        if let Command::Start(commands::Start { id, config, .. }) = &command
            && !minted
            && let Some(reply) = self.find_ended(id, config)?
        {
            return Ok(Reply::Start(reply));
        }
        let redacted = match &command {
            Command::Erase(request) => self.check_erasure(request)?,
            _ => None,
        };
        let reply = self.world.handle(command, origin, now)?;
        if let Some(head) = redacted {
            self.draft.redact(head);
        }
        Ok(reply)
    }

    /// Whether a coordination has not ended as far as anybody can know.
    fn is_live(&self, id: &CoordinationId) -> bool {
        self.world.coordination(id).is_some() || self.audience.ending(id).is_some()
    }

    /// Whether a chosen id belongs to a coordination that has ended: one look-up by key, here so
    /// that nothing can come between.
    fn find_ended(
        &self,
        id: &CoordinationId,
        config: &CoordinationConfig,
    ) -> Result<Option<Started>, EngineError> {
        if self.world.coordination(id).is_some() {
            return Ok(None);
        }
        let same = |head: &HeadRow| head.run_summary().is_ok_and(|it| it.plan == config.digest());
        match head_of(self.disk.store(), id) {
            Ok(head) if same(&head) => Ok(Some(Started::Existing { coordination: id.clone() })),
            Ok(_) => Err(Rejection::Conflict { coordination: id.clone() }.into()),
            // It ended in a turn that is on its way to the disk.
            Err(EngineError::UnknownCoordination { .. }) if self.audience.ending(id).is_some() => {
                if self.audience.ending(id) == Some(&config.digest()) {
                    Ok(Some(Started::Existing { coordination: id.clone() }))
                } else {
                    Err(Rejection::Conflict { coordination: id.clone() }.into())
                }
            }
            Err(EngineError::UnknownCoordination { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Payloads can be erased of a coordination that has ended, but not its terminal event. Returns
    /// its head row if that must change.
    fn check_erasure(&self, request: &EraseRequest) -> Result<Option<HeadRow>, EngineError> {
        let Some((id, versions)) = &request.payloads else { return Ok(None) };
        let head = head_of(self.disk.store(), id)?;
        if !head.ended {
            return Err(Rejection::StillRunning { coordination: id.clone() }.into());
        }
        let last = head.tip.version;
        match versions.iter().find(|version| version.0 == 0 || **version >= last) {
            Some(version) => {
                Err(EngineError::NotErasable { coordination: id.clone(), version: *version, last })
            }
            None => Ok(without_erased(head, versions)),
        }
    }
}

//! What comes in: ends of sessions, commands, looks, and those who wait or follow.

use antiphon_core::append::HeadRow;
use antiphon_core::coordination::CoordinationConfig;
use antiphon_core::id::CoordinationId;
use antiphon_core::time::Now;
use antiphon_core::world::{Command, EraseRequest, Origin, Rejection, Reply, without_erased};

use super::writer::Job;
use super::{Decider, Health};
use crate::incidents::CaughtError;
use crate::mailbox::{EngineError, Feed, Release, Request, engine_origin, head_of, status_of};
use crate::session::Ending;

impl Decider {
    pub(super) fn on_end(&mut self, mut end: Ending, now: &Now) {
        self.running.ended(&mut end);
        match self.health {
            Health::Sound if !self.world.is_taking_over() => self.present(end, now),
            // Kept outside of the world until a write may succeed again.
            _ => self.kept.push_back(end),
        }
    }

    pub(super) fn present(&mut self, end: Ending, now: &Now) {
        let command = Command::EndSession {
            session: end.session.clone(),
            fence: end.fence,
            end: Box::new(end.end.clone()),
            asked: end.asked,
            blobs: end.blobs.clone(),
        };
        match self.world.handle(command, engine_origin(), now) {
            Ok(Reply::WriteRefused) => self.caught.note(
                CaughtError::StaleEnd,
                &end.session,
                &"its fence is not valid any more",
            ),
            Ok(_) => {}
            Err(error) => self.caught.note(CaughtError::LateEnd, &end.session, &error),
        }
        self.draft.ends.push(end);
    }

    pub(super) fn on_request(&mut self, request: Request, now: &Now) {
        match request {
            Request::Command { command, origin, minted, secrets, reply } => {
                let started = match &command {
                    Command::Start { id, .. } => Some(id.clone()),
                    _ => None,
                };
                let result = self.on_command(command, origin, minted, now);
                let started = started.filter(|_| result.is_ok());
                if let (Some(id), Some(processes)) = (&started, &self.processes)
                    && !secrets.is_empty()
                {
                    processes.secrets.hold(id.clone(), secrets);
                    self.world.hold_secrets(id);
                }
                let release: Release =
                    Box::new(move |durable| drop(reply.send(durable.and(result))));
                match started {
                    Some(id) => self.starts.push((id, release)),
                    None => self.draft.releases.push(release),
                }
            }
            Request::Look(look) => {
                let release = look(&self.world, now);
                self.draft.releases.push(release);
            }
            // Nothing ends on the record any more; dropping the answer says so.
            Request::Wait { .. } if matches!(self.health, Health::Poisoned { .. }) => {}
            Request::Wait { coordination, reply } => {
                if self.world.coordination(&coordination).is_some()
                    || self.ending.contains_key(&coordination)
                {
                    self.waiting.add(coordination, reply);
                } else {
                    let _ = reply.send(None);
                }
            }
            Request::Follow { coordination, reply } => {
                let live = self.world.coordination(&coordination).is_some()
                    || self.ending.contains_key(&coordination);
                let feed = if live && !matches!(self.health, Health::Poisoned { .. }) {
                    self.followers.open(coordination)
                } else {
                    Feed::ended()
                };
                // Turns on their way were filtered without this follower: he reads only once they
                // are durable.
                self.draft.releases.push(Box::new(move |_| drop(reply.send(feed))));
            }
            // What was delivered is durable: the writer moves the cursor with whatever it writes
            // next.
            Request::Acknowledge { cursor, reply } => self.writer.send(Job::Move(cursor, reply)),
            Request::Health { reply } => {
                let _ = reply.send(self.health.refusal().map_or(Ok(()), Err));
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
        if let Some(refusal) = self.health.refusal() {
            return Err(refusal);
        }
        if let Command::Start { id, config, .. } = &command
            && !minted
            && let Some(reply) = self.find_ended(id, config)?
        {
            return Ok(reply);
        }
        let redacted = match &command {
            Command::Erase(request) => self.check_erasure(request)?,
            _ => None,
        };
        let reply = self.world.handle(command, origin, now)?;
        self.draft.redacted.extend(redacted.map(|head| (head.stream.clone(), head)));
        Ok(reply)
    }

    /// Whether a chosen id belongs to a coordination that has ended: one look-up by key, here so
    /// that nothing can come between.
    fn find_ended(
        &self,
        id: &CoordinationId,
        config: &CoordinationConfig,
    ) -> Result<Option<Reply>, EngineError> {
        if self.world.coordination(id).is_some() {
            return Ok(None);
        }
        let same = |plan: Option<&str>| plan == Some(&config.digest().to_string());
        match status_of(self.store.as_ref(), id) {
            Ok(status) if same(status.summary["plan"].as_str()) => {
                Ok(Some(Reply::Existing { coordination: id.clone() }))
            }
            Ok(_) => Err(Rejection::Conflict { coordination: id.clone() }.into()),
            // It ended in a turn that is on its way to the disk.
            Err(EngineError::UnknownCoordination { .. }) if self.ending.contains_key(id) => {
                if self.ending.get(id) == Some(&config.digest()) {
                    Ok(Some(Reply::Existing { coordination: id.clone() }))
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
        let head = head_of(self.store.as_ref(), id)?;
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

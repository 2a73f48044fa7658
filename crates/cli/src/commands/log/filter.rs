//! Which events of a stream are asked for.

use std::collections::BTreeSet;

use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent, Event};
use antiphon::id::{StreamName, Version, WorkId};
use antiphon::ledger::{Events, ReadError, Store};
use antiphon::time::WallTime;

use crate::timestamps;

/// Events read per page, from the end backwards.
const PAGE: usize = 1_000;

/// Names that are offered instead of one that is not there.
const OFFERED: usize = 3;

/// How alike names are (from 0 to 1) of which one may have been meant by the other.
const ALIKE: f64 = 0.7;

/// The event types that match a pattern.
#[derive(Debug, Clone)]
pub(super) struct EventKinds {
    pattern: String,
    kinds: Vec<&'static str>,
}

/// Reads a pattern of types.
pub(super) fn kinds(pattern: &str) -> Result<EventKinds, String> {
    let short = |kind: &'static str| kind.split_once('.').map_or(kind, |(_, name)| name);
    let matches = |kind: &'static str| is_like(pattern, kind) || is_like(pattern, short(kind));
    let kinds: Vec<&str> = Event::kinds().filter(|kind| matches(kind)).collect();
    if !kinds.is_empty() {
        return Ok(EventKinds { pattern: pattern.to_owned(), kinds });
    }
    let wanted = pattern.rsplit_once('.').map_or(pattern, |(_, name)| name);
    let within = |kind: &&str| !wanted.is_empty() && kind.contains(wanted);
    let names = || Event::kinds().map(short);
    let mut near: Vec<&str> = names().filter(within).collect();
    if near.is_empty() {
        near = alike(wanted, names());
    }
    Err(match near.as_slice() {
        [] => format!(
            "unknown event type; known types are {}",
            Event::kinds().collect::<Vec<_>>().join(", ")
        ),
        near => format!(
            "unknown event type; did you mean {}?",
            near[..near.len().min(OFFERED)].join(" or ")
        ),
    })
}

/// Reads the id of an item.
pub(super) fn work(text: &str) -> Result<WorkId, String> {
    WorkId::new(text).map_err(|error| error.to_string())
}

/// What is asked for of one stream, and what was seen of the rest.
pub(super) struct Filter<'a> {
    store: &'a dyn Store,
    stream: &'a StreamName,
    kinds: &'a [EventKinds],
    /// The item that is asked for as it was written, and what it means: itself, or several.
    work: Option<WorkId>,
    works: Vec<WorkId>,
    session: Option<u64>,
    since: Option<WallTime>,
    /// Types that were seen and not asked for.
    others: BTreeSet<String>,
    /// Items that were seen and may have been meant.
    near: Vec<String>,
    /// Whether the item that is asked for was seen.
    is_there: bool,
}

impl<'a> Filter<'a> {
    pub(super) fn new(
        store: &'a dyn Store,
        stream: &'a StreamName,
        kinds: &'a [EventKinds],
        (work, works): (Option<WorkId>, Vec<WorkId>),
        session: Option<u64>,
        since: Option<WallTime>,
    ) -> Self {
        Self {
            store,
            stream,
            kinds,
            work,
            works,
            session,
            since,
            others: BTreeSet::new(),
            near: Vec::new(),
            is_there: false,
        }
    }

    /// The version after which are the last `limit` of what is asked for, looked for from the end;
    /// 0 means all.
    pub(super) fn last(
        &mut self,
        begin: Version,
        end: Version,
        limit: usize,
    ) -> Result<Version, ReadError> {
        let mut left = limit as u64;
        if left == 0 {
            return Ok(begin);
        }
        if self.wants_all() {
            return Ok(begin.max(Version(end.0.saturating_sub(left))));
        }
        let mut high = end;
        while high > begin {
            let low = begin.max(Version(high.0.saturating_sub(PAGE as u64)));
            let page = self.store.read_stream(self.stream, low, PAGE)?;
            for event in page.iter().rev().filter(|event| event.version <= high) {
                left -= u64::from(self.wants(event)?);
                if left == 0 {
                    return Ok(Version(event.version.0 - 1));
                }
            }
            high = low;
        }
        Ok(begin)
    }

    fn wants_all(&self) -> bool {
        self.kinds.is_empty()
            && self.work.is_none()
            && self.session.is_none()
            && self.since.is_none()
    }

    pub(super) fn wants(&mut self, event: &Recorded) -> Result<bool, ReadError> {
        self.look_for_item(event);
        if self.since.is_some_and(|since| event.wall < since) {
            return Ok(false);
        }
        if !self.kinds.is_empty()
            && !self.kinds.iter().any(|of| of.kinds.contains(&event.kind.as_ref()))
        {
            self.others.insert(event.kind.to_string());
            return Ok(false);
        }
        if self.session.is_none() && self.work.is_none() {
            return Ok(true);
        }
        // What is erased or cannot be decoded cannot be attributed to an item or a session.
        let Some(decoded) = decoded(event) else { return Ok(false) };
        if self.session.is_some_and(|session| session_of(&decoded) != Some(session)) {
            return Ok(false);
        }
        match &self.work {
            None => Ok(true),
            Some(_) => self.concerns(&decoded),
        }
    }

    fn concerns(&self, event: &CoordinationEvent) -> Result<bool, ReadError> {
        let is_asked_for = |work: &WorkId| self.works.contains(work);
        Ok(match event {
            CoordinationEvent::WorkAdded(added) => {
                added.items.iter().any(|item| is_asked_for(&item.id))
                    || added.recalled.iter().any(|item| is_asked_for(&item.work.id))
            }
            CoordinationEvent::WorkSkipped(skipped) => skipped.works.iter().any(is_asked_for),
            CoordinationEvent::SessionBound(bound) => is_asked_for(&bound.work),
            CoordinationEvent::SessionUnbound(unbound) => is_asked_for(&unbound.work),
            // These name only their session. They are rare enough to be looked up.
            CoordinationEvent::SessionCleared(_) | CoordinationEvent::WriteRefused(_) => {
                match session_of(event) {
                    Some(session) => self.work_of(session)?.as_ref().is_some_and(is_asked_for),
                    None => false,
                }
            }
            _ => false,
        })
    }

    /// The item that a session was bound to.
    fn work_of(&self, session: u64) -> Result<Option<WorkId>, ReadError> {
        for event in Events::after(self.store, self.stream.clone(), Version(0)) {
            let event = event?;
            if event.kind == "coordination.session_bound"
                && let Some(CoordinationEvent::SessionBound(bound)) = decoded(&event)
                && bound.session == session
            {
                return Ok(Some(bound.work));
            }
        }
        Ok(None)
    }

    /// Keeps the ids that are most like the one that is asked for, while that one is not found.
    fn look_for_item(&mut self, event: &Recorded) {
        let Some(work) = self
            .work
            .as_ref()
            .filter(|_| !self.is_there && &*event.kind == "coordination.work_added")
        else {
            return;
        };
        let Some(CoordinationEvent::WorkAdded(added)) = decoded(event) else { return };
        self.is_there = added.items.iter().any(|item| self.works.contains(&item.id));
        let known = self
            .near
            .iter()
            .map(String::as_str)
            .chain(added.items.iter().map(|item| item.id.as_str()));
        let near: BTreeSet<&str> = alike(work.as_str(), known).into_iter().collect();
        self.near = near.into_iter().map(str::to_owned).collect();
    }

    /// Why nothing was printed, as far as that can be determined.
    pub(super) fn why_nothing(&self, begin: Version, last: Version) -> String {
        let named: Vec<&str> = self.kinds.iter().map(|of| of.pattern.as_str()).collect();
        match (&self.work, &self.since) {
            _ if begin >= last => {
                format!("no events from version {} on; the last is {last}", begin.next())
            }
            (Some(work), _) if !self.is_there && begin == Version(0) => {
                match self.near.as_slice() {
                    [] => {
                        format!("there is no item {work}; `--type work_added` names those that are")
                    }
                    near => format!("there is no item {work}; did you mean {}?", near.join(" or ")),
                }
            }
            (_, Some(since)) => format!("no matching events since {}", timestamps::seconds(*since)),
            _ if self.others.is_empty() || self.work.is_some() || self.session.is_some() => {
                "no matching events".to_owned()
            }
            _ => {
                let others: Vec<&str> = self.others.iter().map(String::as_str).collect();
                format!("no events of type {}; there are {}", named.join(" or "), others.join(", "))
            }
        }
    }
}

fn decoded(event: &Recorded) -> Option<CoordinationEvent> {
    CoordinationEvent::of(event).ok()
}

fn session_of(event: &CoordinationEvent) -> Option<u64> {
    match event {
        CoordinationEvent::SessionBound(bound) => Some(bound.session),
        CoordinationEvent::SessionUnbound(unbound) => Some(unbound.session),
        CoordinationEvent::SessionCleared(cleared) => Some(cleared.session),
        CoordinationEvent::WriteRefused(refused) => Some(refused.session),
        _ => None,
    }
}

/// The names that are most like one, the nearest first.
fn alike<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(f64, &str)> =
        names.map(|name| (strsim::jaro_winkler(wanted, name), name)).collect();
    near.retain(|(likeness, _)| *likeness >= ALIKE);
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    near.dedup_by(|a, b| a.1 == b.1);
    near.into_iter().take(OFFERED).map(|(_, name)| name).collect()
}

/// Whether a text matches a pattern, in which `*` is any text.
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| is_like(rest, &text[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_types_with_and_without_their_first_part() {
        let found = |pattern: &str| kinds(pattern).map(|of| of.kinds);
        assert_eq!(found("session_bound"), Ok(vec!["coordination.session_bound"]));
        assert_eq!(found("coordination.session_bound"), Ok(vec!["coordination.session_bound"]));
        assert_eq!(
            found("*bound"),
            Ok(vec!["coordination.session_bound", "coordination.session_unbound"])
        );
        assert_eq!(found("ledger.*"), Ok(vec!["ledger.opened", "ledger.closed", "ledger.erased"]));
        assert!(Event::kinds().eq(found("*").unwrap()));
    }

    #[test]
    fn a_mistyped_type_gets_a_suggestion() {
        let told = |pattern: &str| kinds(pattern).unwrap_err();
        assert_eq!(
            told("bound"),
            "unknown event type; did you mean session_bound or session_unbound?"
        );
        assert_eq!(
            told("coordination.sesion_unbound"),
            "unknown event type; did you mean session_unbound or session_bound or session_cleared?"
        );
        assert!(told("zzz").starts_with("unknown event type; known types are ledger.opened, "));
    }
}

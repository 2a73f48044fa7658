//! A coordination as its events left it, with its items in the order in which somebody who watches
//! wants to see them.
//!
//! States, bindings, usage and budget are read from the one reducer. What is kept beside it is what
//! events say and no state needs, such as the last words of a session, and indexes, so that a look
//! costs what it shows and not what there is.

use std::collections::{BTreeSet, HashMap};

use antiphon::coordination::{
    Coordination, SessionOutcome, Stage, Verdict, WorkItemOutcome, WorkSpec, WorkState,
};
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent, DecodeError, SessionUnbound};
use antiphon::id::{CoordinationId, GroupName, StreamName, Version, WorkId};
use antiphon::replay::Replay;
use antiphon::time::{Now, WallTime};

use crate::text::printable;

/// Most of what a session said that is kept, in characters.
const TEXT_KEPT: usize = 200;

/// Waiting items among which some are looked for that could run, and those for which the engine is
/// asked.
const LOOKED_THROUGH: usize = 100;
const ASKED: usize = 8;

/// One coordination, as far as its events could be read.
#[derive(Debug)]
pub(crate) struct Board {
    id: CoordinationId,
    replay: Replay<Coordination>,
    unread: Option<Unread>,
    verdict: Option<Verdict>,
    items: Vec<Item>,
    places: HashMap<WorkId, usize>,
    counts: ClassCounts,
    /// All items, by class and age.
    all: BTreeSet<(Class, usize)>,
    /// Items without a group, and groups at the place of their first member, as far as they are
    /// quiet.
    quiet: BTreeSet<(Class, usize, Option<GroupName>)>,
    groups: HashMap<GroupName, Group>,
}

/// Events that cannot be read: those from this version on.
#[derive(Debug, Clone)]
pub(crate) struct Unread {
    pub(crate) from: Version,
    pub(crate) why: String,
}

/// What is known of an item beside its state.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: WorkId,
    pub(crate) class: Class,
    pub(crate) group: Option<GroupName>,
    pub(crate) last: Option<Last>,
}

/// Its last session that ended.
#[derive(Debug)]
pub(crate) struct Last {
    pub(crate) outcome: SessionOutcome,
    pub(crate) took_ns: u64,
    /// What it said, on one line; nothing if it did well.
    pub(crate) text: Option<Box<str>>,
}

/// Where items are in their life, those first that are looked at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Running,
    Failed,
    Held,
    Delayed,
    Waiting,
    Skipped,
    Done,
}

impl Class {
    const ALL: [Self; 7] = [
        Self::Running,
        Self::Failed,
        Self::Held,
        Self::Delayed,
        Self::Waiting,
        Self::Skipped,
        Self::Done,
    ];

    fn of(state: &WorkState) -> Self {
        match state {
            WorkState::Waiting(_) | WorkState::Ready => Self::Waiting,
            WorkState::Delayed(_) => Self::Delayed,
            WorkState::Bound(_) => Self::Running,
            WorkState::AwaitingCleanup(_) => Self::Held,
            WorkState::Done(WorkItemOutcome::Succeeded) => Self::Done,
            WorkState::Done(WorkItemOutcome::Failed) => Self::Failed,
            // Skipped, or what later versions may add: nothing of its own came of it.
            WorkState::Done(_) => Self::Skipped,
        }
    }

    fn is_quiet(self) -> bool {
        self >= Self::Waiting
    }

    /// The class as it is counted.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Held => "awaiting cleanup",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Waiting => "waiting",
            Self::Skipped => "skipped",
            Self::Done => "succeeded",
        }
    }
}

/// How many items there are of each class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ClassCounts([usize; Class::ALL.len()]);

impl ClassCounts {
    pub(crate) fn of(&self, class: Class) -> usize {
        self.0[class as usize]
    }

    pub(crate) fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// Those that there are any of.
    pub(crate) fn present(&self) -> impl Iterator<Item = (Class, usize)> {
        Class::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    fn quiet(&self) -> Self {
        let mut quiet = *self;
        Class::ALL
            .into_iter()
            .filter(|class| !class.is_quiet())
            .for_each(|class| quiet.0[class as usize] = 0);
        quiet
    }

    fn add(&mut self, class: Class) {
        self.0[class as usize] += 1;
    }

    fn remove(&mut self, class: Class) {
        self.0[class as usize] -= 1;
    }

    fn less(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(count, other)| *count -= other);
        self
    }
}

#[derive(Debug)]
struct Group {
    first: usize,
    counts: ClassCounts,
}

impl Group {
    /// Where it stands among what is quiet, if any of it is.
    fn class(&self) -> Option<Class> {
        self.counts.quiet().present().map(|(class, _)| class).next()
    }
}

/// Something that has a line of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Item(usize),
    /// The quiet members of a group, counted.
    Group(GroupName, ClassCounts),
}

/// What has a line, and how many items have none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LineSelection {
    pub(crate) shown: Vec<Shown>,
    pub(crate) left: ClassCounts,
}

impl Board {
    pub(crate) fn new(id: CoordinationId) -> Self {
        Self {
            replay: Replay::of(StreamName::Coordination(id.clone())),
            id,
            unread: None,
            verdict: None,
            items: Vec::new(),
            places: HashMap::new(),
            counts: ClassCounts::default(),
            all: BTreeSet::new(),
            quiet: BTreeSet::new(),
            groups: HashMap::new(),
        }
    }

    pub(crate) fn id(&self) -> &CoordinationId {
        &self.id
    }

    /// The state; none before the first event, or if that cannot be read.
    pub(crate) fn session(&self) -> Option<&Coordination> {
        self.replay.state()
    }

    pub(crate) fn unread(&self) -> Option<&Unread> {
        self.unread.as_ref()
    }

    pub(crate) fn item(&self, place: usize) -> &Item {
        &self.items[place]
    }

    pub(crate) fn counts(&self) -> &ClassCounts {
        &self.counts
    }

    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        self.replay
            .state()
            .and_then(|session| session.started().name.as_deref())
            .unwrap_or(self.id.as_str())
    }

    /// Where it is in its life, also where events cannot be read.
    pub(crate) fn stage(&self) -> Stage {
        match (self.verdict, self.replay.state()) {
            (Some(verdict), _) => Stage::Ended(verdict),
            (None, Some(session)) => session.stage(),
            (None, None) => Stage::Starting,
        }
    }

    /// The present in its own time, which passes from its last event on as the wall clock does
    /// while an engine owns it.
    pub(crate) fn present(&self, wall: WallTime) -> Now {
        let mut now = Now::from(0);
        let Some(session) = self.replay.state() else { return now };
        let (at, since) = session.last_times();
        // Where events are missing, nobody knows what time has passed for what.
        let wall = if self.unread.is_some() { since } else { wall };
        now.wall = wall;
        now.at = if session.status().is_terminal() {
            at
        } else {
            at.after(wall.0.saturating_sub(since.0))
        };
        now
    }

    /// The present as of its last event, for when no engine owns it and its time stands still.
    pub(crate) fn standstill(&self) -> Now {
        let last = self.replay.state().map_or(WallTime(0), |session| session.last_times().1);
        self.present(last)
    }

    /// Takes the next event in.
    pub(crate) fn take(&mut self, recorded: &Recorded) {
        if self.unread.is_some() {
            self.verdict = self.verdict.or_else(|| verdict(recorded));
        } else if let Err(why) = self.follow(recorded) {
            self.unread = Some(Unread { from: recorded.version, why });
            self.verdict = verdict(recorded);
        }
    }

    fn follow(&mut self, recorded: &Recorded) -> Result<(), String> {
        let event =
            CoordinationEvent::of(recorded).map_err(|unreadable| match unreadable.error {
                DecodeError::Erased { .. } => "its payload was erased".to_owned(),
                error => error.to_string(),
            })?;
        let Some(session) = self.replay.state() else {
            return self.replay.apply(recorded, &event).map_err(|error| error.to_string());
        };
        let freed = match &event {
            CoordinationEvent::SessionCleared(cleared) => session.held_by(cleared.session).cloned(),
            _ => None,
        };
        let last = match &event {
            CoordinationEvent::SessionUnbound(unbound) => {
                let since = session
                    .binding(unbound.session)
                    .map_or(recorded.at, |(binding, _)| binding.bound_at);
                Some(last(unbound, recorded.at.since(since)))
            }
            _ => None,
        };
        self.replay.apply(recorded, &event).map_err(|error| error.to_string())?;
        match &event {
            CoordinationEvent::WorkAdded(added) => {
                added.items.iter().for_each(|spec| self.add(spec));
            }
            CoordinationEvent::SessionBound(bound) => self.look_at(&bound.work),
            CoordinationEvent::SessionUnbound(unbound) => {
                if let Some(place) = self.places.get(&unbound.work) {
                    self.items[*place].last = last;
                }
                self.look_at(&unbound.work);
            }
            CoordinationEvent::WorkSkipped(skipped) => {
                skipped.works.iter().for_each(|work| self.look_at(work));
            }
            CoordinationEvent::Completed(_) | CoordinationEvent::Aborted(_) => {
                self.verdict = verdict(recorded);
            }
            _ => freed.iter().for_each(|work| self.look_at(work)),
        }
        Ok(())
    }

    fn add(&mut self, spec: &WorkSpec) {
        let place = self.items.len();
        self.items.push(Item {
            id: spec.id.clone(),
            class: Class::Waiting,
            group: spec.group.clone(),
            last: None,
        });
        self.places.insert(spec.id.clone(), place);
        self.enter(place, Class::Waiting);
    }

    /// Puts an item where its state belongs. One that has left memory stays where it was: only what
    /// is done leaves.
    fn look_at(&mut self, work: &WorkId) {
        let Some(place) = self.places.get(work).copied() else { return };
        let tracking = self.replay.state().and_then(|session| session.work_tracking(work.as_str()));
        let Some(class) = tracking.map(|tracking| Class::of(tracking.state)) else { return };
        let before = std::mem::replace(&mut self.items[place].class, class);
        self.leave(place, before);
        self.enter(place, class);
    }

    fn enter(&mut self, place: usize, class: Class) {
        self.counts.add(class);
        self.all.insert((class, place));
        if self.items[place].group.is_some() {
            self.regroup(place, |counts| counts.add(class));
        } else if class.is_quiet() {
            self.quiet.insert((class, place, None));
        }
    }

    fn leave(&mut self, place: usize, class: Class) {
        self.counts.remove(class);
        self.all.remove(&(class, place));
        if self.items[place].group.is_some() {
            self.regroup(place, |counts| counts.remove(class));
        } else {
            self.quiet.remove(&(class, place, None));
        }
    }

    /// Changes how many members of an item's group there are of each class, and puts the group
    /// where it belongs then.
    fn regroup(&mut self, place: usize, change: impl FnOnce(&mut ClassCounts)) {
        let Some(name) = &self.items[place].group else { return };
        let group = self
            .groups
            .entry(name.clone())
            .or_insert(Group { first: place, counts: ClassCounts::default() });
        let before = group.class();
        change(&mut group.counts);
        let after = group.class();
        if before != after {
            before.map(|class| self.quiet.remove(&(class, group.first, Some(name.clone()))));
            after.map(|class| self.quiet.insert((class, group.first, Some(name.clone()))));
        }
    }

    /// Items that may start while there is a slot and nothing pauses or stops them, among those
    /// that are looked at first.
    pub(crate) fn unexplained(&self) -> Vec<WorkId> {
        let Some(session) = self.replay.state() else { return Vec::new() };
        if !session.has_slot(0) || session.stage() != Stage::Running {
            return Vec::new();
        }
        let waiting = self
            .all
            .range((Class::Waiting, 0)..(Class::Skipped, 0))
            .take(LOOKED_THROUGH)
            .map(|(_, place)| &self.items[*place].id);
        let is_ready = |work: &&WorkId| {
            session
                .work_tracking(work.as_str())
                .is_some_and(|tracking| *tracking.state == WorkState::Ready)
        };
        waiting.filter(is_ready).take(ASKED).cloned().collect()
    }

    /// So many items: all in their order if they are no more, else what runs and what failed first.
    pub(crate) fn foremost(&self, count: usize) -> Vec<usize> {
        match self.items.len() <= count {
            true => (0..self.items.len()).collect(),
            false => self.all.iter().take(count).map(|(_, place)| *place).collect(),
        }
    }

    /// What to show on so many lines: everything in its order if there is room; else what runs and
    /// what failed first, then what is quiet with groups as one line.
    pub(crate) fn select(&self, lines: usize) -> LineSelection {
        if self.items.len() <= lines {
            return LineSelection {
                shown: (0..self.items.len()).map(Shown::Item).collect(),
                left: ClassCounts::default(),
            };
        }
        let mut left = self.counts;
        let mut shown = Vec::new();
        for (class, place) in self.all.iter().take_while(|(class, _)| !class.is_quiet()).take(lines)
        {
            left.remove(*class);
            shown.push(Shown::Item(*place));
        }
        for (class, place, group) in self.quiet.iter().take(lines - shown.len()) {
            match group {
                None => {
                    left.remove(*class);
                    shown.push(Shown::Item(*place));
                }
                Some(name) => {
                    let counts =
                        self.groups.get(name).map(|group| group.counts.quiet()).unwrap_or_default();
                    left = left.less(counts);
                    shown.push(Shown::Group(name.clone(), counts));
                }
            }
        }
        LineSelection { shown, left }
    }
}

/// How it went, if this event says so; it can be read also where others before it cannot.
fn verdict(recorded: &Recorded) -> Option<Verdict> {
    CoordinationEvent::of(recorded).ok()?.ending().map(|end| end.verdict)
}

fn last(unbound: &SessionUnbound, took_ns: u64) -> Last {
    let text = unbound.text.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let text = text.filter(|_| unbound.outcome != SessionOutcome::Success);
    let kept = text.map(|text| printable(&text.chars().take(TEXT_KEPT).collect::<String>()).into());
    Last { outcome: unbound.outcome, took_ns, text: kept }
}

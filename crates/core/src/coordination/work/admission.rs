//! Whether work may be added: unique ids, needs that exist, no cycles, nothing that has no meaning
//! yet.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Work;
use super::finished::Finished;
use super::illegal::IllegalAddition;
use super::item::WorkItem;
use super::need::Need;
use super::reuse::{check_reused, refuse_reused};
use super::spec::{Runner, WorkSpec};
use crate::coordination::error::{ConfigError, NeedError};
use crate::coordination::event::{CoordinationEvent, WorkAdded};
use crate::coordination::limits::{
    MAX_ATTEMPTS_LIMIT, MAX_CAPABLE_RUNNERS, MAX_ITEMS_PER_EVENT, MAX_LENT_KEYS, MAX_ROUTES,
    MAX_SCORES, MAX_SHARED_NEEDS, MAX_VISITS, MAX_WANTED_CAPABILITIES,
};
use crate::coordination::reused::Forerunner;
use crate::envelope::MAX_PAYLOAD_BYTES;
use crate::id::{GroupName, WorkId};

/// Room that an event's payload needs besides its items, in bytes.
const EVENT_FRAME_BYTES: usize = 64;

/// Room for the list of items in an event.
const MAX_LIST_BYTES: usize = MAX_PAYLOAD_BYTES - EVENT_FRAME_BYTES;

/// Checks items against each other and against what is there, in memory or `away`. Returns an order
/// in which needs come first.
///
/// # Errors
/// A [`ConfigError`] names the first item that may not be added, and why.
pub(in crate::coordination) fn admit(
    there: Option<&Work>,
    away: &BTreeMap<WorkId, Finished>,
    items: &[WorkSpec],
) -> Result<Vec<u32>, ConfigError> {
    let known = |id: &WorkId| {
        there.is_some_and(|work| work.by_id.contains_key(id)) || away.contains_key(id)
    };
    let known_group = |group: &GroupName| there.is_some_and(|work| work.groups.contains_key(group));
    let mut added: BTreeMap<&WorkId, u32> = BTreeMap::new();
    // Items that need only what was added before them cannot close a cycle; most submissions come
    // in that order.
    let mut in_order = true;
    for (position, item) in (0..).zip(items) {
        check_item(item)?;
        in_order &= item.group.is_none();
        for need in &item.needs {
            in_order &= match need {
                Need::Work(id) => added.contains_key(id) || known(id),
                Need::Group(_) => false,
                Need::Signal(_) | Need::Key(_) | Need::Approval(_) | Need::Routed => true,
            };
        }
        if known(&item.id) || added.insert(&item.id, position).is_some() {
            return Err(ConfigError::DuplicateWork { work_id: item.id.clone() });
        }
    }
    check_routes(there, &added, items)?;
    if in_order {
        return Ok((0..).take(items.len()).collect());
    }
    let mut members: BTreeMap<&GroupName, Vec<u32>> = BTreeMap::new();
    for (position, item) in (0..).zip(items) {
        if let Some(group) = &item.group {
            members.entry(group).or_default().push(position);
        }
    }
    for item in items {
        for need in &item.needs {
            let (exists, name) = match need {
                Need::Work(id) => (added.contains_key(id) || known(id), id.as_str()),
                Need::Group(group) => {
                    (members.contains_key(group) || known_group(group), group.as_str())
                }
                Need::Signal(_) | Need::Key(_) | Need::Approval(_) | Need::Routed => continue,
            };
            if !exists {
                return Err(ConfigError::UnknownNeed {
                    work_id: item.id.clone(),
                    need: name.to_owned(),
                });
            }
        }
    }
    Graph { there, items, added, members }.needs_first()
}

/// Whether what items may route to is there, and can be routed to.
fn check_routes(
    there: Option<&Work>,
    added: &BTreeMap<&WorkId, u32>,
    items: &[WorkSpec],
) -> Result<(), ConfigError> {
    for item in items {
        for target in &item.routes_to {
            let (work_id, target) = (item.id.clone(), target.clone());
            let new = added.get(&target).map(|position| &items[*position as usize]);
            let old = || there?.find(target.as_str()).map(WorkItem::spec);
            match new.or_else(old) {
                None => return Err(ConfigError::UnknownTarget { work_id, target }),
                Some(spec) if !spec.can_be_routed_to() => {
                    return Err(ConfigError::NotATarget { work_id, target });
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// Whether items may be added that an event holds. What was checked one by one while the start is
/// incomplete may need what comes later.
///
/// # Errors
/// An [`IllegalAddition`] says what is in the way.
pub(in crate::coordination) fn check_added(
    work: &Work,
    added: &WorkAdded,
    starting: bool,
    forerunner: Option<&Forerunner>,
) -> Result<(), IllegalAddition> {
    let (items, recalled) = (&added.items, &added.recalled);
    if let Some(unknown) = recalled.iter().find(|item| !work.may_have_left(item.work.id.as_str())) {
        return Err(IllegalAddition::NeverLeft { work_id: unknown.work.id.clone() });
    }
    let count = items.len() + recalled.len();
    if count == 0 || count > MAX_ITEMS_PER_EVENT {
        return Err(IllegalAddition::Count { items: count });
    }
    let away = recalled.iter().map(|item| (item.work.id.clone(), item.clone())).collect();
    if starting {
        check_reused(items, forerunner)?;
        check_fresh(|id| work.by_id.contains_key(id), items)?;
    } else {
        refuse_reused(items)?;
        let _order = admit(Some(work), &away, items)?;
    }
    Ok(())
}

/// Checks each item by itself, and that no id is there twice.
fn check_fresh(known: impl Fn(&WorkId) -> bool, items: &[WorkSpec]) -> Result<(), ConfigError> {
    let duplicate = |id: &WorkId| Err(ConfigError::DuplicateWork { work_id: id.clone() });
    for item in items {
        check_item(item)?;
        if known(&item.id) {
            return duplicate(&item.id);
        }
    }
    let mut ids: Vec<&WorkId> = items.iter().map(|item| &item.id).collect();
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => duplicate(pair[0]),
        None => Ok(()),
    }
}

/// Checks one item by itself.
///
/// # Errors
/// A [`ConfigError`] names what has no meaning yet, or is out of its range.
fn check_item(item: &WorkSpec) -> Result<(), ConfigError> {
    let unsupported =
        |feature| Err(ConfigError::NotYetSupported { work_id: item.id.clone(), feature });
    if item.when.is_some() {
        return unsupported("when");
    }
    if item.undo.is_some() {
        return unsupported("undo");
    }
    if item.check.is_some() {
        return unsupported("check");
    }
    if matches!(item.runner, Runner::Process { .. } | Runner::Nested { .. }) && item.input.is_none()
    {
        return Err(ConfigError::NoDescription { work_id: item.id.clone() });
    }
    if item.scores.len() > MAX_SCORES {
        let (actual, max) = (item.scores.len() as u64, MAX_SCORES as u64);
        return Err(ConfigError::OutOfRange { field: "scores", actual, min: 0, max });
    }
    if item.routes_to.len() > MAX_ROUTES {
        let (actual, max) = (item.routes_to.len() as u64, MAX_ROUTES as u64);
        return Err(ConfigError::OutOfRange { field: "routes_to", actual, min: 0, max });
    }
    if item.shared.len() > MAX_LENT_KEYS {
        let (actual, max) = (item.shared.len() as u64, MAX_LENT_KEYS as u64);
        return Err(ConfigError::OutOfRange { field: "shared", actual, min: 0, max });
    }
    if let Some(capable) = &item.capable {
        if item.runner.is_plan() {
            return Err(ConfigError::CapableOfPlan { work_id: item.id.clone() });
        }
        let range = |field, actual: usize, max: usize| match actual {
            0 => Err((field, actual, max)),
            actual if actual > max => Err((field, actual, max)),
            _ => Ok(()),
        };
        let wanted = range("capabilities", capable.wanted.iter().count(), MAX_WANTED_CAPABILITIES);
        let runners = range("runners", capable.inputs.len(), MAX_CAPABLE_RUNNERS);
        wanted.and(runners).map_err(|(field, actual, max)| {
            let (actual, max) = (actual as u64, max as u64);
            ConfigError::OutOfRange { field, actual, min: 1, max }
        })?;
    }
    let shared = item.needs.iter().filter(|need| need.looks_at_shared()).count();
    if shared > MAX_SHARED_NEEDS {
        let (actual, max) = (shared as u64, MAX_SHARED_NEEDS as u64);
        return Err(ConfigError::OutOfRange { field: "needs on shared keys", actual, min: 0, max });
    }
    check_needs(item).map_err(|problem| ConfigError::Need { work_id: item.id.clone(), problem })?;
    let positive = |field, value: Option<u64>, max: u64| match value {
        Some(actual) if actual == 0 || actual > max => {
            Err(ConfigError::OutOfRange { field, actual, min: 1, max })
        }
        _ => Ok(()),
    };
    positive("attempts", item.attempts.map(u64::from), MAX_ATTEMPTS_LIMIT.into())?;
    positive("visits", item.visits.map(u64::from), MAX_VISITS.into())?;
    positive("timeout_ticks", item.timeout_ticks, u64::MAX)?;
    // A session that may use nothing would never start, and would keep what is behind it from
    // starting.
    positive("max_tokens", item.max_tokens, u64::MAX)?;
    positive("max_cost", item.max_cost, u64::MAX)
}

fn check_needs(item: &WorkSpec) -> Result<(), NeedError> {
    item.needs.iter().try_for_each(Need::check)?;
    for (need, ns) in &item.need_timeouts {
        let (need, needs) = (*need, item.needs.len());
        if need as usize >= needs {
            return Err(NeedError::TimeoutOfNothing { need, needs });
        }
        if *ns == 0 {
            return Err(NeedError::NoTime { need });
        }
    }
    Ok(())
}

/// Splits items into events that each keep the limits on count and payload.
///
/// # Errors
/// [`ConfigError::WorkTooLarge`] names an item that alone is too large.
pub(crate) fn events(items: Vec<WorkSpec>) -> Result<Vec<CoordinationEvent>, ConfigError> {
    let mut parts = Parts::default();
    for item in items {
        let size = encoded_bytes(&item) + 1;
        if size > MAX_LIST_BYTES {
            let max = MAX_LIST_BYTES;
            return Err(ConfigError::WorkTooLarge { work_id: item.id, actual: size, max });
        }
        parts.push(size, item);
    }
    let added = |items| CoordinationEvent::WorkAdded(WorkAdded { items, recalled: Vec::new() });
    Ok(parts.done().map(added).collect())
}

/// The events that take finished items back into memory, ahead of the work that needs them.
pub(in crate::coordination) fn brought_back(items: Vec<Finished>) -> Vec<CoordinationEvent> {
    let mut parts = Parts::default();
    for mut item in items {
        let mut size = encoded_bytes(&item) + 1;
        if size > MAX_LIST_BYTES {
            // What needs it asks for its outcome and its output; a description that fills an event
            // by itself can stay away.
            let slim = WorkSpec::new(item.work.id.clone(), item.work.runner.clone())
                .on_failure(item.work.on_failure);
            item = Finished { work: slim, sessions: Vec::new(), ..item };
            size = encoded_bytes(&item) + 1;
        }
        parts.push(size, item);
    }
    let recalled = |recalled| WorkAdded { items: Vec::new(), recalled };
    parts.done().map(recalled).map(CoordinationEvent::WorkAdded).collect()
}

/// A list in parts that each keep the limits of an event on count and payload.
struct Parts<T> {
    full: Vec<Vec<T>>,
    last: Vec<T>,
    /// Bytes of the last one.
    bytes: usize,
}

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self { full: Vec::new(), last: Vec::new(), bytes: 0 }
    }
}

impl<T> Parts<T> {
    fn push(&mut self, size: usize, item: T) {
        if self.last.len() == MAX_ITEMS_PER_EVENT || self.bytes + size > MAX_LIST_BYTES {
            self.full.push(std::mem::take(&mut self.last));
            self.bytes = 0;
        }
        self.bytes += size;
        self.last.push(item);
    }

    /// The parts, in order; none is empty.
    fn done(self) -> impl Iterator<Item = Vec<T>> {
        self.full.into_iter().chain((!self.last.is_empty()).then_some(self.last))
    }
}

/// How many bytes an item takes in a payload, without keeping them.
fn encoded_bytes(item: &impl Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, item).expect("BUG: an item is plain data with text keys");
    count.0
}

/// What waits for what, over new items, items that are there, and groups.
struct Graph<'a> {
    there: Option<&'a Work>,
    items: &'a [WorkSpec],
    added: BTreeMap<&'a WorkId, u32>,
    members: BTreeMap<&'a GroupName, Vec<u32>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Node<'a> {
    New(u32),
    Old(u32),
    Group(&'a GroupName),
}

impl<'a> Graph<'a> {
    /// The new items in an order in which each comes after what it needs, or a cycle through one
    /// of them; without one before, every new cycle goes through a new item.
    fn needs_first(&self) -> Result<Vec<u32>, ConfigError> {
        let mut order = Vec::with_capacity(self.items.len());
        let mut finished = BTreeSet::new();
        for start in 0..self.items.len() {
            let start = Node::New(u32::try_from(start).unwrap_or(u32::MAX));
            let mut path: Vec<(Node<'a>, Vec<Node<'a>>)> = Vec::new();
            let mut on_path = BTreeSet::new();
            let mut next = Some(start);
            loop {
                if let Some(node) = next.take() {
                    if on_path.contains(&node) {
                        return Err(self.cycle(&path, &node));
                    }
                    if !finished.contains(&node) {
                        on_path.insert(node.clone());
                        let needs = self.needs(&node);
                        path.push((node, needs));
                    }
                }
                let Some((node, needs)) = path.last_mut() else { break };
                next = needs.pop();
                if next.is_none() {
                    if let Node::New(position) = node {
                        order.push(*position);
                    }
                    on_path.remove(node);
                    finished.insert(node.clone());
                    path.pop();
                }
            }
        }
        Ok(order)
    }

    fn needs(&self, node: &Node<'a>) -> Vec<Node<'a>> {
        match node {
            Node::New(position) => self.targets(&self.items[*position as usize].needs),
            Node::Old(position) => match self.there {
                // Ready work counts too: a new member of a group that it needs would make it wait
                // again.
                Some(work) if work.items[*position].can_wait_again() => {
                    self.targets(&work.items[*position].spec().needs)
                }
                _ => Vec::new(),
            },
            Node::Group(group) => {
                let new = self
                    .members
                    .get(group)
                    .into_iter()
                    .flatten()
                    .map(|position| Node::New(*position));
                // Only members that still run hold the barrier, and they are few compared with all
                // that were there.
                let old = self.there.into_iter().flat_map(|work| work.items.iter());
                let old = old.filter(|(_, item)| {
                    item.spec().group.as_ref() == Some(group) && !item.is_done()
                });
                new.chain(old.map(|(position, _)| Node::Old(position))).collect()
            }
        }
    }

    fn targets(&self, needs: &'a [Need]) -> Vec<Node<'a>> {
        needs
            .iter()
            .filter_map(|need| match need {
                Need::Group(group) => Some(Node::Group(group)),
                Need::Signal(_) | Need::Key(_) | Need::Approval(_) | Need::Routed => None,
                Need::Work(id) => match self.added.get(id) {
                    Some(position) => Some(Node::New(*position)),
                    None => self
                        .there
                        .and_then(|work| work.by_id.get(id))
                        .map(|position| Node::Old(*position)),
                },
            })
            .collect()
    }

    fn cycle(&self, path: &[(Node<'a>, Vec<Node<'a>>)], closing: &Node<'a>) -> ConfigError {
        let start = path.iter().position(|(node, _)| node == closing).unwrap_or(0);
        let name = |node: &Node<'a>| match node {
            Node::New(position) => self.items[*position as usize].id.to_string(),
            Node::Old(position) => {
                self.there.map_or_else(String::new, |work| work.items[*position].id().to_string())
            }
            Node::Group(group) => format!("group {group}"),
        };
        let cycle = path[start..].iter().map(|(node, _)| node).chain([closing]);
        ConfigError::Cycle { path: cycle.map(name).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordination::{
        CoordinationBudget, CoordinationConfig, CoordinationController, SessionOutcome,
    };

    fn item(id: &str) -> WorkSpec {
        WorkSpec::new(id.parse().unwrap(), Runner::Caller)
    }

    fn open(work: Vec<WorkSpec>) -> CoordinationController {
        let budget = CoordinationBudget::new(10, 60_000, 1_000, None).unwrap();
        let mut controller =
            CoordinationController::new(CoordinationConfig::open(work, budget).unwrap());
        controller.start(1_000).unwrap();
        controller
    }

    #[test]
    fn a_cycle_through_work_that_waits_already_is_named() {
        let controller =
            open(vec![item("m").in_group("g").unwrap(), item("a").needs_group("g").unwrap()]);
        let refused = controller.session().unwrap().decide_work(
            vec![item("b").in_group("g").unwrap().needs_work("a").unwrap()],
            None,
            &[],
        );
        let path = ["b", "a", "group g", "b"].map(str::to_owned).to_vec();
        assert_eq!(refused, Err(ConfigError::Cycle { path }.into()));
    }

    #[test]
    fn a_cycle_through_ready_work_is_named_and_one_through_started_work_is_none() {
        let mut controller =
            open(vec![item("m").in_group("g").unwrap(), item("a").needs_group("g").unwrap()]);
        let bound = controller.prepare_session_spawn("m", 2, 2_000).unwrap();
        let session = bound.session_id.to_string();
        controller
            .record_session_termination(&session, "m", SessionOutcome::Success, 0, 2_000)
            .unwrap();
        let late = || vec![item("b").in_group("g").unwrap().needs_work("a").unwrap()];
        let path = ["b", "a", "group g", "b"].map(str::to_owned).to_vec();
        assert_eq!(
            controller.session().unwrap().decide_work(late(), None, &[]),
            Err(ConfigError::Cycle { path }.into())
        );
        let _bound = controller.prepare_session_spawn("a", controller.version().0, 3_000).unwrap();
        assert!(controller.session().unwrap().decide_work(late(), None, &[]).is_ok());
    }
}

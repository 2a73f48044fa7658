//! Items that wait for each other in a cycle, each cycle named.

use std::collections::BTreeMap;

use crate::coordination::Need;
use crate::id::{GroupName, WorkId};
use crate::plan::text::{DiagnosticCode, Diagnostics, Span};

/// Members of a cycle that a message names.
const NAMED: usize = 8;

/// Cycles that are reported.
const MAX_CYCLES: usize = 10;

/// What an item, or a cell of one, waits for; each need with where it is written.
pub(in crate::plan) struct Wait {
    id: WorkId,
    group: Option<GroupName>,
    needs: Vec<(Need, Span)>,
}

impl Wait {
    pub(in crate::plan) fn new(
        id: WorkId,
        group: Option<GroupName>,
        needs: Vec<(Need, Span)>,
    ) -> Self {
        Self { id, group, needs }
    }

    /// What it waits for.
    pub(in crate::plan) fn needs(&self) -> impl Iterator<Item = &Need> {
        self.needs.iter().map(|(need, _)| need)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    New,
    OnPath,
    Done,
}

/// What waits: a step, or a group for its members.
struct Waiter {
    name: String,
    /// What it waits for, and where that is written; that an item is in a group is not written in
    /// any `needs`.
    targets: Vec<(usize, Option<Span>)>,
}

/// Reports the cycles that a search through the needs closes, up to [`MAX_CYCLES`]: taking one
/// apart mostly takes others with it.
pub(in crate::plan) fn refuse_cycles(waits: &[Wait], diagnostics: &mut Diagnostics<'_>) {
    let waiters = waiters(waits);
    let mut reported = 0;
    let mut marks = vec![Visit::New; waiters.len()];
    for start in 0..waiters.len() {
        if marks[start] != Visit::New {
            continue;
        }
        marks[start] = Visit::OnPath;
        // The path, and for each node on it how many of its targets were followed.
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        while let Some((at, followed)) = path.last_mut() {
            let Some((target, _)) = waiters[*at].targets.get(*followed).copied() else {
                marks[*at] = Visit::Done;
                path.pop();
                continue;
            };
            *followed += 1;
            match marks[target] {
                Visit::Done => {}
                Visit::New => {
                    marks[target] = Visit::OnPath;
                    path.push((target, 0));
                }
                Visit::OnPath => {
                    let from =
                        path.iter().position(|(node, _)| *node == target).unwrap_or_default();
                    report(&path[from..], &waiters, diagnostics);
                    reported += 1;
                    if reported == MAX_CYCLES {
                        return;
                    }
                }
            }
        }
    }
}

/// Reports a cycle at the need that closes it.
fn report(cycle: &[(usize, usize)], waiters: &[Waiter], diagnostics: &mut Diagnostics<'_>) {
    let last_written =
        cycle.iter().rev().find_map(|(node, followed)| waiters[*node].targets[followed - 1].1);
    let names: Vec<&str> = cycle.iter().map(|(node, _)| waiters[*node].name.as_str()).collect();
    let message = match names.as_slice() {
        [one] => format!("`{one}` waits for itself and would never start"),
        names => {
            let mut shown: Vec<&str> = names.iter().take(NAMED).copied().collect();
            let more = format!("{} more", names.len().saturating_sub(NAMED));
            if names.len() > NAMED {
                shown.push(&more);
            }
            shown.extend(names.first());
            format!("these wait for each other and would never start: {}", shown.join(" -> "))
        }
    };
    diagnostics
        .error(DiagnosticCode::Cycle, last_written.unwrap_or_default(), message)
        .hint("remove one of these needs");
}

fn waiters(waits: &[Wait]) -> Vec<Waiter> {
    let by_id: BTreeMap<&str, usize> =
        waits.iter().enumerate().map(|(index, wait)| (wait.id.as_str(), index)).collect();
    let mut groups: BTreeMap<&GroupName, usize> = BTreeMap::new();
    let mut waiters: Vec<Waiter> = waits
        .iter()
        .map(|wait| Waiter { name: wait.id.to_string(), targets: Vec::new() })
        .collect();
    for (index, wait) in waits.iter().enumerate() {
        let Some(group) = &wait.group else { continue };
        let node = *groups.entry(group).or_insert_with(|| {
            waiters.push(Waiter { name: format!("group {group}"), targets: Vec::new() });
            waiters.len() - 1
        });
        waiters[node].targets.push((index, None));
    }
    for (index, wait) in waits.iter().enumerate() {
        for (need, span) in &wait.needs {
            let target = match need {
                Need::Work(id) => by_id.get(id.as_str()).copied(),
                Need::Group(group) => groups.get(group).copied(),
                // A plan knows no other need; the kernel follows all of them.
                _ => None,
            };
            waiters[index].targets.extend(target.map(|target| (target, Some(*span))));
        }
    }
    waiters
}

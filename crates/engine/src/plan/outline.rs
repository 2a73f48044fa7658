//! A plan at a glance: its items in an order in which needs come first, and the same as a Mermaid
//! graph.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::load::Plan;
use super::objects::Step;
use super::text::{Cost, Count, Millis, numbered};
use crate::coordination::Need;

/// A plan at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Outline {
    pub name: String,
    /// Most sessions.
    pub sessions: u32,
    pub duration_ms: u64,
    /// Most tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// Sessions at a time.
    pub concurrency: u32,
    /// The items; a matrix is one.
    pub items: Vec<OutlineItem>,
}

/// An item, or a matrix of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct OutlineItem {
    pub id: String,
    /// How many cells it has; 1 without a matrix.
    pub cells: usize,
    pub runs: String,
    /// The group it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The items and groups that it waits for.
    pub needs: Vec<String>,
    /// The items that what follows its attempts may lead to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes_to: Vec<String>,
    /// Whether it starts only once another item routes to it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub routed: bool,
    /// Whether the run has failed if it does not succeed.
    pub critical: bool,
}

impl Plan {
    /// The plan at a glance.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let plan = self.resolved();
        let budget = plan.budget();
        let cost = budget.max_cost().zip(budget.currency());
        Outline {
            name: plan.name().to_owned(),
            sessions: budget.max_episodes(),
            duration_ms: budget.max_duration_ticks(),
            tokens: budget.max_tokens(),
            cost: cost.map(|(millionths, currency)| {
                Cost { millionths, currency: currency.to_owned() }.to_string()
            }),
            concurrency: plan.concurrency(),
            items: needs_first(items(plan.steps())),
        }
    }
}

impl Outline {
    /// Its ceilings in words.
    #[must_use]
    pub fn budget(&self) -> String {
        let mut parts =
            vec![numbered(self.sessions.into(), "session"), Millis(self.duration_ms).to_string()];
        parts.extend(self.tokens.map(|tokens| match tokens {
            1 => "1 token".to_owned(),
            tokens => format!("{} tokens", Count(tokens)),
        }));
        parts.extend(self.cost.clone());
        parts.join(", ")
    }

    /// The items and what they wait for as a Mermaid flowchart.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        let nodes: BTreeMap<&str, String> = self
            .items
            .iter()
            .enumerate()
            .map(|(index, item)| (item.id.as_str(), format!("n{index}")))
            .collect();
        let mut groups: Vec<&str> =
            self.items.iter().filter_map(|item| item.group.as_deref()).collect();
        groups.sort_unstable();
        groups.dedup();
        let group_nodes: BTreeMap<&str, String> =
            groups.iter().enumerate().map(|(index, group)| (*group, format!("g{index}"))).collect();
        let node = |item: &OutlineItem| {
            let cells = if item.cells == 1 { String::new() } else { format!(" x{}", item.cells) };
            let shape = if item.critical { ("[[", "]]") } else { ("[", "]") };
            format!(
                "{}{}\"{}{cells}<br/>{}\"{}",
                nodes[item.id.as_str()],
                shape.0,
                escaped(&item.id),
                escaped(&item.runs),
                shape.1
            )
        };
        for item in self.items.iter().filter(|item| item.group.is_none()) {
            let _infallible = writeln!(text, "  {}", node(item));
        }
        for (group, id) in &group_nodes {
            let _infallible = writeln!(text, "  subgraph {id}[\"{}\"]", escaped(group));
            for item in self.items.iter().filter(|item| item.group.as_deref() == Some(*group)) {
                let _infallible = writeln!(text, "    {}", node(item));
            }
            text.push_str("  end\n");
        }
        for item in &self.items {
            for target in item.routes_to.iter().filter_map(|target| nodes.get(target.as_str())) {
                let _infallible = writeln!(text, "  {} -.-> {target}", nodes[item.id.as_str()]);
            }
            for need in &item.needs {
                if let Some(from) =
                    nodes.get(need.as_str()).or_else(|| group_nodes.get(need.as_str()))
                {
                    let _infallible = writeln!(text, "  {from} --> {}", nodes[item.id.as_str()]);
                }
            }
        }
        text
    }
}

/// A text within the quotes of Mermaid.
fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c {
            '#' | '"' | '<' | '>' | '&' | '`' | '[' | ']' | '{' | '}' => {
                let _infallible = write!(shown, "#{};", u32::from(c));
            }
            c if c.is_control() => shown.push(' '),
            c => shown.push(c),
        }
    }
    shown
}

fn items(steps: &[Step]) -> Vec<OutlineItem> {
    let of: BTreeMap<&str, &str> =
        steps.iter().map(|step| (step.id.as_str(), step.item.as_str())).collect();
    let mut items: Vec<OutlineItem> = Vec::new();
    let mut known = BTreeSet::new();
    for step in steps {
        if items.last().is_none_or(|last| last.id != step.item) {
            known.clear();
            let group =
                step.group.as_ref().map(ToString::to_string).filter(|group| *group != step.item);
            items.push(OutlineItem {
                id: step.item.clone(),
                cells: 0,
                runs: step.label.clone(),
                group,
                needs: Vec::new(),
                routes_to: Vec::new(),
                routed: false,
                critical: step.critical,
            });
        }
        let Some(item) = items.last_mut() else { continue };
        item.cells += 1;
        item.routed = step.needs.contains(&Need::Routed);
        for target in &step.routes_to {
            let name = of.get(target.as_str()).copied().unwrap_or(target.as_str());
            if !item.routes_to.iter().any(|known| known == name) {
                item.routes_to.push(name.to_owned());
            }
        }
        for need in &step.needs {
            let name = match need {
                Need::Work(id) => of.get(id.as_str()).copied().unwrap_or(id.as_str()),
                Need::Group(group) => group.as_str(),
                // A plan knows no other need.
                _ => continue,
            };
            if known.insert(name.to_owned()) {
                item.needs.push(name.to_owned());
            }
        }
    }
    items
}

/// Items in the order of the file, but each after what it needs.
fn needs_first(items: Vec<OutlineItem>) -> Vec<OutlineItem> {
    let mut waiting = Waiting::default();
    for (index, item) in items.iter().enumerate() {
        waiting.left.insert(item.id.clone(), 1);
        if let Some(group) = &item.group {
            *waiting.left.entry(group.clone()).or_default() += 1;
        }
        // The cells of a matrix may need each other, which is no cycle of items.
        let needs = item.needs.iter().filter(|need| **need != item.id);
        let unmet = needs
            .map(|need| waiting.dependents.entry(need.clone()).or_default().push(index))
            .count();
        waiting.unmet.push(unmet);
        if unmet == 0 {
            waiting.ready.insert(index);
        }
    }
    let mut left: Vec<Option<OutlineItem>> = items.into_iter().map(Some).collect();
    let mut ordered = Vec::new();
    while let Some(item) = waiting.ready.pop_first().and_then(|index| left[index].take()) {
        waiting.done(&item.id);
        if let Some(group) = &item.group {
            waiting.done(group);
        }
        ordered.push(item);
    }
    // What is left needs cells of each other in a cycle of items that is none of cells.
    ordered.extend(left.into_iter().flatten());
    ordered
}

/// What waits for which name.
#[derive(Default)]
struct Waiting {
    /// How many items of a name, its own or that of a group, are not ordered yet.
    left: BTreeMap<String, usize>,
    dependents: BTreeMap<String, Vec<usize>>,
    unmet: Vec<usize>,
    ready: BTreeSet<usize>,
}

impl Waiting {
    fn done(&mut self, name: &str) {
        let Some(left) = self.left.get_mut(name) else { return };
        *left -= 1;
        if *left > 0 {
            return;
        }
        for index in self.dependents.remove(name).unwrap_or_default() {
            self.unmet[index] -= 1;
            if self.unmet[index] == 0 {
                self.ready.insert(index);
            }
        }
    }
}

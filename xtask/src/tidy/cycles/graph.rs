//! Which modules of a crate reach each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::modules::Edges;

/// Every largest set of modules that all reach each other, in order.
pub(super) fn cycles(edges: &Edges) -> Vec<Vec<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|from| (from.as_str(), reachable(edges, from))).collect();
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|all| all.contains(to));
    let mut seen = BTreeSet::new();
    let mut cycles = Vec::new();
    for from in edges.keys().filter(|from| reaches(from, from)) {
        if seen.contains(from) {
            continue;
        }
        let together = edges.keys().filter(|to| reaches(from, to) && reaches(to, from));
        let cycle: Vec<String> = together.cloned().collect();
        seen.extend(cycle.iter().cloned());
        cycles.push(cycle);
    }
    cycles
}

fn reachable<'a>(edges: &'a Edges, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&str> = vec![from];
    while let Some(module) = waiting.pop() {
        for to in edges.get(module).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(to.as_str()) {
                waiting.push(to);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_reach_each_other_are_one_cycle() {
        let mut edges = Edges::new();
        for (from, to) in
            [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e"), ("e", ""), ("f", "a")]
        {
            let names = BTreeSet::from(["Name".to_owned()]);
            edges.entry(from.to_owned()).or_default().insert(to.to_owned(), names);
        }
        assert_eq!(cycles(&edges), [["a", "b", "c"].map(str::to_owned)]);
    }
}

//! No module of a crate depends on one that depends on it.
//!
//! A module depends on those whose items it names. What a name leads to is followed through
//! re-exports, so a table of contents is no dependency; tests are left out. A noun is a folder and
//! its phases are methods: a module that adds methods to the type of its own folder is part of that
//! type and does not depend on it. The inside of a macro call is not looked into, as it is not Rust
//! before the macro is expanded.

mod graph;

use std::collections::BTreeSet;

use super::modules::{Edges, Modules, parsed};
use crate::workspace::Workspace;

/// Modules that may depend on each other, and why: (crate, modules, reason).
const ALLOWED: &[(&str, &[&str], &str)] = &[];

pub(super) fn breaches(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut breaches = Vec::new();
    let mut stale: BTreeSet<usize> = (0..ALLOWED.len()).collect();
    for package in &workspace.packages {
        let folder = package.manifest.with_file_name("src");
        let modules = Modules::of(&parsed(&folder)?);
        let edges = modules.edges();
        for cycle in graph::cycles(&edges) {
            let allowed = ALLOWED
                .iter()
                .position(|(krate, names, _)| *krate == package.name && names.iter().eq(&cycle));
            match allowed {
                Some(row) => drop(stale.remove(&row)),
                None => breaches.push(describe(&package.name, &cycle, &edges)),
            }
        }
    }
    breaches.extend(stale.iter().map(|row| {
        let (krate, names, _) = ALLOWED[*row];
        format!(
            "{krate}: {} form no cycle any more; remove the row from xtask/src/tidy/cycles.rs",
            names.join(", ")
        )
    }));
    Ok(breaches)
}

/// The modules of a cycle, each with what it takes from the others.
fn describe(krate: &str, cycle: &[String], edges: &Edges) -> String {
    let mut text = format!(
        "{krate}: these {} modules depend on each other; put what they share below them",
        cycle.len()
    );
    for from in cycle {
        for (to, names) in edges.get(from).into_iter().flatten() {
            if cycle.contains(to) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                text += &format!("\n    {from} -> {to}: {}", names.join(", "));
            }
        }
    }
    text
}

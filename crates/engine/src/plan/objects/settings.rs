//! The settings that runners and items share: environment, standard input, limits, usage, times.

use std::collections::BTreeMap;

use super::env::EnvAst;
use super::limits::LimitsAst;
use super::stdin::StdinAst;
use super::usage::UsageReader;
use crate::plan::mapping::Fields;
use crate::plan::text::{Diagnostics, Millis, Template};

#[derive(Debug, Default)]
pub(super) struct SettingsAst {
    pub(super) env: BTreeMap<String, EnvAst>,
    pub(super) stdin: Option<StdinAst>,
    pub(super) limits: LimitsAst,
    pub(super) usage: Option<UsageReader>,
    pub(super) timeout: Option<Millis>,
    pub(super) grace: Option<Millis>,
}

impl SettingsAst {
    pub(super) fn read(fields: &Fields<'_>, diagnostics: &mut Diagnostics<'_>) -> Self {
        let env = fields.get("env").map(|node| EnvAst::read_all(node, true, diagnostics));
        let limits = fields.get("limits").map(|node| LimitsAst::read(node, diagnostics));
        Self {
            env: env.unwrap_or_default(),
            stdin: fields.get("stdin").and_then(|node| StdinAst::read(node, diagnostics)),
            limits: limits.unwrap_or_default(),
            usage: fields.get("usage").and_then(|node| UsageReader::read(node, diagnostics)),
            timeout: fields.get("timeout").and_then(|node| diagnostics.duration(node)),
            grace: fields.get("grace").and_then(|node| diagnostics.duration(node)),
        }
    }

    /// Every text of them that may hold placeholders.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        let env = self.env.values().filter_map(EnvAst::template);
        env.chain(self.stdin.iter().map(StdinAst::template))
    }
}

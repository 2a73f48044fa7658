//! The schemas of runs whose signals are checked now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_core::id::CoordinationId;

use super::CompiledSchemas;

/// Most runs whose schemas are kept ready.
const MAX_KEPT: usize = 1_000;

/// The schemas of runs, ready to check signals; a run has them, or none, from its first event on.
#[derive(Debug, Default)]
pub(crate) struct ReadySchemas(Mutex<HashMap<CoordinationId, Option<Arc<CompiledSchemas>>>>);

impl ReadySchemas {
    pub(crate) fn of(&self, run: &CoordinationId) -> Option<Option<Arc<CompiledSchemas>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(run).cloned()
    }

    pub(crate) fn keep(&self, run: &CoordinationId, schemas: Option<Arc<CompiledSchemas>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Runs are many over time, and few at a time.
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(run.clone(), schemas);
    }
}

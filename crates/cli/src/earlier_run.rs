//! An unfinished run of a plan that is about to be started once more.

use std::path::Path;

use antiphon::coordination::Stage;
use antiphon::id::StreamName;
use antiphon::ledger::{HeadFilter, HeadQuery, ReadError};
use antiphon::origin_of;
use antiphon::plan::Plan;

use crate::command_error::{CommandError, Kind};
use crate::continuation::advice;
use crate::ledger::{COORDINATIONS, Ledger, stage, unreadable};
use crate::stderr;
use crate::text::printable;

/// Unfinished runs that are looked at, the newest first; nested ones count too.
const LOOKED_AT: usize = 100;

/// Refuses to start a plan of which a run was interrupted, since to continue that is what is meant
/// more often. One that is carried out now is only told.
pub(crate) fn refuse_interrupted(dir: &Path, plan: &Plan) -> Result<(), CommandError> {
    let ledger = Ledger::at(dir);
    ledger.refuse_left_over()?;
    let filter = HeadFilter {
        prefix: COORDINATIONS.to_owned(),
        ended: Some(false),
        limit: LOOKED_AT,
        ..HeadFilter::default()
    };
    let heads = match ledger.store.heads(&HeadQuery::List(filter)) {
        Err(ReadError::Absent { .. }) => return Ok(()),
        heads => heads?,
    };
    for head in heads {
        let StreamName::Coordination(id) = &head.stream else { continue };
        if head.run_summary().map_err(unreadable)?.parent.is_some()
            || !origin_of(ledger.store.as_ref(), id)?.is_some_and(|origin| origin.is_of(plan))
        {
            continue;
        }
        if stage(&head, ledger.is_held()?)? == Stage::Interrupted {
            let text = format!("{id} is an unfinished run of this plan");
            let hint =
                format!("{}; the same command with --new starts another", advice(&ledger, id));
            return Err(CommandError::new(Kind::Usage, text).with_hint(hint));
        }
        let told = format!("note: {id} is a run of this plan that is being carried out");
        stderr::say(printable(&told));
    }
    Ok(())
}

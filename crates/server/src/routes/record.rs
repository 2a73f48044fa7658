//! What the record says of a run that a request names.

use antiphon::QueryError;
use antiphon::append::HeadRow;
use antiphon::coordination::Stage;
use antiphon::id::{CoordinationId, StreamName};
use antiphon::ledger::HeadQuery;
use antiphon::world::Rejection;

use crate::answer::Unanswered;
use crate::api::{Code, Problem};
use crate::state::Shared;

/// The head row of a run.
pub(super) async fn head(shared: &Shared, id: &CoordinationId) -> Result<HeadRow, Problem> {
    let heads =
        shared.engine().heads(HeadQuery::Stream(StreamName::Coordination(id.clone()))).await?;
    let unknown = || Problem::from(QueryError::UnknownRun { run: id.clone() });
    heads.into_iter().next().ok_or_else(unknown)
}

/// What the engine's refusal means: a run that is not running may have ended, or may never
/// have been.
pub(super) async fn explained(shared: &Shared, id: &CoordinationId, asked: Unanswered) -> Problem {
    match asked {
        Unanswered::Rejected(Rejection::UnknownCoordination { .. }) => {
            match head(shared, id).await {
                Ok(head) => match head.stage() {
                    Ok(Stage::Ended(verdict)) => {
                        let detail =
                            format!("run {id} has ended ({verdict}); its receipt says how it went");
                        Problem::new(Code::RunEnded, detail)
                    }
                    Ok(_) => Problem::new(
                        Code::WrongState,
                        format!("run {id} has just begun or ended; repeat the request"),
                    ),
                    Err(unknown) => Problem::new(Code::Internal, unknown.to_string()),
                },
                Err(problem) => problem,
            }
        }
        asked => asked.into(),
    }
}

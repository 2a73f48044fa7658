//! Who a command comes from.

use antiphon_core::id::{Actor, CommandId, SessionId};
use antiphon_core::world::Asker;

/// Who commands from the host program.
pub(crate) fn operator(id: Option<CommandId>) -> Asker {
    Asker {
        actor: Actor::new("operator")
            .unwrap_or_else(|error| panic!("BUG: a constant name: {error}")),
        id,
    }
}

/// The name under which what a session asks for is recorded.
pub(crate) fn session(session: &SessionId) -> Actor {
    let name = format!("session:{session}");
    Actor::new(name).unwrap_or_else(|error| panic!("BUG: the id of a session: {error}"))
}

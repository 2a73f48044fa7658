//! Who a command comes from.

use antiphon_core::id::{Actor, CommandId};
use antiphon_core::world::Asker;

/// Who commands from the host program.
pub(crate) fn operator(id: Option<CommandId>) -> Asker {
    Asker {
        actor: Actor::new("operator")
            .unwrap_or_else(|error| panic!("BUG: a constant name: {error}")),
        id,
    }
}

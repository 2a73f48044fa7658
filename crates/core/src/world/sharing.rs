//! Keys that all runs share, for the items of other runs that need them.

use super::World;
use crate::coordination::event::KeySet;
use crate::id::CoordinationId;

impl World {
    /// Tells a coordination what the shared keys are that its items need, where nobody has yet.
    pub(super) fn tell_shared_keys(&mut self, id: &CoordinationId) {
        let Some(member) = self.members.get_mut(id) else { return };
        if !member.state().looks_at_shared() {
            return;
        }
        let untold = member.take_untold();
        self.sharing.insert(id.clone());
        for key in untold {
            let is = self.coordination(CoordinationId::shared());
            let is = is.and_then(|shared| shared.key(key.as_str())).cloned();
            if let Some(member) = self.members.get_mut(id) {
                member.see_shared(&key, is.as_ref());
            }
        }
    }

    /// Tells everybody whose items need them that shared keys were changed.
    pub(super) fn share(&mut self, set: &KeySet) {
        let Self { members, sharing, runnable, .. } = self;
        let Some(shared) = members.get(CoordinationId::shared()) else { return };
        let is: Vec<_> = set
            .changes
            .iter()
            .map(|change| (&change.key, shared.state().key(change.key.as_str()).cloned()))
            .collect();
        sharing.retain(|id| {
            let Some(member) = members.get_mut(id) else { return false };
            for (key, is) in &is {
                member.see_shared(key, is.as_ref());
            }
            runnable.insert(id.clone());
            member.state().looks_at_shared()
        });
    }
}

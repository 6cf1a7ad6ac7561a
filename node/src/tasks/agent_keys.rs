//! The keys of the agents hosted here, found by their public halves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mesh30k_ledger::keys::{PublicKey, SecretKey};

use crate::identity::NodeIdentity;

/// Finds the derived key that belongs to a public key on the ledger. Agents are registered in the order of their index, so
/// the indexes below their number are all there can be; each is derived once.
pub(super) struct AgentKeys {
    identity: Arc<NodeIdentity>,
    indexes: Mutex<BTreeMap<PublicKey, u32>>,
}

impl AgentKeys {
    pub(super) fn new(identity: Arc<NodeIdentity>) -> Self {
        Self { identity, indexes: Mutex::new(BTreeMap::new()) }
    }

    /// The key whose public half this is, among the first `agents` derived ones.
    pub(super) fn find(&self, public: &PublicKey, agents: u32) -> Option<SecretKey> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        for index in u32::try_from(indexes.len()).unwrap_or(u32::MAX)..agents {
            if indexes.contains_key(public) {
                break;
            }
            indexes.insert(self.identity.agent(index).public(), index);
        }
        indexes.get(public).map(|index| self.identity.agent(*index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registered_agents_key_is_found_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Arc::new(NodeIdentity::load_or_create(dir.path()).unwrap());
        let keys = AgentKeys::new(Arc::clone(&identity));
        for index in [3, 0, 7, 7] {
            let public = identity.agent(index).public();
            assert_eq!(keys.find(&public, 8).unwrap().public(), public);
        }
        assert!(keys.find(&identity.agent(8).public(), 8).is_none());
        assert!(keys.find(&identity.agent(8).public(), 9).is_some());
    }
}

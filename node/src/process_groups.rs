//! The Raft groups of this process: a set of its own, made once the node knows its number.

use std::sync::{Arc, Mutex, PoisonError};

use mesh30k_consensus::group::StoreId;
use mesh30k_consensus::raft::{GroupSet, GroupSetConfig, PeerCheck};
use mesh30k_consensus::storage::KvStore;
use mesh30k_ledger::types::NodeId;
use mesh30k_p2p::{AcceptError, Control};

use crate::bridge::{self, RaftBridge};
use crate::lanes;
use crate::raft_runtime::RaftRuntime;
use crate::roster::SharedRoster;

/// Makes the set for whoever asks first: a validator at its start, any other node when it has joined.
pub struct ProcessGroups {
    store_id: StoreId,
    kv: Arc<dyn KvStore>,
    control: Control,
    roster: SharedRoster,
    made: Mutex<Option<GroupSet<RaftRuntime>>>,
}

impl ProcessGroups {
    /// None yet.
    #[must_use]
    pub const fn new(store_id: StoreId, kv: Arc<dyn KvStore>, control: Control, roster: SharedRoster) -> Self {
        Self { store_id, kv, control, roster, made: Mutex::new(None) }
    }

    /// The set, if it was made.
    #[must_use]
    pub fn made(&self) -> Option<GroupSet<RaftRuntime>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The set, of which this node is the member `me` in every group.
    ///
    /// # Errors
    /// When a lane is taken.
    pub fn of(&self, me: NodeId) -> Result<GroupSet<RaftRuntime>, AcceptError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(groups) = made.as_ref() {
            return Ok(groups.clone());
        }
        let groups = GroupSet::new(GroupSetConfig {
            me: me.0,
            store_id: self.store_id,
            store: Arc::clone(&self.kv),
            transport: Arc::new(RaftBridge::new(self.control.clone(), self.roster.clone())),
            check: check_by_ledger(self.roster.clone()),
        });
        for lane in [lanes::RAFT, lanes::RAFT_APPEND] {
            tokio::spawn(bridge::serve(self.control.accept(lane)?, groups.clone(), self.roster.clone()));
        }
        *made = Some(groups.clone());
        Ok(groups)
    }
}

/// A member whose disk is not the one on the ledger has forgotten what it voted for.
fn check_by_ledger(roster: SharedRoster) -> PeerCheck {
    Arc::new(move |node, store| match roster.load().nodes.get(&NodeId(node)) {
        Some(known) if known.record.store_id.0 == store.0 => Ok(()),
        Some(_) => Err(format!(
            "node {node} came back with another disk than the ledger knows: it must not vote under its old id; \
             restore its data directory or let it join as a new node"
        )),
        None => Err(format!("node {node} is not on the ledger")),
    })
}

//! Validators and other peers as the ledger's loops need them.

use mesh30k_ledger::finality::ValidatorSet;
use mesh30k_ledger::types::NodeId;
use mesh30k_p2p::{Control, PeerId};

use crate::roster::SharedRoster;

/// Who can be asked and told.
#[derive(Clone)]
pub(crate) struct Peers {
    roster: SharedRoster,
    validators: ValidatorSet,
    control: Control,
}

impl Peers {
    pub(crate) const fn new(roster: SharedRoster, validators: ValidatorSet, control: Control) -> Self {
        Self { roster, validators, control }
    }

    /// The validators that have an identity on the network, this node included if it is one.
    pub(crate) fn validators(&self) -> impl Iterator<Item = (NodeId, PeerId)> {
        let roster = self.roster.load();
        self.validators.0.iter().filter_map(move |validator| Some((validator.node, roster.peer_of(validator.node)?)))
    }

    pub(crate) fn peer_of(&self, node: NodeId) -> Option<PeerId> {
        self.roster.load().peer_of(node)
    }

    pub(crate) fn node_of(&self, peer: &PeerId) -> Option<NodeId> {
        self.roster.load().node_of(peer)
    }

    /// A connected peer to ask, another one with each attempt; validators first, for they are ahead.
    pub(crate) fn to_ask(&self, attempt: usize) -> Option<(NodeId, PeerId)> {
        let own = self.control.local_peer_id();
        let mut candidates: Vec<(NodeId, PeerId)> =
            self.validators().filter(|(_, peer)| *peer != own && self.control.is_connected(peer)).collect();
        if candidates.is_empty() {
            let others = self.control.peers();
            candidates.extend(others.iter().map(|info| (self.node_of(&info.peer).unwrap_or(NodeId(0)), info.peer)));
        }
        candidates.get(attempt.checked_rem(candidates.len())?).copied()
    }
}

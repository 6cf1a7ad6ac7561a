//! Validators and other peers as the ledger's loops need them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mesh30k_ledger::finality::ValidatorSet;
use mesh30k_ledger::types::NodeId;
use mesh30k_p2p::{Control, PeerId};

use crate::roster::SharedRoster;

/// With fewer validators connected, other nodes are asked for a snapshot as well.
const SNAPSHOT_PEERS_MIN: usize = 4;

/// Who can be asked and told; clones see the same validators.
#[derive(Clone)]
pub(crate) struct Peers {
    roster: SharedRoster,
    validators: Arc<ArcSwap<ValidatorSet>>,
    control: Control,
}

impl Peers {
    /// No validators yet: see [`Self::follow`].
    pub(crate) fn new(roster: SharedRoster, control: Control) -> Self {
        Self { roster, validators: Arc::default(), control }
    }

    /// From now on these are the validators. Every node keeps its connections to them: transactions, blocks and registrations go
    /// through them.
    pub(crate) fn follow(&self, validators: ValidatorSet) {
        let (roster, own) = (self.roster.load(), self.control.local_peer_id());
        let before = self.validators.swap(Arc::new(validators));
        let now = self.validators.load();
        let gone = before.0.iter().filter(|seat| now.get(seat.node).is_none());
        for peer in gone.filter_map(|seat| roster.peer_of(seat.node)) {
            // The network is closing, and its connections with it.
            let _ = self.control.unreserve(peer);
        }
        let come = now.0.iter().filter(|seat| before.get(seat.node).is_none());
        for node in come.filter_map(|seat| roster.nodes.get(&seat.node)).filter(|node| node.peer != own) {
            if let Err(error) = self.control.reserve(node.peer, node.addresses().collect()) {
                tracing::warn!(node = %node.record.id, %error, "a validator can't be kept connected");
            }
        }
    }

    /// The validators that have an identity on the network, this node included if it is one.
    pub(crate) fn validators(&self) -> impl Iterator<Item = (NodeId, PeerId)> {
        let (roster, validators) = (self.roster.load(), self.validators.load_full());
        let nodes: Vec<NodeId> = validators.0.iter().map(|validator| validator.node).collect();
        nodes.into_iter().filter_map(move |node| Some((node, roster.peer_of(node)?)))
    }

    pub(crate) fn peer_of(&self, node: NodeId) -> Option<PeerId> {
        self.roster.load().peer_of(node)
    }

    pub(crate) fn node_of(&self, peer: &PeerId) -> Option<NodeId> {
        self.roster.load().node_of(peer)
    }

    /// Connected peers to ask for a snapshot: the validators, others only where few of those are connected that were not asked in vain.
    /// Always in the same order: peers that are asked at the same times make their snapshots after the same blocks, so that a newcomer
    /// finds several with the same one.
    pub(crate) fn for_snapshots(&self, is_spent: impl Fn(&PeerId) -> bool) -> Vec<PeerId> {
        let own = self.control.local_peer_id();
        let is_able = |peer: &PeerId| *peer != own && self.control.is_connected(peer) && !is_spent(peer);
        let mut found: Vec<PeerId> = self.validators().map(|(_, peer)| peer).filter(is_able).collect();
        let missing = SNAPSHOT_PEERS_MIN.saturating_sub(found.len());
        let others = self.control.peers().into_iter().map(|info| info.peer);
        let others: Vec<PeerId> = others.filter(|peer| is_able(peer) && !found.contains(peer)).take(missing).collect();
        found.extend(others);
        found
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

//! Counts of what was refused, by peer and reason.

use std::collections::BTreeMap;

use mesh30k_ledger::types::NodeId;

/// Peers counted one by one; further ones are counted together.
pub const MAX_COUNTED_PEERS: usize = 256;

/// Why a vote, certificate or announcement was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// Known already; harmless.
    #[error("known already")]
    Duplicate,
    /// Below the window of heights kept; harmless.
    #[error("the height is too far below the final tip")]
    Stale,
    /// Above the window of heights kept.
    #[error("the height is too far above the final tip")]
    TooFarAhead,
    /// Another epoch, round or phase.
    #[error("it is of another epoch, round or phase")]
    OtherRound,
    /// Not in the validator set.
    #[error("its validator is not in the validator set")]
    UnknownValidator,
    /// A signature does not check.
    #[error("its signature does not check")]
    BadSignature,
    /// A certificate does not check.
    #[error("its certificate does not check in the validator set")]
    BadCertificate,
    /// The certificate is for another block than the header beside it.
    #[error("its certificate is for another block")]
    OtherBlock,
    /// The body is not the one the header names.
    #[error("its body is not the one the header names")]
    BadBody,
}

impl Refusal {
    /// Whether an honest peer on a lossy network may cause it.
    pub fn is_harmless(self) -> bool {
        matches!(self, Self::Duplicate | Self::Stale | Self::TooFarAhead | Self::OtherRound)
    }
}

/// The counts.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    peers: BTreeMap<NodeId, BTreeMap<Refusal, u64>>,
    others: BTreeMap<Refusal, u64>,
}

impl Refusals {
    /// Counts one.
    pub fn count(&mut self, peer: NodeId, refusal: Refusal) {
        let room = self.peers.len() < MAX_COUNTED_PEERS || self.peers.contains_key(&peer);
        let counts = if room { self.peers.entry(peer).or_default() } else { &mut self.others };
        let count = counts.entry(refusal).or_default();
        *count = count.saturating_add(1);
    }

    /// How often a peer caused a refusal.
    pub fn of(&self, peer: NodeId, refusal: Refusal) -> u64 {
        self.peers.get(&peer).and_then(|counts| counts.get(&refusal)).copied().unwrap_or(0)
    }

    /// How often all peers together caused a refusal.
    pub fn total(&self, refusal: Refusal) -> u64 {
        let all = self.peers.values().chain([&self.others]);
        all.filter_map(|counts| counts.get(&refusal)).fold(0, |sum, count| sum.saturating_add(*count))
    }
}

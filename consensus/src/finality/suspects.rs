//! Who was caught at what, and the headers in which a second one would be noticed.

use std::collections::{BTreeMap, BTreeSet};

use mesh30k_ledger::types::{Epoch, Height, NodeId, Round};

use super::evidence::{Evidence, SignedHeader, header_key};

/// Headers kept for comparison; beyond it the lowest heights go first.
pub(super) const MAX_WATCHED_HEADERS: usize = 256;

/// A kind of misbehaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Offence {
    /// Two votes (E1).
    DoubleVote,
    /// Two headers (E6).
    DoubleHeader,
    /// A vote that re-execution refutes (E5).
    RefutedVote,
}

/// What may be proposed once only; the height first, so that pruning is a split.
pub(super) type HeaderKey = (Height, Epoch, Round, u64, NodeId);

/// Bounded memory of misbehaviour: one piece of evidence per validator and kind.
#[derive(Clone, Debug)]
pub(super) struct Suspects {
    fork_size: usize,
    noted: BTreeSet<(NodeId, Offence)>,
    convicted: BTreeSet<NodeId>,
    proofs: Vec<Evidence>,
    headers: BTreeMap<HeaderKey, SignedHeader>,
}

impl Suspects {
    /// For a set of `validators`: a third of them, rounded up, can fork the chain.
    pub(super) fn new(validators: usize) -> Self {
        Self {
            fork_size: validators.div_ceil(3),
            noted: BTreeSet::new(),
            convicted: BTreeSet::new(),
            proofs: Vec::new(),
            headers: BTreeMap::new(),
        }
    }

    /// Keeps a verified header; returns an earlier different one of the same key.
    pub(super) fn watch(&mut self, signed: SignedHeader) -> Option<SignedHeader> {
        let key = header_key(&signed.header);
        if let Some(known) = self.headers.get(&key) {
            return (known.header != signed.header).then_some(*known);
        }
        self.headers.insert(key, signed);
        if self.headers.len() > MAX_WATCHED_HEADERS {
            self.headers.pop_first();
        }
        None
    }

    /// Whether this is the first such offence of the validator.
    pub(super) fn note(&mut self, node: NodeId, offence: Offence) -> bool {
        self.noted.insert((node, offence))
    }

    /// Notes an offence that is proven by signatures alone.
    pub(super) fn convict(&mut self, node: NodeId, offence: Offence, evidence: Evidence) -> bool {
        let first = self.note(node, offence);
        if first {
            self.convicted.insert(node);
            self.proofs.push(evidence);
        }
        first
    }

    /// Whether the convicted could fork the chain.
    pub(super) fn too_many(&self) -> bool {
        self.convicted.len() >= self.fork_size
    }

    /// Evidence of all convictions.
    pub(super) fn proofs(&self) -> &[Evidence] {
        &self.proofs
    }

    /// Forgets headers below a height.
    pub(super) fn prune_below(&mut self, height: Height) {
        self.headers = self.headers.split_off(&(height, Epoch(0), Round(0), 0, NodeId(0)));
    }
}

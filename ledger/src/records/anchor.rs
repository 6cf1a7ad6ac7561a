//! Anchors: what a sector's registry and logs were in a period, as its voters say.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::types::{Hash, NodeId};

/// What is anchored of a sector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct AnchorHeads {
    /// Root of its registry.
    pub registry_root: Hash,
    /// Head of its conflict log.
    pub conflicts_head: Hash,
    /// Head of its audit log.
    pub audit_head: Hash,
}

/// The words of a sector's voters on one period.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct AnchorRecord {
    /// What each voter says; given once.
    pub words: BTreeMap<NodeId, AnchorHeads>,
    /// What more than half of the voters say; never changes again.
    pub anchored: Option<AnchorHeads>,
}

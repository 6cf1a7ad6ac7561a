//! Proofs that a key has a value, or has none.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::bucket::{Leaf, split, subtree};
use super::node::{inner_hash, leaf_hash, path_of, turns_right, value_hash};
use super::page::{BOTTOM, Slot, TOP, left, right};
use super::read::{load_bucket, load_page};
use super::{DomainRoot, join};
use crate::state::{StateError, StateRead, keyspace, read_or_corrupt};
use crate::types::Hash;

/// The way from a state root to a key's leaf, or to where it would be.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct StateProof {
    /// The roots the state root is made of.
    pub domains: Vec<DomainRoot>,
    /// Hashes beside the way, from the top.
    pub siblings: Vec<Hash>,
    /// Another key's leaf that stands where this key's would (path and value hash): proves absence.
    pub other_leaf: Option<(Hash, Hash)>,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The key belongs to no committed domain.
    #[error("the key belongs to no domain of the state")]
    NoDomain,
    /// More steps than a path has.
    #[error("the proof is longer than a path")]
    TooLong,
    /// The leaf offered as another's is the key's own, or lies elsewhere.
    #[error("the other leaf does not stand where the key's would")]
    Misplaced,
    /// Leads to another root of the domain.
    #[error("the proof leads to another root of its domain")]
    WrongDomainRoot,
    /// The domains' roots make another state root.
    #[error("the proof leads to another state root")]
    WrongRoot,
}

/// The proof of a key's value or absence in this state.
///
/// # Errors
/// State that cannot be read.
pub fn prove(state: &dyn StateRead, key: &[u8]) -> Result<StateProof, StateError> {
    let domains: Vec<DomainRoot> = read_or_corrupt(state, keyspace::DOMAIN_ROOTS)?;
    let root = domains.iter().find(|root| key.first() == Some(&root.domain)).copied();
    let mut proof = StateProof { domains, siblings: Vec::new(), other_leaf: None };
    let Some(DomainRoot { domain, root }) = root.filter(|root| root.root != Hash::ZERO) else { return Ok(proof) };
    let path = path_of(key);
    let mut page = load_page(state, domain, 0, &path, &root)?;
    let mut position = TOP;
    for depth in 0..=256_u16 {
        match page.slot(position) {
            Slot::Empty => break,
            bucket @ Slot::Bucket { .. } => {
                prove_in(&load_bucket(state, domain, depth, &path, &bucket)?, depth, &path, &mut proof);
                break;
            }
            Slot::Inner(hash) => {
                if position >= BOTTOM {
                    (page, position) = (load_page(state, domain, depth, &path, &hash)?, TOP);
                }
                let (own, other) = if turns_right(&path, depth) {
                    (right(position), left(position))
                } else {
                    (left(position), right(position))
                };
                proof.siblings.push(page.slot(other).hash());
                position = own;
            }
        }
    }
    Ok(proof)
}

/// The rest of the way, from the top of a bucket at this depth.
fn prove_in(mut leaves: &[Leaf], depth: u16, path: &Hash, proof: &mut StateProof) {
    for depth in depth..=256 {
        if let [] | [_] = leaves {
            break;
        }
        let (left, right) = split(leaves, depth);
        let (own, other) = if turns_right(path, depth) { (right, left) } else { (left, right) };
        proof.siblings.push(subtree(other, depth.saturating_add(1)));
        leaves = own;
    }
    proof.other_leaf = leaves.first().filter(|(found, _)| found != path).copied();
}

impl StateProof {
    /// Checks that under this state root the key has exactly this value, or none.
    ///
    /// # Errors
    /// What does not fit.
    pub fn verify(&self, state_root: &Hash, key: &[u8], value: Option<&[u8]>) -> Result<(), ProofError> {
        let domain = key.first().ok_or(ProofError::NoDomain)?;
        let mut named = self.domains.iter().filter(|root| root.domain == *domain);
        let root = named.next().ok_or(ProofError::NoDomain)?.root;
        let path = path_of(key);
        let depth = u16::try_from(self.siblings.len()).ok().filter(|depth| *depth <= 256).ok_or(ProofError::TooLong)?;
        let mut hash = match (value, &self.other_leaf) {
            (Some(value), None) => leaf_hash(&path, &value_hash(value)),
            (None, None) => Hash::ZERO,
            (None, Some((other, other_value))) => {
                let beside = (0..depth).all(|at| turns_right(other, at) == turns_right(&path, at));
                if *other == path || !beside {
                    return Err(ProofError::Misplaced);
                }
                leaf_hash(other, other_value)
            }
            (Some(_), Some(_)) => return Err(ProofError::Misplaced),
        };
        for (at, sibling) in (0..depth).zip(&self.siblings).rev() {
            hash = if turns_right(&path, at) { inner_hash(sibling, &hash) } else { inner_hash(&hash, sibling) };
        }
        if hash != root {
            return Err(ProofError::WrongDomainRoot);
        }
        if join(&self.domains) == *state_root { Ok(()) } else { Err(ProofError::WrongRoot) }
    }
}

//! The commitment over the state: a binary sparse Merkle tree a domain (256-bit BLAKE3 paths, a lone leaf stands at the top of
//! its empty subtree), their roots under one. Leaves live beside the records, a few to a bucket; the nodes above them follow from
//! these, four levels to a page, and whoever keeps a state may keep its pages in memory alone.

mod bucket;
mod node;
mod page;
mod proof;
mod read;
mod rebuild;
mod update;

pub use page::is_page;
pub use proof::{ProofError, StateProof, prove};
pub use rebuild::rebuild_pages;
pub use update::update;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::encode;
use crate::types::Hash;

/// The root of one domain's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct DomainRoot {
    /// First byte of its keys.
    pub domain: u8,
    /// [`Hash::ZERO`] when it is empty.
    pub root: Hash,
}

/// The state root over the roots of all domains.
fn join(roots: &Vec<DomainRoot>) -> Hash {
    Hash::derive("mesh30k state root v1", &[&encode(roots)])
}

/// Before anything was written.
fn empty_roots() -> Vec<DomainRoot> {
    crate::state::keyspace::COMMITTED.map(|domain| DomainRoot { domain, root: Hash::ZERO }).to_vec()
}

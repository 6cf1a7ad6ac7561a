//! What accounts say of themselves that others have to attest before it counts.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::fmt;

use crate::types::{AccountId, Hash, Region, TimeMs};

/// What may be declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Declared {
    /// Where the account is; decides on discounts, premiums and priority.
    Region(Region),
    /// On-site or contracted renewable share of the energy of the account's node, parts per million.
    RenewablePpm(u32),
}

/// A declaration that waits for attestations.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct DeclarationRecord {
    /// What is said.
    pub what: Declared,
    /// Hash of the document that shows it: a bill, a contract, a certificate.
    pub evidence: Hash,
    /// When it was said.
    pub declared_at: TimeMs,
    /// Reviewers and oracles who looked at it and found it true.
    pub attested_by: Vec<AccountId>,
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(region) => write!(f, "region {region}"),
            Self::RenewablePpm(ppm) => write!(f, "renewable share of {ppm} ppm"),
        }
    }
}

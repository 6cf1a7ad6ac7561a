//! What is final, in four fields.

use mesh30k_ledger::block::Header;
use mesh30k_ledger::finality::Certificate;
use mesh30k_ledger::types::{Hash, Height, TimeMs};

use super::vote_book::Subject;

/// The last final block as a tracker or an observer starts from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalTip {
    /// Its height; 0 is genesis, which no certificate names.
    pub height: Height,
    /// Its block id; at height 0 the parent id that block 1 has to name.
    pub block: Hash,
    /// Its certified commitment.
    pub commitment: Hash,
    /// Its block time.
    pub time: TimeMs,
}

impl FinalTip {
    /// The tip that a certified header makes.
    pub fn of(header: &Header, certificate: &Certificate) -> Self {
        let subject = Subject::of_certificate(certificate);
        Self { height: header.height, block: subject.block, commitment: subject.commitment, time: header.time }
    }
}

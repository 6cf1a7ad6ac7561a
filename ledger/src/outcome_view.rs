//! What is asked of an outcome.

use crate::codec::encode;
use crate::outcome::Outcome;
use crate::rejection::Rejection;
use crate::types::{Hash, TxId, Uftns};

impl Outcome {
    /// Whether it was carried out.
    #[must_use]
    pub const fn is_executed(&self) -> bool {
        matches!(self, Self::Executed { .. })
    }

    /// What was paid.
    #[must_use]
    pub const fn fee(&self) -> Uftns {
        match self {
            Self::Executed { fee, .. } | Self::Rejected { fee, .. } => *fee,
        }
    }

    /// Why not, if not.
    #[must_use]
    pub const fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Executed { .. } => None,
            Self::Rejected { rejection, .. } => Some(rejection),
        }
    }

    /// The leaf that stands for it in the outcomes root.
    #[must_use]
    pub fn leaf(&self, tx: &TxId) -> Hash {
        Hash::derive("mesh30k outcome leaf v1", &[&tx.0, &encode(self)])
    }
}

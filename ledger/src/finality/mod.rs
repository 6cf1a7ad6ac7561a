//! Finality: who validates, what they vote on, and when enough of them agree.

mod certificate;
mod commitment;
mod validators;
mod vote;

pub use certificate::{Certificate, CertificateError, NodeSignature};
pub use commitment::Commitment;
pub use validators::{Validator, ValidatorSet};
pub use vote::{Lock, Phase, SignedVote, Vote};

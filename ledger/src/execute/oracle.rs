//! Who says whether a signature holds.

use crate::key_points::KeyPoints;
use crate::keys::{PublicKey, Signature, verify};
use crate::types::Hash;

/// Verdicts on signatures. An implementation may remember them, so that no signature is checked twice in a process,
/// but must agree with [`crate::keys::verify`].
pub trait SignatureOracle {
    /// Whether a signature over a signing hash holds.
    fn verify(&self, key: &PublicKey, message: &Hash, signature: &Signature) -> bool;

    /// The position of the first that does not hold.
    fn first_invalid(&self, items: &[(PublicKey, Hash, Signature)]) -> Option<usize> {
        items.iter().position(|(key, message, signature)| !self.verify(key, message, signature))
    }
}

/// Checks every signature, many at once where it can, and remembers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Zip215;

impl SignatureOracle for Zip215 {
    fn verify(&self, key: &PublicKey, message: &Hash, signature: &Signature) -> bool {
        verify(key, message.as_bytes(), signature)
    }

    fn first_invalid(&self, items: &[(PublicKey, Hash, Signature)]) -> Option<usize> {
        KeyPoints::default().first_invalid(items)
    }
}

impl SignatureOracle for KeyPoints {
    fn verify(&self, key: &PublicKey, message: &Hash, signature: &Signature) -> bool {
        verify(key, message.as_bytes(), signature)
    }

    fn first_invalid(&self, items: &[(PublicKey, Hash, Signature)]) -> Option<usize> {
        let batch: Vec<_> = items.iter().map(|(key, message, sig)| (*key, message.0.as_slice(), *sig)).collect();
        if self.verify_batch(&batch) {
            return None;
        }
        items.iter().position(|(key, message, signature)| !self.verify(key, message, signature))
    }
}

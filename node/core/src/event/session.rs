//! Sessions: an operator lets another key start events until an instant, so that its own key need not be at hand.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::codec;
use mesh30k_ledger::keys::{self, PublicKey, SecretKey, Signature};
use mesh30k_ledger::signing::{ChainContext, Domain, signing_hash};
use serde::{Deserialize, Serialize};

use super::spec::{Event, EventError};
use crate::time::MeshTimeUs;

/// An operator's word that a key may start events whose T lies before the session's end.
///
/// That T decides, and not when a message is seen, makes every hop judge alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Session {
    /// Who gave it.
    pub operator: PublicKey,
    /// The key that may sign.
    pub key: PublicKey,
    /// The last T it may sign for.
    pub expires: MeshTimeUs,
    /// The operator's signature over the rest in [`Domain::EventSession`].
    pub signature: Signature,
}

impl Session {
    /// A session for `key` that ends at `expires`, signed by an operator.
    #[must_use]
    pub fn grant(context: &ChainContext, operator: &SecretKey, key: PublicKey, expires: MeshTimeUs) -> Self {
        let by = operator.public();
        let hash = signing_hash(Domain::EventSession, context, &codec::encode(&(by, key, expires)));
        Self { operator: by, key, expires, signature: operator.sign(hash.as_bytes()) }
    }

    /// Whether `event` may be signed by this session's key. That its operator is one is for the caller to check.
    ///
    /// # Errors
    /// [`EventError::ForgedSession`], [`EventError::SessionExpired`].
    pub fn check(&self, context: &ChainContext, event: &Event) -> Result<(), EventError> {
        if event.target > self.expires {
            return Err(EventError::SessionExpired { expires: self.expires, target: event.target });
        }
        let signed = codec::encode(&(self.operator, self.key, self.expires));
        let hash = signing_hash(Domain::EventSession, context, &signed);
        if self.key != event.origin || !keys::verify(&self.operator, hash.as_bytes(), &self.signature) {
            return Err(EventError::ForgedSession(self.operator));
        }
        Ok(())
    }
}

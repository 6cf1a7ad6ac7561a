//! The light client's second half: what a key holds in a certified state, or that it holds nothing, checked offline.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::finality_proof::{FinalityProof, FinalityProofError};
use crate::genesis::Genesis;
use crate::query;
use crate::records::Account;
use crate::smt::{self, ProofError, StateProof};
use crate::state::{StateError, StateRead, decode_record, keyspace};
use crate::types::AccountId;

/// Bytes of a key that is asked for, at most: no record's key is longer.
pub const MAX_KEY_BYTES: usize = 512;

/// Proof of the value of one key after one block, or of its absence.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct StateReceipt {
    /// The key: an account's, or any other of the committed state.
    #[serde(with = "crate::records::hex_bytes")]
    pub key: Vec<u8>,
    /// What it holds; nothing when it is absent.
    #[serde(with = "value_hex")]
    pub value: Option<Vec<u8>>,
    /// From the key to the state root of the commitment.
    pub state_proof: StateProof,
    /// That this root is the one after a final block.
    #[serde(flatten)]
    pub finality: FinalityProof,
}

/// Why a state receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateReceiptError {
    /// The block.
    #[error("its block is not proven to be final")]
    NotFinal(#[from] FinalityProofError),
    /// The key.
    #[error("its value is not proven to be in the certified state")]
    NotInState(#[from] ProofError),
    /// The value is proven, and this program cannot read it.
    #[error("the proven value is no account that this version can read")]
    NoAccount(#[source] StateError),
}

/// Why none was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// A key outside the commitment.
    #[error(
        "key {0} is not in the committed state: its first byte has to be one of a, c, e, g, t, and it has at most {MAX_KEY_BYTES} bytes"
    )]
    NoDomain(String),
    /// An order of the operators changed the state after the last block.
    #[error(
        "the state after the last block was changed by an order of the operators and is certified with the next block"
    )]
    NotCertified,
    /// State that cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl StateReceipt {
    /// Proves a key in this state, which has to be the one that `finality` is about.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn build(state: &dyn StateRead, key: &[u8], finality: FinalityProof) -> Result<Self, ProveError> {
        let is_committed = key.first().is_some_and(|domain| keyspace::COMMITTED.contains(domain));
        if !is_committed || key.len() > MAX_KEY_BYTES {
            let shown: String = hex::encode(key).chars().take(80).collect();
            return Err(ProveError::NoDomain(shown));
        }
        let tip = query::tip(state)?;
        if (tip.block, tip.state_root) != (finality.certificate.block, finality.commitment.state_root) {
            return Err(ProveError::NotCertified);
        }
        let (value, state_proof) = (state.get(key)?, smt::prove(state, key)?);
        Ok(Self { key: key.to_vec(), value, state_proof, finality })
    }

    /// The light client: with nothing but the genesis, the proven value, or nothing where absence is proven.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn verify(&self, genesis: &Genesis) -> Result<Option<&[u8]>, StateReceiptError> {
        self.finality.verify(genesis)?;
        let (root, value) = (&self.finality.commitment.state_root, self.value.as_deref());
        self.state_proof.verify(root, &self.key, value)?;
        Ok(value)
    }

    /// The account that its key names, if it is one's.
    #[must_use]
    pub fn account_id(&self) -> Option<AccountId> {
        let (domain, id) = self.key.split_first()?;
        (*domain == keyspace::ACCOUNTS).then_some(())?;
        id.try_into().ok().map(AccountId)
    }

    /// As [`Self::verify`], for the key of an account: what the account owns, nothing where it is proven not to exist.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn verify_account(&self, genesis: &Genesis) -> Result<Option<Account>, StateReceiptError> {
        let Some(bytes) = self.verify(genesis)? else { return Ok(None) };
        decode_record(&self.key, bytes).map(Some).map_err(StateReceiptError::NoAccount)
    }
}

/// A value as hexadecimal text, `null` where there is none.
mod value_hex {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(bytes) => serializer.serialize_some(&hex::encode(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(hex::decode).transpose().map_err(serde::de::Error::custom)
    }
}

//! The envelope every operation travels in.

use blake3::hazmat::hash_derive_key_context;
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::{CodecError, decode, encode, encode_into};
use crate::key_policy::KeyPolicy;
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::ops::Operation;
use crate::signing::{ChainContext, Domain};
use crate::types::{AccountId, ChainId, Hash, HashContext, PurposeHasher, TimeMs, TxId, Uftns};

static ID: HashContext = HashContext::new(|| hash_derive_key_context("mesh30k transaction id v1"));
static LEAF: HashContext = HashContext::new(|| hash_derive_key_context("mesh30k transaction leaf v2"));
/// As [`crate::signing::signing_hash`] for its domain.
static MESSAGE: HashContext = HashContext::new(|| hash_derive_key_context(Domain::Transaction.context()));

/// Bytes of one encoded signed transaction, at most.
pub const MAX_TRANSACTION_BYTES: usize = 128 * 1_024;
/// Signatures of one list, at most: a full policy and full operators.
pub const MAX_SIGNATURES: usize = 32;

/// Hashes of a signed transaction, for whoever needs more than one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// Length of the canonical bytes.
    pub bytes: usize,
    /// Its name.
    pub id: TxId,
    /// What is signed.
    pub message: Hash,
    /// What stands for it in its block.
    pub leaf: Hash,
}

/// What an account asks for.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Transaction {
    /// The chain it is meant for.
    pub chain: ChainId,
    /// Hash of that chain's genesis.
    pub genesis: Hash,
    /// Who asks.
    pub account: AccountId,
    /// The account's next number, from 0; each is used once, in order.
    pub nonce: u64,
    /// Never executed in a block later than this.
    pub valid_until: TimeMs,
    /// The most it may cost.
    pub fee_limit: Uftns,
    /// Who pays the fee instead, and signs too; only for [`Operation::RegisterHost`].
    pub sponsor: Option<AccountId>,
    /// What is asked for.
    pub op: Operation,
}

/// A signature with the key it is to be checked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct KeyedSignature {
    /// Whose.
    pub key: PublicKey,
    /// Over [`Transaction::signing_hash`].
    pub signature: Signature,
}

/// A transaction with its signatures.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SignedTransaction {
    /// What is asked for.
    pub tx: Transaction,
    /// Of the account's keys (and of operators, for what needs them), in strictly ascending order of key.
    pub signatures: Vec<KeyedSignature>,
    /// Of the sponsor's keys, likewise.
    pub sponsor_signatures: Vec<KeyedSignature>,
    /// The account's first policy, the first time an account of several keys signs. An account of one key needs none:
    /// its identifier follows from the key that signed.
    pub policy: Option<KeyPolicy>,
}

impl Transaction {
    /// A transaction of this chain without sponsor.
    #[must_use]
    pub const fn new(
        context: &ChainContext,
        account: AccountId,
        nonce: u64,
        valid_until: TimeMs,
        fee_limit: Uftns,
        op: Operation,
    ) -> Self {
        Self {
            chain: context.chain,
            genesis: context.genesis,
            account,
            nonce,
            valid_until,
            fee_limit,
            sponsor: None,
            op,
        }
    }

    /// The chain it is meant for.
    #[must_use]
    pub const fn context(&self) -> ChainContext {
        ChainContext { chain: self.chain, genesis: self.genesis }
    }

    /// The accounts it names as payer, sponsor or receiver; one may come more than once.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> {
        std::iter::once(self.account).chain(self.sponsor).chain(self.op.receivers())
    }

    /// Its name: signatures do not change it.
    #[must_use]
    pub fn id(&self) -> TxId {
        ID.hasher().hash(&[&encode(self)])
    }

    /// What is signed, by the account, by operators and by the sponsor alike: the name, for this purpose and chain.
    #[must_use]
    pub fn signing_hash(&self) -> Hash {
        MESSAGE.hasher().hash(&[&encode(&self.context()), self.id().as_bytes()])
    }

    /// Signs with these keys.
    #[must_use]
    pub fn sign(self, keys: &[&SecretKey]) -> SignedTransaction {
        let mut signed =
            SignedTransaction { tx: self, signatures: Vec::new(), sponsor_signatures: Vec::new(), policy: None };
        for key in keys {
            signed.add_signature(key);
        }
        signed
    }

    /// Work it causes, in units the base fee is multiplied by.
    #[must_use]
    pub fn weight(&self) -> u64 {
        BASE_WEIGHT.saturating_add(self.op.weight())
    }

    /// What it costs at this base fee.
    #[must_use]
    pub fn fee(&self, base_fee: Uftns) -> Uftns {
        Uftns(self.weight().saturating_mul(base_fee.0))
    }
}

/// Weight of the envelope: signature, nonce, fee.
const BASE_WEIGHT: u64 = 10;

impl SignedTransaction {
    /// Adds a signature of the account's keys or of an operator.
    pub fn add_signature(&mut self, key: &SecretKey) {
        let message = self.tx.signing_hash();
        insert(&mut self.signatures, key, &message);
    }

    /// Adds a signature of the sponsor named in the transaction.
    pub fn add_sponsor_signature(&mut self, key: &SecretKey) {
        let message = self.tx.signing_hash();
        insert(&mut self.sponsor_signatures, key, &message);
    }

    /// All signatures, the sponsor's last.
    pub(crate) fn keyed(&self) -> impl Iterator<Item = &KeyedSignature> {
        self.signatures.iter().chain(&self.sponsor_signatures)
    }

    /// Reveals the first policy of an account of several keys.
    #[must_use]
    pub fn with_policy(mut self, policy: KeyPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> TxId {
        self.tx.id()
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything but one canonical signed transaction of at most [`MAX_TRANSACTION_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_TRANSACTION_BYTES)
    }

    /// The leaf that stands for it in the transaction root of its block; binds the signatures too.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        self.digests().leaf
    }

    /// Everything that is a hash of its bytes, which are written once.
    #[must_use]
    pub fn digests(&self) -> Digests {
        Digester::new().digests(self)
    }
}

/// Makes the digests of many transactions: what it works with is there once.
pub(crate) struct Digester {
    bytes: Vec<u8>,
    id: PurposeHasher,
    message: PurposeHasher,
    leaf: PurposeHasher,
}

impl Digester {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::with_capacity(512), id: ID.hasher(), message: MESSAGE.hasher(), leaf: LEAF.hasher() }
    }

    pub(crate) fn digests(&mut self, signed: &SignedTransaction) -> Digests {
        let id = self.id.hash(&[written(&signed.tx, &mut self.bytes)]);
        let length = self.bytes.len();
        let message = self.message.hash(&[written(&signed.tx.context(), &mut self.bytes), id.as_bytes()]);
        let envelope = written(&(&signed.signatures, &signed.sponsor_signatures, &signed.policy), &mut self.bytes);
        let leaf = self.leaf.hash(&[id.as_bytes(), envelope]);
        Digests { bytes: length.saturating_add(envelope.len()), id, message, leaf }
    }
}

/// The canonical bytes of a value, in a buffer used again and again.
fn written<'a, T: BorshSerialize>(value: &T, bytes: &'a mut Vec<u8>) -> &'a [u8] {
    bytes.clear();
    encode_into(value, bytes);
    bytes
}

fn insert(list: &mut Vec<KeyedSignature>, key: &SecretKey, message: &Hash) {
    let keyed = KeyedSignature { key: key.public(), signature: key.sign(message.as_bytes()) };
    list.retain(|existing| existing.key != keyed.key);
    list.push(keyed);
    list.sort_by_key(|existing| existing.key);
}

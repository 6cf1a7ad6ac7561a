//! Signs transactions locally and sees them through to final; the CLI and the testnet driver share it.

use std::time::Duration;

use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::Operation;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::transaction::{SignedTransaction, Transaction};
use mesh30k_ledger::types::{AccountId, ChainId, TimeMs, TxId, Uftns};
use mesh30k_node::api::types::{AccountRow, HexBody, Status, TransactionRow};
use mesh30k_node::clock::wall_ms;

use crate::client::{ApiClient, ClientError};

/// How long a transaction stays valid after it was signed.
const VALIDITY_MS: u64 = 60_000;
/// The most a transaction may cost unless the caller says otherwise.
pub const FEE_LIMIT_DEFAULT: Uftns = Uftns::ftns(1);

/// What may go wrong between wanting a transaction and seeing it final.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The node could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The node names its chain in a way this version cannot read.
    #[error("the node says its chain is `{0}`, which is no name of a chain")]
    Chain(String),
    /// Executed and rejected; the fee is spent.
    #[error("transaction {id} was rejected: {reason}")]
    Rejected {
        /// Which.
        id: TxId,
        /// The ledger's sentence.
        reason: String,
    },
    /// Not final in time; it may still become so.
    #[error("transaction {id} is {status}, not final, after {waited_ms} ms; ask again with `mesh30k ledger show {id}`")]
    NotFinal {
        /// Which.
        id: TxId,
        /// How far it came.
        status: String,
        /// How long was waited.
        waited_ms: u64,
    },
}

/// One account of one key at one node.
pub struct Wallet {
    client: ApiClient,
    key: SecretKey,
    context: ChainContext,
    account: AccountId,
}

impl Wallet {
    /// A wallet of the account that belongs to `key`, at the chain the node of `client` is on.
    ///
    /// # Errors
    /// When the node can't be asked.
    pub fn open(client: ApiClient, key: SecretKey) -> Result<Self, WalletError> {
        let account = KeyPolicy::single(key.public()).account();
        Self::of_account(client, key, account)
    }

    /// As [`Self::open`], of an account that began with another key.
    ///
    /// # Errors
    /// When the node can't be asked.
    pub fn of_account(client: ApiClient, key: SecretKey, account: AccountId) -> Result<Self, WalletError> {
        let context = chain_context(&client)?;
        Ok(Self { client, key, context, account })
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// The chain.
    #[must_use]
    pub const fn context(&self) -> &ChainContext {
        &self.context
    }

    /// The key that signs.
    #[must_use]
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// The node asked.
    #[must_use]
    pub const fn client(&self) -> &ApiClient {
        &self.client
    }

    /// The account as the node sees it at its last final block.
    ///
    /// # Errors
    /// When the node can't be asked.
    pub fn row(&self) -> Result<AccountRow, WalletError> {
        Ok(self.client.get(&format!("/v1/accounts/{}", self.account))?)
    }

    /// Signs `op` with this nonce; sends nothing.
    #[must_use]
    pub fn sign(&self, nonce: u64, op: Operation) -> SignedTransaction {
        let valid_until = TimeMs(wall_ms().saturating_add(VALIDITY_MS));
        Transaction::new(&self.context, self.account, nonce, valid_until, FEE_LIMIT_DEFAULT, op).sign(&[&self.key])
    }

    /// Signs `op` with the account's next nonce, sends it and waits until it is final.
    ///
    /// # Errors
    /// When it is refused, rejected or not final within `timeout`.
    pub fn execute(&self, op: Operation, timeout: Duration) -> Result<TransactionRow, WalletError> {
        let signed = self.sign(self.row()?.next_nonce, op);
        self.submit(&signed)?;
        self.wait_final(signed.id(), timeout)
    }

    /// Sends a signed transaction; returns when the node has accepted it.
    ///
    /// # Errors
    /// When it is refused.
    pub fn submit(&self, signed: &SignedTransaction) -> Result<TransactionRow, WalletError> {
        let body = HexBody { hex: hex::encode(signed.to_bytes()) };
        Ok(self.client.post("/v1/transactions", &body)?)
    }

    /// Waits until a transaction is final.
    ///
    /// # Errors
    /// When it was rejected, or is not final within `timeout`.
    pub fn wait_final(&self, id: TxId, timeout: Duration) -> Result<TransactionRow, WalletError> {
        let waited_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let row: TransactionRow = self.client.get(&format!("/v1/transactions/{id}?wait_ms={waited_ms}"))?;
        match (row.status.as_str(), row.succeeded) {
            ("final", Some(true)) => Ok(row),
            ("final", _) => Err(WalletError::Rejected { id, reason: row.outcome.unwrap_or_default() }),
            (status, _) => Err(WalletError::NotFinal { id, status: status.to_owned(), waited_ms }),
        }
    }
}

/// Which chain the node of `client` is on.
///
/// # Errors
/// When the node can't be asked, or names no chain.
pub fn chain_context(client: &ApiClient) -> Result<ChainContext, WalletError> {
    let status: Status = client.get("/v1/status")?;
    let chain = ChainId::new(&status.chain).map_err(|_| WalletError::Chain(status.chain.clone()))?;
    Ok(ChainContext { chain, genesis: status.genesis })
}

//! Why a task was not done or not paid.

use mesh30k_ledger::codec::CodecError;
use mesh30k_ledger::receipt::ReceiptError;
use mesh30k_ledger::types::{HexError, TxId};

use crate::client::ClientError;
use crate::wallet::WalletError;

/// What may go wrong between wanting a task done and having paid for it.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The node could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A transaction of it.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// One part was not done.
    #[error("part {part} was not done")]
    Part {
        /// Which.
        part: u32,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// No module of that name.
    #[error("no module `{0}` ships with this program; name a .wasm file or one of the shipped ones")]
    UnknownModule(String),
    /// Too few lines to split.
    #[error(
        "a header and at least {parts} lines are needed for {parts} parts, there are {lines} lines after the header"
    )]
    TooFewLines {
        /// Parts wanted.
        parts: usize,
        /// Lines there are.
        lines: usize,
    },
    /// No input at all, or more parts than an escrow has.
    #[error("a task has 1 to 4096 parts, not {0}")]
    Parts(usize),
    /// The node says something that is none.
    #[error("the node's {what} can't be read")]
    Answer {
        /// What it should have been.
        what: &'static str,
        /// How it is broken.
        #[source]
        source: AnswerError,
    },
    /// The proof of a payment does not hold.
    #[error("the receipt of release {release} proves nothing")]
    Receipt {
        /// Which transaction.
        release: TxId,
        /// Why.
        #[source]
        source: ReceiptError,
    },
}

/// How an answer is broken.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// No hexadecimal text.
    #[error(transparent)]
    Hex(#[from] hex::FromHexError),
    /// No hash.
    #[error(transparent)]
    Hash(#[from] HexError),
    /// Not canonical bytes of it.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Not there.
    #[error("it is missing")]
    Missing,
}

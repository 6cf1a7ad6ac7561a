//! What the process says to the shell when it ends.

use mesh30k_testnet::client::ClientError;
use mesh30k_testnet::wallet::WalletError;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Done.
    Done = 0,
    /// Tried and failed.
    Failed = 1,
    /// The words of the command are wrong.
    Usage = 2,
    /// No node answers.
    Unreachable = 3,
    /// The node or the ledger refused.
    Refused = 4,
}

/// A command line that was understood but cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

impl ExitCode {
    /// The code that fits an error, found by its cause.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if cause.is::<UsageError>() {
                return Self::Usage;
            }
            let client = cause.downcast_ref::<ClientError>().or(match cause.downcast_ref::<WalletError>() {
                Some(WalletError::Client(client)) => Some(client),
                Some(WalletError::Rejected { .. }) => return Self::Refused,
                _ => None,
            });
            match client {
                Some(ClientError::Unreachable { .. }) => return Self::Unreachable,
                Some(ClientError::Refused(_)) => return Self::Refused,
                _ => {}
            }
        }
        Self::Failed
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

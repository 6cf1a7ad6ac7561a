//! What the process says to the shell when it ends.

use mesh30k_testnet::client::ClientError;
use mesh30k_testnet::events::EventsError;
use mesh30k_testnet::wallet::WalletError;
use mesh30k_testnet::work::WorkError;

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
        error.chain().find_map(Self::of_cause).unwrap_or(Self::Failed)
    }

    fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if cause.is::<UsageError>() {
            return Some(Self::Usage);
        }
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return Self::of_client(error);
        }
        // Errors that pass another one on in its own words are looked into: their cause is that error's cause.
        if let Some(error) = cause.downcast_ref::<WalletError>() {
            return Self::of_wallet(error);
        }
        match cause.downcast_ref::<EventsError>() {
            Some(EventsError::Client(error)) => return Self::of_client(error),
            Some(EventsError::TooSoon { .. }) => return Some(Self::Refused),
            _ => {}
        }
        match cause.downcast_ref::<WorkError>() {
            Some(WorkError::Client(error)) => Self::of_client(error),
            Some(WorkError::Wallet(error)) => Self::of_wallet(error),
            Some(WorkError::UnknownModule(_) | WorkError::TooFewLines { .. } | WorkError::Parts(_)) => {
                Some(Self::Usage)
            }
            _ => None,
        }
    }

    const fn of_client(error: &ClientError) -> Option<Self> {
        match error {
            ClientError::Unreachable { .. } => Some(Self::Unreachable),
            ClientError::Refused(_) => Some(Self::Refused),
            ClientError::Unexpected { .. } => None,
        }
    }

    const fn of_wallet(error: &WalletError) -> Option<Self> {
        match error {
            WalletError::Client(error) => Self::of_client(error),
            WalletError::Rejected { .. } => Some(Self::Refused),
            WalletError::Chain(_) | WalletError::NotFinal { .. } => None,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

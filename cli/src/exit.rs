//! What the process says to the shell when it ends.

use mesh30k_testnet::client::ClientError;
use mesh30k_testnet::events::EventsError;
use mesh30k_testnet::operations::OperationError;
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

/// What would be refused, or harm whoever asks for it, seen before it was sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RefusedError(pub(crate) String);

impl ExitCode {
    /// The code that fits an error, found by its cause.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(Self::of_cause).unwrap_or(Self::Failed)
    }

    fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if cause.is::<UsageError>() {
            return Some(Self::Usage);
        }
        if cause.is::<RefusedError>() {
            return Some(Self::Refused);
        }
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return Self::of_client(error);
        }
        // Errors that pass another one on in its own words are looked into: their cause is that error's cause.
        if let Some(error) = cause.downcast_ref::<WalletError>() {
            return Self::of_wallet(error);
        }
        if let Some(error) = cause.downcast_ref::<EventsError>() {
            return Self::of_event(error);
        }
        match cause.downcast_ref::<OperationError>() {
            Some(OperationError::Event(error)) => return Self::of_event(error),
            Some(OperationError::Client(error)) => return Self::of_client(error),
            Some(OperationError::Work(error)) => return Self::of_work(error),
            Some(OperationError::Nobody) => return Some(Self::Refused),
            Some(OperationError::Pipeline(_)) => return Some(Self::Usage),
            None => {}
        }
        cause.downcast_ref::<WorkError>().and_then(Self::of_work)
    }

    const fn of_work(error: &WorkError) -> Option<Self> {
        match error {
            WorkError::Client(error) | WorkError::Part { source: error, .. } => Self::of_client(error),
            WorkError::Wallet(error) => Self::of_wallet(error),
            WorkError::UnknownModule(_) | WorkError::TooFewLines { .. } | WorkError::Parts(_) => Some(Self::Usage),
            WorkError::Answer { .. } | WorkError::Receipt { .. } => None,
        }
    }

    const fn of_event(error: &EventsError) -> Option<Self> {
        match error {
            EventsError::Client(error) => Self::of_client(error),
            EventsError::TooSoon { .. } => Some(Self::Refused),
            EventsError::NoSummary { .. } | EventsError::NoRandomness(_) => None,
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

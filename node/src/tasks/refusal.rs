//! Why a host did not do a part.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::types::{AgentId, EscrowId, Hash, NodeId};

use crate::execution::ExecutionError;

/// Why a host did not do a part; travels back to the requester's node.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, thiserror::Error)]
pub enum TaskRefusal {
    /// Its owner does not run tasks of others.
    #[error("node {0} runs no tasks: tasks.enabled is false there")]
    Disabled(NodeId),
    /// Its ledger does not have the escrow.
    #[error("escrow {0} is not final on the host's ledger")]
    NoEscrow(EscrowId),
    /// Nothing is left to be paid.
    #[error("escrow {escrow} is {status}, it pays nothing any more")]
    EscrowClosed {
        /// Which.
        escrow: EscrowId,
        /// In the ledger's word.
        status: String,
    },
    /// There is no such part.
    #[error("part {part} of escrow {escrow} does not exist: it has {parts}, counted from 0")]
    UnknownPart {
        /// Which escrow.
        escrow: EscrowId,
        /// Which part.
        part: u32,
        /// How many it has.
        parts: u32,
    },
    /// Paid already.
    #[error("part {part} of escrow {escrow} is paid already")]
    Released {
        /// Which escrow.
        escrow: EscrowId,
        /// Which part.
        part: u32,
    },
    /// Another module than the escrow's.
    #[error("the module is {found}, the escrow pays for {expected}")]
    OtherModule {
        /// Hash of what came.
        found: Hash,
        /// Hash the escrow names.
        expected: Hash,
    },
    /// No module of that name ships with the host.
    #[error("no module `{0}` ships with node; send its bytes")]
    UnknownModule(String),
    /// The agent lives elsewhere.
    #[error("agent {agent} is not hosted by node {host}")]
    NotHosted {
        /// Which agent.
        agent: AgentId,
        /// Who was asked.
        host: NodeId,
    },
    /// The agent's key is not on this host.
    #[error("the key of agent {0} is not among those of its host")]
    NoKey(AgentId),
    /// The agent is paused.
    #[error("agent {agent} is frozen: {reason}")]
    Frozen {
        /// Which agent.
        agent: AgentId,
        /// Why.
        reason: String,
    },
    /// The same work runs here now.
    #[error("this part runs already on the host; ask again for its receipt")]
    InProgress,
    /// The host has enough to do.
    #[error("the host takes no more tasks now: {0}")]
    Busy(String),
    /// A freeze or the end of the process stopped it.
    #[error("the task was stopped on its host: {0}")]
    Stopped(String),
    /// It broke its limits or trapped; every host would find the same.
    #[error("{reason}")]
    Execution {
        /// Stable word for it.
        kind: String,
        /// What happened.
        reason: String,
    },
    /// The module itself reported failure.
    #[error("the module ended with its own failure code {0}")]
    Failed(i32),
    /// The output does not fit an answer.
    #[error("the answer has {bytes} bytes, at most {limit} travel back")]
    AnswerTooLarge {
        /// Its size.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// Bytes that are no request.
    #[error("the request can't be read: {0}")]
    Malformed(String),
    /// The host's own fault.
    #[error("the host failed: {0}")]
    Host(String),
    /// What the part emitted here cannot be paid for from its escrow, so it would not be paid at all.
    #[error("the part's footprint here can't be paid from its escrow, so its output is not handed out: {0}")]
    ReserveShort(String),
}

impl TaskRefusal {
    /// Whether another host may do it where this one did not.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        match self {
            Self::Disabled(_)
            | Self::NoEscrow(_)
            | Self::UnknownModule(_)
            | Self::NotHosted { .. }
            | Self::NoKey(_)
            | Self::Frozen { .. }
            | Self::InProgress
            | Self::Busy(_)
            | Self::Stopped(_)
            | Self::ReserveShort(_)
            | Self::Host(_) => true,
            Self::EscrowClosed { .. }
            | Self::UnknownPart { .. }
            | Self::Released { .. }
            | Self::OtherModule { .. }
            | Self::Execution { .. }
            | Self::Failed(_)
            | Self::AnswerTooLarge { .. }
            | Self::Malformed(_) => false,
        }
    }
}

impl From<ExecutionError> for TaskRefusal {
    fn from(error: ExecutionError) -> Self {
        let reason = error.to_string();
        match error {
            ExecutionError::Busy { .. } => Self::Busy(reason),
            ExecutionError::Cancelled => Self::Stopped(reason),
            ExecutionError::Engine { .. } => Self::Host(reason),
            // The clock and the ceiling are the host's; elsewhere there may be more of both.
            ExecutionError::Timeout { .. } | ExecutionError::AboveCeiling { .. } => Self::Stopped(reason),
            error => Self::Execution { kind: error.kind().to_owned(), reason },
        }
    }
}

//! What happened, as sentences people read.

use crate::outcome::{Effect, Outcome};

impl Outcome {
    /// One line: what it did, or why it did nothing.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Rejected { rejection, .. } => rejection.to_string(),
            Self::Executed { effect, .. } => effect.sentence(),
        }
    }
}

impl Effect {
    /// One line.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Transferred { amount, transfers: 1 } => format!("{amount} transferred"),
            Self::Transferred { amount, transfers } => format!("{amount} transferred to {transfers} receivers"),
            Self::EscrowOpened { escrow, locked } => format!("{locked} locked in escrow {escrow}"),
            Self::PartReleased { part, worker, price, returned, .. } => format!(
                "part {part} paid: {} to {worker}, {} for carbon, {} in all, {returned} returned",
                price.base, price.carbon, price.total
            ),
            Self::HostRegistered { node, agents, sector, .. } => match sector {
                Some(sector) => format!("node {node} registered with {agents} agents in sector {sector}"),
                None => format!("node {node} registered"),
            },
            Self::Proposed { proposal, voting_ends } => {
                format!("proposal {proposal} opened, counted at {voting_ends} ms")
            }
            Self::Voted { proposal, weight } => format!("vote on proposal {proposal} counted with {weight}"),
            Self::Frozen { scope, until } => format!("{scope} frozen until {until} ms"),
            Self::Thawed { scope } => format!("{scope} thawed"),
        }
    }

    /// Names of what it made, for whoever refers to it next.
    #[must_use]
    pub fn created(&self) -> Vec<String> {
        match self {
            Self::EscrowOpened { escrow, .. } => vec![escrow.to_string()],
            Self::Proposed { proposal, .. } => vec![proposal.to_string()],
            Self::HostRegistered { node, .. } => vec![node.to_string()],
            _ => Vec::new(),
        }
    }
}

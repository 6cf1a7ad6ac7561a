//! What a freeze or a thaw reaches.

use borsh::{BorshDeserialize, BorshSerialize};
use std::fmt;
use std::str::FromStr;

use super::{AgentId, ClusterId, SectorId, serde_as_text};

/// A part of the mesh. Text: `global`, `sector:0`, `cluster:0-2`, `agent:17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash, BorshSerialize, BorshDeserialize)]
pub enum Scope {
    /// Everything.
    Global,
    /// One sector.
    Sector(SectorId),
    /// One cluster.
    Cluster(ClusterId),
    /// One agent.
    Agent(AgentId),
}

/// Text that is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("scope `{0}` is not one of global, sector:N, cluster:N-M, agent:N")]
pub struct ScopeError(pub String);

impl Scope {
    /// Whether an agent at this place lies within it.
    #[must_use]
    pub fn covers(&self, agent: AgentId, cluster: ClusterId) -> bool {
        match self {
            Self::Global => true,
            Self::Sector(sector) => *sector == cluster.sector,
            Self::Cluster(own) => *own == cluster,
            Self::Agent(own) => *own == agent,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Sector(sector) => write!(f, "sector:{sector}"),
            Self::Cluster(cluster) => write!(f, "cluster:{cluster}"),
            Self::Agent(agent) => write!(f, "agent:{agent}"),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let refused = || ScopeError(text.chars().take(40).collect());
        if text == "global" {
            return Ok(Self::Global);
        }
        let (kind, id) = text.split_once(':').ok_or_else(refused)?;
        match kind {
            "sector" => id.parse().map(Self::Sector).map_err(|_| refused()),
            "cluster" => id.parse().map(Self::Cluster).map_err(|_| refused()),
            "agent" => id.parse().map(Self::Agent).map_err(|_| refused()),
            _ => Err(refused()),
        }
    }
}

serde_as_text!(Scope);

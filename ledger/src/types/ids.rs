//! Sequence numbers and block time.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

use super::serde_as_text;

/// Text that is not an identifier of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{text}` is not {form}")]
pub struct IdError {
    /// What it should name.
    pub kind: &'static str,
    /// What was read.
    pub text: String,
    /// How it is written.
    pub form: &'static str,
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $kind:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash,
            BorshSerialize, BorshDeserialize, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The one after it, at most the largest there is.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.parse().map(Self).map_err(|_| IdError {
                    kind: $kind,
                    text: text.chars().take(40).collect(),
                    form: "a whole number",
                })
            }
        }
    };
}

number!(
    /// A node's sequence number on the ledger, from 1, never reused.
    NodeId, u64, "node"
);
number!(
    /// An agent's sequence number on the ledger, from 1, never reused.
    AgentId, u64, "agent"
);
number!(
    /// A sector, from 0.
    SectorId, u32, "sector"
);
number!(
    /// A proposal's sequence number, from 1.
    ProposalId, u64, "proposal"
);
number!(
    /// A block's position; the first block after genesis is 1.
    Height, u64, "height"
);
number!(
    /// Counts validator sets.
    Epoch, u32, "epoch"
);
number!(
    /// Counts resets of the chain.
    Round, u32, "round"
);
number!(
    /// Block time: milliseconds since the Unix epoch.
    TimeMs, u64, "time"
);

impl TimeMs {
    /// This much later, at most the end of time.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since an earlier time, 0 when it is not earlier.
    #[must_use]
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A cluster by its sector and its index there; shown `sector-index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash, BorshSerialize, BorshDeserialize)]
pub struct ClusterId {
    /// Where it lies.
    pub sector: SectorId,
    /// From 0 within the sector.
    pub index: u32,
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.sector, self.index))
    }
}

impl FromStr for ClusterId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let refused =
            || IdError { kind: "cluster", text: text.chars().take(40).collect(), form: "sector-index, such as 0-2" };
        let (sector, index) = text.split_once('-').ok_or_else(refused)?;
        Ok(Self { sector: sector.parse().map_err(|_| refused())?, index: index.parse().map_err(|_| refused())? })
    }
}

serde_as_text!(ClusterId);

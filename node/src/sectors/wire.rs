//! What travels about sectors: on lane "beat" and on the topics of sectors and summaries. Kinds are only ever appended.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_core::beat::SignedHostBatch;
use mesh30k_core::lead::{Fencing, SectorNews, Tenure};
use mesh30k_core::registry::SectorSummary;
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::types::{ClusterId, NodeId, SectorId};

/// A one-way message on lane "beat".
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum BeatNotice {
    /// A host's heartbeat, on its way to its home lead or to the coordinator.
    Batch {
        /// The sector whose group is to order it.
        sector: SectorId,
        /// Signed by the host.
        batch: SignedHostBatch,
    },
    /// What a lead passes on to the coordinator each second; empty says that the lead lives.
    Forward {
        /// The cluster it leads.
        cluster: ClusterId,
        /// The right under which it does.
        tenure: Tenure,
        /// The newest batch of each host heard of since.
        batches: Vec<SignedHostBatch>,
    },
    /// A lead has not heard of a host for three beats.
    Suspect {
        /// The cluster it leads.
        cluster: ClusterId,
        /// The host.
        host: NodeId,
    },
    /// A suspected host is heard again.
    Cleared {
        /// The cluster whose lead says so.
        cluster: ClusterId,
        /// The host.
        host: NodeId,
    },
    /// A coordinator found a gap: the host is to send everything.
    AskFull {
        /// The sector.
        sector: SectorId,
        /// The newest sequence its group has of this host.
        newest: u64,
    },
}

/// A question on lane "beat".
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum BeatQuestion {
    /// Mesh time, please; only the anchor answers.
    Clock,
    /// Who coordinates this sector?
    WhoLeads(SectorId),
    /// What changed in this sector after a position ([`Fencing::NONE`]: everything)?
    News {
        /// The sector.
        sector: SectorId,
        /// What the asker has.
        after: Fencing,
    },
}

/// An answer on lane "beat".
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum BeatAnswer {
    /// The anchor's mesh time at receipt and at answer.
    Clock {
        /// When the question came.
        received: TimeUs,
        /// When the answer left.
        answered: TimeUs,
    },
    /// Who coordinates, as far as the answerer knows.
    Leads(Option<Coordinator>),
    /// What changed, and who coordinates.
    News {
        /// The news.
        news: SectorNews,
        /// Who coordinates, as far as the answerer knows.
        coordinator: Option<Coordinator>,
    },
    /// Why there is no answer, in a sentence.
    Refused(String),
}

/// A message on lane "beat".
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum BeatMessage {
    /// One-way.
    Notice(BeatNotice),
    /// Wants an answer.
    Question(BeatQuestion),
    /// Is one.
    Answer(BeatAnswer),
}

/// The leader of a sector's group in a term. Of two, the one with the greater term counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Coordinator {
    /// The term of its leadership.
    pub term: u64,
    /// The node.
    pub node: NodeId,
}

/// A gossiped word of a coordinator, in an envelope that it signed in the domain of summaries.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SectorGossip {
    /// "I coordinate this sector": right after an election.
    Leads {
        /// The sector.
        sector: SectorId,
        /// The signer and its term.
        coordinator: Coordinator,
    },
    /// How the sector is, every 10 s.
    Summary {
        /// The signer and its term.
        coordinator: Coordinator,
        /// How it is.
        summary: SectorSummary,
    },
    /// What changed in it.
    News {
        /// The signer and its term.
        coordinator: Coordinator,
        /// What changed.
        news: SectorNews,
    },
}

impl SectorGossip {
    /// The sector it is about.
    #[must_use]
    pub const fn sector(&self) -> SectorId {
        match self {
            Self::Leads { sector, .. } => *sector,
            Self::Summary { summary, .. } => summary.sector,
            Self::News { news, .. } => news.sector,
        }
    }

    /// Who says so.
    #[must_use]
    pub const fn coordinator(&self) -> Coordinator {
        match self {
            Self::Leads { coordinator, .. } | Self::Summary { coordinator, .. } | Self::News { coordinator, .. } => {
                *coordinator
            }
        }
    }
}

//! One sector as a node keeps it: the registry and the leases, fed by news. Pure.

use mesh30k_core::beat::VerifiedBatch;
use mesh30k_core::lead::{Fencing, LeaseTable, SectorNews};
use mesh30k_core::registry::{AgentSeat, Registry, RegistryError};
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{NodeId, SectorId};

/// Why news were not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewsRefusal {
    /// They begin after what is known here, or are of another sector.
    #[error("news refused")]
    Registry(#[from] RegistryError),
    /// They hold a batch of a host that this node's ledger does not have yet.
    #[error("news hold a batch of host {host}, which the ledger does not have here yet")]
    UnknownHost {
        /// The host.
        host: NodeId,
    },
}

/// What taking news in did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Something is new.
    pub is_new: bool,
    /// Batches left out, since their host did not sign them.
    pub unsigned: u64,
    /// When the hosts sent the batches that are new here. Empty for the first news of a sector, which tell what is old.
    pub sent: Vec<TimeUs>,
}

/// Whether a batch's signature was checked on this machine already.
#[derive(Clone, Copy)]
pub enum Trust<'a> {
    /// They come from this node's own voter, which applied them.
    OwnVoter,
    /// They come from a peer: every host's signature is checked against the ledger.
    Checked {
        /// The chain.
        context: &'a ChainContext,
        /// The key the ledger has for a host.
        host_key: &'a dyn Fn(NodeId) -> Option<PublicKey>,
    },
}

/// One sector.
#[derive(Clone, Debug)]
pub struct Replica {
    registry: Registry,
    leases: LeaseTable,
    /// When it was last known to be up to date with a voter; none before the first news.
    refreshed: Option<TimeUs>,
}

impl Replica {
    /// Knows nothing of `sector`.
    #[must_use]
    pub fn new(sector: SectorId) -> Self {
        Self { registry: Registry::new(sector), leases: LeaseTable::new(), refreshed: None }
    }

    /// The registry.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The leases.
    #[must_use]
    pub const fn leases(&self) -> &LeaseTable {
        &self.leases
    }

    /// When it was last known to be up to date.
    #[must_use]
    pub const fn refreshed(&self) -> Option<TimeUs> {
        self.refreshed
    }

    /// What is known up to.
    #[must_use]
    pub fn version(&self) -> Fencing {
        self.registry.version()
    }

    /// Sets the agents that the ledger has in the sector.
    pub fn set_seats(&mut self, seats: Vec<AgentSeat>) {
        self.registry.set_seats(seats);
    }

    /// Takes in news. What is known already changes nothing.
    ///
    /// # Errors
    /// [`NewsRefusal`]; on a gap ask for news after [`Self::version`].
    pub fn follow(&mut self, news: SectorNews, trust: Trust<'_>, now: TimeUs) -> Result<Taken, NewsRefusal> {
        let before = self.version();
        let mut taken = Taken::default();
        if news.from > before {
            return Err(RegistryError::Gap { from: news.from, have: before }.into());
        }
        let mut batches = Vec::with_capacity(news.batches.len());
        for committed in news.batches {
            let host = committed.signed.batch.host;
            let verified = match trust {
                Trust::OwnVoter => VerifiedBatch::trusted(committed.signed),
                // Overlapping news repeat what was checked before.
                Trust::Checked { .. } if committed.position <= before => continue,
                Trust::Checked { context, host_key } => {
                    let key = host_key(host).ok_or(NewsRefusal::UnknownHost { host })?;
                    committed.signed.verify(context, &key)
                }
            };
            let is_change = before != Fencing::NONE && committed.position > before;
            match verified {
                Ok(batch) => {
                    taken.sent.extend(is_change.then(|| batch.batch().sent.wall));
                    batches.push((committed.position, batch));
                }
                Err(_) => taken.unsigned = taken.unsigned.saturating_add(1),
            }
        }
        taken.is_new = news.to > before;
        self.registry.follow(news.sector, (news.from, news.to), batches)?;
        for lease in news.leases {
            // A lease that is known or replaced already says nothing new.
            taken.is_new |= self.leases.follow(lease).unwrap_or(false);
        }
        self.refreshed = Some(now);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_core::beat::{BatchKind, CommittedBatch, HostBatch};
    use mesh30k_core::wire::Hlc;
    use mesh30k_ledger::keys::SecretKey;
    use mesh30k_ledger::types::{ChainId, Hash};

    fn context() -> ChainContext {
        ChainContext { chain: ChainId::new("test").unwrap(), genesis: Hash([7; 32]) }
    }

    fn news(from: u64, to: u64, signer: &SecretKey) -> SectorNews {
        let batch =
            HostBatch { host: NodeId(1), sequence: to, sent: Hlc::default(), kind: BatchKind::Full, reports: vec![] };
        let signed = batch.sign(&context(), signer);
        let batches = vec![CommittedBatch { position: Fencing::new(1, to), signed }];
        let from = if from == 0 { Fencing::NONE } else { Fencing::new(1, from) };
        SectorNews { sector: SectorId(0), from, to: Fencing::new(1, to), batches, leases: vec![] }
    }

    #[test]
    fn news_are_checked_against_the_ledger_and_gaps_are_named() {
        let (host, liar) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
        let key = |node: NodeId| (node == NodeId(1)).then(|| host.public());
        let nobody = |_: NodeId| None;
        let context = context();
        let checked = Trust::Checked { context: &context, host_key: &key };
        let mut replica = Replica::new(SectorId(0));
        let gap = replica.follow(news(3, 4, &host), checked, TimeUs(1)).unwrap_err();
        assert!(matches!(gap, NewsRefusal::Registry(RegistryError::Gap { .. })));
        let early =
            replica.follow(news(0, 2, &host), Trust::Checked { context: &context, host_key: &nobody }, TimeUs(1));
        assert_eq!(early, Err(NewsRefusal::UnknownHost { host: NodeId(1) }));
        assert_eq!(replica.version(), Fencing::NONE);
        let taken = replica.follow(news(0, 2, &host), checked, TimeUs(1)).unwrap();
        assert_eq!(
            (taken, replica.registry().batches().newest_sequence(NodeId(1))),
            (Taken { is_new: true, ..Taken::default() }, 2)
        );
        assert!(!replica.follow(news(0, 2, &host), checked, TimeUs(2)).unwrap().is_new);
        let forged = replica.follow(news(2, 5, &liar), checked, TimeUs(3)).unwrap();
        assert_eq!(forged.unsigned, 1);
        assert_eq!(replica.registry().batches().newest_sequence(NodeId(1)), 2, "a forged batch changes nothing");
    }
}

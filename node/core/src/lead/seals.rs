//! What a sector's registry was at the end of each period, as its group's log says.

use super::{LEASE_US, LeaseGrant};
use crate::beat::BatchStore;
use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::codec;
use mesh30k_ledger::merkle;
use mesh30k_ledger::records::PERIOD_MS;
use mesh30k_ledger::types::{Hash, TimeMs};
use mesh30k_ledger::unit_price::period_of;

/// Seals kept: the ledger takes words on the running period and the one before; two more for coordinators whose clocks differ.
pub const SEALS_KEPT: usize = 4;

/// A registry at the end of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RegistrySeal {
    /// Which period, counted in days from 1970.
    pub period: u64,
    /// Its root then, see [`registry_root`].
    pub root: Hash,
}

/// The seals of the last periods, a function of the log alone: time is what the grants of leases say, which every living cluster's
/// lead gets anew every few seconds. The first grant decided in a period seals the registry as it was before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RegistrySeals {
    /// The period of the last grant.
    running: Option<u64>,
    /// In the order in which they were made.
    kept: Vec<RegistrySeal>,
}

/// Seals of which no log is the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} seals with {periods} periods, at most {SEALS_KEPT} are kept and one of each")]
pub struct SealError {
    /// How many.
    found: usize,
    /// Of how many periods.
    periods: usize,
}

/// The root over a registry's batches, in the order in which the group put them; [`Hash::ZERO`] leaves no batch out.
#[must_use]
pub fn registry_root(batches: &BatchStore) -> Hash {
    let leaf = |batch: &std::sync::Arc<crate::beat::CommittedBatch>| Hash::of(&codec::encode(&**batch));
    merkle::root(&batches.since(super::Fencing::NONE).iter().map(leaf).collect::<Vec<_>>())
}

impl RegistrySeals {
    /// Before the first entry.
    #[must_use]
    pub const fn new() -> Self {
        Self { running: None, kept: Vec::new() }
    }

    /// Takes the time from grants that the group ordered, before they take effect.
    pub(super) fn on_grants(&mut self, grants: &[LeaseGrant], batches: &BatchStore) {
        let Some(period) = grants.iter().filter_map(decided_in).max() else { return };
        let before = self.running.replace(period);
        // Nobody knows what a registry was before its first grant. A coordinator whose clock is behind turns time back, and
        // the next one forward again: what is sealed stays as it is.
        let ended = period.checked_sub(1).filter(|ended| before.is_some_and(|before| before <= *ended));
        if let Some(period) = ended.filter(|period| self.of(*period).is_none()) {
            if self.kept.len() >= SEALS_KEPT {
                self.kept.remove(0);
            }
            self.kept.push(RegistrySeal { period, root: registry_root(batches) });
        }
    }

    /// The seal of a period, while it is kept.
    #[must_use]
    pub fn of(&self, period: u64) -> Option<RegistrySeal> {
        self.kept.iter().find(|seal| seal.period == period).copied()
    }

    pub(super) fn check(&self) -> Result<(), SealError> {
        let periods = self.kept.iter().map(|seal| seal.period).collect::<std::collections::BTreeSet<_>>().len();
        let found = self.kept.len();
        if found > SEALS_KEPT || periods < found {
            return Err(SealError { found, periods });
        }
        Ok(())
    }
}

/// The period in which a coordinator decided on a grant; nothing for one that no lease comes of.
fn decided_in(grant: &LeaseGrant) -> Option<u64> {
    grant.check().ok()?;
    let decided_us = u64::try_from(grant.until.plus_us(LEASE_US.saturating_neg()).0).ok()?;
    Some(period_of(TimeMs(decided_us.checked_div(1_000)?)))
}

/// When a period ends.
#[must_use]
pub const fn end_of_period(period: u64) -> TimeMs {
    TimeMs(period.saturating_add(1).saturating_mul(PERIOD_MS))
}

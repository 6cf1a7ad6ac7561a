//! Operations at random, continued: quota lent, sold, set aside and drawn.

use super::Draft;
use super::client::{Client, Task, one};
use super::draw::small;
use crate::common::{id_of, key};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{
    Capabilities, DeclarePurpose, DrawQuota, OfferQuota, Operation, ReserveQuota, TakeQuota, WithdrawQuota,
};
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::types::{AccountId, TxId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

impl Client {
    /// Mostly somebody who has quota.
    fn holder(&self, rng: &mut ChaCha8Rng) -> SecretKey {
        let known = one(&self.holders, rng).filter(|_| rng.random_ratio(2, 3)).and_then(|id| self.signer(&id));
        known.unwrap_or_else(|| key(rng.random_range(1..=4)))
    }

    pub fn offer_quota(&self, rng: &mut ChaCha8Rng) -> Draft {
        let op = OfferQuota {
            capability: Capabilities::COMPUTE,
            units: rng.random_range(0..60),
            price: small(rng),
            periods: rng.random_ratio(2, 3).then(|| rng.random_range(0..4)),
        };
        let from = if rng.random_ratio(1, 10) { self.anybody(rng) } else { self.holder(rng) };
        Draft { from, op: Operation::OfferQuota(op) }
    }

    pub fn take_quota(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (offer, _) = one(&self.offers, rng)?;
        // Few have enough to trade: whoever opens tasks all the time, and people who are well off.
        let from = if rng.random_ratio(1, 4) { self.holder(rng) } else { self.well_off(rng) };
        Some(Draft { from, op: Operation::TakeQuota(TakeQuota { offer }) })
    }

    /// One of a few, so that quota gathers where tasks are.
    pub fn well_off(&self, rng: &mut ChaCha8Rng) -> SecretKey {
        self.people[rng.random_range(0..8) * 30 + 50].clone()
    }

    pub fn withdraw_quota(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (offer, owner) = one(&self.offers, rng)?;
        let from = if rng.random_ratio(1, 10) { self.anybody(rng) } else { self.signer(&owner)? };
        Some(Draft { from, op: Operation::WithdrawQuota(WithdrawQuota { offer }) })
    }

    /// One of the latest: older ones are over mostly.
    fn task_of_holder(&self, rng: &mut ChaCha8Rng, undeclared: bool) -> Option<Task> {
        let fits =
            |task: &&Task| self.holders.contains(&task.opener) && !(undeclared && self.declared.contains(&task.id));
        let tasks: Vec<Task> = self.tasks.iter().rev().filter(fits).take(12).cloned().collect();
        one(&tasks, rng)
    }

    pub fn reserve_quota(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let task = self.task_of_holder(rng, false)?;
        let luxury = latest(&self.luxuries, rng).filter(|_| rng.random_ratio(1, 2));
        let (escrow, opener) = luxury.unwrap_or((task.id, task.opener));
        let from = if rng.random_ratio(1, 20) { self.anybody(rng) } else { self.signer(&opener)? };
        let op = ReserveQuota { escrow, units: rng.random_range(0..40) };
        Some(Draft { from, op: Operation::ReserveQuota(op) })
    }

    /// What yields in an emergency, and what asks for it.
    pub fn declare_for_quota(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let task = self.task_of_holder(rng, true)?;
        let purpose = [Purpose::Luxury, Purpose::ProofOfWork, Purpose::DisasterResponse][rng.random_range(0..3)];
        let op = DeclarePurpose { escrow: task.id, purpose };
        Some(Draft { from: self.signer(&task.opener)?, op: Operation::DeclarePurpose(op) })
    }

    pub fn draw_quota(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (escrow, opener) = latest(&self.disasters, rng)?;
        let from = if rng.random_ratio(1, 20) { self.anybody(rng) } else { self.signer(&opener)? };
        let op = DrawQuota { escrow, units: rng.random_range(0..60) };
        Some(Draft { from, op: Operation::DrawQuota(op) })
    }

    /// Hosts get quota by their agents, others by taking it.
    pub fn holds_quota(&mut self, id: AccountId) {
        if !self.holders.contains(&id) {
            super::client::remember(&mut self.holders, id);
        }
    }

    pub fn hosts_hold_quota(&mut self) {
        for n in 1..=4 {
            self.holds_quota(id_of(&key(n)));
        }
    }
}

fn latest(tasks: &[(TxId, AccountId)], rng: &mut ChaCha8Rng) -> Option<(TxId, AccountId)> {
    one(&tasks[tasks.len().saturating_sub(6)..], rng)
}

//! Operations at random, continued: schedules, bonds, carbon.

use super::Draft;
use super::client::{Client, one};
use super::draw::{amount, small};
use crate::common::{key, region};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{
    Attest, AttestContribution, AttestSaving, Bond, ClaimContribution, ClaimSaving, Declare, DeclareHardware,
    Operation, ProveEquivocation, ReportIntensity, RetireCredits, Schedule, TransferCredits, Unbond, Unschedule,
};
use mesh30k_ledger::records::{Contribution, Declared, Duty};
use mesh30k_ledger::types::{AccountId, Hash};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

const DUTIES: [Duty; 3] = [Duty::Validator, Duty::Host, Duty::Reviewer];

impl Client {
    pub fn plan(&self, rng: &mut ChaCha8Rng) -> Draft {
        let op = Schedule {
            to: crate::common::id_of(&self.anybody(rng)),
            amount: small(rng),
            times: rng.random_range(0..8),
            first_at: self.now.plus_ms(rng.random_range(0..100_000)),
            every_ms: rng.random_range(59_000..200_000),
            memo: String::new(),
        };
        Draft { from: self.anybody(rng), op: Operation::Schedule(op) }
    }

    pub fn unplan(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (schedule, owner) = one(&self.schedules, rng)?;
        let from = if rng.random_ratio(1, 10) { self.anybody(rng) } else { self.owner(&owner)? };
        Some(Draft { from, op: Operation::Unschedule(Unschedule { schedule }) })
    }

    pub fn bond(&self, rng: &mut ChaCha8Rng) -> Draft {
        let op = Bond { duty: DUTIES[rng.random_range(0..3)], amount: amount(rng) };
        let from = if rng.random_ratio(1, 4) { key(rng.random_range(1..=4)) } else { self.anybody(rng) };
        Draft { from, op: Operation::Bond(op) }
    }

    pub fn unbond(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (owner, duty) = one(&self.bonded, rng)?;
        let op = Unbond { duty, amount: amount(rng) };
        Some(Draft { from: self.signer(&owner)?, op: Operation::Unbond(op) })
    }

    /// A person's or a validator's key.
    pub fn signer(&self, id: &AccountId) -> Option<SecretKey> {
        let validator = (1..=4).map(key).find(|key| crate::common::id_of(key) == *id);
        validator.or_else(|| self.owner(id))
    }

    pub fn report(&self, rng: &mut ChaCha8Rng) -> Draft {
        // Around the table's value, so that receipts at the table's value stay above the floor.
        let op = ReportIntensity { region: region("DE"), mg_per_kwh: rng.random_range(300_000..900_000) };
        let from = if rng.random_ratio(1, 10) { self.anybody(rng) } else { key(rng.random_range(1..=3)) };
        Draft { from, op: Operation::ReportIntensity(op) }
    }

    pub fn claim_saving(&self, rng: &mut ChaCha8Rng) -> Draft {
        let known = one(&self.savings, rng).filter(|_| rng.random_ratio(1, 10));
        let actual_ug = rng.random_range(0..1_000_000);
        let op = ClaimSaving {
            evidence: known.unwrap_or_else(|| Hash(rng.random())),
            baseline_ug: rng.random_range(0..2_000_000),
            actual_ug,
        };
        Draft { from: self.anybody(rng), op: Operation::ClaimSaving(op) }
    }

    pub fn attest(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let evidence = one(&self.savings, rng)?;
        let from = if rng.random_ratio(1, 10) { self.anybody(rng) } else { key(rng.random_range(2..=4)) };
        Some(Draft { from, op: Operation::AttestSaving(AttestSaving { evidence }) })
    }

    pub fn contribute(&self, rng: &mut ChaCha8Rng) -> Draft {
        let known = one(&self.contributions, rng).filter(|_| rng.random_ratio(1, 10));
        // Of content its owner mostly, whose impact is then paid too.
        let owned = one(&self.owned, rng).filter(|_| rng.random_ratio(1, 2));
        let (content, owner) = (owned.map(|(content, _)| content), owned.and_then(|(_, owner)| self.signer(&owner)));
        let op = ClaimContribution {
            kind: Contribution::ALL[rng.random_range(0..9)],
            evidence: known.or(content).unwrap_or_else(|| Hash(rng.random())),
            amount: small(rng),
        };
        let from = owner.filter(|_| rng.random_ratio(9, 10)).unwrap_or_else(|| self.anybody(rng));
        Draft { from, op: Operation::ClaimContribution(op) }
    }

    pub fn declare_hardware(&self, rng: &mut ChaCha8Rng) -> Draft {
        let op = DeclareHardware { embodied_g: rng.random_range(0..2_000_000), lifespan_h: 35_000, slots: 4 };
        Draft { from: key(rng.random_range(1..=4)), op: Operation::DeclareHardware(op) }
    }

    pub fn declare_or_attest(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        if rng.random_ratio(1, 3) { Some(self.declare_self(rng)) } else { self.attest_other(rng) }
    }

    /// Where somebody is, or a node's renewable share: mostly more than before, else nobody had to look.
    fn declare_self(&self, rng: &mut ChaCha8Rng) -> Draft {
        let is_node = rng.random_ratio(1, 2);
        let from = if is_node { key(rng.random_range(1..=4)) } else { self.anybody(rng) };
        let what = if is_node {
            Declared::RenewablePpm(rng.random_range(450_000..700_000))
        } else {
            Declared::Region(["KE", "DE", "BD"][rng.random_range(0..3)].parse().unwrap())
        };
        Draft { from, op: Operation::Declare(Declare { what, evidence: Hash(rng.random()) }) }
    }

    fn attest_other(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (account, what) = one(&self.declarations, rng)?;
        let from = if rng.random_ratio(1, 10) { self.anybody(rng) } else { key(rng.random_range(1..=4)) };
        Some(Draft { from, op: Operation::Attest(Attest { account, what }) })
    }

    pub fn acknowledge(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let evidence = one(&self.contributions, rng)?;
        let from = if rng.random_ratio(1, 10) { self.anybody(rng) } else { key(rng.random_range(2..=4)) };
        Some(Draft { from, op: Operation::AttestContribution(AttestContribution { evidence }) })
    }

    /// Who holds credits is drawn more often, else nothing would move.
    fn creditor(&self, rng: &mut ChaCha8Rng) -> SecretKey {
        let known = one(&self.creditors, rng).filter(|_| rng.random_ratio(9, 10));
        known.and_then(|id| self.signer(&id)).unwrap_or_else(|| self.anybody(rng))
    }

    pub fn move_credits(&self, rng: &mut ChaCha8Rng) -> Draft {
        // Workers need them most.
        let to = if rng.random_ratio(1, 4) { key(rng.random_range(1..=4)) } else { self.anybody(rng) };
        let to = crate::common::id_of(&to);
        let op = TransferCredits { to, amount_ug: rng.random_range(0..300_000) };
        Draft { from: self.creditor(rng), op: Operation::TransferCredits(op) }
    }

    pub fn retire(&self, rng: &mut ChaCha8Rng) -> Draft {
        let op = RetireCredits { amount_ug: rng.random_range(0..100_000) };
        Draft { from: self.creditor(rng), op: Operation::RetireCredits(op) }
    }

    /// Two votes at one height, rarely; sometimes the same offence again.
    pub fn offend(&mut self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        if !rng.random_ratio(1, 8) {
            return None;
        }
        self.offences += u64::from(rng.random_ratio(3, 4));
        let validator = rng.random_range(1..=4_u8);
        let height = self.offences;
        let vote = |block: &[u8]| {
            crate::common::vote(self.context, u64::from(validator), height, block).sign(&key(validator + 50))
        };
        let op = ProveEquivocation { first: vote(b"one"), second: vote(b"other") };
        Some(Draft { from: self.anybody(rng), op: Operation::ProveEquivocation(op) })
    }
}

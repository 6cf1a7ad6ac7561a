//! Operations at random, continued: anchors and new keys. Who an account belongs to is known by its first key; what signs for it changes.

use super::Draft;
use super::client::{Client, one};
use crate::common::{agent_key, id_of, key};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::{PublicKey, SecretKey};
use mesh30k_ledger::ops::{Anchor, Operation, RotateKey};
use mesh30k_ledger::records::{AnchorHeads, PERIOD_MS};
use mesh30k_ledger::types::{AccountId, Hash, SectorId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

impl Client {
    pub fn rotate(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        match rng.random_range(0..6) {
            0 => {
                let agent = one(&self.agents, rng)?;
                let key_ = if rng.random_ratio(1, 4) { agent_key(1).public() } else { fresh(rng).public() };
                let op = RotateKey::Agent { agent: agent.id, key: key_ };
                // Its present key is kept by the clients, who go on to sign receipts: only strangers try.
                let stranger = self.people[rng.random_range(0..self.people.len())].clone();
                Some(Draft { from: stranger, op: Operation::RotateKey(op) })
            }
            1 => {
                // To the key it has, or of a node that is not there: the hosts' keys sign receipts.
                let from = if rng.random() { key(rng.random_range(1..=4)) } else { self.anybody(rng) };
                let host = RotateKey::Host(from.public());
                Some(Draft { from, op: Operation::RotateKey(host) })
            }
            _ => {
                let from = self.people[rng.random_range(0..self.people.len())].clone();
                let keys: Vec<PublicKey> = (0..rng.random_range(1..4)).map(|_| fresh(rng).public()).collect();
                let policy = KeyPolicy::new(rng.random_range(0..3), keys);
                Some(Draft { from, op: Operation::RotateKey(RotateKey::Account(policy)) })
            }
        }
    }

    pub fn anchor(&self, rng: &mut ChaCha8Rng) -> Draft {
        let root = Hash::of(&[rng.random_range(0..2)]);
        let heads = AnchorHeads { registry_root: root, conflicts_head: root, audit_head: root };
        let period = self.now.0 / PERIOD_MS - rng.random_range(0..3);
        let op = Anchor { sector: SectorId(rng.random_range(0..2)), period, heads };
        Draft { from: key(rng.random_range(1..=4)), op: Operation::Anchor(op) }
    }

    /// The keys that sign for an account now, as many as it takes, in order.
    pub fn signing_keys(&self, from: &SecretKey) -> Vec<PublicKey> {
        match self.policies.get(&id_of(from)) {
            Some(policy) => policy.keys.iter().copied().take(usize::from(policy.threshold)).collect(),
            None => vec![from.public()],
        }
    }

    pub fn rotated(&mut self, account: AccountId, op: &RotateKey) {
        if let RotateKey::Account(policy) = op {
            self.policies.insert(account, policy.clone());
        }
    }
}

fn fresh(rng: &mut ChaCha8Rng) -> SecretKey {
    SecretKey::from_seed(Hash(rng.random()).0)
}

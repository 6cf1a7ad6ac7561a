//! Operations at random, continued: anchors and new keys. Who an account belongs to is known by its first key; what signs for it changes.

use super::Draft;
use super::client::{Client, one, remember};
use crate::common::{agent_key, id_of, key};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::{PublicKey, SecretKey};
use mesh30k_ledger::ops::{Anchor, Operation, RotateKey};
use mesh30k_ledger::records::{AnchorHeads, PERIOD_MS};
use mesh30k_ledger::types::{AccountId, Hash, NodeId, SectorId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

impl Client {
    pub fn rotate(&mut self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        match rng.random_range(0..6) {
            0 => {
                let agent = one(&self.agents, rng)?;
                // Sometimes to a key that is another agent's, and sometimes strangers try.
                let key_ = if rng.random_ratio(1, 4) { agent_key(1).public() } else { self.fresh(rng) };
                let from = if rng.random_ratio(1, 4) { self.anybody(rng) } else { key(agent.node.0 as u8) };
                let op = RotateKey::Agent { agent: agent.id, key: key_ };
                Some(Draft { from, op: Operation::RotateKey(op) })
            }
            1 => {
                let from = if rng.random_ratio(3, 4) { key(rng.random_range(1..=4)) } else { self.anybody(rng) };
                // To the key it may have already, or to a new one.
                let host = if rng.random_ratio(1, 4) { from.public() } else { self.fresh(rng) };
                Some(Draft { from, op: Operation::RotateKey(RotateKey::Host(host)) })
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
        match op {
            RotateKey::Account(policy) => drop(self.policies.insert(account, policy.clone())),
            RotateKey::Host(public) => {
                let node = (1..=4).find(|n| id_of(&key(*n)) == account);
                if let Some((node, secret)) = node.zip(self.secret_of(public, || key(node.unwrap()))) {
                    self.host_keys.insert(NodeId(u64::from(node)), secret);
                }
            }
            RotateKey::Agent { agent, key: public } => {
                let secret = self.secret_of(public, || agent_key(1));
                let known = self.agents.iter_mut().find(|known| known.id == *agent);
                if let Some((known, secret)) = known.zip(secret) {
                    known.key = secret;
                }
            }
        }
    }

    /// A new key; its secret is remembered for when it is in force.
    fn fresh(&mut self, rng: &mut ChaCha8Rng) -> PublicKey {
        let secret = fresh(rng);
        let public = secret.public();
        remember(&mut self.secrets, secret);
        public
    }

    fn secret_of(&self, public: &PublicKey, otherwise: impl Fn() -> SecretKey) -> Option<SecretKey> {
        let mut known = self.secrets.iter().rev().cloned().chain(std::iter::once_with(otherwise));
        known.find(|secret| secret.public() == *public)
    }
}

fn fresh(rng: &mut ChaCha8Rng) -> SecretKey {
    SecretKey::from_seed(Hash(rng.random()).0)
}

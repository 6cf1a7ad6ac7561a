//! New keys for old ones: of an account, of a host, of an agent. What carries the keys keeps its name; old keys keep no power.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, within};
use crate::execute::{Stop, Working};
use crate::key_policy::{KeyPolicy, MAX_KEYS};
use crate::keys::PublicKey;
use crate::outcome::Effect;
use crate::records::{AgentRecord, NodeRecord};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AgentId, NodeId};

/// Replaces keys from the next transaction on. Always signed by the account's present keys.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotateKey {
    /// Who signs for the account from now on; its identifier stays that of its first policy.
    Account(KeyPolicy),
    /// What signs host batches and receipts of the account's node.
    Host(PublicKey),
    /// What signs receipts of an agent of the account's node.
    Agent {
        /// Which.
        agent: AgentId,
        /// Its new key, nobody else's.
        key: PublicKey,
    },
}

impl RotateKey {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        match self {
            Self::Account(policy) => rotate_account(working, call, policy),
            Self::Host(key) => rotate_host(working, call, *key),
            Self::Agent { agent, key } => rotate_agent(working, call, *agent, *key),
        }
    }
}

fn rotate_account(working: &mut Working<'_>, call: &Call<'_>, policy: &KeyPolicy) -> Result<Effect, Stop> {
    within("keys", policy.keys.len() as u64, 1, MAX_KEYS as u64)?;
    within("threshold", u64::from(policy.threshold), 1, policy.keys.len() as u64)?;
    for key in &policy.keys {
        check_key(key)?;
    }
    if let Some((_, after)) = policy.keys.iter().zip(policy.keys.iter().skip(1)).find(|(a, b)| a >= b) {
        return Err(Rejection::KeyOrder(*after).into());
    }
    let account = working.account_mut(&call.account)?;
    if account.policy.as_ref() == Some(policy) {
        return Err(in_force());
    }
    account.policy = Some(policy.clone());
    Ok(Effect::AccountKeysRotated {
        account: call.account,
        threshold: policy.threshold,
        keys: u8::try_from(policy.keys.len()).unwrap_or(u8::MAX),
    })
}

fn rotate_host(working: &mut Working<'_>, call: &Call<'_>, key: PublicKey) -> Result<Effect, Stop> {
    check_key(&key)?;
    let owned: Option<NodeId> = working.read(&keyspace::node_of_account(&call.account))?;
    let id = owned.ok_or(Rejection::NodeMissing(call.account))?;
    let mut node: NodeRecord = working.must_read(&keyspace::node(id))?;
    if node.host_key == key {
        return Err(in_force());
    }
    node.host_key = key;
    working.write(keyspace::node(id), &node);
    Ok(Effect::HostKeyRotated { node: id, key })
}

fn rotate_agent(working: &mut Working<'_>, call: &Call<'_>, id: AgentId, key: PublicKey) -> Result<Effect, Stop> {
    check_key(&key)?;
    let mut agent: AgentRecord = working.read(&keyspace::agent(id))?.ok_or(Rejection::UnknownAgent(id))?;
    let node: NodeRecord = working.must_read(&keyspace::node(agent.node))?;
    if node.account != call.account {
        return Err(Rejection::NotOwner { what: "the agent".into(), owner: node.account }.into());
    }
    if agent.key == key {
        return Err(in_force());
    }
    if let Some(taken) = working.read(&keyspace::agent_of_key(&key.0))? {
        return Err(Rejection::AgentKeyTaken { key, agent: taken }.into());
    }
    working.remove(keyspace::agent_of_key(&agent.key.0));
    working.write(keyspace::agent_of_key(&key.0), &id);
    agent.key = key;
    working.write(keyspace::agent(id), &agent);
    Ok(Effect::AgentKeyRotated { agent: id, key })
}

/// Whether somebody could sign with it at all: a typing error here locks its owner out for good.
fn check_key(key: &PublicKey) -> Result<(), Rejection> {
    if key.is_valid() { Ok(()) } else { Err(Rejection::BadKey(*key)) }
}

fn in_force() -> Stop {
    Rejection::AlreadyDone("these keys are in force".into()).into()
}

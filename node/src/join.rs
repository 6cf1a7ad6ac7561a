//! Registering this node and its agents on the ledger, once: placed by the ledger, paid by a validator.

use std::time::Duration;

use bytes::Bytes;
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::ops::{
    AgentRegistration, Capabilities, MAX_AGENTS_PER_BATCH, NodeRegistration, Operation, RegisterHost,
};
use mesh30k_ledger::query;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::transaction::{SignedTransaction, Transaction};
use mesh30k_ledger::types::{AgentClass, Hash, NodeId, Region, TimeMs, Uftns};
use mesh30k_p2p::{Control, PeerId};

use crate::clock;
use crate::identity::NodeIdentity;
use crate::lanes;
use crate::ledger::{LedgerHandle, SponsorAnswer, TxMessage, TxStatus};

/// A registration that is not final after this long is made anew.
const FINAL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a validator may take to answer.
const SPONSOR_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause before another try, twice as long after each failure, at most [`RETRY_PAUSE_MAX`]: a hundred nodes that join at once
/// are not to ask the validators three hundred times a second.
const RETRY_PAUSE: Duration = Duration::from_millis(300);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(3);
/// How long a registration stays valid.
const VALIDITY_MS: u64 = 30_000;
/// The most a registration may cost its sponsor.
const FEE_LIMIT: Uftns = Uftns::ftns(1);

/// What a host says about itself.
#[derive(Clone, Debug)]
pub struct HostProfile {
    /// Its public transport key.
    pub transport_key: Vec<u8>,
    /// Name of its disk.
    pub store_id: Hash,
    /// Where it can be reached.
    pub addresses: Vec<String>,
    /// Where it stands.
    pub region: Region,
    /// Classes of its agents, in their order.
    pub agents: Vec<AgentClass>,
}

/// How a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    node: Option<NodeId>,
    agents: usize,
    nonce: u64,
}

/// Registers until the node and all agents of its profile are on the ledger; gives the node's number. Doing it again is
/// harmless.
pub async fn join(
    ledger: &LedgerHandle,
    control: &Control,
    identity: &NodeIdentity,
    profile: &HostProfile,
    validator: Option<NodeId>,
) -> NodeId {
    let mut attempt = 0_usize;
    let mut pause = RETRY_PAUSE;
    let mut batch = AgentBatch::default();
    loop {
        match standing(ledger, identity) {
            Ok(Standing { node: Some(node), agents, .. }) if agents >= profile.agents.len() => return node,
            Ok(standing) => {
                let batch = &mut batch;
                let asked = register(ledger, control, identity, profile, standing, batch, validator, attempt).await;
                match asked {
                    Ok(()) => pause = RETRY_PAUSE,
                    Err(reason) => {
                        tracing::warn!(%reason, "registration did not go through yet; trying again");
                        tokio::time::sleep(pause).await;
                        pause = pause.saturating_mul(2).min(RETRY_PAUSE_MAX);
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "the ledger can't be read to see whether this node is registered");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
        attempt = attempt.wrapping_add(1);
    }
}

/// The number of this node, if it is registered.
///
/// # Errors
/// State that can't be read.
pub fn node_number(ledger: &LedgerHandle, identity: &NodeIdentity) -> Result<Option<NodeId>, StateError> {
    Ok(standing(ledger, identity)?.node)
}

fn standing(ledger: &LedgerHandle, identity: &NodeIdentity) -> Result<Standing, StateError> {
    let account = crate::ledger::account_of(identity);
    ledger.read(|state| {
        let node = query::node_of_account(state, &account)?;
        let record = node.map(|node| query::node(state, node)).transpose()?.flatten();
        Ok(Standing {
            node,
            agents: record.map_or(0, |record| record.agents.iter().map(|range| range.count as usize).sum()),
            nonce: query::next_nonce(state, &account)?,
        })
    })
}

#[expect(clippy::too_many_arguments, reason = "called once; each is a part of its own")]
async fn register(
    ledger: &LedgerHandle,
    control: &Control,
    identity: &NodeIdentity,
    profile: &HostProfile,
    standing: Standing,
    batch: &mut AgentBatch,
    validator: Option<NodeId>,
    attempt: usize,
) -> Result<(), String> {
    let sponsor = match validator {
        Some(_) => None,
        None => Some(sponsor(ledger, control, attempt).ok_or("no validator is connected yet")?),
    };
    let op = Operation::RegisterHost(RegisterHost {
        node: standing.node.is_none().then(|| NodeRegistration {
            transport_key: profile.transport_key.clone(),
            host_key: identity.account().public(),
            store_id: profile.store_id,
            addresses: profile.addresses.clone(),
            region: profile.region,
        }),
        agents: batch.after(standing.agents, identity, profile),
    });
    let valid_until = TimeMs(clock::wall_ms().saturating_add(VALIDITY_MS));
    let context = ledger.context();
    let key = identity.account();
    let mut tx =
        Transaction::new(&context, crate::ledger::account_of(identity), standing.nonce, valid_until, FEE_LIMIT, op);
    let id = match sponsor {
        None => ledger.submit(tx.sign(&[&key])).map_err(|error| error.to_string())?,
        Some((peer, sponsor)) => {
            tx.sponsor = Some(sponsor);
            ask_sponsor(control, peer, tx.sign(&[&key])).await?
        }
    };
    match settled(ledger, identity, standing, &id).await.map_err(|error| error.to_string())? {
        None => Ok(()),
        Some(TxStatus::Final(_, outcome)) => match outcome.rejection() {
            None => Ok(()),
            Some(rejection) => Err(rejection.to_string()),
        },
        Some(other) => Err(format!("the registration is {other:?} after {} s", FINAL_TIMEOUT.as_secs())),
    }
}

/// What came of a registration; none when its effect is here without it, for a snapshot brings state and no transactions.
async fn settled(
    ledger: &LedgerHandle,
    identity: &NodeIdentity,
    before: Standing,
    id: &Hash,
) -> Result<Option<TxStatus>, StateError> {
    let mut finals = ledger.finals();
    let wait = async {
        loop {
            finals.borrow_and_update();
            let status = ledger.status_of(id)?;
            let is_final = matches!(status, TxStatus::Final(..));
            if !is_final && standing(ledger, identity)? != before {
                return Ok(None);
            }
            if is_final || finals.changed().await.is_err() {
                return Ok(Some(status));
            }
        }
    };
    match tokio::time::timeout(FINAL_TIMEOUT, wait).await {
        Ok(settled) => settled,
        Err(_) => ledger.status_of(id).map(Some),
    }
}

/// The agents of the last try. Their keys are made once: on a machine where a hundred nodes wait for the first validator, making
/// them anew at each try leaves the validators no time.
#[derive(Debug, Default)]
struct AgentBatch {
    registered: usize,
    agents: Vec<AgentRegistration>,
}

impl AgentBatch {
    /// The next agents to register after so many: one batch at most.
    fn after(&mut self, registered: usize, identity: &NodeIdentity, profile: &HostProfile) -> Vec<AgentRegistration> {
        if self.registered != registered || self.agents.is_empty() {
            let rest = profile.agents.iter().enumerate().skip(registered).take(MAX_AGENTS_PER_BATCH);
            let registration = |(index, class): (usize, &AgentClass)| AgentRegistration {
                key: identity.agent(u32::try_from(index).unwrap_or(u32::MAX)).public(),
                class: *class,
                capabilities: capabilities_of(*class),
            };
            (self.registered, self.agents) = (registered, rest.map(registration).collect());
        }
        self.agents.clone()
    }
}

/// What a built-in agent of a class can do.
#[must_use]
pub const fn capabilities_of(class: AgentClass) -> Capabilities {
    match class {
        AgentClass::A => Capabilities::RELAY,
        AgentClass::B => Capabilities::RELAY.union(Capabilities::COMPUTE),
        AgentClass::C => Capabilities::COMPUTE.union(Capabilities::STORE),
        AgentClass::D => Capabilities::COMPUTE.union(Capabilities::INFER),
        AgentClass::E => Capabilities::SENSE.union(Capabilities::ACTUATE),
        AgentClass::F => Capabilities::REVIEW,
    }
}

fn sponsor(
    ledger: &LedgerHandle,
    control: &Control,
    attempt: usize,
) -> Option<(PeerId, mesh30k_ledger::types::AccountId)> {
    let roster = ledger.roster();
    let validators = ledger.read(|state| query::validator_set(state)).ok()?;
    let connected: Vec<_> = validators
        .0
        .iter()
        .filter_map(|validator| Some((roster.peer_of(validator.node)?, validator.account)))
        .filter(|(peer, _)| control.is_connected(peer))
        .collect();
    connected.get(attempt.checked_rem(connected.len())?).copied()
}

async fn ask_sponsor(control: &Control, peer: PeerId, signed: SignedTransaction) -> Result<Hash, String> {
    let body = Bytes::from(encode(&TxMessage::Sponsor(Box::new(signed))));
    let answer = control
        .request(peer, lanes::TX, body, SPONSOR_TIMEOUT)
        .await
        .map_err(|error| format!("the validator did not answer: {error}"))?;
    match decode::<SponsorAnswer>(&answer, 4_096).map_err(|error| error.to_string())? {
        SponsorAnswer::Sponsored(id) => Ok(id),
        SponsorAnswer::Refused(reason) => Err(format!("the validator refused: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_made_once_and_anew_when_some_of_it_are_registered() {
        let dir = tempfile::tempdir().unwrap();
        let identity = NodeIdentity::load_or_create(dir.path()).unwrap();
        let profile = HostProfile {
            transport_key: Vec::new(),
            store_id: Hash::ZERO,
            addresses: Vec::new(),
            region: "KE".parse().unwrap(),
            agents: vec![AgentClass::A; MAX_AGENTS_PER_BATCH + 3],
        };
        let mut batch = AgentBatch::default();
        let first = batch.after(0, &identity, &profile);
        assert_eq!(first.len(), MAX_AGENTS_PER_BATCH);
        assert_eq!(first.first().map(|agent| agent.key), Some(identity.agent(0).public()));
        let kept = batch.agents.as_ptr();
        assert_eq!(batch.after(0, &identity, &profile), first);
        assert_eq!(batch.agents.as_ptr(), kept, "a second try makes no keys");
        let rest = batch.after(MAX_AGENTS_PER_BATCH, &identity, &profile);
        let number = u32::try_from(MAX_AGENTS_PER_BATCH).unwrap();
        assert_eq!((rest.len(), rest.first().map(|agent| agent.key)), (3, Some(identity.agent(number).public())));
    }
}

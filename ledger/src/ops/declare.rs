//! Saying where one is, or how much of a node's energy is renewable; and attesting what others say.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, within};
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::records::{DeclarationRecord, Declared, NodeRecord, Office};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, Hash, NodeId};

/// Says something of the account itself, or of its node. A region counts for nothing, and a renewable share for what it was, until it
/// is attested; a lower share counts at once, for nobody gains by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Declare {
    /// What.
    pub what: Declared,
    /// Hash of the document that shows it.
    pub evidence: Hash,
}

/// A reviewer's or an oracle's word that what somebody declared is true. The `credit_reviewers`-th brings it in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Attest {
    /// Who declared it; not the account itself.
    pub account: AccountId,
    /// What; exactly what stands declared.
    pub what: Declared,
}

impl Declare {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let key = keyspace::declaration(&call.account, &self.what);
        let in_force = match self.what {
            Declared::Region(region) => {
                let account = working.account_mut(&call.account)?;
                if account.attested_region() == Some(region) {
                    return Err(Rejection::AlreadyDone(format!("region {region} was attested")).into());
                }
                (account.region, account.region_attested) = (Some(region), false);
                false
            }
            Declared::RenewablePpm(ppm) => {
                within("renewable share (ppm)", u64::from(ppm), 0, 1_000_000)?;
                let node = own_node(working, &call.account)?;
                if ppm == node.renewable_ppm {
                    return Err(Rejection::AlreadyDone(format!("a renewable share of {ppm} ppm is in force")).into());
                }
                ppm < node.renewable_ppm
            }
        };
        if in_force {
            working.remove(key);
            bring_in_force(working, &call.account, self.what)?;
        } else {
            let (what, evidence, declared_at) = (self.what, self.evidence, working.now);
            working.write(key, &DeclarationRecord { what, evidence, declared_at, attested_by: Vec::new() });
        }
        Ok(Effect::Declared { account: call.account, what: self.what, in_force })
    }
}

impl Attest {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        if !working.holds(Office::Oracle, &call.account)? {
            working.must_hold(Office::Reviewer, &call.account)?;
        }
        if self.account == call.account {
            return Err(Rejection::SelfReference("attested account".into()).into());
        }
        let key = keyspace::declaration(&self.account, &self.what);
        let unknown =
            || Rejection::Unknown { what: format!("declared {} of", self.what), id: self.account.to_string() };
        let record: Option<DeclarationRecord> = working.read(&key)?;
        let mut record = record.filter(|record| record.what == self.what).ok_or_else(unknown)?;
        if record.attested_by.contains(&call.account) {
            return Err(Rejection::AlreadyDone("this account attested it".into()).into());
        }
        record.attested_by.push(call.account);
        let attestations = record.attested_by.len() as u64;
        let in_force = attestations >= working.parameter(Parameter::CreditReviewers);
        if in_force {
            working.remove(key);
            bring_in_force(working, &self.account, self.what)?;
        } else {
            working.write(key, &record);
        }
        Ok(Effect::Attested { account: self.account, what: self.what, attestations, in_force })
    }
}

fn own_node(working: &Working<'_>, account: &AccountId) -> Result<NodeRecord, Stop> {
    let node: Option<NodeId> = working.read(&keyspace::node_of_account(account))?;
    Ok(working.must_read(&keyspace::node(node.ok_or(Rejection::NodeMissing(*account))?))?)
}

fn bring_in_force(working: &mut Working<'_>, account: &AccountId, what: Declared) -> Result<(), Stop> {
    match what {
        Declared::Region(region) => {
            let account = working.account_mut(account)?;
            (account.region, account.region_attested) = (Some(region), true);
        }
        Declared::RenewablePpm(ppm) => {
            let node = NodeRecord { renewable_ppm: ppm, ..own_node(working, account)? };
            working.write(keyspace::node(node.id), &node);
        }
    }
    Ok(())
}

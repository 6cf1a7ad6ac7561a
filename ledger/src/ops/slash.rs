//! Penalties on proof.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::Call;
use crate::execute::{Stop, Working};
use crate::finality::SignedVote;
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::records::{BondRecord, Duty};
use crate::rejection::Rejection;
use crate::reputation;
use crate::state::keyspace;
use crate::types::{AccountId, Uftns};

/// Two votes of one validator at one height that say different things: nobody who keeps a sign-log can have signed both. Counts
/// while the epoch they are of runs, and for as long after it as bonds answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ProveEquivocation {
    /// One.
    pub first: SignedVote,
    /// The other.
    pub second: SignedVote,
}

impl ProveEquivocation {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let (a, b) = (&self.first.vote, &self.second.vote);
        let no = |why: &str| Rejection::BadEvidence(why.into());
        let context = working.chain.context;
        if a.context != context || b.context != context {
            return Err(no("a vote is for another chain").into());
        }
        if (a.validator, a.phase, a.epoch, a.round, a.height) != (b.validator, b.phase, b.epoch, b.round, b.height) {
            return Err(no("the votes differ in validator, phase, epoch, round or height; only one of the two at one place is an offence").into());
        }
        if a == b {
            return Err(no("the votes say the same").into());
        }
        let seat = working.answering_seat(a.epoch, a.validator)?;
        if !self.first.is_signed_by(&seat.key) || !self.second.is_signed_by(&seat.key) {
            return Err(no("a vote is not signed by the validator's key").into());
        }
        let key = keyspace::offence(a);
        if working.get(&key)?.is_some() {
            return Err(Rejection::AlreadyDone("this offence was punished".into()).into());
        }
        working.write(key, &call.id);
        let share = working.parameter(Parameter::SlashPpm);
        working.judge(&seat.account, reputation::EQUIVOCATED, &call.id)?;
        let (amount, reward) = penalize(working, &seat.account, Duty::Validator, share, &call.account)?;
        // Not every validator has a bond, and a bond is no licence: either way it is locked out.
        let jailed_until = working.jail(&seat.account, &call.id)?;
        Ok(Effect::Slashed { account: seat.account, amount, reward, jailed_until })
    }
}

/// Takes a share of what answers for a duty, rounded up, which is nothing where nothing does; part of it rewards whoever proved the
/// offence. An offender gets no reward for proving its own.
pub(crate) fn penalize(
    working: &mut Working<'_>,
    offender: &AccountId,
    duty: Duty,
    share_ppm: u64,
    prover: &AccountId,
) -> Result<(Uftns, Uftns), Stop> {
    let key = keyspace::bond(offender);
    let mut record: BondRecord = working.read(&key)?.unwrap_or_default();
    let answering = record.answering(duty);
    if answering.is_zero() {
        return Ok((Uftns::ZERO, Uftns::ZERO));
    }
    let part = |of: Uftns, ppm: u64| u128::from(of.0).saturating_mul(u128::from(ppm));
    let wanted = u64::try_from(part(answering, share_ppm).div_ceil(1_000_000)).unwrap_or(u64::MAX);
    let amount = record.take(duty, Uftns(wanted));
    working.write(key, &record);
    let reward_ppm = if prover == offender { 0 } else { working.parameter(Parameter::SlashRewardPpm) };
    let reward = part(amount, reward_ppm).checked_div(1_000_000).and_then(|reward| u64::try_from(reward).ok());
    let reward = Uftns(reward.unwrap_or(0));
    working.slash(offender, amount, reward, prover)?;
    Ok((amount, reward))
}

//! The life of proposals: opened, voted on, counted, carried out by themselves.

use crate::execute::{Stop, Working};
use crate::offices;
use crate::ops::{
    Choice, MAX_CHANGES, MAX_SAVING_UG, MAX_TITLE_BYTES, ProposalKind, Propose, SeatChange, Vote, issue_credits, within,
};
use crate::outcome::{DueEvent, Effect};
use crate::parameters::Parameter;
use crate::records::{Due, OpenVote, Proposal, ProposalStatus, Tally, VoteRecord};
use crate::rejection::Rejection;
use crate::seats;
use crate::state::keyspace;
use crate::types::{AccountId, ProposalId, Uftns};

/// Proposals open for votes at once, at most.
pub const MAX_OPEN: usize = 20;
/// Of one account, at most.
pub const MAX_OPEN_PER_ACCOUNT: usize = 3;
/// From so many voters on, no voter counts for more than a tenth of the snapshot.
pub const CAP_FROM_VOTERS: u64 = 10;

impl ProposalKind {
    /// Whether it can be carried out as far as that is known beforehand.
    pub(crate) fn check(&self) -> Result<(), Rejection> {
        match self {
            Self::Parameter(changes) => {
                within("changes", changes.len() as u64, 1, MAX_CHANGES as u64)?;
                let mut seen = std::collections::BTreeSet::new();
                for change in changes {
                    let (min, max) = change.parameter.bounds();
                    if !change.parameter.allows(change.value) {
                        let (parameter, found) = (change.parameter, change.value);
                        return Err(Rejection::ParameterBounds { parameter, found, min, max });
                    }
                    if !seen.insert(change.parameter) {
                        return Err(Rejection::ParameterTwice(change.parameter));
                    }
                }
                Ok(())
            }
            Self::Office(_) => Ok(()),
            Self::CreditImport(import) => {
                within("source (bytes)", import.source.len() as u64, 1, MAX_TITLE_BYTES as u64)?;
                within("amount (ug)", import.amount_ug, 1, MAX_SAVING_UG)
            }
            Self::Seat(SeatChange { key: Some(key), .. }) if !key.is_valid() => Err(Rejection::BadKey(*key)),
            Self::Seat(_) => Ok(()),
        }
    }

    fn apply(&self, working: &mut Working<'_>) -> Result<(), Stop> {
        self.check()?;
        match self {
            Self::Parameter(changes) => {
                for change in changes {
                    working.chain.parameters.0.insert(change.parameter, change.value);
                }
                let parameters = working.chain.parameters.clone();
                working.write(keyspace::PARAMETERS.to_vec(), &parameters);
                Ok(())
            }
            Self::Office(change) => offices::appoint(working, change.office, &change.account, change.appointed),
            Self::CreditImport(import) => issue_credits(working, &import.to, import.amount_ug),
            Self::Seat(change) => seats::change(working, change),
        }
    }

    /// What share of the yes, no and no-with-veto it takes to pass.
    const fn majority(&self) -> Majority {
        match self {
            Self::Seat(_) => Majority::TwoThirds,
            Self::Parameter(_) | Self::Office(_) | Self::CreditImport(_) => Majority::Simple,
        }
    }
}

impl Tally {
    /// The weights that count, by choice.
    #[must_use]
    pub const fn counted(&self) -> [u64; 4] {
        if self.voters < CAP_FROM_VOTERS { self.owned } else { self.capped }
    }

    fn change(&mut self, choice: Choice, weight: Uftns, cap: u64, add: bool) {
        let at = slot(choice);
        for (side, amount) in [(&mut self.owned, weight.0), (&mut self.capped, weight.0.min(cap))] {
            if let Some(sum) = side.get_mut(at) {
                *sum = if add { sum.saturating_add(amount) } else { sum.saturating_sub(amount) };
            }
        }
    }
}

const fn slot(choice: Choice) -> usize {
    match choice {
        Choice::Yes => 0,
        Choice::No => 1,
        Choice::Abstain => 2,
        Choice::NoWithVeto => 3,
    }
}

/// What a proposal needs to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Majority {
    /// More yes than no.
    Simple,
    /// Two thirds yes, or more.
    TwoThirds,
}

/// What a count comes to, by the rules: quorum, majority, less than a third vetoes.
#[must_use]
pub fn verdict(
    tally: &Tally,
    snapshot_weight: Uftns,
    quorum_ppm: u64,
    majority: Majority,
) -> (ProposalStatus, Option<&'static str>) {
    let [yes, no, abstain, veto] = tally.counted().map(u128::from);
    let turnout = yes.saturating_add(no).saturating_add(abstain).saturating_add(veto);
    let wanted = u128::from(snapshot_weight.0).saturating_mul(u128::from(quorum_ppm));
    if turnout == 0 || turnout.saturating_mul(1_000_000) < wanted {
        (ProposalStatus::Defeated, Some("the quorum was missed"))
    } else if veto.saturating_mul(3) >= turnout {
        (ProposalStatus::Vetoed, Some("a third or more voted no-with-veto"))
    } else if yes <= no.saturating_add(veto) {
        (ProposalStatus::Defeated, Some("not more yes than no"))
    } else if majority == Majority::TwoThirds && yes < no.saturating_add(veto).saturating_mul(2) {
        (ProposalStatus::Defeated, Some("less than two thirds yes"))
    } else {
        (ProposalStatus::Succeeded, None)
    }
}

pub(crate) fn open(working: &mut Working<'_>, proposer: AccountId, op: &Propose) -> Result<Effect, Stop> {
    let open_votes = working.globals().open_votes.clone();
    let mut own = 0_usize;
    for open in &open_votes {
        let proposal: Proposal = working.must_read(&keyspace::proposal(open.proposal))?;
        own = own.saturating_add(usize::from(proposal.proposer == proposer));
    }
    for (open, max) in [(open_votes.len(), MAX_OPEN), (own, MAX_OPEN_PER_ACCOUNT)] {
        if open >= max {
            return Err(Rejection::TooManyProposals { open: open as u64, max: max as u64 }.into());
        }
    }
    let deposit = Uftns(working.parameter(Parameter::ProposalDeposit));
    let voting_ends = working.now.plus_ms(working.parameter(Parameter::VotingMs));
    working.debit(&proposer, deposit)?;
    let (snapshot, opened_at) = (working.height, working.now);
    let globals = working.globals_mut();
    globals.totals.deposits = globals.totals.deposits.checked_add(deposit).ok_or(Rejection::AmountOverflow)?;
    let id = globals.counters.next_proposal;
    globals.counters.next_proposal = id.next();
    globals.open_votes.push(OpenVote { proposal: id, snapshot });
    let proposal = Proposal {
        id,
        proposer,
        title: op.title.clone(),
        kind: op.kind.clone(),
        deposit,
        opened_at,
        snapshot,
        // Known at the end of the block.
        snapshot_weight: Uftns::ZERO,
        voting_ends,
        executes_at: None,
        status: ProposalStatus::Active,
        tally: Tally::default(),
        reason: None,
    };
    working.write(keyspace::proposal(id), &proposal);
    working.schedule(voting_ends, &Due::VotingEnds(id));
    Ok(Effect::Proposed { proposal: id, voting_ends })
}

pub(crate) fn vote(working: &mut Working<'_>, voter: AccountId, op: &Vote) -> Result<Effect, Stop> {
    let key = keyspace::proposal(op.proposal);
    let mut proposal: Proposal = working.read(&key)?.ok_or(Rejection::UnknownProposal(op.proposal))?;
    let closed = |why: String| Rejection::NotVoting { proposal: op.proposal, why };
    if proposal.status != ProposalStatus::Active {
        return Err(closed(format!("it is {}", proposal.status)).into());
    }
    if working.height <= proposal.snapshot {
        return Err(closed("it was opened in this block, whose balances are to count".into()).into());
    }
    if working.now >= proposal.voting_ends {
        return Err(closed(format!("voting ended at {} ms", proposal.voting_ends)).into());
    }
    let weight = working.account(&voter)?.unwrap_or_default().weight_at(proposal.snapshot);
    if weight.is_zero() {
        return Err(Rejection::NoVotingPower(voter).into());
    }
    let cap = proposal.snapshot_weight.0.div_ceil(10);
    let vote_key = keyspace::vote(op.proposal, &voter);
    match working.read::<VoteRecord>(&vote_key)? {
        Some(before) => proposal.tally.change(before.choice, before.weight, cap, false),
        None => proposal.tally.voters = proposal.tally.voters.saturating_add(1),
    }
    proposal.tally.change(op.choice, weight, cap, true);
    working.write(vote_key, &VoteRecord { choice: op.choice, weight });
    working.write(key, &proposal);
    Ok(Effect::Voted { proposal: op.proposal, weight })
}

pub(crate) fn count(working: &mut Working<'_>, id: ProposalId, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let key = keyspace::proposal(id);
    let mut proposal: Proposal = working.must_read(&key)?;
    let quorum_ppm = working.parameter(Parameter::QuorumPpm);
    let (status, reason) = verdict(&proposal.tally, proposal.snapshot_weight, quorum_ppm, proposal.kind.majority());
    let globals = working.globals_mut();
    globals.open_votes.retain(|open| open.proposal != id);
    let totals = &mut globals.totals;
    totals.deposits = totals.deposits.checked_sub(proposal.deposit).ok_or(Rejection::AmountOverflow)?;
    if status == ProposalStatus::Vetoed {
        totals.treasury = totals.treasury.checked_add(proposal.deposit).ok_or(Rejection::AmountOverflow)?;
    } else {
        working.credit(&proposal.proposer, proposal.deposit)?;
    }
    events.push(DueEvent::Proposal { proposal: id, status });
    proposal.status = status;
    proposal.reason = reason.map(Into::into);
    if status == ProposalStatus::Succeeded {
        let executes_at = working.now.plus_ms(working.parameter(Parameter::TimelockMs));
        proposal.status = ProposalStatus::Queued;
        proposal.executes_at = Some(executes_at);
        working.schedule(executes_at, &Due::Execute(id));
        events.push(DueEvent::Proposal { proposal: id, status: ProposalStatus::Queued });
    }
    working.write(key, &proposal);
    Ok(())
}

pub(crate) fn execute(working: &mut Working<'_>, id: ProposalId, events: &mut Vec<DueEvent>) -> Result<(), Stop> {
    let key = keyspace::proposal(id);
    let mut proposal: Proposal = working.must_read(&key)?;
    if matches!(proposal.kind, ProposalKind::Seat(_)) && seats::is_changing(working)? {
        // One at a time: after the block that ends this epoch.
        let later = working.now.plus_ms(1);
        working.schedule(later, &Due::Execute(id));
        proposal.executes_at = Some(later);
        working.write(key, &proposal);
        return Ok(());
    }
    match proposal.kind.clone().apply(working) {
        Ok(()) => proposal.status = ProposalStatus::Executed,
        Err(Stop::Rejected(rejection)) => {
            working.abort();
            // The abort also put back the entry of the due queue.
            if let Some(at) = proposal.executes_at {
                working.remove(keyspace::due(at, &Due::Execute(id)));
            }
            proposal.status = ProposalStatus::Failed;
            proposal.reason = Some(rejection.to_string());
        }
        Err(stop) => return Err(stop),
    }
    working.write(key, &proposal);
    events.push(DueEvent::Proposal { proposal: id, status: proposal.status });
    Ok(())
}

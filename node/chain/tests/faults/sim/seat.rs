//! A vote that takes a validator's seat, cast by an account that decides alone.

use std::time::Duration;

use mesh30k_ledger::finality::ValidatorSet;
use mesh30k_ledger::ops::{Choice, Operation, ProposalKind, Propose, SeatChange, Vote};
use mesh30k_ledger::query;
use mesh30k_ledger::records::ProposalStatus;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::transaction::Transaction;
use mesh30k_ledger::types::{AccountId, Epoch, NodeId, ProposalId, TimeMs, Uftns};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::genesis::{START_MS, account_of, key};
use super::process::Process;
use super::world::Common;

const ASK_EVERY: Duration = Duration::from_millis(50);

/// The validator that loses its seat: the last.
pub fn loser(common: &Common) -> NodeId {
    common.genesis.validators.0.last().unwrap().node
}

/// Opens the vote and votes, at whoever answers, until it has passed; what it does then happens by itself.
pub async fn take(common: Common) {
    let loser = loser(&common);
    let left = common.genesis.validators.0.iter().copied().filter(|seat| seat.node != loser);
    common.truth.lock().unwrap().expect(Epoch(1), ValidatorSet(left.collect()));
    let voter = key("voter", 0);
    for nth in 0_u64.. {
        SimRuntime::sleep(ASK_EVERY).await;
        let all = common.others(NodeId(0));
        let asked = all[usize::try_from(nth).unwrap() % all.len()];
        let Some(process) = common.process(asked).filter(|process| !common.is_decayed(process.me)) else { continue };
        let Ok(step) = next_step(&process, &account_of(&voter)) else { continue };
        match step {
            Step::Open => {
                let kind = ProposalKind::Seat(SeatChange { node: loser, key: None });
                submit(&common, &process, Operation::Propose(Propose { title: "one less".into(), kind }));
            }
            Step::Vote(proposal) => {
                submit(&common, &process, Operation::Vote(Vote { proposal, choice: Choice::Yes }));
            }
            Step::Wait => {}
            Step::Done => return,
        }
    }
}

enum Step {
    Open,
    Vote(ProposalId),
    Wait,
    Done,
}

fn next_step(process: &Process, voter: &AccountId) -> Result<Step, StateError> {
    let last = query::globals(&process.store)?.counters.next_proposal.0 - 1;
    let Some(proposal) = query::proposal(&process.store, ProposalId(last))? else { return Ok(Step::Open) };
    Ok(match proposal.status {
        ProposalStatus::Queued | ProposalStatus::Executed => Step::Done,
        // A clock that jumped ahead ended it before anybody had voted.
        ProposalStatus::Defeated => Step::Open,
        _ if query::vote(&process.store, proposal.id, voter)?.is_some() => Step::Wait,
        _ => Step::Vote(proposal.id),
    })
}

fn submit(common: &Common, process: &Process, op: Operation) {
    let voter = key("voter", 0);
    let id = account_of(&voter);
    let Ok(nonce) = query::next_nonce(&process.store, &id) else { return };
    let until = TimeMs(START_MS + 1_000_000_000);
    let tx = Transaction::new(&common.genesis.context(), id, nonce, until, Uftns(10_000_000), op);
    // Refused where it waits already.
    process.submit(&tx.sign(&[&voter])).ok();
}

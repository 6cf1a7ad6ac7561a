//! Step 4: a vote that passes and changes how the mesh behaves.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mesh30k_core::event::Strategy;
use mesh30k_ledger::ops::{Choice, Operation, ParameterChange, ProposalKind, Propose, Vote};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::types::ProposalId;
use mesh30k_node::api::types::{ParameterRow, ProposalRow};
use serde::Serialize;

use super::Stage;
use crate::events::{self, EventOrder};
use crate::render::percent;

/// What the vote adds to the hold, ms: far more than plans differ among themselves, or shrink while links are still being
/// learned.
const MARGIN_MS: u64 = 2_000;
/// How much of it must show in the lead time of a plan.
const SHOWN_MS: i64 = 1_000;
/// How long a proposal or vote may take to be final.
const FINAL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long voting and timelock may take, in looks.
const EXECUTED_LOOKS: u32 = 150;
/// How long the changed parameter may take to show in plans, in looks.
const SHOWN_LOOKS: u32 = 50;
/// Pace of looks.
const PACE: Duration = Duration::from_millis(200);
/// Plans asked for one figure; their median is taken.
const PLANS: usize = 5;

/// An open vote.
#[derive(Clone, Debug)]
pub struct OpenVote {
    proposal: ProposalId,
    from_ms: u64,
    to_ms: u64,
    lead_before_us: i64,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VoteRun {
    /// Passed and in force.
    pub executed: bool,
    /// Number of the proposal.
    pub proposal: u64,
    /// Its last status.
    pub status: String,
    /// Voting power for it, uFTNS.
    pub yes_uftns: u64,
    /// All voting power, uFTNS.
    pub total_uftns: u64,
    /// Lead time of a hold before, microseconds.
    pub lead_before_us: i64,
    /// And after.
    pub lead_after_us: i64,
    /// True when plans show the change.
    pub behaviour_changed: bool,
}

impl VoteRun {
    /// What does not hold.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if !self.executed {
            failures.push(format!("proposal {} is {}, not Executed", self.proposal, self.status));
        } else if !self.behaviour_changed {
            let (before, after) = (self.lead_before_us / 1_000, self.lead_after_us / 1_000);
            failures.push(format!("the lead time of a plan did not grow: {before} ms before, {after} ms after"));
        }
        failures
    }
}

/// Alice proposes; alice, bob and the operator vote yes. Returns while the vote is open.
///
/// # Errors
/// When the proposal or a vote is refused or not final in time.
pub fn open(stage: &Stage<'_>) -> Result<OpenVote> {
    let parameters: Vec<ParameterRow> = stage.alice.client().get("/v1/parameters")?;
    let parameter = Parameter::HoldMarginMs;
    let from_ms = parameters.iter().find(|row| row.name == parameter.name()).map_or(0, |row| row.value);
    let to_ms = from_ms + MARGIN_MS;
    let lead_before_us = lead_us(stage)?;
    let kind = ProposalKind::Parameter(vec![ParameterChange { parameter, value: to_ms }]);
    let title = format!("hold agents {MARGIN_MS} ms longer");
    let row = stage.alice.execute(Operation::Propose(Propose { title, kind }), FINAL_TIMEOUT)?;
    let created = row.created.first().and_then(|text| text.parse().ok());
    let created = created.with_context(|| format!("{} names no proposal it made: {:?}", row.id, row.created))?;
    let proposal = ProposalId(created);
    for voter in [&stage.alice, &stage.bob, &stage.operator] {
        stage.stop.check()?;
        voter.execute(Operation::Vote(Vote { proposal, choice: Choice::Yes }), FINAL_TIMEOUT)?;
    }
    Ok(OpenVote { proposal, from_ms, to_ms, lead_before_us })
}

/// Waits until the vote is executed and shows what it changed.
///
/// # Errors
/// When the proposal can't be read or somebody asks to stop.
pub fn close(stage: &Stage<'_>, vote: &OpenVote) -> Result<VoteRun> {
    let row = executed(stage, vote.proposal)?;
    let mut run = VoteRun {
        executed: row.status == "Executed",
        proposal: row.proposal,
        yes_uftns: row.yes,
        total_uftns: row.total,
        lead_before_us: vote.lead_before_us,
        lead_after_us: vote.lead_before_us,
        status: row.status,
        behaviour_changed: false,
    };
    for _ in 0..if run.executed { SHOWN_LOOKS } else { 0 } {
        run.lead_after_us = lead_us(stage)?;
        run.behaviour_changed = run.lead_after_us - run.lead_before_us >= SHOWN_MS * 1_000;
        if run.behaviour_changed {
            break;
        }
        stage.stop.pause(PACE)?;
    }
    let console = stage.console;
    console.text(&format!(
        "Alice proposed {} {} -> {}; alice, bob and the operator voted while the task ran.",
        Parameter::HoldMarginMs.name(),
        vote.from_ms,
        vote.to_ms
    ));
    console.text(&format!(
        "Proposal {}: {} with {} of all voting power for it. Lead time of a hold: {} ms before, {} ms after.",
        run.proposal,
        run.status,
        percent(run.yes_uftns, run.total_uftns),
        run.lead_before_us / 1_000,
        run.lead_after_us / 1_000
    ));
    Ok(run)
}

/// The proposal once nothing more will happen to it, or after the last look.
fn executed(stage: &Stage<'_>, proposal: ProposalId) -> Result<ProposalRow> {
    let path = format!("/v1/proposals/{proposal}");
    let mut row: ProposalRow = stage.alice.client().get(&path)?;
    for _ in 0..EXECUTED_LOOKS {
        if !matches!(row.status.as_str(), "Active" | "Succeeded" | "Queued") {
            break;
        }
        stage.stop.pause(PACE)?;
        row = stage.alice.client().get(&path)?;
    }
    Ok(row)
}

/// Lead time that a hold of everybody needs now, microseconds: the median of some plans.
fn lead_us(stage: &Stage<'_>) -> Result<i64> {
    let order = EventOrder::cascade(Strategy::Hold);
    let plans = (0..PLANS).map(|_| {
        let plan = events::plan(stage.operator.client(), &order)?;
        Ok(plan.earliest_us.saturating_sub(plan.now_us))
    });
    let mut leads = plans.collect::<Result<Vec<i64>>>()?;
    leads.sort_unstable();
    let Some(median) = leads.get(leads.len() / 2) else { bail!("no plan was asked for") };
    Ok(*median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vote_without_effect_is_a_failure() {
        let good = VoteRun { executed: true, behaviour_changed: true, ..VoteRun::default() };
        assert!(good.failures().is_empty());
        let idle = VoteRun { behaviour_changed: false, ..good.clone() };
        assert_eq!(idle.failures(), ["the lead time of a plan did not grow: 0 ms before, 0 ms after"]);
        let lost = VoteRun { executed: false, status: "Defeated".into(), proposal: 3, ..good };
        assert_eq!(lost.failures(), ["proposal 3 is Defeated, not Executed"]);
    }
}

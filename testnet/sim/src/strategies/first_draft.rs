//! The first draft: half the last round trip, the class's usual work, thrown from the root. A function of the same links,
//! the same weather and the same events as the machines have; it needs no machine, for it learns nothing.

use mesh30k_core::delay::kappa;
use mesh30k_core::hosted::{Habitat, HostedAgent, Surroundings};
use mesh30k_ledger::types::AgentClass;

use super::StrategyKind;
use crate::churn::Churn;
use crate::config::{Scenario, SimConfig, SimError};
use crate::explain::{Cause, Miss, OMEGA_US};
use crate::layout::Layout;
use crate::report::{Gathered, StrategyReport};
use crate::schedule::{self, AHEAD_US};
use crate::surroundings::draw::Draws;
use crate::surroundings::tree_link::TreeLink;
use crate::surroundings::{SimHabitat, SimSurroundings, lead_stall};
use crate::tally::Counts;
use crate::truth::SlotResult;
use crate::world::{Machine, START_US, habitat, links, rostered_at};

/// The buffer with which the draft does best: none (50 ms late on purpose, hardly anybody is within 10 ms).
const BUFFER_US: f64 = 0.0;
/// A round trip that was never measured.
const UNKNOWN_RTT_US: i64 = 100_000;

/// Usual work by class: the middle of the overview's ranges; where that says "variable", a tenth of a second.
const fn base_us(class: AgentClass) -> f64 {
    match class {
        AgentClass::A => 12_500.0,
        AgentClass::B | AgentClass::E => 100_000.0,
        AgentClass::C => 200_000.0,
        AgentClass::D => 350_000.0,
        AgentClass::F => 3_600_000_000.0,
    }
}

/// The draft over all events.
pub(crate) fn run(config: &SimConfig) -> Result<StrategyReport, SimError> {
    let plans = schedule::waves(config, START_US)?;
    let layout = Layout::new(config.agents);
    let habitat: SimHabitat = habitat(config, &plans)?;
    let churn = if config.scenario == Scenario::Replayed { Some(Churn::embedded()?) } else { None };
    let span_us = plans.last().map_or(0, |plan| plan.target_us - START_US);
    let mut gathered = Gathered { per_wave: vec![Counts::default(); plans.len()], ..Gathered::default() };
    let mut hasher = blake3::Hasher::new();
    for agent in 0..config.agents {
        let link = layout.link(agent);
        let lead = layout.lead_of(agent);
        let spec = HostedAgent {
            agent: link.agent,
            class: link.class,
            capabilities: link.capabilities,
            cluster: layout.cluster(lead),
        };
        let sessions =
            churn.map_or_else(|| vec![(i64::MIN, i64::MAX)], |churn| churn.sessions_us(config.seed, agent, span_us));
        let mut thrown = Thrown {
            around: habitat.around(START_US, &spec),
            class: link.class,
            ways: [
                links(config.seed, Machine::Coordinator(layout.sector_of(lead))),
                links(config.seed, Machine::Lead(lead)),
            ],
            lead: Draws::new(config.seed, Machine::Lead(lead).owner()),
            stall_share: (lead_stall::SHARE * config.fault_factor).min(0.9),
            rtt_us: UNKNOWN_RTT_US,
        };
        for (index, plan) in plans.iter().enumerate() {
            let at_us = plan.target_us - AHEAD_US - START_US;
            if !rostered_at(&sessions, at_us) {
                continue;
            }
            let here = sessions.iter().any(|(from, to)| *from <= at_us && at_us < *to);
            let outcome = if here { thrown.throw(plan.target_us, plan.weight_milli) } else { None };
            let error_us = outcome.map(|outcome| outcome.done_us);
            if let Some((sent_us, heard_us, back_us)) = outcome.and_then(|o| Some((o.sent_us, o.heard_us?, o.back_us)))
            {
                gathered.acked += 1;
                gathered.grades.add(sent_us, (heard_us - back_us).max(sent_us), heard_us);
            }
            let armed_by_target = error_us.is_some_and(|e| e <= 0);
            let result = SlotResult { class: link.class, error_us, armed_by_target, promise_kept: None, hold_us: None };
            gathered.tally.add(&result);
            gathered.per_wave[index].add(&result);
            let dead = thrown.around.is_dead(plan.target_us);
            gathered.alive += u64::from(here && !dead);
            hasher.update(&error_us.unwrap_or(i64::MAX).to_le_bytes());
            if error_us.is_none_or(|e| e.abs() > OMEGA_US) {
                let silent = if here { Cause::Dead } else { Cause::Gone };
                let cause = if error_us.is_some() { Cause::Spread } else { silent };
                let wave = index as u32;
                let (agent, class) = (link.agent.0, link.class);
                gathered.miss(Miss { wave, agent, class, cause, error_us, lead_us: None, standby_us: None, aim_us: 0 });
            }
        }
    }
    let report = gathered.report(StrategyKind::FirstDraft.usual_p());
    let mesh_s = span_us / 1_000_000;
    Ok(StrategyReport { trace_hash: hasher.finalize().to_hex().to_string(), mesh_s, ..report })
}

struct Thrown {
    around: SimSurroundings,
    class: AgentClass,
    /// From the root to the coordinator, from there to the lead; each with its way back.
    ways: [(TreeLink, TreeLink); 2],
    lead: Draws,
    stall_share: f64,
    rtt_us: i64,
}

/// What came of one throw, microseconds relative to T. The root has no clock but its own: for certain it knows that the work
/// ended between its sending and the answer; its guess is half a round trip before the answer.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    sent_us: i64,
    /// True end of the work.
    done_us: i64,
    /// When the root had the answer; none when it was lost with its agent.
    heard_us: Option<i64>,
    /// Half of the last round trip.
    back_us: i64,
}

impl Thrown {
    /// None when nothing came of it.
    fn throw(&mut self, target_us: i64, weight_milli: u32) -> Option<Outcome> {
        let ping_us = target_us - AHEAD_US;
        if let (Some(out_us), Some(back_us)) = (self.around.forward_us(ping_us), self.around.return_us(ping_us)) {
            let tree_us: f64 = self.ways.iter().map(|(down, _)| down.floor_us()).sum();
            self.rtt_us = out_us + back_us + (2.0 * tree_us) as i64;
        }
        let ahead_us = self.rtt_us as f64 / 2.0 + base_us(self.class) * kappa(weight_milli, 0) + BUFFER_US;
        let root_us = target_us - ahead_us as i64;
        let at_lead_us = self.ways.iter_mut().fold(root_us, |at_us, (down, _)| down.arrival_us(at_us));
        let sent_us = lead_stall::end_us(self.lead, self.stall_share, at_lead_us).unwrap_or(at_lead_us);
        let received_us = sent_us + self.around.forward_us(sent_us)?;
        let done_us = received_us + self.around.work_us(received_us, kappa(weight_milli, 0))?;
        let answered_us = self.around.return_us(done_us).map(|back_us| done_us + back_us);
        let heard_us = answered_us.map(|at_us| self.ways.iter_mut().rev().fold(at_us, |at, (_, up)| up.arrival_us(at)));
        Some(Outcome {
            sent_us: root_us - target_us,
            done_us: done_us - target_us,
            heard_us: heard_us.map(|at_us| at_us - target_us),
            back_us: self.rtt_us / 2,
        })
    }
}

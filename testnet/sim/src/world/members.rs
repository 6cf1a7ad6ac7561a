//! Who is a member, and who the roster says is one: everybody in the model, by the trace of churn in the replay.

use mesh30k_core::event::AgentLink;

use super::machines::Machine;
use super::{Happening, START_US, World};
use crate::churn::{Churn, NOTICE_US};
use crate::config::{Scenario, SimConfig, SimError};
use crate::layout::position;
use crate::schedule::WavePlan;

/// Something about one agent's membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It comes, and the roster knows at once, for it registered.
    Comes(u32),
    /// It goes without a word.
    Goes(u32),
    /// The roster drops it.
    Dropped(u32),
}

/// Members and the roster.
#[derive(Debug)]
pub(crate) struct Members {
    sessions: Vec<(u32, i64, i64)>,
    here: Vec<bool>,
    rostered: Vec<bool>,
}

impl Members {
    pub(crate) fn new(config: &SimConfig, plans: &[WavePlan]) -> Result<Self, SimError> {
        let mut members = Self { sessions: Vec::new(), here: vec![true; config.agents as usize], rostered: Vec::new() };
        if config.scenario == Scenario::Replayed {
            let churn = Churn::embedded()?;
            let span_us = plans.last().map_or(0, |plan| plan.target_us - START_US);
            for agent in 0..config.agents {
                let sessions = churn.sessions_us(config.seed, agent, span_us);
                members.here[agent as usize] = sessions.first().is_some_and(|(from, _)| *from <= 0);
                members.sessions.extend(sessions.into_iter().map(|(from, to)| (agent, from, to)));
            }
        }
        members.rostered.clone_from(&members.here);
        Ok(members)
    }

    /// Agents that are here now.
    pub(crate) fn present(&self) -> Vec<u32> {
        (0..self.here.len() as u32).filter(|agent| self.is_here(*agent)).collect()
    }

    pub(crate) fn is_here(&self, agent: u32) -> bool {
        self.here.get(agent as usize).copied().unwrap_or(false)
    }

    pub(crate) fn is_rostered(&self, agent: u32) -> bool {
        self.rostered.get(agent as usize).copied().unwrap_or(false)
    }
}

/// Whether the roster has an agent with these sessions at `at_us` since the start: it registered when it came and is
/// dropped some time after it went.
pub(crate) fn rostered_at(sessions: &[(i64, i64)], at_us: i64) -> bool {
    sessions.iter().any(|(from, to)| *from <= at_us && at_us < to.saturating_add(NOTICE_US))
}

impl World<'_> {
    /// Plans all joins and leaves of the run.
    pub(super) fn plan_changes(&mut self) {
        for (agent, from, to) in std::mem::take(&mut self.members.sessions) {
            if from > 0 {
                self.agenda.push(START_US + from, Happening::Member(Change::Comes(agent)));
            }
            if to < i64::MAX - START_US - NOTICE_US {
                self.agenda.push(START_US + to, Happening::Member(Change::Goes(agent)));
                self.agenda.push(START_US + to + NOTICE_US, Happening::Member(Change::Dropped(agent)));
            }
        }
    }

    pub(super) fn member(&mut self, change: Change) {
        match change {
            Change::Comes(agent) => {
                self.members.here[agent as usize] = true;
                self.members.rostered[agent as usize] = true;
                self.add_hosted(agent);
                self.tell_roster(self.layout.lead_of(agent));
            }
            Change::Goes(agent) => {
                self.members.here[agent as usize] = false;
                self.hosts[self.layout.host_of(agent) as usize].remove(self.layout.link(agent).agent);
            }
            // It may have come back before anybody noticed.
            Change::Dropped(agent) if !self.members.is_here(agent) => {
                self.members.rostered[agent as usize] = false;
                self.tell_roster(self.layout.lead_of(agent));
            }
            Change::Dropped(_) => {}
        }
    }

    /// Tells a lead who its agents are.
    pub(super) fn tell_roster(&mut self, lead: u32) {
        let links = self.roster(lead);
        let now = self.mesh_now(Machine::Lead(lead));
        self.leads[lead as usize].set_agents(now, &links);
        self.plan_wake(Machine::Lead(lead));
    }

    /// Agents of a cluster by the roster.
    pub(super) fn roster(&self, lead: u32) -> Vec<AgentLink> {
        let agents = self.layout.agents_of(lead);
        agents.filter(|agent| self.members.is_rostered(*agent)).map(|agent| self.layout.link(agent)).collect()
    }

    /// Whether the roster still has the agent of this id.
    pub(super) fn knows(&self, agent: mesh30k_ledger::types::AgentId) -> bool {
        self.members.is_rostered(position(agent))
    }
}

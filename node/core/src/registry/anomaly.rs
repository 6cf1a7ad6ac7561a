//! Coordinated shifts: many agents of one host, prefix or owner that move together beyond their history.
//!
//! A timing attack looks like that: whoever controls a host can make all its agents look slow (or fast) at once and so
//! teach every estimator that learns from them. So their weights are frozen (what they report teaches nothing) until a
//! calibration, an exchange whose timing the host cannot choose, confirms the new level or finds the old one.

use super::sketch::bucket_of;
use crate::time::MeshTimeUs;
use mesh30k_ledger::types::{AccountId, AgentId, NodeId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Reports of an agent that make its history.
const WINDOW: usize = 32;
/// With fewer an agent has no history to move beyond.
const MIN_HISTORY: usize = 8;
/// Fewer agents than this do not make a coordinated shift.
pub const MIN_SHIFTED_AGENTS: usize = 8;
/// Share of a kin's agents that must have moved the same way, in ppm.
pub const SHIFTED_SHARE_PPM: u64 = 600_000;
/// By so much the share must exceed that of everybody else, in ppm: if all move, it is not the kin (but perhaps our own
/// clock or link).
pub const EXCESS_SHARE_PPM: u64 = 400_000;
/// A move counts beyond so many median absolute deviations of the agent's history,
const BEYOND_DEVIATIONS: i32 = 4;
/// and beyond so many levels: 1/32 octave each, six are 14 %.
const BEYOND_LEVELS: i32 = 6;
/// While an agent's weights are frozen a calibration is asked for this often.
pub const CALIBRATE_EVERY_US: i64 = 30_000_000;
/// Most agents watched; those beyond are not, and counted.
pub const MAX_WATCHED: usize = 65_536;

/// What agents may have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kin {
    /// Their host.
    Host(NodeId),
    /// The address prefix of their host (IPv4 /24 or IPv6 /48), as a number of the caller's.
    Prefix(u64),
    /// The account that their host answers to.
    Owner(AccountId),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShiftAction {
    /// Learn nothing from these agents until [`Self::Thaw`].
    Freeze {
        /// What they have in common.
        kin: Kin,
        /// Who.
        agents: Vec<AgentId>,
        /// They look slower; faster otherwise.
        slower: bool,
    },
    /// Measure these agents anew, in a way whose timing their host cannot choose.
    Calibrate(Vec<AgentId>),
    /// Learn from these agents again.
    Thaw(Vec<AgentId>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Slower,
    Faster,
    Stays,
}

#[derive(Clone, Debug, Default)]
struct Watched {
    kin: Vec<Kin>,
    /// Levels of the reports its weights stand on, the oldest first.
    levels: VecDeque<u16>,
    latest: Option<u16>,
    /// When to ask for the next calibration; frozen while there is one.
    calibrate_at: Option<MeshTimeUs>,
}

/// Watches the reports of all agents for coordinated shifts.
#[derive(Clone, Debug, Default)]
pub struct ShiftWatch {
    agents: BTreeMap<AgentId, Watched>,
    confirmed: BTreeSet<AgentId>,
    overflow: u64,
}

impl ShiftWatch {
    /// Watches nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets who is watched, with what each has in common with others; who is not named is forgotten.
    pub fn set_agents(&mut self, agents: impl IntoIterator<Item = (AgentId, Vec<Kin>)>) {
        let mut before = std::mem::take(&mut self.agents);
        for (agent, kin) in agents {
            if self.agents.len() >= MAX_WATCHED {
                self.overflow = self.overflow.saturating_add(1);
                continue;
            }
            let known = before.remove(&agent).unwrap_or_default();
            self.agents.insert(agent, Watched { kin, ..known });
        }
        self.confirmed.retain(|agent| self.agents.contains_key(agent));
    }

    /// A report of an agent's impedance came. Reports of agents that are not watched change nothing.
    pub fn on_report(&mut self, agent: AgentId, z_us: u64) {
        if let Some(watched) = self.agents.get_mut(&agent) {
            watched.latest = Some(bucket_of(z_us));
        }
    }

    /// A calibration of an agent found this impedance: from here its history begins anew, and its weights count again.
    pub fn on_calibrated(&mut self, agent: AgentId, z_us: u64) {
        let Some(watched) = self.agents.get_mut(&agent).filter(|watched| watched.calibrate_at.is_some()) else {
            return;
        };
        let level = bucket_of(z_us);
        watched.levels = std::iter::repeat_n(level, MIN_HISTORY).collect();
        watched.latest = watched.latest.map(|_| level);
        watched.calibrate_at = None;
        self.confirmed.insert(agent);
    }

    /// Judges what was reported since the last call: once per round of reports (5 s).
    pub fn poll(&mut self, now: MeshTimeUs) -> Vec<ShiftAction> {
        let mut actions = Vec::new();
        let thawed: Vec<AgentId> = std::mem::take(&mut self.confirmed).into_iter().collect();
        if !thawed.is_empty() {
            actions.push(ShiftAction::Thaw(thawed));
        }
        actions.extend(self.freeze_shifted(now));
        let due: Vec<AgentId> =
            self.agents.iter_mut().filter_map(|(agent, watched)| watched.ask_if_due(now).then_some(*agent)).collect();
        if !due.is_empty() {
            actions.push(ShiftAction::Calibrate(due));
        }
        self.agents.values_mut().for_each(Watched::learn);
        actions
    }

    /// Whether what this agent reports teaches nothing at present.
    #[must_use]
    pub fn is_frozen(&self, agent: AgentId) -> bool {
        self.agents.get(&agent).is_some_and(|watched| watched.calibrate_at.is_some())
    }

    /// Agents not watched for want of room.
    #[must_use]
    pub const fn overflow(&self) -> u64 {
        self.overflow
    }

    fn freeze_shifted(&mut self, now: MeshTimeUs) -> Vec<ShiftAction> {
        let moves: BTreeMap<AgentId, Move> =
            self.agents.iter().filter_map(|(agent, watched)| Some((*agent, watched.moved()?))).collect();
        let mut kins: BTreeMap<Kin, Vec<AgentId>> = BTreeMap::new();
        for (agent, watched) in self.agents.iter().filter(|(agent, _)| moves.contains_key(agent)) {
            watched.kin.iter().for_each(|kin| kins.entry(*kin).or_default().push(*agent));
        }
        let mut actions = Vec::new();
        for direction in [Move::Slower, Move::Faster] {
            let has_moved = |agent: &AgentId| moves.get(agent) == Some(&direction);
            let moved = moves.values().filter(|moved| **moved == direction).count();
            for (kin, members) in &kins {
                let shifted: Vec<AgentId> = members.iter().copied().filter(has_moved).collect();
                let share_ppm = ppm(shifted.len(), members.len());
                let others = moves.len().saturating_sub(members.len());
                let others_ppm = ppm(moved.saturating_sub(shifted.len()), others);
                let is_coordinated = shifted.len() >= MIN_SHIFTED_AGENTS
                    && share_ppm >= SHIFTED_SHARE_PPM
                    && share_ppm >= others_ppm.saturating_add(EXCESS_SHARE_PPM);
                if !is_coordinated {
                    continue;
                }
                // The whole kin: those that have not moved yet are no better witnesses.
                let agents: Vec<AgentId> = members.iter().copied().filter(|agent| !self.is_frozen(*agent)).collect();
                for agent in &agents {
                    if let Some(watched) = self.agents.get_mut(agent) {
                        watched.calibrate_at = Some(now);
                    }
                }
                if !agents.is_empty() {
                    actions.push(ShiftAction::Freeze { kin: *kin, agents, slower: direction == Move::Slower });
                }
            }
        }
        actions
    }
}

impl Watched {
    /// Where the latest report stands against the history; nothing without either.
    fn moved(&self) -> Option<Move> {
        let latest = i32::from(self.latest?);
        if self.levels.len() < MIN_HISTORY {
            return None;
        }
        let mut levels: Vec<i32> = self.levels.iter().map(|level| i32::from(*level)).collect();
        let usual = median(&mut levels)?;
        let mut deviations: Vec<i32> =
            levels.iter().map(|level| level.saturating_sub(usual).saturating_abs()).collect();
        let beyond = median(&mut deviations)?.saturating_mul(BEYOND_DEVIATIONS).max(BEYOND_LEVELS);
        let by = latest.saturating_sub(usual);
        Some(match by {
            _ if by > beyond => Move::Slower,
            _ if by < beyond.saturating_neg() => Move::Faster,
            _ => Move::Stays,
        })
    }

    fn ask_if_due(&mut self, now: MeshTimeUs) -> bool {
        let is_due = self.calibrate_at.is_some_and(|at| at <= now);
        if is_due {
            self.calibrate_at = Some(now.plus_us(CALIBRATE_EVERY_US));
        }
        is_due
    }

    /// The latest report becomes history, unless the weights are frozen.
    fn learn(&mut self) {
        let Some(level) = self.latest.take().filter(|_| self.calibrate_at.is_none()) else { return };
        if self.levels.len() >= WINDOW {
            self.levels.pop_front();
        }
        self.levels.push_back(level);
    }
}

fn median(values: &mut [i32]) -> Option<i32> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable(middle).1)
}

fn ppm(part: usize, whole: usize) -> u64 {
    (part as u64).saturating_mul(1_000_000).checked_div(whole as u64).unwrap_or(0)
}

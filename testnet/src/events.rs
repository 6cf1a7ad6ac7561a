//! Events from plan to report; the CLI and the testnet driver share it.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use mesh30k_core::event::{ClassSet, Event, EventId, Reach, Session, Strategy};
use mesh30k_core::registry::Capabilities;
use mesh30k_core::time::MeshTimeUs;
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::types::{AgentClass, AgentId, Scope, SectorId};
use mesh30k_node::api::types::{EventAccepted, EventReport, HexBody, PlanAnswer, PlanRequest, ReleaseRow};
use mesh30k_node::clock::wall_us;
use mesh30k_node::mesh::arrival::{EventKind, SUMMARY_AFTER};

use crate::client::{ApiClient, ClientError};
use crate::wallet::Wallet;

/// Added to the earliest feasible instant: signing and submitting take a moment, and the plan is a moment old by then.
pub const EVENT_SLACK_US: i64 = 150_000;
/// The best instant is asked for so often: what the mesh needs may grow between the plan and the start,
const BEST_TRIES: u32 = 3;
/// and this is how a node says so.
const TOO_NEAR_NOW: u16 = 409;
/// The longest one request waits for a report; longer waits ask again.
const WAIT_STEP: Duration = Duration::from_secs(20);
/// T of an event that ends above the agents lies so far ahead: time to reach the leads.
const CONFIRM_AHEAD_US: i64 = 300_000;
/// Longest interest in late answers, the bound of an event's field.
const TTL_MS_MAX: u32 = 3_600_000;
/// Pause between two looks at a report that the node answered too early.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What may go wrong between wanting an event and having its report.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The node could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The wanted instant is too near.
    #[error(
        "insufficient lead: needs {needs_ms} ms, has {has_ms} ms; the earliest feasible T is {earliest_us} (mesh time in us), \
         predicted hit rate at the asked T is {predicted_hit_ppm} ppm; take the earliest with --at-best, or go with --anyway"
    )]
    TooSoon {
        /// Lead the mesh needs.
        needs_ms: i64,
        /// Lead there is.
        has_ms: i64,
        /// Earliest feasible instant.
        earliest_us: i64,
        /// What to expect at the wanted one.
        predicted_hit_ppm: u32,
    },
    /// No summary in time.
    #[error("event {id} has no summary {waited_ms} ms after T; ask again with `mesh30k event show {id}`")]
    NoSummary {
        /// Which.
        id: EventId,
        /// How long was waited after T.
        waited_ms: u128,
    },
    /// No randomness for an id.
    #[error("the operating system gave no random bytes for an event id: {0}")]
    NoRandomness(String),
}

/// When an event is to be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At the earliest instant at which the wanted share can be armed.
    Best,
    /// At this instant of mesh time in microseconds; refused when it is too near.
    At(i64),
    /// At this instant, whatever the prediction.
    Anyway(i64),
}

/// An event as somebody wants it.
#[derive(Clone, Debug)]
pub struct EventOrder {
    /// Cascade, broadcast or question.
    pub kind: EventKind,
    /// How arrival at T is brought about.
    pub strategy: Strategy,
    /// T.
    pub when: When,
    /// Only this sector; none means the whole mesh.
    pub sector: Option<SectorId>,
    /// Only these classes; empty means all but humans, or all when agents are named.
    pub classes: Vec<AgentClass>,
    /// Only agents with all of these capabilities, by name.
    pub capabilities: Vec<String>,
    /// Only these agents; empty means all of the above.
    pub agents: Vec<AgentId>,
    /// Only so many of all these, drawn by the node.
    pub sample: Option<u32>,
    /// What the agents are given; of a question, its text.
    pub payload: Vec<u8>,
    /// Whether a release has effects: then who is not armed at T never releases by itself.
    pub effects: bool,
    /// 0 (background) to 3 (urgent).
    pub priority: u8,
    /// How long after T the summary may take.
    pub summary_after: Duration,
    /// How far down the tree it goes.
    pub reach: Reach,
    /// By which right the wallet's key signs; none when it is an operator's.
    pub session: Option<Session>,
}

/// An event that was started.
#[derive(Clone, Debug)]
pub struct Started {
    /// Its id.
    pub id: EventId,
    /// What was planned.
    pub plan: PlanAnswer,
    /// T, mesh time in microseconds.
    pub at_us: i64,
}

impl EventOrder {
    /// A cascade of everything but people at the earliest feasible instant.
    #[must_use]
    pub const fn cascade(strategy: Strategy) -> Self {
        Self {
            kind: EventKind::Cascade,
            strategy,
            when: When::Best,
            sector: None,
            classes: Vec::new(),
            capabilities: Vec::new(),
            agents: Vec::new(),
            sample: None,
            payload: Vec::new(),
            effects: false,
            priority: 1,
            summary_after: SUMMARY_AFTER,
            reach: Reach::Agents,
            session: None,
        }
    }

    fn request(&self) -> PlanRequest {
        PlanRequest {
            strategy: match self.strategy {
                Strategy::Hold => "hold".to_owned(),
                Strategy::Throw => "throw".to_owned(),
            },
            at_us: match self.when {
                When::Best => None,
                When::At(at_us) | When::Anyway(at_us) => Some(at_us),
            },
            sector: self.sector,
            classes: self.classes.clone(),
            capabilities: self.capabilities.clone(),
            agents: self.agents.clone(),
            sample: self.sample,
        }
    }

    /// The event as it is signed, at `at_us`.
    fn event(&self, at_us: i64, plan: &PlanAnswer) -> Result<Event, EventsError> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|error| EventsError::NoRandomness(error.to_string()))?;
        let mut event = self.kind.event(self.strategy, MeshTimeUs(at_us), self.payload.clone(), &nonce);
        let after_us = i64::try_from(self.summary_after.as_micros()).unwrap_or(i64::MAX);
        event.deadline = event.target.plus_us(after_us);
        // Late answers are of interest for at least three times as long as the summary may take.
        let ttl_ms = u32::try_from(self.summary_after.as_millis().saturating_mul(3)).unwrap_or(u32::MAX);
        event.ttl_ms = event.ttl_ms.max(ttl_ms).min(TTL_MS_MAX);
        event.effects = self.effects;
        event.priority = self.priority;
        event.scope = self.sector.map_or(Scope::Global, Scope::Sector);
        event.reach = self.reach;
        event.agents.clone_from(&plan.agents);
        event.capabilities = self
            .capabilities
            .iter()
            .filter_map(|name| Capabilities::named(name))
            .fold(Capabilities(0), Capabilities::union)
            .0;
        if !self.classes.is_empty() {
            event.classes = ClassSet::of(&self.classes);
        } else if !self.agents.is_empty() {
            event.classes = ClassSet::ALL;
        }
        Ok(event)
    }

    /// T, given what the mesh says it can do.
    fn target_us(&self, plan: &PlanAnswer) -> Result<i64, EventsError> {
        match self.when {
            // Nobody has to prepare anything.
            _ if self.reach != Reach::Agents => Ok(plan.now_us.saturating_add(CONFIRM_AHEAD_US)),
            When::Best => Ok(plan.earliest_us.saturating_add(EVENT_SLACK_US)),
            When::Anyway(at_us) => Ok(at_us),
            When::At(at_us) if plan.feasible => Ok(at_us),
            When::At(at_us) => Err(EventsError::TooSoon {
                needs_ms: plan.needs_us.saturating_add(999).div_euclid(1_000),
                has_ms: at_us.saturating_sub(plan.now_us).div_euclid(1_000),
                earliest_us: plan.earliest_us,
                predicted_hit_ppm: plan.predicted_hit_ppm,
            }),
        }
    }
}

/// What the mesh says of an event before it is started.
///
/// # Errors
/// When the node can't be asked, or can't plan.
pub fn plan(client: &ApiClient, order: &EventOrder) -> Result<PlanAnswer, EventsError> {
    Ok(client.post("/v1/events/plan", &order.request())?)
}

/// Plans, signs with the wallet's key (an operator's, or that of a session) and starts an event.
///
/// # Errors
/// When it is refused or the wanted instant is too near.
pub fn start(wallet: &Wallet, order: &EventOrder) -> Result<Started, EventsError> {
    let mut tries = if matches!(order.when, When::Best) { BEST_TRIES } else { 1 };
    loop {
        tries -= 1;
        match start_once(wallet, order) {
            Err(EventsError::Client(ClientError::Refused(problem))) if tries > 0 && problem.status == TOO_NEAR_NOW => {}
            other => return other,
        }
    }
}

fn start_once(wallet: &Wallet, order: &EventOrder) -> Result<Started, EventsError> {
    let plan = plan(wallet.client(), order)?;
    let at_us = order.target_us(&plan)?;
    let event = order.event(at_us, &plan)?;
    let signed = match order.session {
        Some(session) => event.sign_by_session(wallet.context(), wallet.key(), session),
        None => event.sign(wallet.context(), wallet.key()),
    };
    let path = if matches!(order.when, When::Anyway(_)) { "/v1/events?anyway=true" } else { "/v1/events" };
    let accepted: EventAccepted = wallet.client().post(path, &HexBody { hex: hex::encode(encode(&signed)) })?;
    Ok(Started { id: accepted.id, plan, at_us })
}

/// Lets `key` start events whose T lies within `lasts` from now; the wallet's key must be an operator's.
#[must_use]
pub fn open_session(wallet: &Wallet, key: PublicKey, lasts: Duration) -> Session {
    let lasts_us = i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX);
    Session::grant(wallet.context(), wallet.key(), key, MeshTimeUs(wall_us().saturating_add(lasts_us)))
}

/// The report of an event as far as it is known now.
///
/// # Errors
/// When the node can't be asked or does not know it.
pub fn show(client: &ApiClient, id: EventId) -> Result<EventReport, EventsError> {
    Ok(client.get(&format!("/v1/events/{id}"))?)
}

/// Waits for the summary of an event, at most `timeout` after T.
///
/// # Errors
/// When the node can't be asked, or there is no summary in time.
pub fn wait(client: &ApiClient, started: &Started, timeout: Duration) -> Result<EventReport, EventsError> {
    let timeout_us = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX);
    let end_us =
        wall_us().saturating_add(started.at_us.saturating_sub(started.plan.now_us).max(0)).saturating_add(timeout_us);
    loop {
        let left_us = end_us.saturating_sub(wall_us());
        if left_us <= 0 {
            return Err(EventsError::NoSummary { id: started.id, waited_ms: timeout.as_millis() });
        }
        let step = WAIT_STEP.min(Duration::from_micros(left_us.unsigned_abs()));
        let path = format!("/v1/events/{}?wait_ms={}", started.id, step.as_millis());
        let report: EventReport = client.get(&path)?;
        if matches!(report.state.as_str(), "complete" | "cancelled") {
            return Ok(report);
        }
        thread::sleep(LOOK_PAUSE);
    }
}

/// Starts an event and waits for its summary.
///
/// # Errors
/// As [`start`] and [`wait`].
pub fn run(wallet: &Wallet, order: &EventOrder, timeout: Duration) -> Result<(Started, EventReport), EventsError> {
    let started = start(wallet, order)?;
    let report = wait(wallet.client(), &started, timeout)?;
    Ok((started, report))
}

/// The true releases of an event, one per slot (the first), from the nodes of a local test network that keep the truth;
/// none if none does.
///
/// # Errors
/// When a node can't be asked.
pub fn truth(nodes: &[ApiClient], id: EventId) -> Result<Option<Vec<ReleaseRow>>, EventsError> {
    let mut found = None;
    for node in nodes {
        match node.get::<Vec<ReleaseRow>>(&format!("/v1/harness/releases?event={id}")) {
            Ok(rows) => {
                let slots: &mut BTreeMap<AgentId, ReleaseRow> = found.get_or_insert_default();
                for row in rows {
                    if slots.get(&row.agent).is_none_or(|known| row.error_us < known.error_us) {
                        slots.insert(row.agent, row);
                    }
                }
            }
            Err(ClientError::Refused(problem)) if problem.status == 404 => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found.map(|slots| slots.into_values().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(feasible: bool) -> PlanAnswer {
        PlanAnswer {
            now_us: 1_000_000,
            earliest_us: 1_900_000,
            at_us: 1_900_000,
            predicted_hit_ppm: 400_000,
            enrolled: 600,
            feasible,
            needs_us: 900_000,
            agents: Vec::new(),
        }
    }

    #[test]
    fn too_near_an_instant_is_refused_with_the_numbers_unless_it_is_wanted_anyway() {
        let order = |when| EventOrder { when, ..EventOrder::cascade(Strategy::Hold) };
        let refused = order(When::At(1_200_000)).target_us(&plan(false)).unwrap_err().to_string();
        for part in ["needs 900 ms", "has 200 ms", "1900000", "400000 ppm", "--at-best", "--anyway"] {
            assert!(refused.contains(part), "{part} not in {refused}");
        }
        assert_eq!(order(When::Anyway(1_200_000)).target_us(&plan(false)).unwrap(), 1_200_000);
        assert_eq!(order(When::At(3_000_000)).target_us(&plan(true)).unwrap(), 3_000_000);
        assert_eq!(order(When::Best).target_us(&plan(true)).unwrap(), 1_900_000 + EVENT_SLACK_US);
    }
}

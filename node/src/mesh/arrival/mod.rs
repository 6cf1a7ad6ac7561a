//! Events in a node: one thread with every machine of the arrival tree that this node runs.
//!
//! A cascade's timers are finer than an async runtime's, so the machines live on a thread of their own that sleeps until
//! the next instant or the next frame. This node may be at once host of agents, lead of clusters, coordinator of sectors
//! and orchestrator of events; what it sends to itself goes through a queue in the same loop.

mod answers;
mod book;
mod bundle;
mod content;
mod engine;
mod handle;
mod hosting;
mod inbound;
mod leading;
mod mailbox;
mod measured;
mod orchestrating;
mod pace;
mod parenting;
mod quiet;
mod refusal;
mod shared;
mod thread;
mod topology;
mod view;
mod watching;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use mesh30k_core::hosted::{HostedAgents, Replay};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::NodeId;

pub use content::{EventKind, EventKindError, SUMMARY_AFTER};
pub use handle::{ArrivalHandle, follow_rules, serve};
pub use orchestrating::{Admission, PlanAsk};
pub use refusal::EventError;
pub use shared::WarmUp;
pub use topology::Selection;
pub use view::{ArrivalClock, Link, MeshView, Now, P2pLink, Rules, RulesSource};

use self::engine::{Engine, EngineParts};
use self::mailbox::mailbox;
use self::shared::Shared;
use self::thread::INPUTS_MAX;
use self::wire::Sealer;
use crate::harness::Harness;
use crate::priority::wake_exactly;
use crate::roster::SharedRoster;
use crate::telemetry::Metrics;

/// What the arrival thread is made of.
pub struct ArrivalParts {
    /// This node on the ledger.
    pub me: NodeId,
    /// The chain.
    pub context: ChainContext,
    /// The host key, which signs summaries.
    pub key: SecretKey,
    /// Who is where.
    pub roster: SharedRoster,
    /// Who leads what.
    pub view: Arc<dyn MeshView>,
    /// The way to other nodes.
    pub link: Box<dyn Link>,
    /// The clocks.
    pub clock: ArrivalClock,
    /// Reads operators and parameters.
    pub rules: RulesSource,
    /// Measured delays that hosted agents replay.
    pub replay: Arc<Replay>,
    /// Seed of the hosted agents' links and clocks.
    pub seed: u64,
    /// Where the truth is noted.
    pub harness: Harness,
    /// Counters.
    pub metrics: Metrics,
}

/// Why the thread did not start.
#[derive(Debug, thiserror::Error)]
pub enum ArrivalError {
    /// The rules can't be read.
    #[error("the ledger can't be read")]
    State(#[from] StateError),
    /// No thread to be had.
    #[error("the arrival thread can't be started")]
    Thread(#[from] std::io::Error),
}

/// Starts the arrival thread. Feed it with [`serve`] and [`follow_rules`].
///
/// # Errors
/// [`ArrivalError`].
pub fn start(parts: ArrivalParts) -> Result<ArrivalHandle, ArrivalError> {
    let rules = (parts.rules)()?;
    let shared = Arc::new(Shared::new(parts.clock, rules, parts.harness, parts.metrics));
    let mut counter = [0_u8; 4];
    // Without randomness ids start at 0: they still rise with the time.
    let _ = getrandom::fill(&mut counter);
    let engine_parts = EngineParts {
        me: parts.me,
        context: parts.context,
        roster: parts.roster,
        view: parts.view,
        link: parts.link,
        sealer: Sealer::new(parts.context, parts.me, parts.key, u32::from_le_bytes(counter)),
        hosted: HostedAgents::new(parts.me, parts.seed, parts.replay),
        shared: shared.clone(),
    };
    let (inputs, waiting) = mailbox(INPUTS_MAX);
    std::thread::Builder::new().name("arrival".to_owned()).spawn(move || {
        wake_exactly();
        thread::run(Engine::new(engine_parts), &waiting);
    })?;
    Ok(ArrivalHandle::new(inputs, shared, parts.rules))
}

//! Puts a node together and starts its task.

use std::sync::Arc;

use libp2p::metrics::Metrics;
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::behaviour;
use crate::command::COMMAND_QUEUE;
use crate::config::Config;
use crate::control::{Control, Owner};
use crate::counters::Live;
use crate::directory::Directory;
use crate::error::SpawnError;
use crate::events::{EVENT_QUEUE, Events};
use crate::lane::hub::Hub;
use crate::metrics::CounterCollector;
use crate::task::{Task, Wiring};
use crate::transport;

/// Reports of misbehaviour that may wait for the swarm task.
const REPORT_QUEUE: usize = 256;

/// Starts a node on the current tokio runtime. It listens when this returns; the addresses follow as events.
///
/// # Errors
/// See [`SpawnError`]; a port in use is [`SpawnError::Listen`].
pub fn spawn(config: Config) -> Result<(Control, Events), SpawnError> {
    config.check()?;
    let runtime = Handle::try_current().map_err(|_| SpawnError::NoRuntime)?;
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let mut swarm = behaviour::swarm(&config, &mut registry)?;
    for address in &config.listen {
        transport::listen(&mut swarm, address.clone())
            .map_err(|source| SpawnError::Listen { address: address.clone(), source })?;
    }

    let (commands_in, commands) = mpsc::channel(COMMAND_QUEUE);
    let (reports_in, reports) = mpsc::channel(REPORT_QUEUE);
    let (events_in, events) = mpsc::channel(EVENT_QUEUE);
    let ended = CancellationToken::new();
    let hub = Arc::new(Hub {
        runtime: runtime.clone(),
        streams: swarm.behaviour().streams.new_control(),
        directory: Arc::new(Directory::default()),
        counters: Arc::new(Live::default()),
        commands: commands_in,
        reports: reports_in,
        shutdown: CancellationToken::new(),
        local: *swarm.local_peer_id(),
        seed: config.seed,
        workers: Default::default(),
    });
    registry.register_collector(Box::new(CounterCollector(Arc::clone(&hub.counters))));
    let wiring = Wiring { hub: Arc::clone(&hub), commands, reports, events: events_in, metrics, ended: ended.clone() };
    runtime.spawn(Task::new(&config, swarm, wiring).run());
    Ok((Control(Arc::new(Owner { hub, registry, ended })), Events(events)))
}

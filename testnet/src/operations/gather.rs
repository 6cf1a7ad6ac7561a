//! Scatter-gather: an event, and a judgement over everybody enrolled.

use std::time::Duration;

use mesh30k_core::event::{DEFAULT_READY_PPM, DEFAULT_WINDOW_US, Strategy};
use mesh30k_node::api::types::GatherAnswer;
use mesh30k_node::mesh::arrival::EventKind;

use super::OperationError;
use crate::events::{self, EventOrder, EventsError, Started};
use crate::wallet::Wallet;

/// The summary is due at the end of the gather's own time; its way back to the client may take this much more.
const GRACE: Duration = Duration::from_secs(3);

/// A gather as somebody wants it.
#[derive(Clone, Debug)]
pub struct GatherOrder {
    /// The event; its `summary_after` is the gather's timeout.
    pub event: EventOrder,
    /// Releases within this of T count, either way, microseconds.
    pub window_us: i64,
    /// Share of those enrolled that must count, parts per million.
    pub ready_ppm: u32,
}

impl GatherOrder {
    /// Everybody but people, within the usual window, asked `payload`.
    #[must_use]
    pub fn new(payload: Vec<u8>) -> Self {
        let event = EventOrder { kind: EventKind::Gather, payload, ..EventOrder::cascade(Strategy::Hold) };
        Self { event, window_us: DEFAULT_WINDOW_US, ready_ppm: DEFAULT_READY_PPM }
    }
}

/// Starts the event and judges it when its summary is there or the timeout is over.
///
/// # Errors
/// When the event is refused, or the node can't be asked.
pub fn gather(wallet: &Wallet, order: &GatherOrder) -> Result<(Started, GatherAnswer), OperationError> {
    let started = events::start(wallet, &order.event)?;
    let judged = judge(wallet, order, &started)?;
    Ok((started, judged))
}

fn judge(wallet: &Wallet, order: &GatherOrder, started: &Started) -> Result<GatherAnswer, OperationError> {
    match events::wait(wallet.client(), started, order.event.summary_after.saturating_add(GRACE)) {
        // A summary that is late is a result, too: nobody was heard of.
        Ok(_) | Err(EventsError::NoSummary { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let GatherOrder { window_us, ready_ppm, .. } = order;
    let path = format!("/v1/events/{}/gather?window_us={window_us}&ready_ppm={ready_ppm}", started.id);
    Ok(wallet.client().get(&path)?)
}

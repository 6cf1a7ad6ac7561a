//! The thread: waits for what comes or for the next instant, whichever is first.

use std::iter;
use std::time::Duration;

use bytes::Bytes;
use mesh30k_core::event::{EventId, SignedEvent};
use mesh30k_ledger::types::NodeId;
use tokio::sync::oneshot;

use super::engine::{Engine, REFRESH_US};
use super::mailbox::{Nothing, Receiver};
use super::orchestrating::{Admission, PlanAsk};
use super::refusal::EventError;
use crate::api::types::PlanAnswer;

/// What may wait for the thread; beyond, new frames are dropped and counted.
pub(super) const INPUTS_MAX: usize = 8_192;
/// Inputs taken before timers are looked at again.
const BURST_MAX: usize = 64;

/// What comes from outside.
pub(super) enum Input {
    /// A frame of another node.
    Frame { from: NodeId, arrived_us: i64, frame: Bytes },
    /// A question what could be done.
    Plan { ask: PlanAsk, answer: oneshot::Sender<Result<PlanAnswer, EventError>> },
    /// An event to be started.
    Start { event: Box<SignedEvent>, admission: Admission, answer: oneshot::Sender<Result<EventId, EventError>> },
    /// An event to be called off.
    Cancel { event: EventId, answer: oneshot::Sender<bool> },
    /// Something outside changed: look.
    Nudge,
    /// The end.
    Stop,
}

/// Runs until told to stop or until nobody is left who could tell it anything.
pub(super) fn run(mut engine: Engine, inputs: &Receiver<Input>) {
    while !engine.is_stopped() {
        engine.work();
        let idle_us = engine.idle_us().clamp(0, REFRESH_US);
        let idle = Duration::from_micros(u64::try_from(idle_us).unwrap_or(0));
        match inputs.receive(idle) {
            Ok(Input::Stop) | Err(Nothing::Closed) => return,
            Ok(input) => engine.on_input(input),
            Err(Nothing::Yet) => continue,
        }
        for input in iter::from_fn(|| inputs.try_receive()).take(BURST_MAX) {
            if matches!(input, Input::Stop) {
                return;
            }
            engine.on_input(input);
            if engine.is_quiet_due() {
                break;
            }
        }
    }
}

//! Lost packets: the stream under a message sends again after its retransmission timeout, which doubles.

use mesh30k_ledger::types::AgentClass;

use super::draw::{Draws, Label};

/// Least timeout (RFC 6298 as Linux has it) and how often a stream tries.
const MIN_RTO_US: f64 = 200_000.0;
const TRIES: u32 = 5;

/// Share of packets of a class that are lost.
pub(crate) const fn share(class: AgentClass) -> f64 {
    match class {
        AgentClass::A | AgentClass::B | AgentClass::C | AgentClass::D => 0.001,
        AgentClass::E | AgentClass::F => 0.004,
    }
}

/// What the `turn`-th message waits until a packet of it comes through; none when nothing was lost.
pub(crate) fn resend_us(draws: Draws, label: Label, share: f64, turn: u64, rtt_us: f64) -> Option<f64> {
    let dice = draws.unit(label, turn);
    if dice >= share {
        return None;
    }
    let rto_us = MIN_RTO_US.max(rtt_us * 1.5);
    // n losses in a row have probability share^n.
    let losses = (1..TRIES).take_while(|n| dice < share.powi(*n as i32)).count() as i32;
    Some(rto_us * (2.0_f64.powi(losses) - 1.0))
}

//! Step 5: everything stops on the operator's word, and goes on when it is taken back.

use std::time::Duration;

use anyhow::Result;
use mesh30k_ledger::ops::{Freeze, Operation, Thaw};
use mesh30k_ledger::types::{Scope, TimeMs, TxId};
use mesh30k_node::api::types::PauseRow;
use mesh30k_node::clock::{wall_ms, wall_us};
use serde::Serialize;

use super::Stage;
use crate::render::{grouped, millis};
use crate::wallet::Wallet;

/// How long an order may take to reach everybody, in looks.
const LOOKS: u32 = 100;
/// Pace of looks.
const PACE: Duration = Duration::from_millis(100);
/// The freeze ends by itself after so long, should the thaw never come.
const LASTS_MS: u64 = 600_000;
/// How long the record of an order may take to be final.
const FINAL_TIMEOUT: Duration = Duration::from_secs(15);

/// What the drill measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FreezeDrill {
    /// From the operator's signature to the last agent paused, by the harness's truth, milliseconds; null when some never
    /// paused.
    pub paused_ms: Option<u64>,
    /// Agents paused.
    pub paused: u64,
    /// From the thaw's signature until all had been seen to resume, milliseconds; null when some never did.
    pub resumed_ms: Option<u64>,
    /// Agents that resumed.
    pub resumed: u64,
    /// All agents.
    pub agents: u64,
}

impl FreezeDrill {
    /// What does not hold.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if self.paused_ms.is_none() || self.paused != self.agents {
            failures.push(format!("{} of {} agents paused", self.paused, self.agents));
        }
        if self.resumed_ms.is_none() || self.resumed != self.agents {
            failures.push(format!("{} of {} agents resumed", self.resumed, self.agents));
        }
        failures
    }
}

/// Freezes the whole mesh, waits, thaws it.
///
/// # Errors
/// When an order is refused or a host can't be asked.
pub fn run(stage: &Stage<'_>) -> Result<FreezeDrill> {
    let agents = u64::from(stage.layout.size.agents);
    let mut drill = FreezeDrill { agents, ..FreezeDrill::default() };
    let until = TimeMs(wall_ms().saturating_add(LASTS_MS));
    let freeze = Freeze { scope: Scope::Global, reason: "drill of the local testnet".into(), until };
    let (signed_us, frozen) = send(&stage.operator, Operation::Freeze(freeze))?;
    for _ in 0..LOOKS {
        let rows = pauses(stage, frozen)?;
        drill.paused = rows.iter().map(|row| row.paused).sum();
        if drill.paused == agents {
            let last_us = rows.iter().filter(|row| row.in_scope > 0).map(|row| row.paused_at_us).max();
            drill.paused_ms = last_us.map(|last_us| elapsed_ms(signed_us, last_us));
            break;
        }
        stage.stop.pause(PACE)?;
    }
    stage.operator.wait_final(frozen, FINAL_TIMEOUT)?;
    let thaw = Thaw { scope: Scope::Global, reason: "drill over".into() };
    let (signed_us, thawed) = send(&stage.operator, Operation::Thaw(thaw))?;
    for _ in 0..LOOKS {
        let rows = pauses(stage, thawed)?;
        drill.resumed = rows.iter().map(|row| row.in_scope.saturating_sub(row.paused)).sum();
        if drill.resumed == agents {
            drill.resumed_ms = Some(elapsed_ms(signed_us, wall_us()));
            break;
        }
        stage.stop.pause(PACE)?;
    }
    stage.operator.wait_final(thawed, FINAL_TIMEOUT)?;
    show(stage, &drill);
    Ok(drill)
}

/// Signs an order and sends it: when it was signed, and its id.
fn send(operator: &Wallet, order: Operation) -> Result<(i64, TxId)> {
    let nonce = operator.row()?.next_nonce;
    let signed_us = wall_us();
    let signed = operator.sign(nonce, order);
    operator.submit(&signed)?;
    Ok((signed_us, signed.id()))
}

/// What each host that has obeyed the order noted of it.
fn pauses(stage: &Stage<'_>, order: TxId) -> Result<Vec<PauseRow>> {
    let answers: Vec<Vec<PauseRow>> = stage.ask_all(&format!("/v1/harness/pauses?order={order}"))?;
    Ok(answers.into_iter().flatten().collect())
}

/// Milliseconds between two instants, rounded up.
fn elapsed_ms(from_us: i64, to_us: i64) -> u64 {
    u64::try_from(to_us.saturating_sub(from_us)).unwrap_or(0).div_ceil(1_000)
}

fn show(stage: &Stage<'_>, drill: &FreezeDrill) {
    let time =
        |ms: Option<u64>| ms.map_or_else(|| "too long to wait for".to_owned(), |ms| millis(ms.saturating_mul(1_000)));
    stage.console.text(&format!(
        "The operator froze the whole mesh: {} of {} agents paused, the last {} after the signature.",
        grouped(drill.paused),
        grouped(drill.agents),
        time(drill.paused_ms)
    ));
    stage.console.text(&format!(
        "Thawed: {} resumed, all seen within {}. Both orders are recorded on the ledger.",
        grouped(drill.resumed),
        time(drill.resumed_ms)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agent_that_goes_on_is_a_failure() {
        let good = FreezeDrill { paused_ms: Some(80), paused: 600, resumed_ms: Some(90), resumed: 600, agents: 600 };
        assert!(good.failures().is_empty());
        let leaky = FreezeDrill { paused: 599, paused_ms: None, ..good };
        assert_eq!(leaky.failures(), ["599 of 600 agents paused"]);
    }

    #[test]
    fn time_is_rounded_up_and_never_negative() {
        assert_eq!([elapsed_ms(0, 1), elapsed_ms(0, 1_000), elapsed_ms(5, 0)], [1, 1, 0]);
    }
}

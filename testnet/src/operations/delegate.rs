//! A task to the best agent for it.

use mesh30k_node::api::types::FoundRow;

use super::OperationError;
use super::find::{FindOrder, find};
use crate::wallet::Wallet;
use crate::work::{self, Progress, TaskOrder, TaskResult};

/// What every agent that runs tasks can do.
const COMPUTE: &str = "compute";

/// Finds the best agent that can run tasks and is as `wanted`, and has it do `order`, paid by the wallet. Should it fail,
/// the node offers the task to others, which the result shows.
///
/// # Errors
/// [`OperationError::Nobody`] when no agent is as wanted; else as [`work::run`].
pub fn delegate(
    wallet: &Wallet,
    wanted: &FindOrder,
    order: TaskOrder,
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<(FoundRow, TaskResult), OperationError> {
    let mut wanted = FindOrder { n: Some(1), ..wanted.clone() };
    if !wanted.capabilities.iter().any(|name| name == COMPUTE) {
        wanted.capabilities.push(COMPUTE.to_owned());
    }
    let best = find(wallet.client(), &wanted)?.into_iter().next().ok_or(OperationError::Nobody)?;
    let order = TaskOrder { agent: Some(best.agent), ..order };
    let result = work::run(wallet, &order, tell)?;
    Ok((best, result))
}

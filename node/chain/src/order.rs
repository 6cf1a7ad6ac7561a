//! Seeing a block through Raft.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh30k_consensus::raft::{Group, ProposeError, RaftConfig};
use openraft::type_config::{AsyncRuntime, TypeConfigExt};

use crate::app::Shared;

/// How long Raft may take to order a block before the answer is given up; the block may still be ordered.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before the same block is handed in again.
const ORDER_PAUSE: Duration = Duration::from_millis(100);

/// Sees a block through Raft. An answer that leaves open whether it was stored is followed by the same block again:
/// another one at its height would be evidence against this validator, and a second copy changes nothing.
pub async fn order<RT: AsyncRuntime>(group: Group<RT>, shared: Arc<Shared>, block: Bytes, term: u64) {
    // Once an answer left it open, no later refusal says that the block is not in the log.
    let mut may_be_stored = false;
    loop {
        let proposed = RaftConfig::<RT>::timeout(ORDER_TIMEOUT, group.propose(block.clone())).await;
        let is_refused = match proposed {
            Ok(Ok(_)) => break,
            Ok(Err(ProposeError::Uncertain { .. })) | Err(_) => {
                may_be_stored = true;
                false
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "a block was not ordered");
                !may_be_stored
            }
        };
        if is_refused || !group.is_leader() || group.term() != term {
            if is_refused {
                shared.core().proposer.refused();
            }
            break;
        }
        RaftConfig::<RT>::sleep(ORDER_PAUSE).await;
    }
    shared.wake();
}

//! Who leads, and how to hear of it.

use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use openraft::type_config::AsyncRuntime;
use openraft::type_config::alias::WatchReceiverOf;

use crate::group::MemberId;
use crate::raft::type_config::RaftConfig;

/// A group's leadership as one member sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leadership {
    /// The current term.
    pub term: u64,
    /// The leader, if one is known.
    pub leader: Option<MemberId>,
    /// Whether this member is it.
    pub is_leader: bool,
}

impl Leadership {
    pub(crate) fn of<RT: AsyncRuntime>(metrics: &RaftServerMetrics<RaftConfig<RT>>) -> Self {
        let is_leader = metrics.state.is_leader();
        Self { term: metrics.vote.leader_id().term, leader: metrics.current_leader, is_leader }
    }
}

/// Hears of changes of leadership.
pub struct LeadershipWatch<RT: AsyncRuntime> {
    receiver: WatchReceiverOf<RaftConfig<RT>, RaftServerMetrics<RaftConfig<RT>>>,
    last: Option<Leadership>,
}

impl<RT: AsyncRuntime> LeadershipWatch<RT> {
    pub(crate) const fn new(receiver: WatchReceiverOf<RaftConfig<RT>, RaftServerMetrics<RaftConfig<RT>>>) -> Self {
        Self { receiver, last: None }
    }

    /// Waits for a leadership other than the one it returned last (the first call returns at once); `None` once the
    /// group has stopped.
    pub async fn changed(&mut self) -> Option<Leadership> {
        loop {
            // The guard must not live across an await: openraft writes behind it.
            let now = Leadership::of(&self.receiver.borrow_and_update());
            if self.last != Some(now) {
                self.last = Some(now);
                return Some(now);
            }
            self.receiver.changed().await.ok()?;
        }
    }
}

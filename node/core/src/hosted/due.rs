//! What a host still has to do, ordered by true time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId};

use crate::event::{AgentAnswer, EventId, HostReply, SlotRight, Strategy};
use crate::time::{LocalTimeUs, MeshTimeUs};

/// Items a host keeps waiting; beyond, new ones are dropped and counted.
pub const MAX_DUE: usize = 1 << 16;

/// What the host's loop is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum HostedAction {
    /// Send to whoever leads the cluster now.
    Reply(HostReply),
    /// The truth about one slot that ended: for the harness only, no machine may read it.
    Record(HarnessRecord),
}

/// The truth about one agent in one event; instants are the host machine's own time, microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HarnessRecord {
    /// Who.
    pub agent: AgentId,
    /// Whose slot it released: its own, or the one it stood by for.
    pub slot: AgentId,
    /// Its class.
    pub class: AgentClass,
    /// Which event.
    pub event: EventId,
    /// Hold or throw.
    pub strategy: Strategy,
    /// T.
    pub target: MeshTimeUs,
    /// When the prepare reached the agent.
    pub received_us: i64,
    /// When its work was done.
    pub armed_us: Option<i64>,
    /// When it released; none when it contradicted instead.
    pub released_us: Option<i64>,
}

impl HarnessRecord {
    /// True release minus T, microseconds.
    #[must_use]
    pub fn release_error_us(&self) -> Option<i64> {
        self.released_us.map(|at| at.saturating_sub(self.target.0))
    }

    /// True arming minus T, microseconds.
    #[must_use]
    pub fn armed_error_us(&self) -> Option<i64> {
        self.armed_us.map(|at| at.saturating_sub(self.target.0))
    }
}

/// One agent's part in one slot of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SlotKey {
    pub(super) event: EventId,
    pub(super) agent: AgentId,
    pub(super) slot: AgentId,
}

impl SlotKey {
    pub(super) fn stands_by(&self) -> bool {
        self.agent != self.slot
    }
}

/// All keys of one event.
pub(super) fn slots_of(event: EventId) -> std::ops::RangeInclusive<SlotKey> {
    let key = |id| SlotKey { event, agent: AgentId(id), slot: AgentId(id) };
    key(0)..=key(u64::MAX)
}

/// A step in the life of a slot.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Prepare { key: SlotKey, cluster: ClusterId, target: LocalTimeUs, start: LocalTimeUs },
    Start { key: SlotKey },
    WorkDone { key: SlotKey },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Item {
    /// As of an earlier instant, or of the one at which it is seen to.
    Step {
        step: Step,
        as_of_us: Option<i64>,
    },
    Probe {
        agent: AgentId,
        cluster: ClusterId,
        seq: u32,
        work: bool,
    },
    ProbeDone {
        agent: AgentId,
        cluster: ClusterId,
        seq: u32,
        received: LocalTimeUs,
        work: bool,
    },
    Right {
        key: SlotKey,
        cluster: ClusterId,
        right: SlotRight,
    },
    Cancel {
        agent: AgentId,
        event: EventId,
    },
    Leave {
        cluster: ClusterId,
        ready_us: i64,
        answer: AgentAnswer,
    },
    Expire {
        event: EventId,
    },
}

#[derive(Debug)]
struct Entry {
    due_us: i64,
    turn: u64,
    item: Item,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// Earliest first on a max-heap; equal times in the order they were planned.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due_us, other.turn).cmp(&(self.due_us, self.turn))
    }
}

/// A bounded timer queue: O(log n) a push, O(due) a poll.
#[derive(Debug, Default)]
pub(super) struct DueQueue {
    heap: BinaryHeap<Entry>,
    turn: u64,
}

impl DueQueue {
    /// False when the queue is full.
    pub(super) fn push(&mut self, due_us: i64, item: Item) -> bool {
        if self.heap.len() >= MAX_DUE {
            return false;
        }
        self.turn = self.turn.wrapping_add(1);
        self.heap.push(Entry { due_us, turn: self.turn, item });
        true
    }

    pub(super) fn pop_due(&mut self, now_us: i64) -> Option<Item> {
        let due = self.heap.peek().is_some_and(|e| e.due_us <= now_us);
        if due { self.heap.pop().map(|e| e.item) } else { None }
    }

    pub(super) fn next_us(&self) -> Option<i64> {
        self.heap.peek().map(|e| e.due_us)
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}

//! What is frozen: a freeze counts from the moment it is received, the ledger has the last word.

use crate::time::MeshTimeUs;
use mesh30k_ledger::ops::freeze::FreezeOrder;
use mesh30k_ledger::types::{AgentId, ClusterId, Height, Scope, TimeMs, TxId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Orders kept that the ledger does not have yet. Each took the operators' signatures, so there are few.
pub const MAX_PENDING_ORDERS: usize = 256;
/// Ids of orders known to be on the ledger, so that a late copy by gossip is not taken for a new one.
pub const MAX_SETTLED_ORDERS: usize = 4_096;
/// A thaw that the ledger has not recorded after ten minutes lapses, and what it lifted is frozen again.
pub const PENDING_THAW_US: i64 = 600_000_000;

/// One frozen part of the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// What is frozen.
    pub scope: Scope,
    /// Why.
    pub reason: String,
    /// When it ends by itself.
    pub until: TimeMs,
}

/// What an order, or the ledger, changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// Known already.
    Known,
    /// Taken in.
    New,
}

#[derive(Clone, Debug)]
struct Pending {
    order: FreezeOrder,
    received: MeshTimeUs,
}

/// What is frozen, from orders as they are received and from the ledger as it becomes final.
///
/// Orders that the ledger has not recorded count in the order in which they came, over what the ledger says; once recorded
/// they are forgotten, and the ledger's word counts.
#[derive(Clone, Debug, Default)]
pub struct FreezeBoard {
    recorded: BTreeMap<Scope, Frozen>,
    height: Height,
    pending: VecDeque<Pending>,
    settled: BTreeSet<TxId>,
    settled_order: VecDeque<TxId>,
    dropped: u64,
}

fn end_us(until: TimeMs) -> MeshTimeUs {
    MeshTimeUs(i64::try_from(until.0).unwrap_or(i64::MAX).saturating_mul(1_000))
}

impl Pending {
    fn ends(&self) -> MeshTimeUs {
        self.order.until.map_or(self.received.plus_us(PENDING_THAW_US), end_us)
    }
}

impl FreezeBoard {
    /// Nothing is frozen.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Obeys a verified order on receipt. One that was seen before, here or on the ledger, changes nothing.
    pub fn on_order(&mut self, order: FreezeOrder, now: MeshTimeUs) -> Merged {
        if self.settled.contains(&order.id) || self.pending.iter().any(|pending| pending.order.id == order.id) {
            return Merged::Known;
        }
        self.pending.retain(|pending| pending.ends() > now);
        if self.pending.len() >= MAX_PENDING_ORDERS {
            self.pending.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        self.pending.push_back(Pending { order, received: now });
        Merged::New
    }

    /// Takes in what the ledger says at a final `height`: every freeze in force, and the orders recorded since the last
    /// call (freezes and thaws). An older height than the last one changes nothing.
    pub fn on_ledger(
        &mut self,
        height: Height,
        active: impl IntoIterator<Item = Frozen>,
        recorded: impl IntoIterator<Item = TxId>,
    ) -> Merged {
        // An order is settled whenever it is known to be on the ledger, whatever the height.
        recorded.into_iter().for_each(|id| self.settle(id));
        if height < self.height {
            return Merged::Known;
        }
        self.height = height;
        self.recorded = active.into_iter().map(|frozen| (frozen.scope, frozen)).collect();
        Merged::New
    }

    /// Whether an agent is frozen at `now`, by itself or by what it is part of.
    #[must_use]
    pub fn is_frozen(&self, agent: AgentId, cluster: ClusterId, now: MeshTimeUs) -> bool {
        self.why(agent, cluster, now).is_some()
    }

    /// The widest freeze that reaches an agent at `now`.
    #[must_use]
    pub fn why(&self, agent: AgentId, cluster: ClusterId, now: MeshTimeUs) -> Option<Frozen> {
        [Scope::Global, Scope::Sector(cluster.sector), Scope::Cluster(cluster), Scope::Agent(agent)]
            .into_iter()
            .find_map(|scope| self.scope(scope, now))
    }

    /// Whether exactly this scope is frozen at `now`.
    #[must_use]
    pub fn scope(&self, scope: Scope, now: MeshTimeUs) -> Option<Frozen> {
        let last = self.pending.iter().rev().find(|p| p.order.scope == scope && p.ends() > now);
        if let Some(Pending { order, .. }) = last {
            return order.until.map(|until| Frozen { scope, reason: order.reason.clone(), until });
        }
        self.recorded.get(&scope).filter(|frozen| end_us(frozen.until) > now).cloned()
    }

    /// Everything frozen at `now`, by scope.
    #[must_use]
    pub fn list(&self, now: MeshTimeUs) -> Vec<Frozen> {
        let scopes: BTreeSet<Scope> =
            self.recorded.keys().copied().chain(self.pending.iter().map(|pending| pending.order.scope)).collect();
        scopes.into_iter().filter_map(|scope| self.scope(scope, now)).collect()
    }

    /// When a freeze or a pending thaw ends next, if nothing else happens.
    #[must_use]
    pub fn next_change(&self, now: MeshTimeUs) -> Option<MeshTimeUs> {
        let recorded = self.recorded.values().map(|frozen| end_us(frozen.until));
        recorded.chain(self.pending.iter().map(Pending::ends)).filter(|end| *end > now).min()
    }

    /// Pending orders dropped for want of room.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn settle(&mut self, id: TxId) {
        self.pending.retain(|pending| pending.order.id != id);
        if self.settled.insert(id) {
            self.settled_order.push_back(id);
        }
        if self.settled_order.len() > MAX_SETTLED_ORDERS
            && let Some(oldest) = self.settled_order.pop_front()
        {
            self.settled.remove(&oldest);
        }
    }
}

/// What is to happen to an agent of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FreezeAction {
    /// Finish nothing, start nothing, checkpoint.
    Pause {
        /// The agent.
        agent: AgentId,
        /// By which freeze.
        by: Frozen,
    },
    /// Go on.
    Resume {
        /// The agent.
        agent: AgentId,
    },
}

/// Watches the agents that this node hosts: says who is to pause and who may go on, each once.
#[derive(Clone, Debug, Default)]
pub struct FreezeWatch {
    hosted: BTreeMap<AgentId, ClusterId>,
    paused: BTreeSet<AgentId>,
}

impl FreezeWatch {
    /// Watches nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the agents of this node and their clusters.
    pub fn set_hosted(&mut self, hosted: BTreeMap<AgentId, ClusterId>) {
        self.paused.retain(|agent| hosted.contains_key(agent));
        self.hosted = hosted;
    }

    /// Call after every change of the board, of the hosted agents, and at [`FreezeBoard::next_change`].
    pub fn update(&mut self, board: &FreezeBoard, now: MeshTimeUs) -> Vec<FreezeAction> {
        let mut actions = Vec::new();
        for (agent, cluster) in &self.hosted {
            match board.why(*agent, *cluster, now) {
                Some(by) if self.paused.insert(*agent) => actions.push(FreezeAction::Pause { agent: *agent, by }),
                None if self.paused.remove(agent) => actions.push(FreezeAction::Resume { agent: *agent }),
                _ => {}
            }
        }
        actions
    }

    /// The agents that are paused.
    #[must_use]
    pub const fn paused(&self) -> &BTreeSet<AgentId> {
        &self.paused
    }
}

#[cfg(test)]
mod tests;

//! What operators do when too many validators are lost, with the machines of the simulation.

use std::sync::Arc;

use mesh30k_chain::{LedgerStore, Restart, SignedRestart, SignedStatement, make_statement, obey};
use mesh30k_consensus::finality::HaltCause;
use mesh30k_consensus::group::GroupId;
use mesh30k_consensus::raft::{Durability, RaftLog};
use mesh30k_consensus::storage::KvStore;
use mesh30k_ledger::finality::ValidatorSet;
use mesh30k_ledger::query;
use mesh30k_ledger::types::{NodeId, TimeMs};

use super::genesis::{START_MS, key, validator_key};
use super::ink::Ink;
use super::now_ms;
use super::process::open_sign_log;
use super::world::World;

/// The disk and the sign-log of a machine whose process has ended.
struct Stopped {
    kv: Arc<dyn KvStore>,
    store: LedgerStore,
    ink: Ink,
}

impl World {
    /// The machine burns.
    pub async fn lose(&mut self, node: NodeId) {
        self.crash(node).await;
        self.hosts.get_mut(&node).unwrap().refuses = true;
        self.tell(format!("{node} is lost"));
    }

    /// It did not burn after all.
    pub async fn find(&mut self, node: NodeId) {
        self.hosts.get_mut(&node).unwrap().refuses = false;
        self.restart(node).await;
    }

    fn stopped(&self, node: NodeId) -> Stopped {
        let host = &self.hosts[&node];
        let kv: Arc<dyn KvStore> = Arc::new(host.disk.open());
        Stopped { store: LedgerStore::new(Arc::clone(&kv)), kv, ink: Ink::Kept(host.ink.clone()) }
    }

    /// A stopped validator's last word.
    pub fn statement(&self, node: NodeId) -> SignedStatement {
        let Stopped { kv, store, ink } = self.stopped(node);
        let (epoch, round) = (query::epoch(&store).unwrap(), query::tip(&store).unwrap().round);
        let log = RaftLog::open(kv, GroupId::global(epoch.0, round.0), Durability::Synced).unwrap();
        let tip = store.final_tip().unwrap().unwrap();
        let mut sign_log = open_sign_log(node, &store, ink, &tip).unwrap().unwrap();
        make_statement(&store, &log, &mut sign_log, node, &validator_key(node.0)).unwrap()
    }

    /// The order for these, signed by two of the three operators.
    pub fn order(&self, statements: Vec<SignedStatement>) -> SignedRestart {
        let store = self.stopped(statements[0].statement.node).store;
        let old = query::validator_set(&store).unwrap();
        let stays = |node: NodeId| statements.iter().any(|one| one.statement.node == node);
        let new = ValidatorSet(old.0.iter().copied().filter(|seat| stays(seat.node)).collect());
        let at = (query::epoch(&store).unwrap(), query::tip(&store).unwrap().round);
        let context = query::context(&store).unwrap();
        let until = TimeMs(START_MS + now_ms() + 60_000);
        let order = Restart::compose(context, statements, &old, new, at, until).unwrap();
        let signatures = [0, 2].map(|n| order.sign(&key("operator", n))).to_vec();
        SignedRestart { order, signatures }
    }

    /// Stops these, lets the operators order, carries it out everywhere and starts again.
    pub async fn recover(&mut self, nodes: &[NodeId], halted: Option<HaltCause>) {
        for node in nodes {
            self.crash(*node).await;
        }
        let statements = nodes.iter().map(|node| self.statement(*node)).collect();
        let signed = self.order(statements);
        let now = TimeMs(START_MS + now_ms());
        for node in nodes {
            let store = self.stopped(*node).store;
            let tip = obey(&store, &signed, halted, now).unwrap();
            assert_eq!(obey(&store, &signed, halted, now).unwrap(), tip, "once more changes nothing");
            self.hosts[node].disk.flush();
        }
        self.common.truth.lock().unwrap().on_restart(signed.order.epoch, signed.order.validators.clone());
        *self.common.order.lock().unwrap() = Some(signed);
        for node in nodes {
            self.restart(*node).await;
        }
    }
}

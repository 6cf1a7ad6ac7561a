//! The mesh of several nodes in one process: real gossip, lanes and Raft over memory, a ledger without a chain.

pub(super) mod until;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use mesh30k_ledger::ops::Operation;
use mesh30k_ledger::ops::freeze::{Freeze, Thaw};
use mesh30k_ledger::types::{ClusterId, NodeId, Scope, SectorId, TimeMs};

use super::{FreezeError, FreezeHandle, MeshHandle};
use until::until;
use world::{AGENTS_EACH, TestNode, World};

const SECTOR: SectorId = SectorId(0);
const CLUSTER: ClusterId = ClusterId { sector: SECTOR, index: 0 };
/// Nodes 1 to 4 host agents; the first three are voters of the sector. Node 5 hosts nobody.
const HOSTS: u64 = 4;

fn active_in(mesh: &MeshHandle) -> usize {
    mesh.tree_now().sectors.first().map_or(0, |sector| sector.active)
}

fn agreed_coordinator<'a>(nodes: impl IntoIterator<Item = &'a TestNode>) -> Option<(u64, NodeId)> {
    let words: Option<BTreeSet<_>> = nodes.into_iter().map(|node| node.handle().coordinator_of(SECTOR)).collect();
    let words = words?;
    words.first().filter(|_| words.len() == 1).map(|word| (word.term, word.node))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sector_forms_beats_arrive_everywhere_and_a_lost_coordinator_is_replaced() {
    let world = World::new(5, HOSTS);
    let mut nodes = world.start().await;
    let all = usize::try_from(HOSTS).unwrap() * AGENTS_EACH;
    let forming = Duration::from_secs(15);
    until("one coordinator, known to all", forming, || agreed_coordinator(&nodes).is_some()).await;
    until("every kept copy shows every agent active", forming, || {
        nodes.iter().take(4).all(|node| active_in(node.handle()) == all)
    })
    .await;
    until("everybody who keeps the sector knows one lead", forming, || {
        let leads: BTreeSet<_> = nodes.iter().take(4).map(|node| node.handle().lead_of(CLUSTER)).collect();
        leads.len() == 1 && !leads.contains(&None)
    })
    .await;
    until("all are ready", forming, || nodes.iter().all(|node| node.handle().not_ready().is_empty())).await;
    let outsider = nodes.last().unwrap().handle().tree().await;
    assert_eq!(outsider.sectors.first().map(|sector| sector.active), Some(all), "a node that keeps nothing asks");

    let (term, dead) = agreed_coordinator(&nodes).unwrap();
    let position = nodes.iter().position(|node| node.handle().me() == dead).unwrap();
    let witness = nodes.iter().position(|node| node.handle().me() == NodeId(4)).unwrap();
    let heard = nodes[witness].handle().sectors().committed(SECTOR, NodeId(4));
    nodes.remove(position).crash().await;
    until("another one coordinates in a later term", Duration::from_secs(15), || {
        agreed_coordinator(&nodes).is_some_and(|(later, node)| later > term && node != dead)
    })
    .await;
    until("a living node leads the cluster again, and beats go on", Duration::from_secs(20), || {
        nodes.iter().filter(|node| node.handle().me() != NodeId(5)).all(|node| {
            let mesh = node.handle();
            mesh.lead_of(CLUSTER).is_some_and(|(lead, _)| lead != dead)
                && mesh.sectors().committed(SECTOR, NodeId(4)) > heard
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_is_obeyed_everywhere_on_receipt_and_a_thaw_lifts_it() {
    let world = World::new(3, 3);
    let nodes = world.start().await;
    until("all know the time and a coordinator", Duration::from_secs(15), || {
        nodes.iter().all(|node| node.handle().clock().is_synced()) && agreed_coordinator(&nodes).is_some()
    })
    .await;
    let is_frozen = |node: &TestNode| {
        let mesh = node.handle();
        mesh.freezes().view().covers(Scope::Cluster(CLUSTER), mesh.now())
    };
    let until_ms = TimeMs(crate::clock::wall_ms() + 60_000);
    let (scope, reason) = (Scope::Sector(SECTOR), "drill".to_owned());
    let freeze = Operation::Freeze(Freeze { scope, reason: reason.clone(), until: until_ms });
    let signed = world.signed(freeze, 0);
    assert!(FreezeHandle::is_order(&signed));
    nodes[0].handle().freezes().submit(signed.clone()).unwrap();
    assert!(is_frozen(&nodes[0]), "in force where it was given, before anything else");
    until("the freeze reaches everybody", Duration::from_secs(3), || nodes.iter().all(is_frozen)).await;
    let thaw = world.signed(Operation::Thaw(Thaw { scope, reason: reason.clone() }), 1);
    nodes[1].handle().freezes().submit(thaw).unwrap();
    until("the thaw reaches everybody", Duration::from_secs(3), || nodes.iter().all(|node| !is_frozen(node))).await;
    let _ = nodes[2].handle().freezes().on_gossip(&signed.to_bytes());
    assert!(!is_frozen(&nodes[2]), "an order that the ledger has is not obeyed again");
    let stranger = world.signed_by_stranger(Operation::Thaw(Thaw { scope, reason }));
    let refused = nodes[0].handle().freezes().submit(stranger);
    assert!(matches!(refused, Err(FreezeError::Order(_))), "{refused:?}");
}

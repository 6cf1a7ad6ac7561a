//! Four validators and an observer in one process, on the in-memory network: what makes a ledger of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::time::Duration;

use fixture::{Mesh, transfer};
use mesh30k_ledger::query;
use mesh30k_ledger::types::Uftns;
use mesh30k_node::ledger::TxStatus;

const FINAL: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_handed_in_at_an_observer_becomes_final_everywhere_with_a_receipt() {
    let mesh = Mesh::start(4, 1).await;
    let signed = transfer(&mesh, 0, Uftns::ftns(3));
    let observer = mesh.nodes.last().unwrap();
    let id = observer.ledger.submit(signed).unwrap();
    for node in &mesh.nodes {
        let status = node.ledger.wait_final(&id, FINAL).await.unwrap();
        assert!(matches!(&status, TxStatus::Final(_, outcome) if outcome.is_executed()), "{status:?}");
        let balance = node.ledger.read(|state| query::account(state, &mesh.bob())).unwrap().unwrap().balance;
        assert_eq!(balance, fixture::BALANCE.checked_add(Uftns::ftns(3)).unwrap());
    }
    let receipt = observer.ledger.receipt(&id).unwrap().unwrap();
    receipt.verify(&mesh.genesis).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_goes_on_when_its_leader_is_gone() {
    let mut mesh = Mesh::start(4, 0).await;
    let first = mesh.nodes[0].ledger.submit(transfer(&mesh, 0, Uftns::ftns(1))).unwrap();
    mesh.nodes[0].ledger.wait_final(&first, FINAL).await.unwrap();
    let leader = mesh.nodes[0].ledger.chain_status().leader.unwrap();
    let gone = mesh.nodes.remove(usize::try_from(leader.0).unwrap() - 1);
    gone.control.shutdown().await;
    drop(gone);
    let second = transfer(&mesh, 1, Uftns::ftns(1));
    let id = mesh.nodes[0].ledger.submit(second).unwrap();
    for node in &mesh.nodes {
        let status = node.ledger.wait_final(&id, FINAL).await.unwrap();
        assert!(matches!(status, TxStatus::Final(..)), "{status:?}");
    }
}

//! Four validators and an observer in one process, on the in-memory network: what makes a ledger of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;
mod sources;

use std::time::Duration;

use fixture::{Mesh, SNAPSHOT_AFTER_BLOCKS, transfer};
use mesh30k_ledger::query;
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{Height, NodeId, Uftns};
use mesh30k_node::ledger::{EvidenceSort, EvidenceState, SubmitError, TxStatus};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_judged_one_by_one_and_becomes_final() {
    let mesh = Mesh::start(4, 1).await;
    let observer = mesh.nodes.last().unwrap();
    let mut batch: Vec<_> = (0..40).map(|nonce| transfer(&mesh, nonce, Uftns::ftns(1))).collect();
    // Its turn comes after the others', but nobody signed it.
    let mut forged = transfer(&mesh, 41, Uftns::ftns(1));
    forged.signatures[0].signature = batch[0].signatures[0].signature;
    batch.insert(7, forged);
    let mut answers = observer.ledger.admit(batch).await.unwrap();
    let refused = answers.remove(7);
    assert!(matches!(refused, Err(SubmitError::Rejected(Rejection::BadSignature(_)))), "{refused:?}");
    let ids: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let done = observer.ledger.wait_all(ids.clone(), FINAL).await;
    assert!(done.len() == 40 && done.iter().all(|(_, outcome)| outcome.is_executed()), "{done:?}");
    let last = observer.ledger.wait_final(ids.last().unwrap(), FINAL).await.unwrap();
    assert!(matches!(last, TxStatus::Final(..)), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_that_is_far_behind_begins_with_a_snapshot_and_follows_from_there() {
    let mut mesh = Mesh::start(4, 0).await;
    let paid = SNAPSHOT_AFTER_BLOCKS + 2;
    for nonce in 0..paid {
        let id = mesh.nodes[0].ledger.submit(transfer(&mesh, nonce, Uftns::ftns(1))).unwrap();
        for node in &mesh.nodes {
            node.ledger.wait_final(&id, FINAL).await.unwrap();
        }
    }
    mesh.join().await;
    let newcomer = &mesh.nodes.last().unwrap().ledger;
    let mut finals = newcomer.finals();
    let arrived = finals.wait_for(|tip| tip.height.0 > SNAPSHOT_AFTER_BLOCKS);
    let begun = tokio::time::timeout(FINAL, arrived).await.unwrap().unwrap().height;
    assert!(newcomer.store().block(Height(1)).unwrap().is_none(), "it has the history, tip {begun}");
    let id = newcomer.submit(transfer(&mesh, paid, Uftns::ftns(1))).unwrap();
    newcomer.wait_final(&id, FINAL).await.unwrap();
    let of = |node: &mesh30k_node::foundation::Foundation| {
        node.ledger.read(|state| query::account(state, &mesh.bob())).unwrap().unwrap().balance
    };
    assert_eq!(of(mesh.nodes.last().unwrap()), fixture::BALANCE.checked_add(Uftns::ftns(paid + 1)).unwrap());
}

/// Node 4 signs two votes at one height. Whoever hears both keeps them; one of the others pays for bringing them in, and the chain goes
/// on with an offender that is locked out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_votes_twice_is_brought_before_the_ledger_by_the_others() {
    let mesh = Mesh::start(4, 1).await;
    let id = mesh.nodes[0].ledger.submit(transfer(&mesh, 0, Uftns::ftns(1))).unwrap();
    mesh.nodes[0].ledger.wait_final(&id, FINAL).await.unwrap();
    mesh.vote_twice(3, Height(40));

    let offender = mesh.genesis.validators.0[3].account;
    for node in &mesh.nodes[..3] {
        let mut finals = node.ledger.finals();
        let jailed = || node.ledger.read(|state| query::jail(state, &offender)).unwrap().is_some();
        // A node may hear of the punishment before it has heard both votes itself.
        let punished = || node.ledger.evidence().iter().any(|row| matches!(row.state, EvidenceState::Punished(_)));
        let wait = async {
            while !jailed() || !punished() {
                finals.changed().await.unwrap()
            }
        };
        tokio::time::timeout(FINAL, wait).await.expect("nobody brought the evidence in");
        let rows = node.ledger.evidence();
        assert!(rows.iter().all(|row| row.height == Height(40) && row.culprit == Some(NodeId(4))), "{rows:?}");
        assert!(matches!(rows[0].state, EvidenceState::Punished(_)), "{rows:?}");
        assert_eq!(rows[0].sort, EvidenceSort::DoubleVote);
    }
    let submitted: u64 =
        mesh.nodes.iter().map(|node| node.ledger.evidence().iter().map(|row| u64::from(row.tries)).sum::<u64>()).sum();
    assert_eq!(submitted, 1, "one pays the fee");
    // The chain goes on, and what is kept outlives the process.
    let id = mesh.nodes[1].ledger.submit(transfer(&mesh, 1, Uftns::ftns(1))).unwrap();
    assert!(matches!(mesh.nodes[4].ledger.wait_final(&id, FINAL).await.unwrap(), TxStatus::Final(..)));
    assert!(mesh.home(0).join("evidence.json").exists());
}

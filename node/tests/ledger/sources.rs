//! A snapshot from several peers, of which one lies and one is gone half-way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh30k_consensus::finality::snapshot::Manifest;
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::types::{Height, Uftns};
use mesh30k_node::lanes;
use mesh30k_node::ledger::{SyncAnswer, SyncRequest};
use mesh30k_p2p::{Control, PeerId};
use tokio::sync::Notify;

use super::FINAL;
use super::fixture::{Mesh, SNAPSHOT_AFTER_BLOCKS, bare_peer, connect, crowd, transfer};

const BYTES_MAX: usize = 4 << 20;
/// Far more than there are in the test: every validator makes its snapshot once.
const MADE_ANEW_AFTER_BLOCKS: u64 = 4_000;
const ANSWER: Duration = Duration::from_secs(10);

/// How a peer gives away what it has from a validator.
enum Conduct {
    /// Every chunk has one other byte.
    Lies,
    /// It sends one chunk, tells so, waits until it may, and is gone.
    Vanishes { sent: Arc<Notify>, may: Arc<Notify> },
}

/// Answers the sync lane with a validator's answers.
async fn pretend(control: Control, validator: PeerId, conduct: Conduct) {
    let mut inbox = control.accept(lanes::SYNC).unwrap();
    while let Some(inbound) = inbox.recv().await {
        let is_chunk = matches!(decode(&inbound.body, BYTES_MAX), Ok(SyncRequest::Chunk { .. }));
        let answer = control.request(validator, lanes::SYNC, inbound.body, ANSWER).await.unwrap();
        let reply = inbound.reply.unwrap();
        match &conduct {
            Conduct::Lies if is_chunk => {
                let mut bytes = answer.to_vec();
                *bytes.last_mut().unwrap() ^= 1;
                reply.send(Bytes::from(bytes));
            }
            Conduct::Vanishes { sent, may } if is_chunk => {
                reply.send(answer);
                sent.notify_one();
                may.notified().await;
                control.shutdown().await;
                return;
            }
            _ => reply.send(answer),
        }
    }
}

async fn manifest_of(control: &Control, validator: PeerId) -> Manifest {
    let body = Bytes::from(encode(&SyncRequest::Manifest));
    let answer = control.request(validator, lanes::SYNC, body, ANSWER).await.unwrap();
    match decode(&answer, BYTES_MAX).unwrap() {
        SyncAnswer::Manifest(bytes) => Manifest::decode(&bytes).unwrap(),
        other => panic!("no manifest but {other:?}"),
    }
}

fn chunks(mesh: &Mesh, outcome: &str) -> usize {
    let text = mesh.metrics.last().unwrap().encode(None).unwrap();
    let name = format!("mesh30k_sync_chunks_total{{outcome=\"{outcome}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |number| number.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_comes_from_several_peers_though_one_lies_and_one_is_gone_half_way() {
    // Few, so that others are asked as well, whoever is connected first.
    let mut mesh = Mesh::start_with(2, 0, crowd(14_000), MADE_ANEW_AFTER_BLOCKS).await;
    for nonce in 0..SNAPSHOT_AFTER_BLOCKS + 2 {
        let id = mesh.nodes[0].ledger.submit(transfer(&mesh, nonce, Uftns::ftns(1))).unwrap();
        for node in &mesh.nodes {
            node.ledger.wait_final(&id, FINAL).await.unwrap();
        }
    }
    let (liar, vanisher) = (bare_peer(&mesh, 50).await, bare_peer(&mesh, 51).await);
    let validators: Vec<PeerId> = mesh.nodes.iter().map(|node| node.control.local_peer_id()).collect();
    let manifests = futures::future::join_all(validators.iter().map(|peer| manifest_of(&liar, *peer))).await;
    let content = manifests[0].content();
    assert!(manifests.iter().all(|one| one.content() == content), "a block came between them");
    let (height, all) = (manifests[0].height(), manifests[0].chunks.len());
    assert!(all >= 7, "{all} chunks");

    let (sent, may) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let conduct = Conduct::Vanishes { sent: Arc::clone(&sent), may: Arc::clone(&may) };
    tokio::spawn(pretend(liar.clone(), validators[0], Conduct::Lies));
    tokio::spawn(pretend(vanisher.clone(), validators[0], conduct));
    mesh.join_alone().await;
    let newcomer = mesh.nodes.last().unwrap();
    connect(&newcomer.control, &liar);
    connect(&newcomer.control, &vanisher);
    tokio::time::timeout(FINAL, sent.notified()).await.expect("nothing was asked of the peers that there are");
    let arrived = async {
        while chunks(&mesh, "kept") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(FINAL, arrived).await.expect("no chunk was kept");
    mesh.introduce_last();
    may.notify_one();

    let mut finals = newcomer.ledger.finals();
    tokio::time::timeout(FINAL, finals.wait_for(|tip| tip.height >= height)).await.unwrap().unwrap();
    assert!(newcomer.ledger.store().block(Height(1)).unwrap().is_none(), "it has the history");
    assert_eq!(chunks(&mesh, "kept"), all, "what came before one was gone stayed");
    assert!(chunks(&mesh, "wrong") >= 1, "the liar was not found out");
    let served: u64 = mesh.metrics[..2].iter().map(|metrics| metrics.sync_chunks_served.get()).sum();
    assert!(served >= (all + chunks(&mesh, "wrong")) as u64, "{served} served: what was changed on the way, too");
}

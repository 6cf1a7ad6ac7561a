//! Dialling, finding, losing and refusing peers.

use bytes::Bytes;
use mesh30k_p2p::{Direction, Event, Lane, Refusal, RequestError, SpawnError, TransportKind, spawn};
use std::time::Duration;

use crate::support::{BOTH, Node, PATIENCE, config, connect, eventually, free_tcp_address, pair, start};

#[tokio::test]
async fn simultaneous_dials_end_in_one_connection_that_works() {
    for round in 0..6_u8 {
        for kind in BOTH {
            let (mut a, mut b) = (Node::new(100 + 2 * round, kind).await, Node::new(101 + 2 * round, kind).await);
            let (to_a, to_b) = (a.full_address(), b.full_address());
            let _ = futures::future::join(a.control.dial(to_b), b.control.dial(to_a)).await;
            a.up(b.id()).await;
            b.up(a.id()).await;
            let of = |node: &Node| node.control.peers().first().map(|p| (p.connections, p.direction));
            eventually(
                "one connection, seen alike",
                || matches!((of(&a), of(&b)), (Some((1, x)), Some((1, y))) if x != y),
            )
            .await;
            let mut inbox = b.control.accept(Lane::EVENT).unwrap();
            a.control.notify(b.id(), Lane::EVENT, Bytes::from_static(b"works")).unwrap();
            assert_eq!(inbox.recv().await.unwrap().body, Bytes::from_static(b"works"));
            let closed = a.control.counters().node.duplicates_closed + b.control.counters().node.duplicates_closed;
            if closed > 0 {
                let smaller = if a.id() < b.id() { &a } else { &b };
                assert_eq!(of(smaller).unwrap().1, Direction::Outbound);
            }
        }
    }
}

#[tokio::test]
async fn a_bootstrap_address_is_tried_until_somebody_is_there() {
    let address = free_tcp_address();
    let mut early = config(1, TransportKind::Net);
    early.bootstrap = vec![address.clone()];
    let mut early = start(early).await;
    eventually("a first dial failed", || early.control.counters().node.dial_failures > 0).await;
    let mut late = config(2, TransportKind::Net);
    late.listen = vec![address];
    let late = start(late).await;
    early.up(late.id()).await;
}

#[tokio::test]
async fn a_reserved_peer_is_reconnected_and_its_lanes_with_it() {
    let address = free_tcp_address();
    let server = || {
        let mut server = config(2, TransportKind::Net);
        server.listen = vec![address.clone()];
        server
    };
    let (mut a, mut b) = (Node::new(1, TransportKind::Net).await, start(server()).await);
    let b_id = b.id();
    a.control.reserve(b_id, vec![address.clone()]).unwrap();
    a.up(b_id).await;
    b.up(a.id()).await;
    assert!(a.control.peers()[0].reserved);
    for _ in 0..2 {
        let mut inbox = b.control.accept(Lane::EVENT).unwrap();
        let (control, body) = (a.control.clone(), Bytes::from_static(b"hi"));
        let asked = tokio::spawn(async move {
            loop {
                match control.request(b_id, Lane::EVENT, body.clone(), PATIENCE).await {
                    // The lane may still be in the pause after the refusal before the service began.
                    Err(RequestError::Unsupported { .. } | RequestError::Unreachable { .. }) => {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    other => return other,
                }
            }
        });
        let inbound = tokio::time::timeout(PATIENCE, inbox.recv()).await.expect("never asked").unwrap();
        inbound.reply.unwrap().send(inbound.body);
        let answer = tokio::time::timeout(PATIENCE, asked).await.expect("no answer").unwrap();
        assert_eq!(answer.unwrap(), Bytes::from_static(b"hi"));
        b.control.shutdown().await;
        a.down(b_id).await;
        b = start(server()).await;
        a.up(b_id).await;
    }
}

#[tokio::test]
async fn nodes_that_know_one_node_find_each_other() {
    let discovering = |n: u8| {
        let mut config = config(n, TransportKind::Memory);
        config.wanted_peers = 4;
        config.timing.discovery = Duration::from_millis(100);
        config
    };
    let hub = start(discovering(1)).await;
    let mut nodes = Vec::new();
    for n in 2..=5 {
        let mut config = discovering(n);
        config.bootstrap = vec![hub.address.clone()];
        nodes.push(start(config).await);
    }
    nodes.push(hub);
    for node in &nodes {
        eventually("everybody is connected to all four others", || node.control.peers().len() == 4).await;
    }
}

#[tokio::test]
async fn a_peer_of_another_chain_is_disconnected_with_the_reason_and_counted() {
    let mut ours = Node::new(1, TransportKind::Memory).await;
    let mut other = config(2, TransportKind::Memory);
    other.chain = "other".to_owned();
    let mut theirs = start(other).await;
    theirs.control.dial(ours.full_address()).await.unwrap();
    // Whoever hears first hangs up; the other may not have heard by then.
    let refused = |event| match event {
        Event::PeerRefused { reason, .. } => Some(reason),
        Event::PeerUp { .. } => panic!("a foreign peer was announced"),
        _ => None,
    };
    let (first, heard) = tokio::select! {
        reason = ours.until(refused) => (&ours, (reason, "/mesh30k/other/1")),
        reason = theirs.until(refused) => (&theirs, (reason, "/mesh30k/test/1")),
    };
    assert_eq!(heard.0, Refusal::ForeignChain { theirs: heard.1.to_owned() });
    assert_eq!(first.control.counters().node.foreign_chain, 1);
    let other = if first.id() == ours.id() { &theirs } else { &ours };
    assert!(first.control.dial(other.full_address()).await.is_err(), "a refused peer is not dialled");
    assert!(ours.control.peers().is_empty() && theirs.control.peers().is_empty());
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused() {
    let mut small = config(1, TransportKind::Memory);
    small.limits.inbound_max = 1;
    let (mut small, mut first, second) =
        (start(small).await, Node::new(2, TransportKind::Memory).await, Node::new(3, TransportKind::Memory).await);
    connect(&mut first, &mut small).await;
    let _ = second.control.dial(small.full_address()).await;
    eventually("the second is refused", || small.control.counters().node.inbound_failures == 1).await;
    assert_eq!(small.control.peers().len(), 1);
    assert!(small.control.is_connected(&first.id()));
}

#[tokio::test]
async fn a_shutdown_ends_everything_and_the_others_notice() {
    let (mut a, mut b) = pair(TransportKind::Net).await;
    let (a_id, mut inbox) = (a.id(), a.control.accept(Lane::EVENT).unwrap());
    a.control.shutdown().await;
    b.down(a_id).await;
    assert!(inbox.recv().await.is_none());
    while a.events.recv().await.is_some() {}
    let closed = a.control.request(b.id(), Lane::EVENT, Bytes::new(), PATIENCE).await;
    assert_eq!(closed, Err(RequestError::Closed));
    assert!(a.control.dial(b.full_address()).await.is_err());
}

#[tokio::test]
async fn dropping_the_last_handle_shuts_down() {
    let (a, mut b) = pair(TransportKind::Memory).await;
    let id = a.id();
    drop(a);
    b.down(id).await;
}

#[tokio::test]
async fn a_port_in_use_and_a_bad_chain_name_are_refused_at_the_start() {
    let taken = Node::new(1, TransportKind::Net).await;
    let mut second = config(2, TransportKind::Net);
    second.listen = vec![taken.address.clone()];
    assert!(matches!(spawn(second), Err(SpawnError::Listen { address, .. }) if address == taken.address));
    let mut odd = config(2, TransportKind::Net);
    odd.chain = "a/b".to_owned();
    assert!(matches!(spawn(odd), Err(SpawnError::ChainName { .. })));
}

#[tokio::test]
async fn pings_measure_and_metrics_show() {
    let mut pinging = config(1, TransportKind::Net);
    pinging.timing.ping_interval = Duration::from_millis(50);
    let (mut a, mut b) = (start(pinging).await, Node::new(2, TransportKind::Net).await);
    connect(&mut a, &mut b).await;
    eventually("a round trip is known", || a.control.peers()[0].rtt.is_some()).await;
    let mut inbox = b.control.accept(Lane::EVENT).unwrap();
    a.control.notify(b.id(), Lane::EVENT, Bytes::from_static(b"x")).unwrap();
    inbox.recv().await.unwrap();
    let text = a.control.metrics_text();
    for line in
        ["mesh30k_p2p_foreign_chain_total 0", "mesh30k_p2p_lane_frames_out_total{lane=\"event\"} 1", "libp2p_ping_rtt"]
    {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

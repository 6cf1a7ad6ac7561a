//! Gossip waits for verdicts, spreads what is accepted and nothing else.

use std::time::Duration;

use bytes::Bytes;
use mesh30k_p2p::{CommandError, Event, MAX_GOSSIP_BYTES, PublishError, Token, TransportKind, Verdict};

use crate::support::{BOTH, Node, PATIENCE, connect, eventually, pair};

async fn message(node: &mut Node) -> (Bytes, Token) {
    node.until(|event| match event {
        Event::Gossip { topic, data, token, .. } => {
            assert_eq!(topic, "block");
            Some((data, token))
        }
        _ => None,
    })
    .await
}

/// Publishes until somebody is there to take it: subscriptions travel after the connection stands.
async fn publish(node: &Node, data: &Bytes) {
    let published = async {
        loop {
            match node.control.publish_checked("block", data.clone()).await {
                Ok(()) => return,
                Err(PublishError::Gossip(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(other) => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, published).await.expect("nobody takes it");
}

/// Five nodes in a line, so that every message is relayed by those in between.
async fn line(kind: TransportKind) -> Vec<Node> {
    let mut nodes = Vec::new();
    for n in 1..=5 {
        let node = Node::new(n, kind).await;
        node.control.subscribe("block").await.unwrap();
        nodes.push(node);
    }
    for n in 0..4 {
        let (left, right) = nodes.split_at_mut(n + 1);
        connect(&mut left[n], &mut right[0]).await;
    }
    nodes
}

#[tokio::test]
async fn accepted_messages_pass_along_a_line_and_rejected_ones_stop_at_the_first() {
    for kind in BOTH {
        let mut nodes = line(kind).await;
        let (bad, good) = (Bytes::from_static(b"bad"), Bytes::from_static(b"good"));
        publish(&nodes[0], &bad).await;
        publish(&nodes[0], &good).await;
        for node in &mut nodes[1..] {
            loop {
                let (data, token) = message(node).await;
                if data == good {
                    node.control.validate(token, Verdict::Accept).unwrap();
                    break;
                }
                node.control.validate(token, Verdict::Reject).unwrap();
            }
        }
        let received: Vec<_> = nodes.iter().map(|n| n.control.counters().node.gossip_received).collect();
        let rejected: Vec<_> = nodes.iter().map(|n| n.control.counters().node.gossip_rejected).collect();
        assert_eq!(received, [0, 2, 1, 1, 1], "{kind:?}");
        assert_eq!(rejected, [0, 1, 0, 0, 0], "{kind:?}");
    }
}

#[tokio::test]
async fn a_missing_verdict_is_an_ignore_and_a_late_one_is_counted() {
    let mut config = crate::support::config(2, TransportKind::Memory);
    config.timing.verdict = Duration::from_millis(50);
    let (mut a, mut b) = (Node::new(1, TransportKind::Memory).await, crate::support::start(config).await);
    a.control.subscribe("block").await.unwrap();
    b.control.subscribe("block").await.unwrap();
    connect(&mut a, &mut b).await;
    publish(&a, &Bytes::from_static(b"x")).await;
    let (_, token) = message(&mut b).await;
    eventually("the verdict is missed", || b.control.counters().node.verdicts_missing == 1).await;
    b.control.validate(token, Verdict::Accept).unwrap();
    eventually("the late verdict is counted", || b.control.counters().node.verdicts_late == 1).await;
}

#[tokio::test]
async fn what_gossip_does_not_take_is_refused_with_the_reason() {
    let (a, _b) = pair(TransportKind::Memory).await;
    let long = Bytes::from(vec![0; MAX_GOSSIP_BYTES + 1]);
    assert!(matches!(a.control.publish_checked("block", long).await, Err(PublishError::TooLarge { .. })));
    let nobody = a.control.publish_checked("block", Bytes::from_static(b"x")).await;
    assert!(matches!(nobody, Err(PublishError::Gossip(_))), "{nobody:?}");
    assert!(matches!(a.control.subscribe("a b").await, Err(CommandError::Topic { .. })));
    assert_eq!(a.control.counters().node.publish_failures, 2);
}

#[tokio::test]
async fn the_longest_message_passes() {
    let (a, mut b) = pair(TransportKind::Memory).await;
    a.control.subscribe("block").await.unwrap();
    b.control.subscribe("block").await.unwrap();
    let longest = Bytes::from(vec![9; MAX_GOSSIP_BYTES]);
    publish(&a, &longest).await;
    assert_eq!(message(&mut b).await.0, longest);
}

#[tokio::test]
async fn a_hundred_and_fifty_topics_fit() {
    let (a, mut b) = pair(TransportKind::Memory).await;
    for sector in 0..150 {
        a.control.subscribe(&format!("sector/{sector}")).await.unwrap();
        b.control.subscribe(&format!("sector/{sector}")).await.unwrap();
    }
    b.control.subscribe("block").await.unwrap();
    publish(&a, &Bytes::from_static(b"last")).await;
    assert_eq!(message(&mut b).await.0, Bytes::from_static(b"last"));
}

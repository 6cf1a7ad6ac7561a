//! Requests, notices, and what happens to them when something is full, missing or broken.

use std::time::Duration;

use bytes::Bytes;
use mesh30k_p2p::{AcceptError, INBOX_FRAMES, Inbox, Lane, NotifyError, RequestError, TransportKind};

use crate::support::{BOTH, Node, PATIENCE, eventually, pair};

const ECHO: Lane = Lane::new("echo");

/// Answers every request with its own bytes.
fn echo(mut inbox: Inbox) {
    tokio::spawn(async move {
        while let Some(inbound) = inbox.recv().await {
            if let Some(reply) = inbound.reply {
                reply.send(inbound.body);
            }
        }
    });
}

async fn ask(from: &Node, to: &Node, lane: Lane, body: Bytes) -> Result<Bytes, RequestError> {
    from.control.request(to.id(), lane, body, PATIENCE).await
}

#[tokio::test]
async fn requests_are_answered_in_both_directions_at_once() {
    for kind in BOTH {
        let (a, b) = pair(kind).await;
        echo(a.control.accept(ECHO).unwrap());
        echo(b.control.accept(ECHO).unwrap());
        let requests = (0..200_u32).map(|n| {
            let (a, b) = (&a, &b);
            async move {
                let (from, to) = if n % 2 == 0 { (a, b) } else { (b, a) };
                let body = Bytes::from(vec![n as u8; n as usize * 40]);
                assert_eq!(ask(from, to, ECHO, body.clone()).await.unwrap(), body);
            }
        });
        futures::future::join_all(requests).await;
    }
}

#[tokio::test]
async fn answers_may_come_in_any_order() {
    let (a, b) = pair(TransportKind::Memory).await;
    let mut inbox = b.control.accept(ECHO).unwrap();
    let server = tokio::spawn(async move {
        let (first, second) = (inbox.recv().await.unwrap(), inbox.recv().await.unwrap());
        second.reply.unwrap().send(second.body);
        first.reply.unwrap().send(first.body);
    });
    let (one, two) = futures::future::join(
        ask(&a, &b, ECHO, Bytes::from_static(b"one")),
        ask(&a, &b, ECHO, Bytes::from_static(b"two")),
    )
    .await;
    assert_eq!((one.unwrap(), two.unwrap()), (Bytes::from_static(b"one"), Bytes::from_static(b"two")));
    server.await.unwrap();
}

#[tokio::test]
async fn notices_arrive_in_order() {
    for kind in BOTH {
        let (a, b) = pair(kind).await;
        let mut inbox = b.control.accept(ECHO).unwrap();
        for n in 0..300_u32 {
            a.control.notify(b.id(), ECHO, Bytes::copy_from_slice(&n.to_be_bytes())).unwrap();
        }
        for n in 0..300_u32 {
            let notice = tokio::time::timeout(PATIENCE, inbox.recv()).await.unwrap().unwrap();
            assert_eq!((notice.peer, &notice.body[..]), (a.id(), &n.to_be_bytes()[..]));
            assert!(notice.reply.is_none());
        }
    }
}

#[tokio::test]
async fn the_longest_body_passes_and_one_byte_more_is_refused_here() {
    for kind in BOTH {
        let (a, b) = pair(kind).await;
        echo(b.control.accept(Lane::RAFT_APPEND).unwrap());
        let max = Lane::RAFT_APPEND.max_body_bytes();
        let body = Bytes::from(vec![7; max]);
        assert_eq!(ask(&a, &b, Lane::RAFT_APPEND, body.clone()).await.unwrap(), body);
        let long = Bytes::from(vec![7; max + 1]);
        let too_large = ask(&a, &b, Lane::RAFT_APPEND, long.clone()).await;
        assert_eq!(too_large, Err(RequestError::TooLarge { lane: "raft-append", bytes: max + 1, max }));
        let too_large = a.control.notify(b.id(), Lane::RAFT_APPEND, long);
        assert_eq!(too_large, Err(NotifyError::TooLarge { lane: "raft-append", bytes: max + 1, max }));
    }
}

#[tokio::test]
async fn a_lane_dials_by_itself_when_it_knows_an_address() {
    let (a, b) = (Node::new(1, TransportKind::Net).await, Node::new(2, TransportKind::Net).await);
    echo(b.control.accept(ECHO).unwrap());
    a.control.add_address(b.id(), b.address.clone()).unwrap();
    assert_eq!(ask(&a, &b, ECHO, Bytes::from_static(b"hi")).await.unwrap(), Bytes::from_static(b"hi"));
}

#[tokio::test]
async fn whoever_cannot_be_reached_or_does_not_serve_is_named_at_once() {
    let (a, b) = pair(TransportKind::Memory).await;
    let stranger = Node::new(3, TransportKind::Memory).await;
    assert_eq!(ask(&a, &stranger, ECHO, Bytes::new()).await, Err(RequestError::Unreachable { peer: stranger.id() }));
    assert_eq!(ask(&a, &b, ECHO, Bytes::new()).await, Err(RequestError::Unsupported { peer: b.id(), lane: "echo" }));
    assert_eq!(ask(&a, &a, ECHO, Bytes::new()).await, Err(RequestError::ToSelf));
    // Served now: the lane recovers by itself.
    echo(b.control.accept(ECHO).unwrap());
    assert!(matches!(b.control.accept(ECHO), Err(AcceptError::Taken { lane: "echo" })));
    loop {
        match ask(&a, &b, ECHO, Bytes::new()).await {
            Ok(_) => break,
            Err(error) => assert_eq!(error, RequestError::Unsupported { peer: b.id(), lane: "echo" }),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_full_inbox_answers_busy_drops_notices_and_recovers() {
    let (a, b) = pair(TransportKind::Memory).await;
    let mut inbox = b.control.accept(ECHO).unwrap();
    let share = INBOX_FRAMES / 2;
    for _ in 0..share + 100 {
        a.control.notify(b.id(), ECHO, Bytes::from_static(b"n")).unwrap();
    }
    assert_eq!(ask(&a, &b, ECHO, Bytes::new()).await, Err(RequestError::Busy));
    let lane = b.control.counters().lanes["echo"];
    assert_eq!((lane.inbox_dropped, lane.busy_answers), (100, 1));
    for _ in 0..share {
        assert!(inbox.try_recv().is_some());
    }
    assert!(inbox.try_recv().is_none());
    echo(inbox);
    assert!(ask(&a, &b, ECHO, Bytes::new()).await.is_ok());
}

#[tokio::test]
async fn a_dropped_or_refused_reply_says_so() {
    let (a, b) = pair(TransportKind::Memory).await;
    let mut inbox = b.control.accept(ECHO).unwrap();
    tokio::spawn(async move {
        drop(inbox.recv().await);
        inbox.recv().await.unwrap().reply.unwrap().refuse("not today");
        inbox.recv().await.unwrap().reply.unwrap().send(Bytes::from(vec![0; ECHO.max_body_bytes() + 1]));
    });
    let refused = |reason: &str| Err(RequestError::Refused { reason: reason.to_owned() });
    assert_eq!(ask(&a, &b, ECHO, Bytes::new()).await, refused("no answer was given"));
    assert_eq!(ask(&a, &b, ECHO, Bytes::new()).await, refused("not today"));
    let reason = "answer of 1048577 bytes exceeds the 1048576 bytes lane /mesh30k/echo/1 carries";
    assert_eq!(ask(&a, &b, ECHO, Bytes::new()).await, refused(reason));
}

#[tokio::test]
async fn a_request_times_out_and_its_late_answer_harms_nothing() {
    let (a, b) = pair(TransportKind::Memory).await;
    let mut inbox = b.control.accept(ECHO).unwrap();
    let short = Duration::from_millis(50);
    let late = a.control.request(b.id(), ECHO, Bytes::from_static(b"late"), short).await;
    assert_eq!(late, Err(RequestError::Timeout { peer: b.id(), lane: "echo", after: short }));
    let inbound = inbox.recv().await.unwrap();
    inbound.reply.unwrap().send(inbound.body);
    echo(inbox);
    assert_eq!(ask(&a, &b, ECHO, Bytes::from_static(b"next")).await.unwrap(), Bytes::from_static(b"next"));
    assert_eq!(a.control.counters().node.unexpected_frames, 0);
}

#[tokio::test]
async fn a_broken_stream_fails_its_pending_requests_at_once() {
    for kind in BOTH {
        let (a, b) = pair(kind).await;
        let mut inbox = b.control.accept(ECHO).unwrap();
        let (control, peer) = (a.control.clone(), b.id());
        let pending = tokio::spawn(async move { control.request(peer, ECHO, Bytes::new(), PATIENCE * 2).await });
        let held = inbox.recv().await.unwrap();
        b.control.shutdown().await;
        let failed = tokio::time::timeout(PATIENCE, pending).await.unwrap().unwrap();
        assert_eq!(failed, Err(RequestError::Lost));
        drop(held);
        assert!(inbox.recv().await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn threads_outside_the_runtime_send_and_receive() {
    let (a, b) = pair(TransportKind::Memory).await;
    let (a_id, b_id) = (a.id(), b.id());
    let mut inbox = b.control.accept(ECHO).unwrap();
    let (a, b) = (a.control.clone(), b.control.clone());
    let receiver = std::thread::spawn(move || {
        let inbound = inbox.blocking_recv().unwrap();
        b.notify(inbound.peer, Lane::EVENT, inbound.body).unwrap();
    });
    let mut back = a.accept(Lane::EVENT).unwrap();
    let sender = std::thread::spawn(move || {
        a.notify(b_id, ECHO, Bytes::from_static(b"there and back")).unwrap();
        let back = back.blocking_recv().unwrap();
        assert_eq!((back.peer, back.body), (b_id, Bytes::from_static(b"there and back")));
        a
    });
    tokio::task::spawn_blocking(move || {
        receiver.join().unwrap();
        sender.join().unwrap();
    })
    .await
    .unwrap();
    assert_ne!(a_id, b_id);
}

#[tokio::test]
async fn notices_to_nobody_are_dropped_and_counted() {
    let (a, stranger) = (Node::new(1, TransportKind::Memory).await, Node::new(2, TransportKind::Memory).await);
    for _ in 0..10 {
        a.control.notify(stranger.id(), ECHO, Bytes::new()).unwrap();
    }
    eventually("ten notices dropped", || a.control.counters().lanes["echo"].notices_dropped == 10).await;
}

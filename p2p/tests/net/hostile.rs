//! A peer that speaks our chain's handshake and then misbehaves on a lane.

use std::time::Duration;

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm, identify, noise, tcp, yamux};
use mesh30k_p2p::{Event, Lane, MAX_STRIKES, Refusal, TransportKind};

use crate::support::{Node, PATIENCE, connect, eventually};

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    streams: libp2p_stream::Behaviour,
}

/// A hostile peer, connected to its victim; its swarm runs in the background.
struct Hostile {
    streams: libp2p_stream::Control,
    victim: PeerId,
    id: PeerId,
}

impl Hostile {
    async fn connected_to(victim: &mut Node) -> Self {
        let mut swarm = libp2p::SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|key| Behaviour {
                identify: identify::Behaviour::new(identify::Config::new("/mesh30k/test/1".into(), key.public())),
                streams: libp2p_stream::Behaviour::new(),
            })
            .unwrap()
            .with_swarm_config(|c| c.with_idle_connection_timeout(PATIENCE))
            .build();
        let (streams, id) = (swarm.behaviour().streams.new_control(), *swarm.local_peer_id());
        swarm.dial(victim.address.clone()).unwrap();
        tokio::spawn(run(swarm));
        victim.up(id).await;
        Self { streams, victim: victim.id(), id }
    }

    /// Opens a stream of the lane and reads the greeting.
    async fn open(&mut self, lane: Lane) -> Stream {
        let protocol = StreamProtocol::try_from_owned(lane.to_string()).unwrap();
        let mut stream = self.streams.open_stream(self.victim, protocol).await.unwrap();
        let mut greeting = [0; 13];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, [0, 0, 0, 9, 5, 0, 0, 0, 0, 0, 0, 0, 0]);
        stream
    }

    /// Sends bytes and waits until the victim closes the stream.
    async fn send_garbage(&mut self, bytes: &[u8]) {
        let mut stream = self.open(Lane::EVENT).await;
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        let mut rest = Vec::new();
        // Closed or reset: either way it is over.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the stream stays open");
        assert_eq!(rest, b"");
    }
}

async fn run(mut swarm: Swarm<Behaviour>) {
    loop {
        if let SwarmEvent::ConnectionClosed { .. } = swarm.select_next_some().await {
            return;
        }
    }
}

const OVERSIZED: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0];
const UNDERSIZED: &[u8] = &[0, 0, 0, 3, 0, 0, 0];
const UNKNOWN_KIND: &[u8] = &[0, 0, 0, 9, 77, 0, 0, 0, 0, 0, 0, 0, 1];
const OUT_OF_PLACE: &[u8] = &[0, 0, 0, 9, 2, 0, 0, 0, 0, 0, 0, 0, 1];

#[tokio::test]
async fn garbage_costs_the_stream_then_the_connection_and_the_node_serves_on() {
    let (mut node, mut honest) = (Node::new(1, TransportKind::Net).await, Node::new(2, TransportKind::Net).await);
    connect(&mut honest, &mut node).await;
    let mut inbox = node.control.accept(Lane::EVENT).unwrap();
    let hostile_batches: [&[&[u8]]; 2] =
        [&[OVERSIZED, UNKNOWN_KIND, OUT_OF_PLACE], &[UNDERSIZED, OVERSIZED, UNDERSIZED]];
    for batch in hostile_batches {
        let mut hostile = Hostile::connected_to(&mut node).await;
        for garbage in batch {
            hostile.send_garbage(garbage).await;
        }
        let reason = node
            .until(|event| match event {
                Event::PeerRefused { peer, reason } if peer == hostile.id => Some(reason),
                _ => None,
            })
            .await;
        assert_eq!(reason, Refusal::Strikes { count: MAX_STRIKES });
        node.down(hostile.id).await;
    }
    let counters = node.control.counters().node;
    assert_eq!((counters.garbage_frames, counters.unexpected_frames, counters.peers_refused), (5, 1, 2));

    honest.control.notify(node.id(), Lane::EVENT, Bytes::from_static(b"still here?")).unwrap();
    assert_eq!(inbox.recv().await.unwrap().body, Bytes::from_static(b"still here?"));
    assert!(node.control.is_connected(&honest.id()));
}

#[tokio::test]
async fn a_frame_cut_short_counts_only_while_the_connection_lives_on() {
    let mut node = Node::new(1, TransportKind::Net).await;
    let _inbox = node.control.accept(Lane::EVENT).unwrap();
    let mut stays = Hostile::connected_to(&mut node).await;
    let mut stream = stays.open(Lane::EVENT).await;
    stream.write_all(&[0, 0, 0, 20, 0]).await.unwrap();
    stream.close().await.unwrap();
    eventually("the cut frame is counted", || node.control.counters().node.truncated_frames == 1).await;
    assert!(node.control.is_connected(&stays.id), "one strike is not enough");
}

#[tokio::test]
async fn streams_beyond_a_peers_share_are_refused() {
    let mut node = Node::new(1, TransportKind::Net).await;
    let _inbox = node.control.accept(Lane::EVENT).unwrap();
    let mut greedy = Hostile::connected_to(&mut node).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(greedy.open(Lane::EVENT).await);
    }
    let protocol = StreamProtocol::try_from_owned(Lane::EVENT.to_string()).unwrap();
    let mut fifth = greedy.streams.open_stream(greedy.victim, protocol).await.unwrap();
    let mut nothing = [0; 1];
    let read = tokio::time::timeout(PATIENCE, fifth.read(&mut nothing)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
    assert_eq!(node.control.counters().lanes["event"].streams_refused, 1);
    // A place comes free with a stream.
    held.pop().unwrap().close().await.unwrap();
    eventually("a place is free", || node.control.counters().lanes["event"].frames_in == 0).await;
}

#[tokio::test]
async fn a_peer_that_never_identifies_itself_is_refused() {
    let mut config = crate::support::config(1, TransportKind::Net);
    config.timing.identify = Duration::from_millis(200);
    let mut node = crate::support::start(config).await;
    let address: Multiaddr = node.address.clone();
    let mut silent = libp2p::SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| libp2p_stream::Behaviour::new())
        .unwrap()
        .with_swarm_config(|c| c.with_idle_connection_timeout(PATIENCE))
        .build();
    silent.dial(address).unwrap();
    tokio::spawn(async move {
        loop {
            silent.select_next_some().await;
        }
    });
    let reason = node
        .until(|event| match event {
            Event::PeerRefused { reason, .. } => Some(reason),
            _ => None,
        })
        .await;
    assert_eq!(reason, Refusal::Unidentified);
    assert_eq!(node.control.counters().node.unidentified, 1);
}

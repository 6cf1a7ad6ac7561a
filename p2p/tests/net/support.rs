//! Nodes for tests, and waiting for what they say.

use std::time::Duration;

use mesh30k_p2p::{Config, Control, Event, Events, Multiaddr, PeerId, TransportKind, keypair_from_seed, spawn};

/// Longer than anything here takes; reaching it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const BOTH: [TransportKind; 2] = [TransportKind::Memory, TransportKind::Net];

pub(crate) struct Node {
    pub(crate) control: Control,
    pub(crate) events: Events,
    pub(crate) address: Multiaddr,
}

/// A node's configuration; `n` makes its identity. Discovery is off, so that only what a test dials is connected.
pub(crate) fn config(n: u8, kind: TransportKind) -> Config {
    let mut config = Config::new("test", keypair_from_seed([n; 32]).unwrap(), u64::from(n));
    config.transport = kind;
    config.wanted_peers = 0;
    config.timing.gossip_heartbeat = Duration::from_millis(200);
    let listen = match kind {
        TransportKind::Memory => "/memory/0",
        TransportKind::Net => "/ip4/127.0.0.1/tcp/0",
    };
    config.listen = vec![listen.parse().unwrap()];
    config
}

pub(crate) async fn start(config: Config) -> Node {
    let (control, mut events) = spawn(config).unwrap();
    let address = until(&mut events, |event| match event {
        Event::Listening { address } => Some(address),
        _ => None,
    })
    .await;
    Node { control, events, address }
}

impl Node {
    pub(crate) async fn new(n: u8, kind: TransportKind) -> Self {
        start(config(n, kind)).await
    }

    pub(crate) fn id(&self) -> PeerId {
        self.control.local_peer_id()
    }

    /// Where and who.
    pub(crate) fn full_address(&self) -> Multiaddr {
        format!("{}/p2p/{}", self.address, self.id()).parse().unwrap()
    }

    /// Waits for an event of which `pick` makes something.
    pub(crate) async fn until<T>(&mut self, pick: impl FnMut(Event) -> Option<T>) -> T {
        until(&mut self.events, pick).await
    }

    pub(crate) async fn up(&mut self, peer: PeerId) {
        self.until(|event| matches!(event, Event::PeerUp { peer: up, .. } if up == peer).then_some(())).await;
    }

    pub(crate) async fn down(&mut self, peer: PeerId) {
        self.until(|event| matches!(event, Event::PeerDown { peer: down } if down == peer).then_some(())).await;
    }
}

async fn until<T>(events: &mut Events, mut pick: impl FnMut(Event) -> Option<T>) -> T {
    let wait = async {
        loop {
            let event = events.recv().await.expect("the node ended");
            if let Some(picked) = pick(event) {
                return picked;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the awaited event did not come")
}

/// Connects two nodes; both have said so when this returns.
pub(crate) async fn connect(a: &mut Node, b: &mut Node) {
    a.control.dial(b.full_address()).await.unwrap();
    a.up(b.id()).await;
    b.up(a.id()).await;
}

/// Two connected nodes.
pub(crate) async fn pair(kind: TransportKind) -> (Node, Node) {
    let (mut a, mut b) = (Node::new(1, kind).await, Node::new(2, kind).await);
    connect(&mut a, &mut b).await;
    (a, b)
}

/// Waits for what no event tells, such as a counter.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "never held: {what}");
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_tcp_address() -> Multiaddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

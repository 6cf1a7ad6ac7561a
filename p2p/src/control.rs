//! The handle of a running node.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libp2p::{Multiaddr, PeerId};
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::command::{COMMAND_QUEUE, Command};
use crate::counters::Counters;
use crate::directory::PeerInfo;
use crate::error::{AcceptError, CommandError, NotifyError, PublishError, RequestError};
use crate::gossip::{Token, Verdict};
use crate::lane::hub::Hub;
use crate::lane::{Inbox, Lane};

/// Shuts the node down when the last handle is dropped.
pub(crate) struct Owner {
    pub(crate) hub: Arc<Hub>,
    pub(crate) registry: Registry,
    pub(crate) ended: CancellationToken,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.hub.shutdown.cancel();
    }
}

/// A handle of a running node; cheap to clone. When the last one is dropped the node shuts down.
///
/// What is not `async` never waits and may be called from any thread, inside or outside the runtime.
#[derive(Clone)]
pub struct Control(pub(crate) Arc<Owner>);

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Control").field(&self.local_peer_id()).finish()
    }
}

impl Control {
    /// The peer this node is.
    #[must_use]
    pub fn local_peer_id(&self) -> PeerId {
        self.0.hub.local
    }

    /// Sends a request and waits for its answer, connecting first if need be.
    ///
    /// # Errors
    /// See [`RequestError`]; nothing is retried here.
    pub async fn request(
        &self,
        peer: PeerId,
        lane: Lane,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, RequestError> {
        self.0.hub.request(peer, lane, body, timeout).await
    }

    /// Queues a notice, to be sent once there is a stream. Never waits; delivery is not assured.
    ///
    /// # Errors
    /// See [`NotifyError`]; what is dropped is counted.
    pub fn notify(&self, peer: PeerId, lane: Lane, body: Bytes) -> Result<(), NotifyError> {
        self.0.hub.notify(peer, lane, body)
    }

    /// Serves a lane from now on, until the inbox is dropped.
    ///
    /// # Errors
    /// [`AcceptError::Taken`] when it is being served already.
    pub fn accept(&self, lane: Lane) -> Result<Inbox, AcceptError> {
        self.0.hub.accept(lane)
    }

    /// Dials an address, with or without `/p2p/<peer>`, and waits for the connection. Whether the peer is of our
    /// chain shows in [`crate::Event::PeerUp`]. Being connected already is success.
    ///
    /// # Errors
    /// [`CommandError::Dial`] with what the transport said.
    pub async fn dial(&self, address: Multiaddr) -> Result<(), CommandError> {
        self.ask(|outcome| Command::Dial { address, outcome }).await
    }

    /// Tells where a peer may be found.
    ///
    /// # Errors
    /// When the command queue is full or the node is shut down.
    pub fn add_address(&self, peer: PeerId, address: Multiaddr) -> Result<(), CommandError> {
        self.tell(Command::AddAddress { peer, address })
    }

    /// Closes all connections to a peer. A reserved peer will be dialled again.
    ///
    /// # Errors
    /// When the command queue is full or the node is shut down.
    pub fn disconnect(&self, peer: PeerId) -> Result<(), CommandError> {
        self.tell(Command::Disconnect(peer))
    }

    /// Keeps a peer connected from now on, dialling it for ever with jittered backoff.
    ///
    /// # Errors
    /// When the command queue is full or the node is shut down.
    pub fn reserve(&self, peer: PeerId, addresses: Vec<Multiaddr>) -> Result<(), CommandError> {
        self.tell(Command::Reserve { peer, addresses })
    }

    /// Lets go of a reserved peer; the connection stays until it idles.
    ///
    /// # Errors
    /// When the command queue is full or the node is shut down.
    pub fn unreserve(&self, peer: PeerId) -> Result<(), CommandError> {
        self.tell(Command::Unreserve(peer))
    }

    /// Listens on one more address.
    ///
    /// # Errors
    /// [`CommandError::Listen`] when it is refused, for example because the port is in use.
    pub async fn listen(&self, address: Multiaddr) -> Result<(), CommandError> {
        self.ask(|outcome| Command::Listen { address, outcome }).await
    }

    /// Subscribes to a topic by its bare name, such as `block`; the chain's prefix is added.
    ///
    /// # Errors
    /// [`CommandError::Topic`] for a refused name or one topic too many.
    pub async fn subscribe(&self, topic: &str) -> Result<(), CommandError> {
        self.ask(|outcome| Command::Subscribe { topic: topic.to_owned(), outcome }).await
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// When the command queue is full or the node is shut down.
    pub fn unsubscribe(&self, topic: &str) -> Result<(), CommandError> {
        self.tell(Command::Unsubscribe { topic: topic.to_owned() })
    }

    /// Queues a message for a topic. Gossip is lossy, does not come back to its publisher, and takes the same bytes
    /// only once a minute. What it does not take is counted.
    ///
    /// # Errors
    /// When the command queue is full or the node is shut down.
    pub fn publish(&self, topic: &str, data: Bytes) -> Result<(), CommandError> {
        self.tell(Command::Publish { topic: topic.to_owned(), data, outcome: None })
    }

    /// As [`Self::publish`], and waits until gossip took the message.
    ///
    /// # Errors
    /// [`PublishError`]: too large, nobody subscribed, queues full, or published before.
    pub async fn publish_checked(&self, topic: &str, data: Bytes) -> Result<(), PublishError> {
        let (outcome, answered) = oneshot::channel();
        self.enqueue(Command::Publish { topic: topic.to_owned(), data, outcome: Some(outcome) }).await?;
        answered.await.unwrap_or(Err(PublishError::Command(CommandError::Closed)))
    }

    /// Gives the verdict on a gossip message. One that comes too late is counted.
    ///
    /// # Errors
    /// When the command queue is full or the node is shut down.
    pub fn validate(&self, token: Token, verdict: Verdict) -> Result<(), CommandError> {
        self.tell(Command::Validate { token, verdict })
    }

    /// The connected peers of our chain.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerInfo> {
        self.0.hub.directory.infos()
    }

    /// Whether a peer is connected and of our chain.
    #[must_use]
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.0.hub.directory.is_up(peer)
    }

    /// The addresses this node listens on.
    #[must_use]
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.0.hub.directory.listening()
    }

    /// One reading of all counters.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.hub.counters.snapshot()
    }

    /// The registry with libp2p's metrics and our counters, for encoders of the caller's choice.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The registry as Prometheus text, without the closing `# EOF`.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail; a collector's bug shows as missing lines.
        if let Err(error) = prometheus_client::encoding::text::encode_registry(&mut text, &self.0.registry) {
            tracing::warn!(%error, "metrics are incomplete");
        }
        text
    }

    /// Shuts the node down and waits until its connections are closed. Pending requests fail; inboxes and events end.
    pub async fn shutdown(&self) {
        self.0.hub.shutdown.cancel();
        self.0.ended.cancelled().await;
    }

    fn tell(&self, command: Command) -> Result<(), CommandError> {
        self.0.hub.commands.try_send(command).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => CommandError::QueueFull { max: COMMAND_QUEUE },
            mpsc::error::TrySendError::Closed(_) => CommandError::Closed,
        })
    }

    async fn enqueue(&self, command: Command) -> Result<(), CommandError> {
        self.0.hub.commands.send(command).await.map_err(|_| CommandError::Closed)
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), CommandError>>) -> Command,
    ) -> Result<(), CommandError> {
        let (outcome, answered) = oneshot::channel();
        self.enqueue(command(outcome)).await?;
        answered.await.unwrap_or(Err(CommandError::Closed))
    }
}

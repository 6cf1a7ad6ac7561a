//! Gossip: how it is set up, and the verdicts it waits for.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::PeerId;
use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, MaxCountSubscriptionFilter, Message, MessageAcceptance, MessageAuthenticity,
    MessageId, PeerScoreParams, PeerScoreThresholds, TopicHash, TopicScoreParams, TopicSubscriptionFilter,
    ValidationMode,
};
use prometheus_client::registry::Registry;

use crate::clock::Instant;
use crate::config::Config;
use crate::error::SpawnError;

/// Longest gossip message on the wire, in bytes, envelope of the protocol included.
pub(crate) const MAX_TRANSMIT_BYTES: usize = 64 << 10;
/// Longest message that may be published: the wire's limit less room for topic and framing.
pub const MAX_GOSSIP_BYTES: usize = MAX_TRANSMIT_BYTES - 1024;
/// Topics a peer may subscribe to; a mesh has some hundred sectors.
pub const MAX_TOPICS: usize = 512;
/// Messages that may wait for a verdict; the next one is dropped.
pub const MAX_PENDING_VERDICTS: usize = 1024;
/// Longest bare topic name, in bytes.
pub const MAX_TOPIC_BYTES: usize = 64;

/// What a strike costs in gossip score; three bring a peer below the publish threshold.
pub(crate) const STRIKE_SCORE: f64 = -20.0;

pub(crate) type Gossipsub = gossipsub::Behaviour<gossipsub::IdentityTransform, MaxCountSubscriptionFilter<ChainTopics>>;

/// Names a gossip message that waits for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

/// What the application makes of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Relay it.
    Accept,
    /// Do not relay it, and hold it against who relayed it to us.
    Reject,
    /// Do not relay it; nobody's fault.
    Ignore,
}

impl From<Verdict> for MessageAcceptance {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Accept => Self::Accept,
            Verdict::Reject => Self::Reject,
            Verdict::Ignore => Self::Ignore,
        }
    }
}

/// Topics of our chain and no others.
#[derive(Clone, Debug)]
pub(crate) struct ChainTopics {
    prefix: String,
}

impl ChainTopics {
    pub(crate) fn new(chain: &str) -> Self {
        Self { prefix: format!("/mesh30k/{chain}/") }
    }

    /// The topic of a bare name, unless the name is refused.
    pub(crate) fn topic(&self, name: &str) -> Option<IdentTopic> {
        Self::allowed(name).then(|| IdentTopic::new(format!("{}{name}", self.prefix)))
    }

    /// The bare name of a topic of ours.
    pub(crate) fn name<'a>(&self, topic: &'a TopicHash) -> Option<&'a str> {
        topic.as_str().strip_prefix(&self.prefix)
    }

    fn allowed(name: &str) -> bool {
        !name.is_empty() && name.len() <= MAX_TOPIC_BYTES && name.chars().all(|c| c.is_ascii_graphic())
    }
}

impl TopicSubscriptionFilter for ChainTopics {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        self.name(topic).is_some_and(Self::allowed)
    }
}

/// blake3 of topic and data. Without it all messages of the anonymous mode share one id and only the first arrives.
fn message_id(message: &Message) -> MessageId {
    let topic = message.topic.as_str();
    let mut hasher = blake3::Hasher::new_derive_key("mesh30k 2026 gossip message id");
    hasher.update(&u64::try_from(topic.len()).unwrap_or(u64::MAX).to_be_bytes());
    hasher.update(topic.as_bytes());
    hasher.update(&message.data);
    MessageId::new(hasher.finalize().as_bytes())
}

/// Peers outside a topic's mesh that are told of its messages at each heartbeat: so many, or this share of them.
const GOSSIP_LAZY: usize = 4;
const GOSSIP_FACTOR: f64 = 0.05;
/// From this size on mesh peers are told that a message is here, so that they do not send it again.
const IDONTWANT_BYTES: usize = 16 << 10;
/// How often scores decay. Each time wakes the process.
const DECAY_INTERVAL: Duration = Duration::from_secs(5);

/// What is left of a score at the next decay, if `left` of it is after a second.
fn per_second(left: f64) -> f64 {
    left.powf(DECAY_INTERVAL.as_secs_f64())
}

/// Scoring of a topic: first deliveries earn a little, invalid messages cost a lot. The rate of deliveries is not
/// judged: most of our topics are quiet most of the time.
pub(crate) fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 300.0,
        first_message_deliveries_weight: 0.1,
        first_message_deliveries_decay: per_second(0.99),
        first_message_deliveries_cap: 50.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -5.0,
        invalid_message_deliveries_decay: per_second(0.99),
        ..TopicScoreParams::default()
    }
}

fn score() -> PeerScoreParams {
    PeerScoreParams {
        topic_score_cap: 10.0,
        app_specific_weight: 1.0,
        // Many nodes share one address, on a laptop as behind a NAT.
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: per_second(0.9),
        decay_interval: DECAY_INTERVAL,
        retain_score: Duration::from_secs(600),
        ..PeerScoreParams::default()
    }
}

/// Builds the gossip behaviour.
pub(crate) fn build(config: &Config, registry: &mut Registry) -> Result<Gossipsub, SpawnError> {
    let refused = |e: &dyn std::fmt::Display| SpawnError::Gossip(e.to_string());
    let gossip = ConfigBuilder::default()
        .protocol_id_prefix(format!("/mesh30k/{}/gossip", config.chain))
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(MAX_TRANSMIT_BYTES)
        .flood_publish(false)
        .mesh_n(4)
        .mesh_n_low(3)
        .mesh_n_high(6)
        .mesh_outbound_min(1)
        // By default a quarter of all peers, some twenty in a mesh of a hundred, for each topic and heartbeat: to repair what hardly ever breaks.
        .gossip_lazy(GOSSIP_LAZY)
        .gossip_factor(GOSSIP_FACTOR)
        .idontwant_message_size_threshold(IDONTWANT_BYTES)
        .heartbeat_interval(config.timing.gossip_heartbeat)
        .heartbeat_initial_delay(Duration::from_millis(100))
        .build()
        .map_err(|e| refused(&e))?;
    let filter = MaxCountSubscriptionFilter {
        filter: ChainTopics::new(&config.chain),
        max_subscribed_topics: MAX_TOPICS,
        max_subscriptions_per_request: MAX_TOPICS,
    };
    let mut behaviour = Gossipsub::new_with_subscription_filter(MessageAuthenticity::Anonymous, gossip, filter)
        .map_err(|e| refused(&e))?
        .with_metrics(registry.sub_registry_with_prefix("gossipsub"), gossipsub::MetricsConfig::default());
    behaviour.with_peer_score(score(), PeerScoreThresholds::default()).map_err(|e| refused(&e))?;
    Ok(behaviour)
}

/// A message that waits for a verdict.
#[derive(Clone, Debug)]
pub(crate) struct PendingVerdict {
    pub(crate) message: MessageId,
    pub(crate) from: PeerId,
    deadline: Instant,
}

/// All messages that wait for a verdict, oldest first.
#[derive(Debug)]
pub(crate) struct Verdicts {
    pending: BTreeMap<Token, PendingVerdict>,
    next: u64,
    patience: Duration,
}

impl Verdicts {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { pending: BTreeMap::new(), next: 0, patience }
    }

    /// Takes a message in; `None` when there are too many.
    pub(crate) fn add(&mut self, now: Instant, message: MessageId, from: PeerId) -> Option<Token> {
        if self.pending.len() >= MAX_PENDING_VERDICTS {
            return None;
        }
        let token = Token(self.next);
        self.next = self.next.wrapping_add(1);
        self.pending.insert(token, PendingVerdict { message, from, deadline: now + self.patience });
        Some(token)
    }

    pub(crate) fn take(&mut self, token: Token) -> Option<PendingVerdict> {
        self.pending.remove(&token)
    }

    /// Messages whose verdict is overdue.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<PendingVerdict> {
        let mut overdue = Vec::new();
        while let Some(first) = self.pending.first_entry()
            && first.get().deadline <= now
        {
            overdue.push(first.remove());
        }
        overdue
    }

    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        self.pending.first_key_value().map(|(_, p)| p.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn message(topic: &str, data: &[u8]) -> Message {
        Message { source: None, data: data.to_vec(), sequence_number: None, topic: TopicHash::from_raw(topic) }
    }

    #[test]
    fn ids_differ_by_topic_by_data_and_by_where_one_ends() {
        let ids = [("a", "b"), ("a", "c"), ("b", "b"), ("ab", ""), ("", "ab")];
        let ids: std::collections::BTreeSet<_> =
            ids.iter().map(|(t, d)| message_id(&message(t, d.as_bytes())).0).collect();
        assert_eq!(ids.len(), 5);
    }

    #[test]
    fn topics_of_other_chains_and_odd_names_are_refused() {
        let mut topics = ChainTopics::new("one");
        assert!(topics.can_subscribe(&TopicHash::from_raw("/mesh30k/one/sector/3")));
        for refused in ["/mesh30k/two/block", "/mesh30k/one/", "/mesh30k/one/a b", "block"] {
            assert!(!topics.can_subscribe(&TopicHash::from_raw(refused)), "{refused}");
        }
        assert!(topics.topic(&"x".repeat(MAX_TOPIC_BYTES + 1)).is_none());
    }

    #[test]
    fn verdicts_are_bounded_and_fall_due_in_order() {
        let (t, from) = (clock::now(), PeerId::random());
        let mut verdicts = Verdicts::new(Duration::from_secs(3));
        let tokens: Vec<_> =
            (0..MAX_PENDING_VERDICTS).filter_map(|_| verdicts.add(t, MessageId::new(b"m"), from)).collect();
        assert_eq!(tokens.len(), MAX_PENDING_VERDICTS);
        assert!(verdicts.add(t, MessageId::new(b"m"), from).is_none());
        assert!(verdicts.take(tokens[0]).is_some() && verdicts.take(tokens[0]).is_none());
        assert!(verdicts.overdue(t).is_empty());
        assert_eq!(verdicts.overdue(t + Duration::from_secs(3)).len(), MAX_PENDING_VERDICTS - 1);
        assert_eq!(verdicts.next_wakeup(), None);
    }

    #[test]
    fn the_score_parameters_are_valid() {
        score().validate().unwrap();
        topic_score().validate().unwrap();
    }
}

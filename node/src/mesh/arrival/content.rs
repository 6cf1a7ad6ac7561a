//! Cascades, gathers, broadcasts and questions: what an event's verb and payload mean to an agent.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use mesh30k_core::event::{ClassSet, Event, EventId, Reach, Strategy, Verb};
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::types::{AgentClass, Hash, Scope};

/// From T to the wanted summary, unless ordered otherwise.
pub const SUMMARY_AFTER: Duration = Duration::from_millis(1_200);
/// How long after T a late answer still corrects the summary.
const TTL_MS: u32 = 6_000;
/// Longest answer of an agent, bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 96;

/// What an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Everybody acts at T.
    Cascade,
    /// Everybody works on what it is given and answers at T; who is ready in a window is judged.
    Gather,
    /// Everybody is told something at T, and says what it was told.
    Broadcast,
    /// Everybody answers a question at T.
    Ask,
}

/// A text that names no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event kind {0:?} is none of cascade, gather, broadcast, ask")]
pub struct EventKindError(String);

impl EventKind {
    /// The verb that stands for it on the wire.
    #[must_use]
    pub const fn verb(self) -> Verb {
        match self {
            Self::Cascade => Verb::Act,
            Self::Gather => Verb::Orient,
            Self::Broadcast => Verb::Record,
            Self::Ask => Verb::Observe,
        }
    }

    /// An event of this kind at `target`, as yet unsigned; sign it with the operator's key. `nonce` is random.
    #[must_use]
    pub fn event(self, strategy: Strategy, target: TimeUs, payload: Vec<u8>, nonce: &[u8; 32]) -> Event {
        Event {
            id: EventId::new(target, nonce),
            origin: PublicKey([0; 32]),
            target,
            strategy,
            effects: false,
            kind: self.verb(),
            weight_milli: 0,
            payload,
            classes: ClassSet::MACHINES,
            capabilities: 0,
            priority: 1,
            deadline: target.plus_us(i64::try_from(SUMMARY_AFTER.as_micros()).unwrap_or(i64::MAX)),
            ttl_ms: TTL_MS,
            scope: Scope::Global,
            agents: Vec::new(),
            reach: Reach::Agents,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cascade => "cascade",
            Self::Gather => "gather",
            Self::Broadcast => "broadcast",
            Self::Ask => "ask",
        })
    }
}

impl FromStr for EventKind {
    type Err = EventKindError;

    fn from_str(text: &str) -> Result<Self, EventKindError> {
        [Self::Cascade, Self::Gather, Self::Broadcast, Self::Ask]
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| EventKindError(text.chars().take(40).collect()))
    }
}

/// A question that hosted agents can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    ContextHash,
    Class,
    State,
    /// What was it given? With the hash of that, which a broadcast's receivers say, too.
    Digest(Hash),
    Unknown,
}

/// What an agent knows of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct SelfKnowledge {
    pub(super) context: Hash,
    pub(super) class: AgentClass,
    pub(super) frozen: bool,
}

impl Question {
    /// The question an event asks, if it is one: the first line of the payload is the question, the rest what it is about.
    pub(super) fn of(event: &Event) -> Option<Self> {
        match event.kind {
            Verb::Record => Some(Self::Digest(Hash::of(&event.payload))),
            Verb::Orient if event.payload.is_empty() => None,
            Verb::Observe | Verb::Orient => Some(Self::read(&event.payload)),
            Verb::Decide | Verb::Act | Verb::Sync => None,
        }
    }

    fn read(payload: &[u8]) -> Self {
        let mut parts = payload.splitn(2, |byte| *byte == b'\n');
        let (word, input) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match word {
            b"context_hash" => Self::ContextHash,
            b"class" => Self::Class,
            b"state" => Self::State,
            b"digest" => Self::Digest(Hash::of(input)),
            _ => Self::Unknown,
        }
    }

    pub(super) fn answer(self, known: &SelfKnowledge) -> String {
        match self {
            Self::ContextHash => known.context.to_string(),
            Self::Class => known.class.to_string(),
            Self::State if known.frozen => "frozen".to_owned(),
            Self::State => "active".to_owned(),
            Self::Digest(hash) => hash.to_string(),
            Self::Unknown => "cannot answer that; ask context_hash, class, state or digest".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_back_and_only_questions_are_answered() {
        for kind in [EventKind::Cascade, EventKind::Gather, EventKind::Broadcast, EventKind::Ask] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("shout".parse::<EventKind>().is_err());
        let known = SelfKnowledge { context: Hash::ZERO, class: AgentClass::B, frozen: true };
        let ask = |payload: &[u8]| EventKind::Ask.event(Strategy::Hold, TimeUs(5), payload.to_vec(), &[0; 32]);
        let answer = |payload: &[u8]| Question::of(&ask(payload)).unwrap().answer(&known);
        assert_eq!(answer(b"class"), "B");
        assert_eq!(answer(b"state"), "frozen");
        assert_eq!(answer(b"context_hash"), Hash::ZERO.to_string());
        assert!(answer(b"meaning of life").len() <= ANSWER_BYTES_MAX);
        let act = EventKind::Cascade.event(Strategy::Hold, TimeUs(5), b"class".to_vec(), &[0; 32]);
        assert_eq!(Question::of(&act), None);
        let gather = |payload: &[u8]| EventKind::Gather.event(Strategy::Hold, TimeUs(5), payload.to_vec(), &[0; 32]);
        assert_eq!(Question::of(&gather(b"")), None, "a gather without a question only gathers who is ready");
        assert_eq!(Question::of(&gather(b"class\nignored")), Some(Question::Class));
        assert_eq!(Question::of(&gather(b"digest\ntwo\nlines")), Some(Question::Digest(Hash::of(b"two\nlines"))));
        let told = EventKind::Broadcast.event(Strategy::Hold, TimeUs(5), b"noon".to_vec(), &[0; 32]);
        assert_eq!(Question::of(&told).unwrap().answer(&known), Hash::of(b"noon").to_string());
    }
}

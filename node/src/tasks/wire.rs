//! What travels on the task lane.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::ops::TaskReceipt;
use mesh30k_ledger::types::{AgentId, EscrowId, Hash};

use super::refusal::TaskRefusal;
use crate::execution::builtin;
use crate::lanes;

/// Bytes of a request or an answer, at most: the lane's bound.
pub const REQUEST_BYTES_MAX: usize = lanes::TASK.max_body_bytes();

/// The module of a task.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TaskModule {
    /// One that ships with the node.
    Builtin(String),
    /// WebAssembly in binary form.
    Bytes(Vec<u8>),
}

/// One part of a task, offered to an agent.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TaskRequest {
    /// The escrow that pays.
    pub escrow: EscrowId,
    /// Which part.
    pub part: u32,
    /// Who is to do it.
    pub agent: AgentId,
    /// What runs.
    pub module: TaskModule,
    /// On what.
    pub input: Vec<u8>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TaskAnswer {
    /// Done, with what proves it.
    Done {
        /// Signed by host and agent.
        receipt: Box<TaskReceipt>,
        /// What the module returned.
        output: Vec<u8>,
    },
    /// Not done.
    Refused(TaskRefusal),
}

/// Names one piece of work: the same work is done once. The input is part of it, so that nobody can spoil somebody else's
/// part by asking for it with another input first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WorkId {
    pub(super) escrow: EscrowId,
    pub(super) part: u32,
    pub(super) input: Hash,
}

impl TaskModule {
    /// The WebAssembly binary; none if no module of that name ships with the node.
    #[must_use]
    pub fn binary(&self) -> Option<&[u8]> {
        match self {
            Self::Builtin(name) => builtin(name).map(|module| module.wasm),
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

impl TaskRequest {
    pub(super) fn work(&self) -> WorkId {
        WorkId { escrow: self.escrow, part: self.part, input: Hash::of(&self.input) }
    }
}

impl TaskAnswer {
    /// Its bytes; a refusal in its place when they are more than the lane takes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let bytes = encode(self);
        if bytes.len() <= REQUEST_BYTES_MAX {
            return bytes;
        }
        let (bytes, limit) = (bytes.len() as u64, REQUEST_BYTES_MAX as u64);
        encode(&Self::Refused(TaskRefusal::AnswerTooLarge { bytes, limit }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_does_not_fit_the_lane_becomes_a_refusal_that_says_so() {
        let receipt = super::super::book::tests::receipt(1);
        let fits = TaskAnswer::Done { receipt: Box::new(receipt), output: vec![7; 1_000] };
        assert_eq!(mesh30k_ledger::codec::decode::<TaskAnswer>(&fits.to_bytes(), REQUEST_BYTES_MAX).unwrap(), fits);
        let large = TaskAnswer::Done { receipt: Box::new(receipt), output: vec![7; REQUEST_BYTES_MAX] };
        let read: TaskAnswer = mesh30k_ledger::codec::decode(&large.to_bytes(), REQUEST_BYTES_MAX).unwrap();
        assert!(matches!(read, TaskAnswer::Refused(TaskRefusal::AnswerTooLarge { .. })), "{read:?}");
    }

    #[test]
    fn the_input_is_part_of_what_names_the_work() {
        let request = |input: &[u8]| TaskRequest {
            escrow: Hash([1; 32]),
            part: 3,
            agent: AgentId(5),
            module: TaskModule::Builtin("hello".to_owned()),
            input: input.to_vec(),
        };
        assert_ne!(request(b"a").work(), request(b"b").work());
        assert_eq!(request(b"a").work(), request(b"a").work());
    }
}

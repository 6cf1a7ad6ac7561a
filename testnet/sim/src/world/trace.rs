//! The trace of a run: a hash over compact facts, in order.

use mesh30k_core::hosted::HarnessRecord;

use super::machines::Machine;

/// Bytes gathered before they are hashed.
const CHUNK: usize = 1 << 14;

#[derive(Debug)]
pub(crate) struct Trace {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { hasher: blake3::Hasher::new(), buffer: Vec::with_capacity(CHUNK + 64) }
    }

    pub(crate) fn wake(&mut self, at_us: i64, machine: Machine) {
        self.note(&[at_us as u64, machine.owner()]);
    }

    pub(crate) fn message(&mut self, at_us: i64, to: Machine, what: u64) {
        self.note(&[at_us as u64, to.owner(), what]);
    }

    pub(crate) fn record(&mut self, record: &HarnessRecord) {
        let at = |instant: Option<i64>| instant.unwrap_or(0) as u64;
        self.note(&[record.agent.0, record.received_us as u64, at(record.armed_us), at(record.released_us)]);
    }

    pub(crate) fn hex(mut self) -> String {
        self.hasher.update(&self.buffer);
        self.buffer.clear();
        self.hasher.finalize().to_hex().to_string()
    }

    fn note(&mut self, facts: &[u64]) {
        facts.iter().for_each(|fact| self.buffer.extend_from_slice(&fact.to_le_bytes()));
        if self.buffer.len() >= CHUNK {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }
}

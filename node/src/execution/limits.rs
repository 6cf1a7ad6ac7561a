//! What one task may use.

use super::ExecutionError;

/// Upper bounds of one task; each is checked while it runs, none is a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Fuel: about one unit per instruction, and one per 64 bytes copied.
    pub fuel: u64,
    /// Linear memory, bytes.
    pub memory_bytes: u64,
    /// Time by the host's monotonic clock, milliseconds.
    pub wall_ms: u64,
    /// Length of the output, bytes.
    pub output_bytes: u64,
}

impl Default for Limits {
    /// Enough for the shipped modules on a few MiB of input, small enough for many processes on one machine.
    fn default() -> Self {
        Self { fuel: 2_000_000_000, memory_bytes: 16 << 20, wall_ms: 10_000, output_bytes: 1 << 20 }
    }
}

impl Limits {
    /// Refuses limits above what a host offers.
    ///
    /// # Errors
    /// [`ExecutionError::AboveCeiling`] with the first field that asks too much.
    pub fn check(&self, ceiling: &Self) -> Result<(), ExecutionError> {
        let fields = [
            ("fuel", self.fuel, ceiling.fuel),
            ("memory_bytes", self.memory_bytes, ceiling.memory_bytes),
            ("wall_ms", self.wall_ms, ceiling.wall_ms),
            ("output_bytes", self.output_bytes, ceiling.output_bytes),
        ];
        for (field, value, limit) in fields {
            if value > limit {
                return Err(ExecutionError::AboveCeiling { field, value, limit });
            }
        }
        Ok(())
    }
}

//! What a finished task leaves behind.

/// How the guest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned an output.
    Completed,
    /// It returned its own failure code, at least 1; there is no output.
    Failed(i32),
}

impl Exit {
    /// 0 for success, else the module's failure code: the number in a receipt.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Completed => 0,
            Self::Failed(code) => code,
        }
    }
}

/// One finished task. `output_hash`, `fuel`, `peak_memory_bytes` and `exit` are the same on every host with the same `engine`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// What the guest returned.
    pub output: Vec<u8>,
    /// BLAKE3 of the output.
    pub output_hash: [u8; 32],
    /// BLAKE3 of the module that ran.
    pub module_hash: [u8; 32],
    /// Fuel used.
    pub fuel: u64,
    /// Time from the request to the output, microseconds; differs between hosts.
    pub wall_us: u64,
    /// Largest size of the linear memory, bytes (it never shrinks).
    pub peak_memory_bytes: u64,
    /// How it ended.
    pub exit: Exit,
    /// Engine and version; fuel of different engines is never compared.
    pub engine: &'static str,
    /// What the guest wrote with `mesh30k.log`, the first lines only.
    pub log: Vec<String>,
    /// Lines of log beyond the bound, dropped.
    pub log_dropped: u64,
}

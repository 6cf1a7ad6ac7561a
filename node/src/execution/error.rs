//! Why a task was refused or stopped.

/// A task that did not come to its end. The guest's store is gone in every case; nothing of it can be reused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionError {
    /// The bytes are not a module this engine runs.
    #[error("not a task module: {reason}")]
    BadModule {
        /// What is wrong with it.
        reason: String,
    },
    /// The module wants something the task was not granted; found before anything ran.
    #[error("the module imports {import}, which this task was not granted")]
    NotGranted {
        /// `module.name` of the import.
        import: String,
    },
    /// The task asks for more than the host offers.
    #[error("the task asks for {field} = {value}; this host allows at most {limit}")]
    AboveCeiling {
        /// Field of [`super::Limits`].
        field: &'static str,
        /// What was asked.
        value: u64,
        /// What the host allows.
        limit: u64,
    },
    /// All fuel was used.
    #[error("out of fuel: the task used its {limit} units and was not done")]
    OutOfFuel {
        /// The task's fuel limit.
        limit: u64,
    },
    /// The guest wanted more memory than it may have.
    #[error("memory limit: the task asked for {asked} bytes of at most {limit}")]
    MemoryLimit {
        /// Size it wanted to grow to, bytes.
        asked: u64,
        /// The task's memory limit, bytes.
        limit: u64,
    },
    /// The time was up.
    #[error("timeout: the task ran longer than {limit_ms} ms")]
    Timeout {
        /// The task's limit, milliseconds.
        limit_ms: u64,
    },
    /// Somebody stopped it: a freeze, a kill switch, the end of the process.
    #[error("the task was cancelled")]
    Cancelled,
    /// The guest did something undefined: divided by zero, left its memory, recursed too deep, gave up.
    #[error("the module trapped: {reason}")]
    Trap {
        /// The engine's name for it.
        reason: String,
    },
    /// The output is longer than the task may produce.
    #[error("output of {length} bytes; this task may produce at most {limit}")]
    OutputTooLarge {
        /// Length of the output, bytes.
        length: u64,
        /// The task's limit, bytes.
        limit: u64,
    },
    /// The host runs and queues as many tasks as it takes.
    #[error("this host is busy: {running} tasks run and {waiting} wait")]
    Busy {
        /// Tasks that may run at once.
        running: usize,
        /// Tasks that may wait.
        waiting: usize,
    },
    /// The engine itself failed; a defect of the host, never of the task.
    #[error("the task engine failed: {reason}")]
    Engine {
        /// What it reported.
        reason: String,
    },
}

impl ExecutionError {
    /// A short stable word for metrics and receipts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadModule { .. } => "bad_module",
            Self::NotGranted { .. } => "not_granted",
            Self::AboveCeiling { .. } => "above_ceiling",
            Self::OutOfFuel { .. } => "out_of_fuel",
            Self::MemoryLimit { .. } => "memory_limit",
            Self::Timeout { .. } => "timeout",
            Self::Cancelled => "cancelled",
            Self::Trap { .. } => "trap",
            Self::OutputTooLarge { .. } => "output_too_large",
            Self::Busy { .. } => "busy",
            Self::Engine { .. } => "engine",
        }
    }
}

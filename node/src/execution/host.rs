//! The host functions a guest can be granted, and the host's side of one running guest.

use std::fmt;
use std::str::FromStr;

use wasmi::{Caller, Extern, Linker, ResourceLimiter, ValType};
use wasmi_core::LimiterError;

/// Import module name of every host function.
pub(super) const MODULE: &str = "mesh30k";
/// Log lines kept per task.
const MAX_LOG_LINES: usize = 64;
/// Bytes kept of one log line.
const MAX_LOG_LINE_BYTES: usize = 256;
/// Elements of a guest's tables.
const MAX_TABLE_ELEMENTS: usize = 10_000;

/// The vocabulary of grants. Ids and names are stable: they stand in signed task descriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum HostFunction {
    /// `log(ptr: i32, len: i32)`: a line of text into the task's log.
    Log = 1,
    /// `input_len() -> i32`: length of the input, bytes.
    InputLen = 2,
}

impl HostFunction {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Log, Self::InputLen];

    /// Stable number, never reused.
    #[must_use]
    pub fn id(self) -> u32 {
        self as u32
    }

    /// Full name, as grants and configuration files write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "mesh30k.log",
            Self::InputLen => "mesh30k.input_len",
        }
    }

    /// The function an import means, if any.
    pub(super) fn from_import(module: &str, name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.name().split_once('.') == Some((module, name)))
    }

    /// Types of its parameters and results.
    pub(super) fn shape(self) -> (&'static [ValType], &'static [ValType]) {
        match self {
            Self::Log => (&[ValType::I32, ValType::I32], &[]),
            Self::InputLen => (&[], &[ValType::I32]),
        }
    }

    /// Makes it available to a guest.
    pub(super) fn define(self, linker: &mut Linker<Guest>) -> Result<(), wasmi::Error> {
        match self {
            Self::Log => linker.func_wrap(MODULE, "log", log)?,
            Self::InputLen => linker.func_wrap(MODULE, "input_len", input_len)?,
        };
        Ok(())
    }
}

impl fmt::Display for HostFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no host function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host function; there are mesh30k.log and mesh30k.input_len")]
pub struct UnknownHostFunction(pub String);

impl FromStr for HostFunction {
    type Err = UnknownHostFunction;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|f| f.name() == text).ok_or_else(|| UnknownHostFunction(text.to_owned()))
    }
}

/// The host's side of one guest: its limits on memory, and what its host functions see.
#[derive(Debug)]
pub(super) struct Guest {
    memory_limit: usize,
    input_len: u32,
    /// Size the guest wanted when it was refused memory, bytes.
    pub(super) denied_bytes: Option<u64>,
    pub(super) log: Vec<String>,
    pub(super) log_dropped: u64,
}

impl Guest {
    pub(super) fn new(memory_limit: u64, input_len: u32) -> Self {
        Self {
            memory_limit: usize::try_from(memory_limit).unwrap_or(usize::MAX),
            input_len,
            denied_bytes: None,
            log: Vec::new(),
            log_dropped: 0,
        }
    }

    fn push_log(&mut self, bytes: &[u8]) {
        if self.log.len() >= MAX_LOG_LINES {
            self.log_dropped = self.log_dropped.saturating_add(1);
            return;
        }
        // Control characters could rewrite a terminal or forge a second line.
        let text = String::from_utf8_lossy(bytes);
        self.log.push(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect());
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> Result<bool, LimiterError> {
        if desired > self.memory_limit {
            // A trap, not the -1 of the WebAssembly standard: the requester is told the real reason.
            self.denied_bytes = Some(desired as u64);
            return Err(LimiterError::ResourceLimiterDeniedAllocation);
        }
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> Result<bool, LimiterError> {
        Ok(desired <= MAX_TABLE_ELEMENTS && maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}

fn log(mut caller: Caller<'_, Guest>, ptr: u32, len: u32) -> Result<(), wasmi::Error> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(wasmi::Error::new("log: the module exports no memory"));
    };
    let (data, guest) = memory.data_and_store_mut(&mut caller);
    let begin = ptr as usize;
    let whole = begin.checked_add(len as usize).and_then(|end| data.get(begin..end));
    let Some(bytes) = whole else {
        return Err(wasmi::Error::new("log: the line lies outside the module's memory"));
    };
    guest.push_log(bytes.get(..MAX_LOG_LINE_BYTES).unwrap_or(bytes));
    Ok(())
}

fn input_len(caller: Caller<'_, Guest>) -> u32 {
    caller.data().input_len
}

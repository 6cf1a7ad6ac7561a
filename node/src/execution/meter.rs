//! Hands out fuel in slices, so that a guest can be stopped between two of them.

use wasmi::{AsContextMut, Store, TypedFunc, TypedResumableCall, WasmParams, WasmResults};

use super::engine::Cancel;
use super::host::Guest;
use super::{ExecutionError, Limits};
use crate::clock;

/// Fuel between two looks at the clock: a few milliseconds of interpretation, also in a debug build on a busy machine.
const SLICE_FUEL: u64 = 1_000_000;

/// The fuel and the time of one task.
pub(super) struct Meter<'a> {
    limits: Limits,
    /// Fuel not yet handed to the store.
    reserve: u64,
    started_us: u64,
    cancel: &'a Cancel,
}

impl<'a> Meter<'a> {
    /// Starts the clock.
    pub(super) fn start(limits: Limits, cancel: &'a Cancel) -> Self {
        Self { limits, reserve: limits.fuel, started_us: clock::monotonic_us(), cancel }
    }

    pub(super) fn elapsed_us(&self) -> u64 {
        clock::monotonic_us().saturating_sub(self.started_us)
    }

    /// Fuel used so far: all of it, less what is in reserve and what the store still holds.
    pub(super) fn used(&self, store: &Store<Guest>) -> u64 {
        self.limits.fuel.saturating_sub(self.reserve).saturating_sub(store.get_fuel().unwrap_or(0))
    }

    /// Gives the store its first slice.
    pub(super) fn prime(&mut self, store: &mut Store<Guest>) -> Result<(), ExecutionError> {
        self.refill(store, 1)
    }

    /// Calls an exported function to its end, slice by slice.
    pub(super) fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        store: &mut Store<Guest>,
        function: TypedFunc<P, R>,
        params: P,
    ) -> Result<R, ExecutionError> {
        let mut call = function.call_resumable(store.as_context_mut(), params);
        loop {
            let paused = match call {
                Ok(TypedResumableCall::Finished(result)) => return Ok(result),
                Ok(TypedResumableCall::OutOfFuel(paused)) => paused,
                Ok(TypedResumableCall::HostTrap(trap)) => return Err(self.explain(store, trap.host_error())),
                Err(error) => return Err(self.explain(store, &error)),
            };
            self.check_clock()?;
            self.refill(store, paused.required_fuel())?;
            call = paused.resume(store.as_context_mut());
        }
    }

    /// The typed reason behind an engine error.
    pub(super) fn explain(&self, store: &Store<Guest>, error: &wasmi::Error) -> ExecutionError {
        if let Some(asked) = store.data().denied_bytes {
            return ExecutionError::MemoryLimit { asked, limit: self.limits.memory_bytes };
        }
        match error.as_trap_code() {
            Some(wasmi::TrapCode::OutOfFuel) => ExecutionError::OutOfFuel { limit: self.limits.fuel },
            Some(code) => ExecutionError::Trap { reason: code.to_string() },
            None => ExecutionError::Trap { reason: error.to_string() },
        }
    }

    fn check_clock(&self) -> Result<(), ExecutionError> {
        if self.cancel.is_cancelled() {
            return Err(ExecutionError::Cancelled);
        }
        if self.elapsed_us() > self.limits.wall_ms.saturating_mul(1_000) {
            return Err(ExecutionError::Timeout { limit_ms: self.limits.wall_ms });
        }
        Ok(())
    }

    /// Moves a slice into the store, and more if the next instruction alone needs more (a large copy).
    fn refill(&mut self, store: &mut Store<Guest>, required: u64) -> Result<(), ExecutionError> {
        let held = store.get_fuel().unwrap_or(0);
        let missing = required.saturating_sub(held);
        if self.reserve == 0 || missing > self.reserve {
            return Err(ExecutionError::OutOfFuel { limit: self.limits.fuel });
        }
        let grant = missing.max(SLICE_FUEL).min(self.reserve);
        self.reserve -= grant;
        store.set_fuel(held.saturating_add(grant)).map_err(|error| ExecutionError::Engine { reason: error.to_string() })
    }
}

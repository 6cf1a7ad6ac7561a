//! Counts panics: the simulated runtime catches those of tasks.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

static HOOK: Once = Once::new();

/// Panics of this thread since it first asked; a simulation is one thread.
pub fn so_far() -> u64 {
    HOOK.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with(|panics| panics.set(panics.get() + 1));
            tell(info);
        }));
    });
    PANICS.with(Cell::get)
}

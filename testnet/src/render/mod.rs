//! What the driver prints: calm text, at most 100 columns wide.

mod console;
pub mod histogram;
mod table;
mod text;

pub use console::Console;
pub use histogram::{bar, histogram};
pub use table::table;
pub use text::{grouped, millis, percent, wrap};

/// Columns of everything that is printed, at most.
pub const COLUMNS: usize = 100;

//! Carbon for people: the sums of a chain, from a node or a file, and how they are drawn.

mod book;
mod draw;
mod mass;
mod units;

pub use book::CarbonBook;
pub use draw::{Grouping, lines, part_lines, table_by};
pub use mass::{CarbonMass, MassError};
pub use units::{carbon, energy, ftns, hour, intensity, utc};

//! Three nodes' arrival threads in one process, joined by a link that hands frames over at once.

mod fixture;
mod refusals;
mod waves;

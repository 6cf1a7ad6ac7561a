//! mesh30k-sim

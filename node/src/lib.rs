//! mesh30k-node

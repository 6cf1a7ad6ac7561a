//! mesh30k-p2p

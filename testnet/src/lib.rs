//! mesh30k-testnet

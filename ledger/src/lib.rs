//! mesh30k-ledger

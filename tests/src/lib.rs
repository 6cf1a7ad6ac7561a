//! mesh30k-tests

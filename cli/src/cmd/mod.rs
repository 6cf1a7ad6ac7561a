//! One noun a file.

pub(crate) mod bench;
pub(crate) mod carbon;
pub(crate) mod contribution;
pub(crate) mod event;
pub(crate) mod freeze;
pub(crate) mod gov;
pub(crate) mod key;
pub(crate) mod ledger;
pub(crate) mod market;
pub(crate) mod mesh;
pub(crate) mod node;
pub(crate) mod prove;
pub(crate) mod quota;
pub(crate) mod recover;
pub(crate) mod replay;
pub(crate) mod stake;
pub(crate) mod task;
pub(crate) mod testnet;
pub(crate) mod up;

//! Output of the carbon module; and, for the source of the task lane's messages, the neighbours it names.

#[allow(dead_code, unreachable_pub)]
#[path = "../../../node/src/execution/aggregate.rs"]
mod aggregate;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../node/src/execution/error.rs"]
mod error;

use aggregate::CarbonAggregate;
pub use error::ExecutionError;

/// Named in documentation there.
pub struct Limits;

/// A module that ships with the node.
pub struct Builtin {
    /// Its binary.
    pub wasm: &'static [u8],
}

/// Here none ships.
pub fn builtin(_: &str) -> Option<&'static Builtin> {
    None
}

/// Two outputs of the carbon module: merging them in either order gives the same.
pub fn task_output(bytes: &[u8]) {
    let half = bytes.len() / 2;
    let (first, second) = (bytes.get(..half).unwrap_or_default(), bytes.get(half..).unwrap_or_default());
    let _ = CarbonAggregate::decode(bytes);
    let (Ok(first), Ok(second)) = (CarbonAggregate::decode(first), CarbonAggregate::decode(second)) else { return };
    let (mut one, mut other) = (first.clone(), second.clone());
    assert_eq!(one.merge(&second).is_ok(), other.merge(&first).is_ok());
    assert!(one == other || (one == first && other == second), "the order of slices matters");
}

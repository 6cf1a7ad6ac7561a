//! The modules shipped with the node: embedded as text, made binary once per process when first asked for.

use std::sync::OnceLock;

use super::{ExecutionError, HostFunction};

/// A module that comes with the node.
#[derive(Debug)]
pub struct Builtin {
    /// Its name, as `mesh30k task run NAME` takes it.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What it must be granted.
    pub grants: &'static [HostFunction],
    text: &'static str,
    binary: OnceLock<Result<Vec<u8>, String>>,
}

static BUILTINS: [Builtin; 2] = [
    Builtin {
        name: "hello",
        summary: "answers \"hello, \" and its input",
        grants: &[],
        text: include_str!("../../modules/hello.wat"),
        binary: OnceLock::new(),
    },
    Builtin {
        name: "carbon_aggregate",
        summary: "carbon intensity per balancing authority from a slice of an hourly CSV",
        grants: &[],
        text: include_str!("../../modules/carbon_aggregate.wat"),
        binary: OnceLock::new(),
    },
];

/// All shipped modules.
#[must_use]
pub fn builtins() -> &'static [Builtin] {
    &BUILTINS
}

/// The shipped module of that name.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|module| module.name == name)
}

impl Builtin {
    /// The WebAssembly binary.
    ///
    /// # Errors
    /// [`ExecutionError::BadModule`] if the embedded text does not parse; a test keeps that from shipping.
    pub fn wasm(&self) -> Result<&[u8], ExecutionError> {
        let parsed = self.binary.get_or_init(|| wat::parse_str(self.text).map_err(|error| error.to_string()));
        match parsed {
            Ok(binary) => Ok(binary),
            Err(reason) => Err(ExecutionError::BadModule { reason: reason.clone() }),
        }
    }
}

//! The modules shipped with the node, embedded as binaries; a test keeps them true to their text in `modules/`.

use super::HostFunction;

/// A module that comes with the node.
#[derive(Debug)]
pub struct Builtin {
    /// Its name, as `mesh30k task run NAME` takes it.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What it must be granted.
    pub grants: &'static [HostFunction],
    /// The WebAssembly binary.
    pub wasm: &'static [u8],
}

static BUILTINS: [Builtin; 2] = [
    Builtin {
        name: "hello",
        summary: "answers \"hello, \" and its input",
        grants: &[],
        wasm: include_bytes!("../../modules/hello.wasm"),
    },
    Builtin {
        name: "carbon_aggregate",
        summary: "carbon intensity per balancing authority from a slice of an hourly CSV",
        grants: &[],
        wasm: include_bytes!("../../modules/carbon_aggregate.wasm"),
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

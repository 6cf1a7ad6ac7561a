//! The sandbox on wasmi: an interpreter, so that there is no code generator to attack and no address space to reserve.

use std::sync::Arc;

use wasmi::{
    CompilationMode, Config, EnforcedLimits, Engine, ExternType, Linker, Memory, Module, Store, TypedFunc, ValType,
};

use super::cache::{Compiled, ModuleCache};
use super::engine::{Request, TaskEngine};
use super::host::Guest;
use super::meter::Meter;
use super::{Execution, ExecutionError, Exit, HostFunction};

/// Engine, its version and the version of our ABI and settings; a test keeps it true to the lock file.
const ENGINE_ID: &str = "wasmi-2.0.0/abi-1";
/// Largest module accepted, bytes; compiling is the one step that can't be interrupted.
const MAX_MODULE_BYTES: usize = 1 << 20;
/// Largest input accepted, bytes: what `alloc` can be asked for.
const MAX_INPUT_BYTES: usize = 1 << 30;
/// Nested calls of a guest.
const MAX_RECURSION: usize = 512;
/// Value stack of a guest, bytes.
const MAX_STACK_BYTES: usize = 512 << 10;

/// Runs core WebAssembly modules under fuel, memory and wall-clock limits.
#[derive(Debug, Default)]
pub struct WasmiEngine {
    cache: ModuleCache,
}

/// A running guest and the three exports of the ABI.
struct Instance {
    store: Store<Guest>,
    memory: Memory,
    alloc: TypedFunc<u32, u32>,
    run: TypedFunc<(u32, u32), i64>,
}

impl WasmiEngine {
    /// An engine with an empty cache of modules.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn compiled(&self, bytes: &[u8]) -> Result<([u8; 32], Arc<Compiled>), ExecutionError> {
        if bytes.len() > MAX_MODULE_BYTES {
            return bad(format!("it has {} bytes; at most {MAX_MODULE_BYTES} are accepted", bytes.len()));
        }
        let hash = *blake3::hash(bytes).as_bytes();
        if let Some(compiled) = self.cache.get(&hash) {
            return Ok((hash, compiled));
        }
        let engine = Engine::new(&engine_config());
        let module = Module::new(&engine, bytes).map_err(|e| ExecutionError::BadModule { reason: e.to_string() })?;
        check_exports(&module)?;
        let compiled = Arc::new(Compiled { engine, module, source_bytes: bytes.len() });
        self.cache.insert(hash, Arc::clone(&compiled));
        Ok((hash, compiled))
    }

    #[cfg(test)]
    pub(super) fn cached_modules(&self) -> usize {
        self.cache.len()
    }
}

impl TaskEngine for WasmiEngine {
    fn id(&self) -> &'static str {
        ENGINE_ID
    }

    fn check(&self, module: &[u8], grants: &[HostFunction]) -> Result<(), ExecutionError> {
        let (_, compiled) = self.compiled(module)?;
        check_imports(&compiled.module, grants)
    }

    fn execute(&self, request: Request<'_>) -> Result<Execution, ExecutionError> {
        let mut meter = Meter::start(request.limits, request.cancel);
        let (module_hash, compiled) = self.compiled(request.module)?;
        check_imports(&compiled.module, request.grants)?;
        let mut instance = instantiate(&compiled, &request, &mut meter)?;
        let input_at = write_input(&mut instance, &request, &mut meter)?;
        let input_len = guest_len(request.input)?;
        let packed = meter.call(&mut instance.store, instance.run, (input_at, input_len))?;
        let (output, exit) = read_output(&instance, packed, &request)?;
        let peak_memory_bytes = instance.memory.data_size(&instance.store) as u64;
        let fuel = meter.used(&instance.store);
        let guest = instance.store.into_data();
        Ok(Execution {
            output_hash: *blake3::hash(&output).as_bytes(),
            output,
            module_hash,
            fuel,
            wall_us: meter.elapsed_us(),
            peak_memory_bytes,
            exit,
            engine: ENGINE_ID,
            log: guest.log,
            log_dropped: guest.log_dropped,
        })
    }
}

fn bad<T>(reason: impl Into<String>) -> Result<T, ExecutionError> {
    Err(ExecutionError::BadModule { reason: reason.into() })
}

fn engine_config() -> Config {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        // Translating on first use would charge its fuel to whoever runs a module first.
        .compilation_mode(CompilationMode::Eager)
        // A start function would run outside the slices.
        .allow_start_fn(false)
        .ignore_custom_sections(true)
        .enforced_limits(EnforcedLimits::strict())
        .wasm_multi_memory(false)
        .set_max_recursion_depth(MAX_RECURSION)
        .set_max_stack_height(MAX_STACK_BYTES)
        .set_max_cached_stacks(1);
    config
}

fn check_exports(module: &Module) -> Result<(), ExecutionError> {
    if !matches!(module.get_export("memory"), Some(ExternType::Memory(_))) {
        return bad("it exports no memory named \"memory\"");
    }
    let abi: [(&str, &str, &[ValType], ValType); 2] = [
        ("alloc", "(i32) -> i32", &[ValType::I32], ValType::I32),
        ("run", "(i32, i32) -> i64", &[ValType::I32, ValType::I32], ValType::I64),
    ];
    for (name, shape, params, result) in abi {
        match module.get_export(name) {
            Some(ExternType::Func(ty)) if ty.params() == params && ty.results() == [result] => {}
            _ => return bad(format!("it exports no function {name}{shape}")),
        }
    }
    Ok(())
}

fn check_imports(module: &Module, grants: &[HostFunction]) -> Result<(), ExecutionError> {
    for import in module.imports() {
        let name = || format!("{}.{}", import.module(), import.name());
        let function = HostFunction::from_import(import.module(), import.name());
        let Some(function) = function.filter(|function| grants.contains(function)) else {
            return Err(ExecutionError::NotGranted { import: name() });
        };
        let fits = matches!(import.ty(), ExternType::Func(ty) if (ty.params(), ty.results()) == function.shape());
        if !fits {
            return bad(format!("it imports {} with other parameters or results than that function has", name()));
        }
    }
    Ok(())
}

fn instantiate(compiled: &Compiled, request: &Request<'_>, meter: &mut Meter<'_>) -> Result<Instance, ExecutionError> {
    let guest = Guest::new(request.limits.memory_bytes, guest_len(request.input)?);
    let mut store = Store::new(&compiled.engine, guest);
    store.limiter(|guest| guest);
    meter.prime(&mut store)?;
    let mut linker = Linker::new(&compiled.engine);
    for function in HostFunction::ALL.into_iter().filter(|function| request.grants.contains(function)) {
        function.define(&mut linker).map_err(|error| ExecutionError::Engine { reason: error.to_string() })?;
    }
    let instance = match linker.instantiate_and_start(&mut store, &compiled.module) {
        Ok(instance) => instance,
        Err(error) => return Err(meter.explain(&store, &error)),
    };
    let typed = |error: wasmi::Error| ExecutionError::BadModule { reason: error.to_string() };
    let alloc = instance.get_typed_func(&store, "alloc").map_err(typed)?;
    let run = instance.get_typed_func(&store, "run").map_err(typed)?;
    let Some(memory) = instance.get_memory(&store, "memory") else {
        return bad("it exports no memory named \"memory\"");
    };
    Ok(Instance { store, memory, alloc, run })
}

fn guest_len(bytes: &[u8]) -> Result<u32, ExecutionError> {
    match u32::try_from(bytes.len()) {
        Ok(len) if bytes.len() <= MAX_INPUT_BYTES => Ok(len),
        _ => Err(ExecutionError::AboveCeiling {
            field: "input_bytes",
            value: bytes.len() as u64,
            limit: MAX_INPUT_BYTES as u64,
        }),
    }
}

fn write_input(guest: &mut Instance, request: &Request<'_>, meter: &mut Meter<'_>) -> Result<u32, ExecutionError> {
    let len = guest_len(request.input)?;
    let at = meter.call(&mut guest.store, guest.alloc, len)?;
    guest.memory.write(&mut guest.store, at as usize, request.input).map_err(|_| ExecutionError::Trap {
        reason: format!("alloc({len}) returned {at}, where the input does not fit into memory"),
    })?;
    Ok(at)
}

/// Splits `run`'s result and copies the output out, after its length is known to be allowed.
fn read_output(guest: &Instance, packed: i64, request: &Request<'_>) -> Result<(Vec<u8>, Exit), ExecutionError> {
    let Ok(packed) = u64::try_from(packed) else {
        let code = i32::try_from(packed.unsigned_abs()).unwrap_or(i32::MAX);
        return Ok((Vec::new(), Exit::Failed(code)));
    };
    let (at, length) = (packed >> 32, packed & u64::from(u32::MAX));
    if length > request.limits.output_bytes {
        return Err(ExecutionError::OutputTooLarge { length, limit: request.limits.output_bytes });
    }
    let outside = || ExecutionError::Trap { reason: format!("the output ({length} bytes at {at}) is outside memory") };
    let begin = usize::try_from(at).map_err(|_| outside())?;
    let end = usize::try_from(at.saturating_add(length)).map_err(|_| outside())?;
    let bytes = guest.memory.data(&guest.store).get(begin..end).ok_or_else(outside)?;
    Ok((bytes.to_vec(), Exit::Completed))
}

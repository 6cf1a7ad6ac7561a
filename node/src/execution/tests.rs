//! The sandbox against hostile modules, and the shipped modules against plain computations.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::monotonic_us;

pub(super) const ROOMY: Limits =
    Limits { fuel: u64::MAX, memory_bytes: 64 << 20, wall_ms: 60_000, output_bytes: 1 << 20 };

fn module(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {body})")).unwrap()
}

/// A module whose `alloc` is fixed at 1024 and whose `run` is `body`.
pub(super) fn with_run(body: &str) -> Vec<u8> {
    module(&format!(
        r#"(memory (export "memory") 1)
           (func (export "alloc") (param i32) (result i32) (i32.const 1024))
           (func (export "run") (param i32 i32) (result i64) {body})"#
    ))
}

fn run_on(engine: &WasmiEngine, wasm: &[u8], input: &[u8], limits: Limits) -> Result<Execution, ExecutionError> {
    engine.execute(Request { module: wasm, input, limits, grants: &[], cancel: &Cancel::default() })
}

fn run(wasm: &[u8], input: &[u8], limits: Limits) -> Result<Execution, ExecutionError> {
    run_on(&WasmiEngine::new(), wasm, input, limits)
}

#[test]
fn shipped_binaries_are_what_their_texts_say() {
    let texts = [("hello", include_str!("../../modules/hello.wat"))];
    let texts = texts.into_iter().chain([("carbon_aggregate", include_str!("../../modules/carbon_aggregate.wat"))]);
    let assembled: Vec<_> = texts.map(|(name, text)| (name, wat::parse_str(text).unwrap())).collect();
    let shipped: Vec<_> = builtins().iter().map(|module| (module.name, module.wasm.to_vec())).collect();
    assert_eq!(shipped, assembled, "run: cargo run --package mesh30k-node --example assemble_modules");
}

pub(super) const ENDLESS: &str = "(loop $again (br $again)) (i64.const 0)";

#[test]
fn hello_answers_and_the_result_is_the_same_again() {
    let engine = WasmiEngine::new();
    let wasm = builtin("hello").unwrap().wasm;
    let first = run_on(&engine, wasm, b"mesh", Limits::default()).unwrap();
    assert_eq!(first.output, b"hello, mesh");
    assert_eq!(first.output_hash, *blake3::hash(b"hello, mesh").as_bytes());
    assert_eq!((first.exit, first.peak_memory_bytes), (Exit::Completed, 65_536));
    let cached = run_on(&engine, wasm, b"mesh", Limits::default()).unwrap();
    let fresh = run(wasm, b"mesh", Limits { fuel: first.fuel, ..Limits::default() }).unwrap();
    assert!(first.fuel > 0);
    assert_eq!((first.fuel, first.fuel), (cached.fuel, fresh.fuel));
    let short = Limits { fuel: first.fuel - 1, ..Limits::default() };
    assert_eq!(run(wasm, b"mesh", short), Err(ExecutionError::OutOfFuel { limit: first.fuel - 1 }));
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    let limits = Limits { fuel: 3_500_000, ..ROOMY };
    assert_eq!(run(&with_run(ENDLESS), b"", limits), Err(ExecutionError::OutOfFuel { limit: 3_500_000 }));
}

#[test]
fn an_endless_loop_with_endless_fuel_is_stopped_by_the_clock() {
    let begun_us = monotonic_us();
    let limits = Limits { wall_ms: 80, ..ROOMY };
    assert_eq!(run(&with_run(ENDLESS), b"", limits), Err(ExecutionError::Timeout { limit_ms: 80 }));
    let took = Duration::from_micros(monotonic_us() - begun_us);
    assert!(took >= Duration::from_millis(80));
    // 50 ms is the aim; the bound leaves room for a test machine that is busy with other things.
    assert!(took < Duration::from_millis(1_000), "it took {took:?}");
}

#[test]
fn a_switch_thrown_from_another_thread_stops_a_task() {
    let (engine, cancel, wasm) = (WasmiEngine::new(), Cancel::default(), with_run(ENDLESS));
    let result = std::thread::scope(|scope| {
        let request = Request { module: &wasm, input: b"", limits: ROOMY, grants: &[], cancel: &cancel };
        let engine = &engine;
        let task = scope.spawn(move || engine.execute(request));
        cancel.cancel();
        task.join().unwrap()
    });
    assert_eq!(result, Err(ExecutionError::Cancelled));
}

#[test]
fn growing_to_four_gib_is_refused_with_what_was_asked() {
    let limits = Limits { memory_bytes: 1 << 20, ..ROOMY };
    let grow = with_run("(drop (memory.grow (i32.const 65535))) (i64.const 0)");
    assert_eq!(run(&grow, b"", limits), Err(ExecutionError::MemoryLimit { asked: 1 << 32, limit: 1 << 20 }));
    let creep = with_run("(loop $again (drop (memory.grow (i32.const 1))) (br $again)) (i64.const 0)");
    let asked = (1 << 20) + 65_536;
    assert_eq!(run(&creep, b"", limits), Err(ExecutionError::MemoryLimit { asked, limit: 1 << 20 }));
}

#[test]
fn a_module_that_begins_too_large_is_refused() {
    let wasm = module(
        r#"(memory (export "memory") 65536)
           (func (export "alloc") (param i32) (result i32) (i32.const 0))
           (func (export "run") (param i32 i32) (result i64) (i64.const 0))"#,
    );
    let limits = Limits::default();
    let expected = ExecutionError::MemoryLimit { asked: 1 << 32, limit: limits.memory_bytes };
    assert_eq!(run(&wasm, b"", limits), Err(expected));
}

#[test]
fn an_import_that_was_not_granted_is_named_before_anything_runs() {
    let importing = |module_name: &str, name: &str| {
        module(&format!(
            r#"(import "{module_name}" "{name}" (func (param i32 i32)))
               (memory (export "memory") 1)
               (func (export "alloc") (param i32) (result i32) (i32.const 0))
               (func (export "run") (param i32 i32) (result i64) unreachable)"#
        ))
    };
    let engine = WasmiEngine::new();
    let forbidden = [("wasi_snapshot_preview1", "fd_write"), ("mesh30k", "read_file"), ("mesh30k", "log")];
    for (module_name, name) in forbidden {
        let import = format!("{module_name}.{name}");
        let expected = Err(ExecutionError::NotGranted { import });
        let wasm = importing(module_name, name);
        assert_eq!(run_on(&engine, &wasm, b"", ROOMY).map(|_| ()), expected);
        assert_eq!(engine.check(&wasm, &[HostFunction::InputLen]), expected);
    }
    assert_eq!(engine.check(&importing("mesh30k", "log"), &[HostFunction::Log]), Ok(()));
}

#[test]
fn granted_functions_work_and_their_output_is_bounded() {
    let wasm = module(
        r#"(import "mesh30k" "log" (func $log (param i32 i32)))
           (import "mesh30k" "input_len" (func $input_len (result i32)))
           (memory (export "memory") 1)
           (func (export "alloc") (param i32) (result i32) (i32.const 1024))
           (func (export "run") (param i32 i32) (result i64) (local $n i32)
             (loop $again
               (call $log (local.get 0) (local.get 1))
               (local.set $n (i32.add (local.get $n) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $n) (i32.const 100))))
             (i64.or (i64.const 0x40000000000) (i64.extend_i32_u (call $input_len))))"#,
    );
    let grants = HostFunction::ALL;
    let request =
        Request { module: &wasm, input: b"a\nb\x1b[2J", limits: ROOMY, grants: &grants, cancel: &Cancel::default() };
    let done = WasmiEngine::new().execute(request).unwrap();
    assert_eq!(done.output, b"a\nb\x1b[2J");
    assert_eq!((done.log.len(), done.log_dropped), (64, 36));
    assert_eq!(done.log[0], "a b [2J");
}

#[test]
fn an_import_of_the_wrong_shape_is_a_bad_module() {
    let wasm = module(
        r#"(import "mesh30k" "log" (func (param i64)))
           (memory (export "memory") 1)
           (func (export "alloc") (param i32) (result i32) (i32.const 0))
           (func (export "run") (param i32 i32) (result i64) (i64.const 0))"#,
    );
    let result = WasmiEngine::new().check(&wasm, &[HostFunction::Log]);
    assert!(matches!(result, Err(ExecutionError::BadModule { .. })), "{result:?}");
}

#[test]
fn traps_are_typed() {
    let trap = |body: &str| match run(&with_run(body), b"", ROOMY) {
        Err(ExecutionError::Trap { reason }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(trap("unreachable").contains("unreachable"));
    assert!(trap("(i64.div_u (i64.const 1) (i64.const 0))").contains("divide by zero"));
    assert!(trap("(i64.load (i32.const -8))").contains("out of bounds"));
    // A result that points outside memory.
    assert!(trap("(i64.const 0x7fffffff00000010)").contains("outside memory"));
    let deep = r#"(memory (export "memory") 1)
        (func $deep (export "run") (param i32 i32) (result i64) (call $deep (local.get 0) (local.get 1)))
        (func (export "alloc") (param i32) (result i32) (i32.const 0))"#;
    let result = run(&module(deep), b"", ROOMY);
    assert!(matches!(result, Err(ExecutionError::Trap { ref reason }) if reason.contains("exhausted")), "{result:?}");
    let nowhere = r#"(memory (export "memory") 1)
        (func (export "run") (param i32 i32) (result i64) (i64.const 0))
        (func (export "alloc") (param i32) (result i32) (i32.const -4))"#;
    let result = run(&module(nowhere), b"some input", ROOMY);
    assert!(matches!(result, Err(ExecutionError::Trap { ref reason }) if reason.contains("alloc")), "{result:?}");
}

#[test]
fn an_output_too_large_is_refused_before_it_is_copied() {
    let limits = Limits { output_bytes: 10, ..ROOMY };
    let result = run(&with_run("(i64.const 4294967295)"), b"", limits);
    assert_eq!(result, Err(ExecutionError::OutputTooLarge { length: u64::from(u32::MAX), limit: 10 }));
}

#[test]
fn a_modules_own_failure_is_its_exit_code() {
    let done = run(&with_run("(i64.const -7)"), b"", ROOMY).unwrap();
    assert_eq!((done.exit, done.exit.code(), done.output.len()), (Exit::Failed(7), 7, 0));
}

#[test]
fn what_is_no_task_module_is_refused_with_the_reason() {
    let reason = |wasm: &[u8]| match WasmiEngine::new().check(wasm, &[]) {
        Err(ExecutionError::BadModule { reason }) => reason,
        other => panic!("{other:?}"),
    };
    reason(b"");
    reason(b"(module)");
    reason(&vec![0; (1 << 20) + 1]);
    assert!(reason(&module("")).contains("memory"));
    assert!(reason(&module(r#"(memory (export "memory") 1)"#)).contains("alloc"));
    let start = r#"(memory (export "memory") 1) (func $s) (start $s)
        (func (export "run") (param i32 i32) (result i64) (i64.const 0))
        (func (export "alloc") (param i32) (result i32) (i32.const 0))"#;
    assert!(reason(&module(start)).contains("start"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend(&bytes);
        let engine = WasmiEngine::new();
        prop_assert!(engine.check(&bytes, &[]).is_err());
        // Most are refused; what is not must still run within its limits.
        let _ = run_on(&engine, &module, b"x", Limits { fuel: 100_000, wall_ms: 1_000, ..Limits::default() });
        let _ = CarbonAggregate::decode(&bytes);
    }

    /// The aggregate takes any input: it counts what it can't read and never traps.
    #[test]
    fn any_lines_are_counted_never_trapped(lines in prop::collection::vec("[A-C0-9.,\"\r -]{0,24}", 0..40)) {
        let input = format!("ts,ba,ci_g_per_kwh\n{}\n", lines.join("\n"));
        let done = carbon(input.as_bytes());
        let aggregate = CarbonAggregate::decode(&done.output).unwrap();
        prop_assert_eq!(aggregate, oracle(&input));
    }
}

/// A guest must not be able to use up the native stack of the thread it runs on, however long it runs: wasmi's tail-call
/// dispatch did in builds with debug assertions.
#[test]
fn a_long_run_fits_a_small_native_stack() {
    let mut input = String::from("ba,ci_g_per_kwh\n");
    for n in 0..20_000 {
        input.push_str(&format!("B{},{}.{}\n", n % 60, n % 1_000, n % 10));
    }
    let small = std::thread::Builder::new().stack_size(256 << 10);
    let done = small.spawn(move || (carbon(input.as_bytes()), input)).unwrap().join().unwrap();
    assert_eq!(CarbonAggregate::decode(&done.0.output).unwrap(), oracle(&done.1));
}

#[test]
fn the_module_cache_is_bounded() {
    let engine = WasmiEngine::new();
    for n in 0..20 {
        engine.check(&with_run(&format!("(i64.const {n})")), &[]).unwrap();
    }
    assert_eq!(engine.cached_modules(), 8);
}

#[test]
fn limits_above_the_ceiling_are_refused_by_field() {
    let ceiling = Limits::default();
    let greedy = Limits { wall_ms: 10_001, ..ceiling };
    let expected = ExecutionError::AboveCeiling { field: "wall_ms", value: 10_001, limit: 10_000 };
    assert_eq!(greedy.check(&ceiling), Err(expected));
    assert_eq!(ceiling.check(&ceiling), Ok(()));
}

#[test]
fn the_engine_id_names_the_version_in_the_lock_file() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock")).unwrap();
    let version = lock.split("name = \"wasmi\"\nversion = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(WasmiEngine::new().id().starts_with(&format!("wasmi-{version}/")), "wasmi is now {version}: new engine id");
}

#[test]
fn grants_have_stable_names_and_ids() {
    let names: Vec<_> = HostFunction::ALL.iter().map(|f| (f.id(), f.name())).collect();
    assert_eq!(names, [(1, "mesh30k.log"), (2, "mesh30k.input_len")]);
    assert_eq!("mesh30k.log".parse(), Ok(HostFunction::Log));
    assert!("fs.read".parse::<HostFunction>().is_err());
}

fn carbon(input: &[u8]) -> Execution {
    run(builtin("carbon_aggregate").unwrap().wasm, input, Limits::default()).unwrap()
}

/// The aggregate computed the plain way, from the rules in the module's heading and not from its code.
fn oracle(text: &str) -> CarbonAggregate {
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let header: Vec<_> = lines.next().unwrap().split(',').collect();
    let column = |name| header.iter().position(|h| *h == name).unwrap();
    let (ba, ci) = (column("ba"), column("ci_g_per_kwh"));
    let mut aggregate = CarbonAggregate::default();
    for line in lines.filter(|line| !line.is_empty()) {
        aggregate.lines += 1;
        let fields: Vec<_> = line.split(',').collect();
        let well_formed = fields.len() == header.len()
            && !line.contains('"')
            && (1..=8).contains(&fields[ba].len())
            && fields[ba].bytes().all(|b| b.is_ascii_graphic());
        let value = if well_formed { milli(fields[ci]) } else { None };
        let Some(value) = value else {
            aggregate.refused += 1;
            continue;
        };
        let none =
            Authority { hours: 0, missing_hours: 0, sum_mg_per_kwh: 0, min_mg_per_kwh: u64::MAX, max_mg_per_kwh: 0 };
        let entry = aggregate.authorities.entry(fields[ba].to_owned()).or_insert(none);
        match value {
            None => entry.missing_hours += 1,
            Some(mg) => {
                entry.hours += 1;
                entry.sum_mg_per_kwh += mg;
                entry.min_mg_per_kwh = entry.min_mg_per_kwh.min(mg);
                entry.max_mg_per_kwh = entry.max_mg_per_kwh.max(mg);
            }
        }
    }
    aggregate
}

/// Thousandths of a decimal number: `Some(None)` blank, `None` not a number.
fn milli(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str, most| (1..=most).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, 9) || !digits(decimals, 3) {
        return None;
    }
    format!("{whole}{decimals:0<3}").parse().ok().map(Some)
}

fn hourly_series() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testnet/data/carbon_hourly_us.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn twenty_slices_of_the_real_series_merge_to_the_whole() {
    let text = hourly_series();
    let (header, body) = text.split_once('\n').unwrap();
    let rows: Vec<_> = body.lines().collect();
    let mut merged = CarbonAggregate::default();
    let mut fuel = BTreeMap::new();
    for (index, slice) in rows.chunks(rows.len().div_ceil(20)).enumerate().rev() {
        let done = carbon(format!("{header}\n{}\n", slice.join("\n")).as_bytes());
        merged.merge(&CarbonAggregate::decode(&done.output).unwrap()).unwrap();
        fuel.insert(index, done.fuel);
    }
    assert_eq!(fuel.len(), 20);
    assert_eq!(merged, oracle(&text));
    assert_eq!((merged.lines, merged.refused, merged.authorities.len()), (34_992, 0, 6));
    // The checked values of the data set's own page.
    let missing = |ba: &str| merged.authorities[ba].missing_hours;
    assert_eq!((missing("PJM"), missing("CISO"), missing("AZPS")), (22, 3, 0));
    let bounds = merged.authorities.values().fold((u64::MAX, 0), |(low, high), authority| {
        (low.min(authority.min_mg_per_kwh), high.max(authority.max_mg_per_kwh))
    });
    assert_eq!(bounds, (22_180, 749_200));
}

#[test]
fn malformed_lines_are_counted_one_by_one() {
    let input = "ba,x,ci_g_per_kwh\r\nAZPS,1,100.5\r\nAZPS,1\nAZPS,1,2,3\nAZPS,1,1.2345\nAZPS,1,-3\nAZPS,\"1\",3\n\
                 ,1,3\nNINELETTR,1,3\n\nAZPS,1,\nAZPS,1,7";
    let aggregate = CarbonAggregate::decode(&carbon(input.as_bytes()).output).unwrap();
    assert_eq!((aggregate.lines, aggregate.refused), (10, 7));
    let expected = Authority {
        hours: 2,
        missing_hours: 1,
        sum_mg_per_kwh: 107_500,
        min_mg_per_kwh: 7_000,
        max_mg_per_kwh: 100_500,
    };
    assert_eq!(aggregate.authorities["AZPS"], expected);
    assert_eq!(expected.mean_mg_per_kwh(), Some(53_750));
}

#[test]
fn a_65th_authority_is_refused_and_a_header_without_its_columns_fails() {
    let mut input = String::from("ba,ci_g_per_kwh\n");
    for n in 0..70 {
        input.push_str(&format!("B{},1\n", 99 - n));
    }
    let aggregate = CarbonAggregate::decode(&carbon(input.as_bytes()).output).unwrap();
    assert_eq!((aggregate.authorities.len(), aggregate.refused), (64, 6));
    for headless in ["", "\n", "a,b,c\n1,2,3\n"] {
        assert_eq!(carbon(headless.as_bytes()).exit, Exit::Failed(1));
    }
}

#[test]
fn damaged_aggregates_are_refused() {
    let good = carbon(b"ba,ci_g_per_kwh\nA,1\nB,2\n").output;
    assert!(CarbonAggregate::decode(&good).is_ok());
    assert_eq!(CarbonAggregate::decode(b"MCA2"), Err(AggregateError::Magic));
    for cut in 8..good.len() {
        assert!(matches!(CarbonAggregate::decode(&good[..cut]), Err(AggregateError::Length { .. })));
    }
    let mut swapped = good;
    let (first, second) = swapped[24..].split_at_mut(48);
    first.swap_with_slice(second);
    assert_eq!(CarbonAggregate::decode(&swapped), Err(AggregateError::Name { index: 1 }));
}

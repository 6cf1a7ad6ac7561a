use mesh30k_sim::bench::*;
use mesh30k_sim::*;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let agents: u32 = args[1].parse().unwrap();
    let waves: u32 = args[2].parse().unwrap();
    let runs: u32 = args[3].parse().unwrap();
    let usual = ArrivalBench::of_size(agents);
    let bench = ArrivalBench { base: SimConfig { waves, threads: 2, ..usual.base.clone() }, runs, scenarios: args[4].split(',').map(|s| s.parse().unwrap()).collect(), ..usual };
    let folder = std::path::PathBuf::from(&args[5]);
    let report = run_bench(&bench, &folder, &|p| if let Progress::Over { job, .. } = p { eprintln!("{job}") }).unwrap();
    println!("{:?}", write_all(&report, &folder).unwrap());
}

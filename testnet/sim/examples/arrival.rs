//! Runs the arrival simulation and prints one line per wave: `cargo run -p mesh30k-sim --example arrival -- [seed] [agents]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map_while(|a| a.parse::<u32>().ok());
    let mut config = mesh30k_sim::SimConfig::default();
    config.seed = u64::from(arguments.next().unwrap_or(1));
    config.agents = arguments.next().unwrap_or(config.agents);
    match mesh30k_sim::run(&config) {
        Ok(report) => {
            println!("seed {} agents {} warm {} steps {}", report.seed, report.agents, report.warm, report.steps);
            for w in &report.waves {
                println!(
                    "{:?} lead {} ms predicted {:.3} enrolled {} 2ms {} 5ms {} 10ms {} 50ms {} 250ms {} median {} us armed {} misses {:?} classes {:?}",
                    w.strategy,
                    w.lead_ms,
                    w.predicted_hit,
                    w.enrolled,
                    w.within_2ms,
                    w.within_5ms,
                    w.within_10ms,
                    w.within_50ms,
                    w.within_250ms,
                    w.median_abs_us,
                    w.armed_by_target,
                    w.misses,
                    w.classes
                );
                if let Some(f) = &w.folded {
                    let t = &f.tally;
                    println!(
                        "   folded: correction {} enrolled {} released {} late {} transit {} conflict {} est10 {} proved {} estimated {} possible {} slowest {:?}",
                        f.correction,
                        t.sum(|c| c.enrolled),
                        t.sum(|c| c.released),
                        t.sum(|c| c.late),
                        t.sum(|c| c.transit),
                        t.sum(|c| c.conflict),
                        t.errors.within(10_000),
                        t.proved,
                        t.estimated,
                        t.possible,
                        t.slowest
                    );
                }
            }
            println!("trace {}", report.trace_hash);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

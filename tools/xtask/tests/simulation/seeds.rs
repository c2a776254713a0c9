//! Many seeds: side by side, some of them twice, and what they must have gone through in all.

use super::coverage::Coverage;
use super::run::Run;
use millrace_engine::planted::{Bug, plant};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lives of a seed, the last one apart.
const LIVES: u32 = 12;
/// Every so-manieth seed is run twice, and must be the same run.
const TWICE_EVERY: u64 = 16;
/// Violations after which no more seeds are begun.
const VIOLATIONS_MAX: usize = 10;
const THREADS: usize = 2;

/// What many runs came to.
#[derive(Debug, Default)]
struct Sum {
    seeds: u64,
    sim_ns: u128,
    coverage: Coverage,
    violations: Vec<String>,
}

/// One seed to its end.
fn run_seed(seed: u64) -> (Run, Result<(), String>) {
    let mut run = Run::new(seed);
    let ended = catch_unwind(AssertUnwindSafe(|| run.live(LIVES)));
    let ended = ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    });
    (run, ended)
}

/// One seed, a second time if it is its turn; adds what came of it.
fn run_and_add(seed: u64, sum: &Mutex<Sum>) -> usize {
    let (run, ended) = run_seed(seed);
    let mut problem = ended.err();
    if problem.is_none() && seed.is_multiple_of(TWICE_EVERY) {
        let (again, _) = run_seed(seed);
        if again.hash() != run.hash() {
            problem = Some("a second run of the seed was another one".to_owned());
        }
    }
    let problem = problem.map(|problem| report(seed, &run, &problem));
    let mut sum = sum
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    sum.seeds += 1;
    sum.sim_ns += u128::from(run.sim_ns());
    sum.coverage.add(&run.coverage);
    sum.violations.extend(problem);
    sum.violations.len()
}

/// Keeps the history of a seed that failed, and says how to see it again.
fn report(seed: u64, run: &Run, problem: &str) -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seed-{seed}.history"));
    let kept = std::fs::write(&file, run.scene.history.to_text());
    let kept = kept.map_or_else(|error| error.to_string(), |()| file.display().to_string());
    let text = format!(
        "seed {seed}: {problem}\n  replay: cargo xtask simulate --from {seed} --seeds 1\n  \
         history: {kept}"
    );
    println!("{text}");
    text
}

/// Runs all of `seeds`, with a planted bug if one is wanted; whether none of them, and not all of
/// them together, failed.
pub(crate) fn run(seeds: Range<u64>, bug: Option<Bug>) -> bool {
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new(Sum::default());
    let violations_max = if bug.is_some() { 1 } else { VIOLATIONS_MAX };
    let worker = || {
        let _planted = bug.map(plant);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || run_and_add(seed, &sum) >= violations_max {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..THREADS {
            scope.spawn(worker);
        }
        worker();
    });
    let sum = sum
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    for (name, count) in sum.coverage.marks() {
        println!("{count:>14} {name}");
    }
    let missed = match bug {
        // A bug changes what there is to go through.
        Some(_) => Vec::new(),
        None => sum.coverage.missed(sum.seeds),
    };
    for name in &missed {
        println!("no {name} in {} seeds: the run proves nothing", sum.seeds);
    }
    println!(
        "{} seeds, {:.2} simulated hours, {} faults, {} violations",
        sum.seeds,
        sum.sim_ns as f64 / 3.6e12,
        sum.coverage.faults.total(),
        sum.violations.len()
    );
    sum.violations.is_empty() && missed.is_empty()
}

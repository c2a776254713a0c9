//! The rot layer: data directories whose files are damaged while the machine is off, one thing a
//! case. Whatever it is, no wrong byte is served; it is named by `log verify` and answered with an
//! error, or proven harmless; the rest goes on; and `log accept-loss` ends it.
//!
//! `cargo xtask rot` runs it; without arguments (`cargo test`) a few cases are run. Files: `case`
//! (what happens), `directory` (one with a past), `damage`, `node` (the engine), `source` (the
//! disk as verify sees it), `batches`.

mod batches;
mod case;
mod damage;
mod directory;
mod node;
mod source;

use case::{Case, Ended};
use damage::{DamageKind, FileKind};
use millrace_engine::planted::{Bug, plant};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Cases of a run that is asked for nothing else.
const CASES_DEFAULT: u64 = 40;
/// Failed cases after which no more are begun.
const FAILED_MAX: usize = 10;
const THREADS: usize = 2;
/// Cases from which on every kind must have come.
const ALL_KINDS_FROM: u64 = 1000;

/// Writes everything that the engine logs to stderr.
struct Trace;

impl log::Log for Trace {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        eprintln!("{}", record.args());
    }

    fn flush(&self) {}
}

/// What many cases came to.
#[derive(Default)]
struct Sum {
    cases: u64,
    detected: u64,
    harmless: u64,
    not_promised: u64,
    refused: u64,
    accepted: u64,
    kinds: BTreeMap<(FileKind, DamageKind), [u64; 3]>,
    failed: Vec<String>,
}

impl Sum {
    fn add(&mut self, case: &Case) {
        self.cases += 1;
        let counts = self
            .kinds
            .entry((case.damage.file, case.damage.kind))
            .or_default();
        let (count, place) = match case.ended {
            Ended::Detected => (&mut self.detected, 0),
            Ended::Harmless => (&mut self.harmless, 1),
            Ended::NotPromised => (&mut self.not_promised, 2),
        };
        *count += 1;
        counts[place] += 1;
        self.refused += u64::from(case.refused);
        self.accepted += case.accepted as u64;
    }

    fn print(&self) {
        println!("detected harmless not promised");
        for ((file, kind), [detected, harmless, not_promised]) in &self.kinds {
            println!("{detected:>8} {harmless:>8} {not_promised:>12}  {file:?} {kind:?}");
        }
        println!("{:>14} starts refused", self.refused);
        println!("{:>14} ranges given up", self.accepted);
    }
}

fn run_case(seed: u64) -> Result<Option<Case>, String> {
    let ended = catch_unwind(AssertUnwindSafe(|| case::run(seed)));
    ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// Runs seeds until `cases` of them had something to damage.
fn run(from: u64, cases: u64, bug: Option<Bug>) -> bool {
    let next = AtomicU64::new(from);
    let sum = Mutex::new(Sum::default());
    let lock = || {
        sum.lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    };
    let failed_max = if bug.is_some() { 1 } else { FAILED_MAX };
    let worker = || {
        let _planted = bug.map(plant);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let ended = run_case(seed);
            let mut sum = lock();
            match ended {
                Ok(Some(case)) => sum.add(&case),
                Ok(None) => {}
                Err(problem) => {
                    println!(
                        "seed {seed}: {problem}\n  replay: cargo xtask rot --from {seed} --cases 1"
                    );
                    sum.failed.push(problem);
                    sum.cases += 1;
                }
            }
            if sum.cases >= cases || sum.failed.len() >= failed_max {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..THREADS.min(cases as usize) {
            scope.spawn(worker);
        }
        worker();
    });
    let sum = sum
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    sum.print();
    let is_complete = cases < ALL_KINDS_FROM || bug.is_some() || sum.kinds.len() >= 50;
    if !is_complete {
        println!("{} kinds only: the run proves nothing", sum.kinds.len());
    }
    println!(
        "rot: {} cases, {} detected, {} harmless, {} served wrong",
        sum.cases,
        sum.detected,
        sum.harmless + sum.not_promised,
        sum.failed.len()
    );
    sum.failed.is_empty() && is_complete
}

fn main() -> ExitCode {
    let (mut from, mut cases, mut bug_number) = (0, CASES_DEFAULT, 0);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let place = match word.as_str() {
            "--from" => &mut from,
            "--cases" => &mut cases,
            "--bug" => &mut bug_number,
            "--trace" => {
                if log::set_logger(&Trace).is_ok() {
                    log::set_max_level(log::LevelFilter::Info);
                }
                continue;
            }
            _ => continue,
        };
        let Some(number) = words.next().and_then(|text| text.parse().ok()) else {
            eprintln!("{word} wants a number");
            return ExitCode::FAILURE;
        };
        *place = number;
    }
    let bug = Bug::ALL.into_iter().find(|bug| *bug as u64 == bug_number);
    if bug.is_none() && bug_number != 0 {
        eprintln!("--bug {bug_number}: engine/src/planted.rs has none of that number");
        return ExitCode::FAILURE;
    }
    match run(from, cases, bug) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

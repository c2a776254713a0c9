//! The crash test: a simulated disk, a seeded workload, a crash after any disk operation, and an
//! account outside of the engine that says what must have survived.
//!
//! `MILLRACE_CRASH_SEED=n` runs one seed alone, `from..to` a range; a failure prints its seed. With
//! `MILLRACE_CRASH_TRACE=1` too, every disk operation and all that the engine logs go to stderr.

mod compacted;
mod coverage;
mod machine_off;
mod oracle;
mod oracle_tests;
mod reading;
mod run;
mod turns;
mod workload;

use coverage::Coverage;
use millrace_engine::planted::{Bug, plant};
use run::Run;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lives of each seed; every one but the last ends in a crash.
const LIVES: u32 = 20;

/// Runs one seed to its end, or says what went wrong and how to see it again.
fn run_seed(seed: u64) -> Result<Coverage, String> {
    let mut run = Run::new(seed);
    let ended = catch_unwind(AssertUnwindSafe(|| run.live(LIVES)));
    let problem = match ended {
        Ok(Ok(())) => return Ok(run.coverage),
        Ok(Err(problem)) => problem,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            format!("panic: {}", text.unwrap_or_default())
        }
    };
    Err(format!(
        "seed {seed}, life {}: {problem}\nreplay: MILLRACE_CRASH_SEED={seed} cargo test -p \
         millrace-engine --test it crash",
        run.coverage.lives
    ))
}

/// Writes everything to stderr.
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

fn seeds_from_environment() -> Option<Range<u64>> {
    let text = std::env::var("MILLRACE_CRASH_SEED").ok()?;
    let number = |text: &str| text.parse().expect("MILLRACE_CRASH_SEED is n or from..to");
    Some(match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&text)..number(&text) + 1,
    })
}

/// `MILLRACE_CRASH_BUG=n` plants that bug.
fn bug_from_environment() -> Option<Bug> {
    let number = std::env::var("MILLRACE_CRASH_BUG").ok()?;
    let number: u8 = number.parse().expect("MILLRACE_CRASH_BUG is a number");
    Bug::ALL.into_iter().find(|bug| *bug as u8 == number)
}

/// Runs `seeds` on two threads until there were `crashes` or more than `problems_max` problems.
fn run_seeds(seeds: Range<u64>, crashes: u64, problems_max: usize) -> (Coverage, Vec<String>) {
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new((Coverage::default(), Vec::new()));
    let worker = || {
        let _planted = bug_from_environment().map(plant);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let result = run_seed(seed);
            let mut sum = sum.lock().unwrap();
            match result {
                Ok(coverage) => sum.0.add(&coverage),
                Err(problem) => {
                    eprintln!("{problem}");
                    sum.1.push(problem);
                }
            }
            if sum.0.crashes >= crashes || sum.1.len() > problems_max {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        worker();
    });
    sum.into_inner().unwrap()
}

#[test]
fn acknowledged_batches_survive_ten_thousand_crashes() {
    if std::env::var_os("MILLRACE_CRASH_TRACE").is_some() {
        log::set_logger(&Trace).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    }
    let wanted = seeds_from_environment();
    let (coverage, problems) = match wanted.clone() {
        Some(seeds) if bug_from_environment().is_some() => run_seeds(seeds, u64::MAX, 0),
        Some(seeds) => run_seeds(seeds, u64::MAX, usize::MAX),
        None => run_seeds(0..u64::MAX, 10_000, 0),
    };
    println!("{coverage:#?}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    if wanted.is_none() {
        coverage.assert_that_it_proves_something();
    }
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    let hash = || {
        let mut run = Run::new(4711);
        run.live(5).unwrap();
        run.world.event_hash()
    };
    assert_eq!(hash(), hash());
}

/// Runs seeds with a planted bug until one of them notices.
fn assert_caught(bug: Bug, seeds: u64) {
    let _planted = plant(bug);
    let caught = (0..seeds).find_map(|seed| run_seed(seed).err().map(|problem| (seed, problem)));
    let Some((seed, problem)) = caught else {
        panic!("{bug:?} went unnoticed over {seeds} seeds");
    };
    println!("{bug:?} noticed by seed {seed}: {problem}");
}

macro_rules! planted_bugs_are_caught {
    ($($name:ident: $bug:ident,)*) => {
        $(#[test]
        fn $name() {
            if seeds_from_environment().is_none() {
                assert_caught(Bug::$bug, 1500);
            }
        })*
    };
}

planted_bugs_are_caught! {
    notices_an_ack_before_the_commits_before_it: AckOnOwnCompletion,
    notices_an_ack_before_the_placed_write: AckBeforePlaced,
    notices_a_mark_that_knows_nothing_of_placed_writes: MarkIsJournalPrefix,
    notices_a_mark_at_the_last_submitted_commit: MarkIsLastSubmitted,
    notices_a_recovery_that_resumes_behind_a_hole: ResumeBehindHole,
    notices_a_recovery_that_keeps_the_epoch: EpochNotRaised,
    notices_a_placed_write_that_covers_a_shared_block: PlacedEndRoundedUp,
    notices_write_back_over_placed_blocks: WriteBackRewritesPlaced,
    notices_a_missing_tail_image: TailImageOmitted,
    notices_a_checkpoint_cut_at_the_resolved_commit: CheckpointCutsAtResolved,
    notices_write_back_that_is_not_durable: WriteBackNotDurable,
    notices_a_single_checkpoint_copy: OneCheckpointCopy,
    notices_the_newest_checkpoint_copy_overwritten_first: NewestCopyFirst,
    notices_a_journal_recycled_after_the_first_checkpoint_copy: RecycleAfterFirstCopy,
    notices_a_ring_used_to_its_last_file: RingUsedWhole,
    notices_files_reused_before_a_checkpoint_is_past_their_release: ReuseAtOnce,
    notices_files_reused_with_a_write_in_flight: ReuseWithWriteInFlight,
    notices_files_handed_over_before_their_folder_is_synced: HandOverBeforeDirSync,
    notices_batches_readable_before_they_are_durable: HighWatermarkAtAppend,
    notices_relaxed_offsets_given_out_again: RelaxedOffsetsReused,
    notices_placed_entries_without_producers: PlacedWithoutProducers,
    notices_a_swap_before_its_files_are_durable: SwapBeforeDurable,
}

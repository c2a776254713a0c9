//! The simulation: whole brokers with their clients on simulated machines, a seed a run.
//!
//! `cargo xtask simulate` runs it; without arguments (`cargo test`) a few seeds are run. Files:
//! `run` (a seed's life), `rotten` (what comes behind it), `machine` (the broker), `limits`,
//! `weather`, `rot` and `lies` (what goes wrong), `scene` (what clients share), `cast` (who they
//! are), `actor` and `link` (what each has), the clients, `payload` (records), `coverage` (marks),
//! `seeds` (many runs).

mod actor;
mod admin;
mod cast;
mod coverage;
mod fetching;
mod guide;
mod lies;
mod limits;
mod link;
mod machine;
mod member;
mod member_protocol;
mod payload;
mod producer;
mod reader;
mod renewer;
mod rot;
mod rotten;
mod run;
mod scene;
mod seeds;
mod session_reader;
mod trimmer;
mod weather;

use millrace_engine::planted::Bug;
use std::process::ExitCode;

/// Seeds of a run that is asked for nothing else.
const SEEDS_DEFAULT: u64 = 24;

/// A sum over bytes that tells equal from different, no more.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let mut sum = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ u64::from_le_bytes(word))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(31);
    }
    sum
}

/// Writes everything that the broker logs, and every disk operation, to stderr.
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

/// What was asked for. Words that are none of it are a test filter's, and mean nothing here.
#[derive(Debug)]
struct Asked {
    from: u64,
    seeds: u64,
    /// A bug to plant, by number; 0 for none.
    bug: u64,
    is_traced: bool,
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked {
        from: 0,
        seeds: SEEDS_DEFAULT,
        bug: 0,
        is_traced: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let place = match word.as_str() {
            "--from" => &mut asked.from,
            "--seeds" => &mut asked.seeds,
            "--bug" => &mut asked.bug,
            "--trace" => {
                asked.is_traced = true;
                continue;
            }
            _ => continue,
        };
        let number = words.next().and_then(|text| text.parse().ok());
        *place = number.ok_or_else(|| format!("{word} wants a number"))?;
    }
    Ok(asked)
}

fn main() -> ExitCode {
    let asked = match asked() {
        Ok(asked) => asked,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    if asked.is_traced && log::set_logger(&Trace).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
    let bug = Bug::ALL.into_iter().find(|bug| *bug as u64 == asked.bug);
    if bug.is_none() && asked.bug != 0 {
        eprintln!(
            "--bug {}: engine/src/planted.rs has none of that number",
            asked.bug
        );
        return ExitCode::FAILURE;
    }
    match seeds::run(asked.from..asked.from + asked.seeds, bug) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

//! One case: a directory, one damage, and then: what `log verify` says, what a start makes of it,
//! what readers get, and how `log accept-loss` ends it.

use super::batches::{batch, split};
use super::damage::{self, Damage, DamageKind, FileKind};
use super::directory::{Directory, Log, make};
use super::node::{Node, config};
use super::source::DiskSource;
use millrace_engine::engine::accept_loss::{AcceptedLoss, Question, accept_loss_on};
use millrace_engine::inspect::{Problem, Scope, check};
use millrace_engine::io::Dir;
use millrace_engine::io::simulated::{Crash, Random};
use millrace_engine::partition::ReadError;
use millrace_engine::shard::Loss;

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The damage was named, or its records were answered with an error.
    Detected,
    /// Everything is served as it was acknowledged.
    Harmless,
    /// It took the very last commits and the mark above them (docs/reliability.md).
    NotPromised,
}

/// What a case was about.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) damage: Damage,
    pub(crate) ended: Ended,
    /// Offset ranges that were given up.
    pub(crate) accepted: usize,
    pub(crate) refused: bool,
}

/// Offsets of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    number: u64,
    start: i64,
    end: i64,
}

/// What readers got.
#[derive(Debug, Default)]
struct Seen {
    /// Acknowledged batches that were answered with an error.
    told: Vec<Range>,
    /// Acknowledged batches that nobody said a word about.
    silent: Vec<Range>,
    /// Partitions that are not there: the commit that made them is lost (docs/reliability.md).
    uncreated: Vec<u64>,
    /// `verify` names a commit of which nothing tells what it held: any partition's end may be
    /// fenced for it.
    is_any_end_lost: bool,
}

/// Runs the case of a seed; `None`: it found nothing to damage. The error is what must not be.
pub(crate) fn run(seed: u64) -> Result<Option<Case>, String> {
    let mut random = Random::stream(seed, 31);
    let mut directory = make(seed, &mut random).map_err(|error| format!("making: {error}"))?;
    let world = directory.world.clone();
    let Some(damage) = damage::draw(&world, &mut random, (&directory.before, &directory.last))
    else {
        return Ok(None);
    };
    let text = damage.to_string();
    let at = |error: String| format!("{text}: {error}");
    let named = verify(&directory);
    log::info!("rot: {text}; named {named:?}");
    let segments = world.names(Dir::Segments);
    let mut started = Node::start(&world, directory.shards);
    let mut seen = Seen::default();
    let mut refused = false;
    match &mut started {
        Ok(node) => {
            seen = read_all(node, &directory.logs).map_err(at)?;
            seen.is_any_end_lost = named
                .as_ref()
                .is_ok_and(|problems| problems.iter().any(is_of_unknown_records));
            if seen.silent.is_empty() {
                append_to_all(node, &mut random, &mut directory, &seen).map_err(at)?;
            }
            let is_journal_damaged = damage.file == FileKind::Ring
                && !(seen.told.is_empty() && seen.uncreated.is_empty());
            // A start also removes what a moved log start has released.
            let is_any_released = directory.logs.values().any(|log| log.log_start > 0);
            if is_journal_damaged && !is_any_released {
                are_all_there(&segments, &world.names(Dir::Segments)).map_err(at)?;
            }
            if random.chance(1, 2) {
                node.stop()
                    .map_err(|error| at(format!("a clean stop: {error}")))?;
            }
        }
        Err(refusal) => {
            refused = true;
            if !may_refuse(&damage) {
                return Err(at(format!("the start is refused: {refusal}")));
            }
        }
    }
    drop(started);
    log::info!("rot: seen {seen:?}, refused {refused}");
    world.kill();
    if let Some(silent) = seen.silent.first() {
        let is_uncreated = damage.file == FileKind::Ring && seen.uncreated.contains(&silent.number);
        return match is_not_promised(&damage) || is_uncreated {
            true => Ok(Some(Case {
                damage,
                ended: Ended::NotPromised,
                accepted: 0,
                refused,
            })),
            false => Err(at(format!("{silent:?} is missing without a word"))),
        };
    }
    let problems = match &named {
        Ok(problems) => problems.as_slice(),
        Err(_) => &[],
    };
    is_named(&seen, &named, refused).map_err(at)?;
    let is_harmless = problems.is_empty() && named.is_ok() && !refused;
    let mut accepted = 0;
    let is_beyond_help =
        named.is_err() || matches!(damage.file, FileKind::Set | FileKind::Journal) && refused;
    if !is_harmless && !is_beyond_help {
        accepted = accept(&mut directory, &mut random, &damage, &seen, refused).map_err(at)?;
    }
    Ok(Some(Case {
        ended: match is_harmless {
            true => Ended::Harmless,
            false => Ended::Detected,
        },
        damage,
        accepted,
        refused,
    }))
}

/// Of files that a damaged journal does not name nobody knows that they are of no use.
fn are_all_there(before: &[String], now: &[String]) -> Result<(), String> {
    let gone = before.iter().find(|name| !now.contains(name));
    match gone {
        Some(name) => Err(format!("{name} is removed although the journal is damaged")),
        None => Ok(()),
    }
}

/// A start may be refused where a file of a journal is not there as a whole, or cannot be read.
fn may_refuse(damage: &Damage) -> bool {
    let is_incomplete = matches!(
        damage.kind,
        DamageKind::Removed | DamageKind::Truncated | DamageKind::Unreadable
    );
    match damage.file {
        FileKind::Ring | FileKind::Checkpoint | FileKind::Journal => is_incomplete,
        FileKind::Set => damage.kind == DamageKind::Removed,
        _ => false,
    }
}

/// Two blocks of the ring at once may be the last commit and its mark.
fn is_not_promised(damage: &Damage) -> bool {
    damage.file == FileKind::Ring && damage.kind == DamageKind::Swapped
}

fn verify(directory: &Directory) -> Result<Vec<Problem>, String> {
    let source = DiskSource::new(&directory.world);
    let scope = Scope {
        journals: true,
        segments: true,
        segment_prefix: None,
    };
    check(&source, scope, None).map(|report| report.problems)
}

/// A commit whose names are lost may have held anything.
fn is_of_unknown_records(problem: &Problem) -> bool {
    problem.records.is_none() && problem.file.ends_with(".jnl")
}

/// What readers were told of must be named by `verify`: file, place, and the records.
fn is_named(
    seen: &Seen,
    named: &Result<Vec<Problem>, String>,
    refused: bool,
) -> Result<(), String> {
    let Ok(problems) = named else { return Ok(()) };
    if refused && problems.is_empty() {
        return Err("the start is refused, and verify finds nothing".to_owned());
    }
    if problems.iter().any(is_of_unknown_records) {
        return Ok(());
    }
    let holds = |range: &Range, problem: &Problem| {
        problem.records.is_some_and(|records| {
            records.handle.0 == range.number
                && records.start_offset < range.end
                && range.start < records.end_offset
        })
    };
    for range in &seen.told {
        if !problems.iter().any(|problem| holds(range, problem)) {
            return Err(format!(
                "{range:?} is answered with an error and not named: {problems:?}"
            ));
        }
    }
    Ok(())
}

/// Reads every partition from its start to its end.
fn read_all(node: &mut Node, logs: &std::collections::BTreeMap<u64, Log>) -> Result<Seen, String> {
    let mut seen = Seen::default();
    for (&number, log) in logs {
        if node.offsets(number).is_none() {
            seen.uncreated.push(number);
        }
        let mut next = log.log_start;
        while next < log.end() {
            next = read_on(node, number, log, next, &mut seen)?;
        }
    }
    Ok(seen)
}

fn read_on(
    node: &mut Node,
    number: u64,
    log: &Log,
    next: i64,
    seen: &mut Seen,
) -> Result<i64, String> {
    let silent = |seen: &mut Seen, start: i64, end: i64| {
        for (&base, &(batch_end, _)) in log.batches.range(..end) {
            if batch_end > start {
                seen.silent.push(Range {
                    number,
                    start: base,
                    end: batch_end,
                });
            }
        }
    };
    match node.read(number, next)? {
        Ok((bytes, behind)) => {
            let batches = split(&bytes)?;
            let Some((first, ..)) = batches.first() else {
                silent(seen, next, log.end());
                return Ok(log.end());
            };
            silent(seen, next, *first);
            let mut expected = *first;
            for (base, end, bytes) in batches {
                silent(seen, expected, base);
                expected = end;
                if log
                    .batches
                    .get(&base)
                    .is_none_or(|(_, known)| known != bytes)
                {
                    return Err(format!("partition {number}: wrong bytes served at {base}"));
                }
            }
            Ok(behind)
        }
        Err(ReadError::OutOfRange { .. } | ReadError::UnknownPartition) => {
            silent(seen, next, log.end());
            Ok(log.end())
        }
        Err(ReadError::NoMemory) => Err(format!("partition {number}: no memory at {next}")),
        Err(error @ (ReadError::Corrupt { .. } | ReadError::Io(_))) => {
            log::info!(
                "rot: partition {number} at {next}: {error}, {:?}",
                node.offsets(number)
            );
            let mut behind = log.batches.range(..=next);
            let found = behind.next_back().filter(|(_, (end, _))| *end > next);
            let (&start, &(end, _)) = found.ok_or("no batch begins there")?;
            seen.told.push(Range { number, start, end });
            Ok(end)
        }
    }
}

/// Every partition that was not told to be fenced takes appends, and serves them.
fn append_to_all(
    node: &mut Node,
    random: &mut Random,
    directory: &mut Directory,
    seen: &Seen,
) -> Result<(), String> {
    for (&number, log) in &mut directory.logs {
        if seen.uncreated.contains(&number) {
            continue;
        }
        let batch = batch(random, 500);
        let appended = node.submit(number, &batch).and_then(|p| node.wait(p));
        match appended {
            Ok((base_offset, bytes)) if base_offset >= log.end() => {
                log.add(base_offset, bytes);
            }
            Ok((base_offset, _)) => {
                return Err(format!(
                    "partition {number}: offset {base_offset} given out again"
                ));
            }
            Err(error) => {
                let is_told = seen.told.iter().any(|range| range.number == number);
                if !(is_told || seen.is_any_end_lost) || node.stopped.is_some() {
                    return Err(format!("partition {number} takes no appends: {error}"));
                }
            }
        }
    }
    Ok(())
}

/// Gives up what is lost; afterwards everything else is there, and nothing else is said.
fn accept(
    directory: &mut Directory,
    random: &mut Random,
    damage: &Damage,
    seen: &Seen,
    refused: bool,
) -> Result<usize, String> {
    let world = directory.world.clone();
    let mut losses: Vec<Loss> = Vec::new();
    let is_crashing = random.chance(1, 3);
    let mut outcome = None;
    for attempt in 0..2 {
        let mut io = world.restart(1).remove(0);
        if is_crashing && attempt == 0 {
            let kinds = [Crash::Kill, Crash::PowerCut];
            world.crash_after(1 + random.below(400), kinds[random.below(2) as usize]);
        }
        let mut ask = |_: &mut _, question: Question| {
            log::info!("rot: accept-loss asks {question:?}");
            if let Question::Records { losses: found, .. } = question {
                losses.extend(found);
            }
            true
        };
        let ended = accept_loss_on(&mut io, &config(directory.shards), &mut ask);
        drop(io);
        world.crash_never();
        match ended {
            Ok(ended) => {
                outcome = Some(ended);
                break;
            }
            Err(_) if is_crashing && attempt == 0 => {
                if !world.is_crashed() {
                    world.kill();
                }
            }
            Err(error) => return Err(format!("accept-loss: {error}")),
        }
    }
    world.kill();
    match outcome {
        Some(AcceptedLoss::Accepted(_) | AcceptedLoss::NothingLost) => {}
        other => return Err(format!("accept-loss ended with {other:?}")),
    }
    let is_given_up = |range: &Range| {
        losses.iter().any(|loss| {
            loss.handle.0 == range.number
                && loss.start_offset < range.end
                && range.start < loss.end_offset
        })
    };
    if let Some(range) = seen.told.iter().find(|range| !is_given_up(range)) {
        return Err(format!(
            "{range:?} was answered with an error and not given up"
        ));
    }
    let problems = verify(directory)?;
    if let Some(problem) = problems.first() {
        return Err(format!("after accept-loss verify says: {problem}"));
    }
    let mut node = Node::start(&world, directory.shards)
        .map_err(|error| format!("after accept-loss: {error}"))?;
    let is_there = |number: u64| node.offsets(number).is_some();
    if damage.file != FileKind::Ring && !directory.logs.keys().all(|&number| is_there(number)) {
        return Err("after accept-loss a partition is gone".to_owned());
    }
    directory.logs.retain(|&number, _| is_there(number));
    let after = read_all(&mut node, &directory.logs)?;
    if let Some(range) = after.told.first() {
        return Err(format!(
            "{range:?} is answered with an error after accept-loss"
        ));
    }
    if let Some(range) = after.silent.iter().find(|range| !is_given_up(range)) {
        return Err(format!("{range:?} was not given up and is gone"));
    }
    // Records beside damage are served from memory for a while; their granule is lost with it.
    let is_granule_lost = matches!(
        damage.file,
        FileKind::Segment | FileKind::Index | FileKind::Ring
    );
    if !refused
        && !is_granule_lost
        && let Some(range) = after.silent.iter().find(|range| !seen.told.contains(range))
    {
        return Err(format!(
            "{range:?} was served before accept-loss and is gone"
        ));
    }
    append_to_all(&mut node, random, directory, &Seen::default())
        .map_err(|error| format!("after accept-loss: {error}"))?;
    let again = read_all(&mut node, &directory.logs)?;
    if again.told.len() + again.silent.len() != after.silent.len() {
        return Err(format!(
            "after accept-loss and appends: {again:?} instead of {after:?}"
        ));
    }
    node.stop()?;
    drop(node);
    world.kill();
    if let Some(problem) = verify(directory)?.first() {
        return Err(format!(
            "after accept-loss and a stop verify says: {problem}"
        ));
    }
    let mut io = world.restart(1).remove(0);
    let again = accept_loss_on(&mut io, &config(directory.shards), &mut |_, _| false);
    match again {
        Ok(AcceptedLoss::NothingLost) => Ok(losses.len()),
        other => Err(format!("a second accept-loss ended with {other:?}")),
    }
}

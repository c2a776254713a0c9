//! Makes a recording: the engine works on the recording disk, and its clients keep the account.

use crate::account::Account;
use crate::load::Client;
use crate::machine::Machine;
use crate::order::{Fault, Order, Pace};
use crate::shape;
use millrace_engine::engine::Engine;
use std::sync::mpsc::{RecvTimeoutError, channel, sync_channel};
use std::time::{Duration, Instant};
use xtask::images::dice::Dice;

const CLIENTS: u64 = 2;
/// A recording ends with so many writes and flushes, or when it took so long.
const EVENTS_MAX: u64 = 5000;
const TIME_MAX: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Records a run of the engine; images can be made from it then.
///
/// # Errors
/// What the engine must not do, or that the machine does not work.
pub(crate) fn record(machine: &mut Machine, seed: u64) -> Result<Account, String> {
    machine.order(&Order::Reset)?;
    machine.order(&Order::Record)?;
    machine.order(&Order::Pace(pace(seed), seed))?;
    machine.mount(shape::disks(seed))?;
    let faults = faults(seed);
    let result = run(machine, seed, &faults);
    let unmounted = machine.unmount();
    machine.order(&Order::Keep)?;
    let account = result?;
    match unmounted {
        Err(problem) if faults.is_empty() => Err(problem),
        Ok(()) | Err(_) => Ok(account),
    }
}

/// What goes wrong with the disk while it records: mostly nothing.
fn faults(seed: u64) -> Vec<Fault> {
    let mut dice = Dice::new(seed, 21);
    match dice.below(5) {
        0 => vec![Fault::Error {
            after: dice.within(&(100..3000)),
        }],
        1 => (0..4)
            .map(|_| Fault::Stall {
                after: dice.within(&(0..3000)),
                ms: dice.within(&(20..200)),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// How the disk keeps its time: the slower it flushes, the more lies in its cache.
fn pace(seed: u64) -> Pace {
    let mut dice = Dice::new(seed, 22);
    Pace {
        flush_us: [0, 200, 1000, 3000][dice.below(4) as usize],
        held_per_thousand: [0, 20, 100, 300][dice.below(4) as usize],
        held_us_max: [300, 2000, 8000][dice.below(3) as usize],
    }
}

fn run(machine: &mut Machine, seed: u64, faults: &[Fault]) -> Result<Account, String> {
    let engine = Engine::open(&shape::engine(machine, seed));
    let engine = engine.map_err(|error| format!("a new directory does not open: {error}"))?;
    for fault in faults {
        machine.order(&Order::Fault(*fault))?;
    }
    let result = work(machine, &engine, seed);
    let ended = engine.shutdown();
    // Not before: a running engine makes and removes files.
    let data = machine.data();
    if faults.is_empty() {
        machine.order(&Order::Data(data?))?;
        ended.map_err(|error| format!("the engine does not stop: {error}"))?;
    } else if let Ok(data) = data {
        machine.order(&Order::Data(data))?;
    }
    result
}

/// Lets clients work until the recording is long enough.
fn work(machine: &Machine, engine: &Engine, seed: u64) -> Result<Account, String> {
    let clock = machine.clock()?;
    let mut account = Account::default();
    let mut problems = Vec::new();
    let mut clients = Vec::new();
    for index in 0..CLIENTS {
        clients.push(Client::new(
            engine.handle(),
            machine.clock()?,
            seed,
            index,
            CLIENTS,
        ));
    }
    std::thread::scope(|scope| -> Result<(), String> {
        let (report, reports) = channel();
        let mut stops = Vec::new();
        for client in clients {
            let (stop, stopped) = sync_channel::<()>(1);
            stops.push(stop);
            let report = report.clone();
            scope.spawn(move || {
                let partitions = shape::PARTITIONS / CLIENTS;
                drop(report.send(client.work(partitions, &stopped)));
            });
        }
        drop(report);
        let begin = Instant::now();
        loop {
            if clock.events()? >= EVENTS_MAX || begin.elapsed() > TIME_MAX {
                stops.clear();
            }
            match reports.recv_timeout(LOOK_EVERY) {
                Ok((logs, problem)) => {
                    account.logs.extend(logs);
                    problems.extend(problem);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    })?;
    match problems.is_empty() {
        true => Ok(account),
        false => Err(format!("while it recorded: {}", problems.join("; "))),
    }
}

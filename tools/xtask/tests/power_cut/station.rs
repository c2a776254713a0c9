//! A station: one machine that makes recordings and looks at images of them, as it is told on
//! stdin, a line a seed; what it found goes to stdout, a line a thing ([`Line`]).

use crate::account::{Account, Content, Outcome, Sent, Verdict};
use crate::line::{Line, Sum, Task};
use crate::machine::{FileSystem, Machine};
use crate::order::Order;
use crate::{account_file, reading, recording, shape};
use millrace_engine::engine::Engine;
use millrace_engine::ids::PartitionHandle;
use std::fmt::Write as _;
use std::io::{BufRead, Write as _};
use std::path::{Path, PathBuf};
use xtask::images::dice::Dice;

/// Of a producer's batches, so many are sent again at most: a broker remembers five.
const SENT_AGAIN: usize = 5;

/// Where, how, and what then.
#[derive(Clone, Debug)]
struct Plan {
    image: u64,
    events: u64,
    seed: u64,
    /// The power goes again, at this part of the recovery in thousandths; otherwise it is looked
    /// at twice.
    again: Option<u64>,
    /// Producers send again what they sent last.
    is_retried: bool,
}

/// Works until stdin ends.
pub(crate) fn work(folder: &Path, file_system: FileSystem) -> Result<(), String> {
    let mut station = Station {
        machine: Machine::start(folder, file_system)?,
        file_system,
        seed: 0,
        account: Account::default(),
        is_kept: true,
    };
    tell(&Line::Ready)?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let sum = match Task::read(&line) {
            Some(Task::Seed { seed, images }) => station.seed(seed, images)?,
            Some(Task::Replay { seed, image }) => station.replay(seed, image)?,
            None => return Err(format!("`{line}` is no task")),
        };
        tell(&Line::Done(sum))?;
    }
    Ok(())
}

struct Station {
    machine: Machine,
    file_system: FileSystem,
    seed: u64,
    account: Account,
    /// The recording is for a replay, or there is none.
    is_kept: bool,
}

impl Station {
    fn file(&self, kind: &str) -> PathBuf {
        let name = format!("power-cut-{}-{}.{kind}", self.file_system.name(), self.seed);
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
    }

    /// A recording and its images. An error is the machine's; what the engine does is in the sum.
    fn seed(&mut self, seed: u64, images: u64) -> Result<Sum, String> {
        self.seed = seed;
        let mut sum = Sum::default();
        match recording::record(&mut self.machine, seed) {
            Ok(account) => self.account = account,
            Err(problem) => {
                say(&format!("seed {seed}: {problem}"))?;
                sum.others += 1;
                return Ok(sum);
            }
        }
        self.is_kept = false;
        self.machine.order(&Order::Save(self.file("recording")))?;
        account_file::save(&self.account, &self.file("account"))?;
        let mut plans = self.plans(images)?;
        plans.sort_by_key(|plan| plan.events);
        for plan in plans {
            self.look(&plan, &mut sum)?;
        }
        self.remove_files();
        Ok(sum)
    }

    fn remove_files(&mut self) {
        if !self.is_kept {
            self.is_kept = true;
            for kind in ["recording", "account"] {
                let file = self.file(kind);
                if let Err(error) = std::fs::remove_file(&file) {
                    eprintln!("{}: {error}", file.display());
                }
            }
        }
    }

    /// One image of a recording that was kept.
    fn replay(&mut self, seed: u64, image: u64) -> Result<Sum, String> {
        self.seed = seed;
        self.account = account_file::load(&self.file("account"))?;
        self.machine.order(&Order::Load(self.file("recording")))?;
        let mut sum = Sum::default();
        let plans = self.plans(image + 1)?;
        let plan = plans.get(image as usize).ok_or("no such image")?;
        self.look(plan, &mut sum)?;
        Ok(sum)
    }

    /// Half of the cuts are at the moment of an acknowledgement, half anywhere.
    fn plans(&mut self, images: u64) -> Result<Vec<Plan>, String> {
        let times = self.account.times();
        let all = self.machine.order(&Order::Count)?;
        let all: u64 = all.parse().map_err(|_| format!("`{all}` events"))?;
        let plan = |image| {
            let mut dice = Dice::new(self.seed, 1000 + image);
            let nth = dice.below(times.len() as u64) as usize;
            let events = match times.get(nth) {
                Some(time) if dice.chance(1, 2) => *time,
                _ => dice.below(all + 1),
            };
            Plan {
                image,
                events,
                seed: dice.bits(),
                again: dice.chance(1, 4).then(|| dice.below(1001)),
                is_retried: dice.chance(1, 2),
            }
        };
        Ok((0..images).map(plan).collect())
    }

    fn look(&mut self, plan: &Plan, sum: &mut Sum) -> Result<(), String> {
        let mut problems = String::new();
        let mut found = Sum {
            images: 1,
            ..Sum::default()
        };
        let looked = self.image(plan, &mut found, &mut problems);
        if let Err(problem) = looked {
            found.others += 1;
            let _ = writeln!(problems, "{problem}");
            self.machine.unmount()?;
        }
        if !problems.is_empty() {
            self.is_kept = true;
            say(&format!(
                "seed {}, {plan:?}\n{problems}replay: cargo xtask power-cut --fs {} --from {} \
                 --image {}",
                self.seed,
                self.file_system.name(),
                self.seed,
                plan.image,
            ))?;
        }
        sum.add(&found);
        tell(&Line::Image)?;
        // Without its disk it is no machine any more.
        self.machine.order(&Order::Count).map(drop)
    }

    /// One image: recovery, comparison, and a second recovery that must change nothing.
    fn image(&mut self, plan: &Plan, sum: &mut Sum, say: &mut String) -> Result<(), String> {
        let (events, seed) = (plan.events as usize, plan.seed);
        let tally = self.machine.cut(&Order::Cut { events, seed })?;
        sum.add_tally(&tally);
        let (engine, content) = self.recover()?;
        sum.add_verdict(&self.account.check(plan.events, &content, say));
        sum.add_content(&content);
        match plan.again {
            Some(part) => {
                let served = self.machine.clock()?.events()?;
                self.end(engine)?;
                self.cut_again(plan, part, served, &content, sum, say)
            }
            None => {
                let mut before = content;
                if plan.is_retried {
                    self.send_again(&engine, plan, &before, sum, say);
                    before = reading::read_all(&engine.handle())?;
                }
                stop(engine)?;
                let (engine, after) = self.open()?;
                if before != after {
                    sum.others += 1;
                    let _ = writeln!(say, "a second start changed what there is");
                }
                self.end(engine)
            }
        }
    }

    /// The power goes while the recovery works, or behind it.
    fn cut_again(
        &mut self,
        plan: &Plan,
        part: u64,
        served: u64,
        content: &Content,
        sum: &mut Sum,
        say: &mut String,
    ) -> Result<(), String> {
        let at = self.machine.clock()?.events()? * part / 1000;
        let order = Order::CutAgain {
            events: at as usize,
            seed: plan.seed ^ 1,
        };
        let tally = self.machine.cut(&order)?;
        sum.add_tally(&tally);
        sum.cut_again += 1;
        let (engine, again) = self.recover()?;
        let verdict = self.account.check(plan.events, &again, say);
        sum.add_verdict(&Verdict {
            checked: 0,
            ..verdict
        });
        // What the first recovery showed must stay.
        if at >= served && again != *content {
            sum.others += 1;
            let _ = writeln!(say, "a cut behind the recovery changed what there is");
        }
        self.end(engine)
    }

    fn recover(&mut self) -> Result<(Engine, Content), String> {
        self.machine.mount(shape::disks(self.seed))?;
        self.open()
    }

    fn open(&self) -> Result<(Engine, Content), String> {
        let engine = Engine::open(&shape::recovering_engine(&self.machine, self.seed));
        let engine = engine.map_err(|error| format!("the engine does not recover: {error}"))?;
        let content = reading::read_all(&engine.handle())?;
        Ok((engine, content))
    }

    fn end(&mut self, engine: Engine) -> Result<(), String> {
        stop(engine)?;
        self.machine.unmount()
    }

    /// Idempotent producers send again what they had no answer for, and the batch behind. (What was
    /// answered long ago may have been forgotten.)
    fn send_again(
        &self,
        engine: &Engine,
        plan: &Plan,
        content: &Content,
        sum: &mut Sum,
        say: &mut String,
    ) {
        for (&handle, (_, found)) in content {
            let Some(log) = self.account.logs.get(&handle) else {
                continue;
            };
            if !shape::is_idempotent(handle) {
                continue;
            }
            let number_of = |sum| log.sent.iter().rposition(|sent| sent.sum == sum);
            let newest = found.iter().rev().take(SENT_AGAIN);
            for (nth, stored) in newest.clone().enumerate().rev() {
                let Some(number) = number_of(stored.sum) else {
                    continue;
                };
                if nth > 0 && log.sent[number].is_acked(plan.events) {
                    continue;
                }
                let again = self.send(engine, handle, number, &log.sent[number]);
                sum.retried += 1;
                let expected = Ok((true, stored.base_offset));
                if again != expected {
                    sum.others += 1;
                    let _ = writeln!(say, "sent again: {again:?} is not {expected:?}");
                }
            }
            let last = newest.clone().next().and_then(|last| number_of(last.sum));
            let next = last.and_then(|last| Some((last + 1, log.sent.get(last + 1)?)));
            if let (Some((number, sent)), Some(stored)) = (next, found.last())
                && sent.outcome != Outcome::Refused
            {
                let sent = self.send(engine, handle, number, sent);
                let expected = Ok((false, stored.end_offset));
                if sent != expected {
                    sum.others += 1;
                    let _ = writeln!(say, "sent behind: {sent:?} is not {expected:?}");
                }
            }
        }
    }

    /// Whether it was a duplicate, and its offset.
    fn send(
        &self,
        engine: &Engine,
        handle: u64,
        number: usize,
        sent: &Sent,
    ) -> Result<(bool, i64), String> {
        let (bytes, _) = shape::batch(self.seed, handle, number as u64, sent.sequence);
        let appended = engine.handle().append(PartitionHandle(handle), bytes);
        let appended = appended.map_err(|error| format!("partition {handle}: {error}"))?;
        Ok((appended.is_duplicate, appended.base_offset))
    }
}

fn stop(engine: Engine) -> Result<(), String> {
    let stopped = engine.shutdown();
    stopped.map_err(|error| format!("the engine does not stop: {error}"))
}

impl Drop for Station {
    fn drop(&mut self) {
        self.remove_files();
    }
}

/// To whoever runs the stations.
fn say(text: &str) -> Result<(), String> {
    let mut lines = text.lines().map(str::to_owned);
    lines.try_for_each(|line| tell(&Line::Problem(line)))
}

fn tell(line: &Line) -> Result<(), String> {
    let told = writeln!(std::io::stdout(), "{line}");
    told.map_err(|error| format!("nobody listens: {error}"))
}

//! Lives on disks that are worse than the fault model allows, once all was judged: no wrong byte is
//! served, and what is damaged is told.

use super::cast;
use super::lies::Lies;
use super::machine::Machine;
use super::rot;
use super::run::{ADDRESS, Halt, Run, SECOND_NS};
use millrace_engine::io::Dir;
use xtask::history::Kind;

impl Run {
    /// Bits turn over after a clean stop. The rest is served.
    pub(super) fn rot_and_read(&mut self) -> Result<(), String> {
        self.scene.is_rotten = true;
        for _ in 0..1 + self.scene.random.below(4) {
            let random = &mut self.scene.random;
            let is_journal = random.chance(1, 4);
            let dir = match is_journal {
                true => Dir::Journal,
                false => Dir::Segments,
            };
            let spoilt = u64::from(rot::spoil(&self.scene.world, random, dir));
            self.rotten.journals_rotten += u64::from(is_journal) * spoilt;
            self.rotten.segments_rotten += u64::from(!is_journal) * spoilt;
        }
        self.read_what_is_left()?;
        self.judge(|_| true)
    }

    /// The disk lies to a broker that works, and is honest afterwards. What it lost without a
    /// trace, the end of a journal say, nothing can tell.
    pub(super) fn be_lied_to_and_read(&mut self) -> Result<(), String> {
        self.scene.is_rotten = true;
        let lies = Lies::draw(&mut self.scene.random);
        self.life_with(lies)?;
        self.read_what_is_left()?;
        let is_all_told = lies.spares_journals();
        self.judge(|kind| is_all_told || !is_loss(kind))
    }

    fn life_with(&mut self, lies: Lies) -> Result<(), String> {
        self.begin_life();
        self.scene.is_closing = false;
        self.actors = cast::writers_and_readers(&mut self.scene, self.next_actor + 1);
        self.next_actor += self.actors.len() as u32;
        let ended = self.start(None).and_then(|()| {
            self.scene.is_calm = false;
            self.scene.is_disk_good = false;
            lies.apply(&self.scene);
            let seconds = 2 + self.scene.random.below(20);
            let until_ns = self.scene.now_ns() + seconds * SECOND_NS;
            self.work("time to pass", until_ns, |_| false)
        });
        self.end_life();
        Lies::default().apply(&self.scene);
        self.scene.is_calm = true;
        self.scene.is_disk_good = true;
        told(ended.map(|_| ()), "while the disk lies")
    }

    /// The disk is read by a new process, or the start is refused.
    fn read_what_is_left(&mut self) -> Result<(), String> {
        self.begin_life();
        self.actors.clear();
        self.scene.begin_nodes(self.limits.nodes());
        let ended = match Machine::start(&self.scene.world, &self.limits, ADDRESS) {
            Ok(machine) => {
                self.machine = Some(machine);
                self.read_everything()
            }
            Err(_) => {
                self.scene.damage_told += 1;
                Ok(())
            }
        };
        self.end_life();
        told(ended, "on a rotten disk")
    }
}

/// What an honest disk behind the same answers must have.
const fn is_loss(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::LostAckedWrite | Kind::Gap | Kind::EndMovedBack | Kind::Reappeared
    )
}

fn told(ended: Result<(), Halt>, place: &str) -> Result<(), String> {
    match ended {
        Ok(()) => Ok(()),
        Err(Halt::Crashed) => Err(format!("{place}: the machine crashed")),
        Err(Halt::Wrong(problem)) => Err(format!("{place}: {problem}")),
    }
}

//! What goes wrong in one life of a machine, drawn at its start: the disk, the network, the clock.

use super::scene::Scene;
use millrace_engine::io::simulated::{Crash, DiskConfig, NetworkConfig, WorldConfig};

/// Bytes of a disk that is never full.
const SPACE_BYTES: u64 = 1 << 40;

/// What goes wrong in a life.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Operations of the disk fail.
    is_disk_failing: bool,
    /// It is slow now and then.
    is_disk_stalling: bool,
    /// So many bytes more, and it is full.
    free_bytes: Option<u64>,
    /// Connections break and fall silent, pieces are late, machine and clients are split.
    is_network_failing: bool,
    /// The wall clock jumps.
    is_clock_jumping: bool,
    /// After so many disk operations the machine stops so.
    pub(crate) crash: Option<(u64, Crash)>,
    /// How long the life is otherwise.
    pub(crate) seconds: u64,
}

impl Weather {
    pub(crate) fn draw(scene: &mut Scene) -> Self {
        let is_clock_steady = scene.is_clock_steady;
        let random = &mut scene.random;
        let crash = match random.chance(2, 3) {
            true => Crash::PowerCut,
            false => Crash::Kill,
        };
        let reach = [60, 400, 2000, 6000][random.below(4) as usize];
        let operations = 1 + random.below(reach);
        // The longest have quiet in them: clients have nothing to send, sockets and files idle.
        let seconds_max = [2, 10, 40, 90][random.below(4) as usize];
        let room = 1 + random.below(12);
        Self {
            is_disk_failing: random.chance(1, 5),
            is_disk_stalling: random.chance(1, 3),
            free_bytes: random.chance(1, 10).then_some(room << 19),
            is_network_failing: random.chance(1, 2),
            is_clock_jumping: random.chance(1, 5) && !is_clock_steady,
            crash: random.chance(4, 6).then_some((operations, crash)),
            seconds: 1 + random.below(seconds_max),
        }
    }

    /// Whether everything that is asked of the broker must be answered, and well.
    pub(crate) const fn is_calm(&self) -> bool {
        self.is_disk_good() && !self.is_network_failing
    }

    /// Whether no operation of the disk fails but by a crash.
    pub(crate) const fn is_disk_good(&self) -> bool {
        !self.is_disk_failing && self.free_bytes.is_none()
    }

    /// Makes it so.
    pub(crate) fn apply(&self, scene: &mut Scene) {
        let space_bytes = match self.free_bytes {
            Some(free) => scene.world.used_bytes() + free,
            None => SPACE_BYTES,
        };
        // Some disks fail often, and some once in a while. Not much happens behind a failed write
        // or flush, which is final for its shard.
        let rate = [200, 3000, 20_000][scene.random.below(3) as usize];
        let final_rate = rate.min(3000);
        let stalls = [20_000, 200_000][scene.random.below(2) as usize];
        let rates = scene.random.below(8);
        let rate_of = |nth: u64, rate: u32| match rates == nth || rates > 4 {
            true if self.is_disk_failing => rate,
            _ => 0,
        };
        let network = match self.is_network_failing {
            true => scene.random.below(3) + 1,
            false => 0,
        } as u32;
        let weather = *self;
        scene.is_calm = self.is_calm();
        scene.is_disk_good = self.is_disk_good();
        scene.world.configure(|config: &mut WorldConfig| {
            config.wall_jump_per_million = if weather.is_clock_jumping { 4000 } else { 0 };
            config.disk = DiskConfig {
                space_bytes,
                stall_per_million: if weather.is_disk_stalling { stalls } else { 0 },
                read_error_per_million: rate_of(0, rate),
                write_error_per_million: rate_of(1, final_rate),
                sync_error_per_million: rate_of(2, final_rate),
                short_write_per_million: rate_of(3, rate),
                interrupted_per_million: rate_of(4, 5 * rate),
                ..config.disk.clone()
            };
            config.network = NetworkConfig {
                reset_per_million: network * 4000,
                silent_per_million: network * 1000,
                late_per_million: network * 25_000,
                split_per_million: network * 300,
                ..config.network.clone()
            };
        });
    }
}

//! A disk that lies: writes that are acknowledged and forgotten, go elsewhere or leave a bit wrong,
//! and reads that give what was there before.

use super::scene::Scene;
use millrace_engine::io::Dir;
use millrace_engine::io::simulated::Random;

/// How a disk lies; the default one does not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lies {
    /// In the files of this folder alone.
    place: Option<Dir>,
    /// Operations in a million that are lied about, by kind.
    rates: [u32; 4],
}

impl Lies {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let place = random.chance(1, 2).then_some(Dir::Segments);
        let rate = [500, 5000, 50_000][random.below(3) as usize];
        let kind = random.below(6);
        let rate_of = |nth: u64| match kind == nth || kind > 3 {
            true => rate,
            false => 0,
        };
        // Most of what is read was flushed long ago, and cannot be stale.
        let rates = [rate_of(0), rate_of(1), rate_of(2), 10 * rate_of(3)];
        Self { place, rates }
    }

    /// Whether what the journals say can be believed.
    pub(crate) fn spares_journals(&self) -> bool {
        self.place == Some(Dir::Segments)
    }

    /// Makes the disk so.
    pub(crate) fn apply(self, scene: &Scene) {
        let [lost, misdirected, flipped, stale] = self.rates;
        scene.world.configure(|config| {
            config.disk.dishonest_in = self.place;
            config.disk.lost_write_per_million = lost;
            config.disk.misdirected_per_million = misdirected;
            config.disk.bit_flip_per_million = flipped;
            config.disk.stale_read_per_million = stale;
        });
    }
}

//! Which layers notice which bug, the cheapest first, and from which seed on: seeds run from there
//! to the first that notices. Where only few do, the seed is one that did when it was written down.
//! Layers that notice a bug too, and take longer, are left out; `--search` asks them all.

use super::layers::Layer::{self, Crash, PowerCut, Rot, Simulation, Unit};

/// Bugs of the list that this design cannot have, and why.
pub(super) const IMPOSSIBLE: [(u8, &str); 5] = [
    (
        11,
        "a commit's slot in the window follows from its sequence and is vacant once the one before \
         in it resolved: there is nothing to count but the distance",
    ),
    (
        17,
        "what is written is a frozen slice or a copy; the chunk in the making has no such handle",
    ),
    (27, "no index is ever rebuilt from records"),
    (
        38,
        "a start deletes partitions that no topic's record claims: a record that is gone is as \
         good as a tombstone",
    ),
    (45, "this version writes no truncations"),
];

/// A crash test that stops shards in the engine's own tests.
const CRASHES: &str = "journal_rules::nothing_acknowledged_or_shown_is_lost_in_power_cuts";
/// Random lives of one partition.
const LIVES: &str = "random::a_durable_partition_keeps_its_promises";

/// For every bug that has a switch.
pub(super) const TABLE: &[(u8, &[Layer])] = &[
    (1, &[Crash(0), Unit(CRASHES)]),
    (2, &[Crash(0), Unit(LIVES)]),
    (
        3,
        &[Crash(0), Unit("start_rules::a_power_cut_over_written")],
    ),
    (4, &[Crash(0), Unit(CRASHES)]),
    (5, &[Unit("journal_rules::rot_of_the_last"), Rot(370)]),
    (6, &[Rot(0), Unit("journal::scan::")]),
    (7, &[Crash(0), Unit("journal::scan::")]),
    (8, &[Crash(0), Simulation(49)]),
    (9, &[Unit("start_rules::a_start_goes_on")]),
    (10, &[Unit("journal::scan::"), Crash(0)]),
    (12, &[Crash(0), Unit(LIVES)]),
    (13, &[Crash(0), Unit(LIVES)]),
    (14, &[Crash(0), Unit(LIVES)]),
    (15, &[Crash(0), Unit("journal_rules::one_rotten")]),
    (16, &[Unit("write_rules::checkpoints_do_not"), Crash(830)]),
    (18, &[Crash(0), Unit("journal_rules::one_rotten")]),
    (19, &[Crash(0), Unit("life::a_start_writes_back")]),
    (
        20,
        &[Crash(0), Unit("journal_rules::the_journal_of_the_older")],
    ),
    (21, &[Unit("start_rules::a_start_leaves"), Crash(0)]),
    (
        22,
        &[Crash(0), Unit("journal_rules::the_journal_of_the_older")],
    ),
    (23, &[Crash(0)]),
    (24, &[Crash(0), Simulation(0)]),
    (25, &[Unit("file_table::"), Crash(0)]),
    (26, &[Unit("file_table::"), Crash(0)]),
    (28, &[Unit("granules::")]),
    (29, &[Rot(0), Unit("rules::a_flipped_base_offset")]),
    (30, &[Crash(0), Unit(LIVES)]),
    (31, &[Unit("write_rules::a_commit_written_short"), Crash(0)]),
    (
        32,
        &[Unit("journal_rules::a_failed_journal_write"), Crash(0)],
    ),
    (
        33,
        &[Unit("write_rules::a_checkpoint_that_fails"), Crash(0)],
    ),
    (34, &[Unit("start_rules::a_start_flushes")]),
    (35, &[Crash(0), Unit("preparation::")]),
    (36, &[Rot(0), Unit("engine::tests::a_missing_journal")]),
    (37, &[Rot(0), Unit("engine::tests::a_new_directory")]),
    (
        39,
        &[Unit("start_rules::files_that_nothing_names"), Rot(2400)],
    ),
    (40, &[Crash(0), Unit("journal_rules::offsets_a_relaxed")]),
    (41, &[Rot(0), Unit("journal_rules::rot_inside")]),
    (42, &[Unit("preparation::")]),
    (43, &[Unit("write_rules::small_remainders")]),
    (44, &[Crash(0), Unit(LIVES)]),
    (46, &[Crash(0), Unit("cleaning::a_crash_at")]),
    (47, &[Unit("engine::tests::a_directory_in_use")]),
];

/// What `--search` asks: everything from its first seed on, the power-cut rig last.
pub(super) const EVERYTHING: [Layer; 5] = [Rot(0), Crash(0), Unit(""), Simulation(0), PowerCut(0)];

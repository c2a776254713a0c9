//! What is lost is named, and given up only when its owner says so.

use super::harness::{Machine, SETUP, batch, handle};
use crate::partition::Durability;
use crate::shard::file_table::SegmentFile;
use crate::shard::{accept_losses, find_losses};

#[test]
fn what_a_disk_did_not_give_for_a_while_is_whole_when_nobody_accepted_its_loss() {
    for is_accepted in [false, true] {
        let mut machine = Machine::new(21);
        machine.create(1, Durability::Disk);
        for round in 0..30 {
            machine.append_when_possible(1, &batch(1, 9000, round));
        }
        machine.settle();
        let slot = machine.shard().partitions.get(handle(1)).unwrap();
        let file = slot.partition.files().next().unwrap().file;
        let path = SegmentFile::records(file).path();
        machine.stop_cleanly();
        assert!(machine.world.make_unreadable(&path, 20));
        let config = machine.config.clone();
        let found = find_losses(&mut machine.io, config.clone(), SETUP).unwrap();
        assert_eq!(found.losses.len(), 1, "{found:?}");
        let lost = found.losses[0];
        assert!((1..15).contains(&(lost.end_offset - lost.start_offset)));
        if is_accepted {
            accept_losses(&mut machine.io, config, SETUP, &found.losses).unwrap();
        }
        assert!(machine.world.make_readable(&path));
        machine.open().unwrap();
        if is_accepted {
            let is_there = |offset: &i64| (lost.start_offset..lost.end_offset).contains(offset);
            assert!(!machine.log(1).keys().any(is_there), "it was given up");
            assert_eq!(machine.shard().fences(handle(1)).len(), 1);
        } else {
            machine.check_promises(&[1]);
        }
    }
}

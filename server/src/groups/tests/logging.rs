//! What the log keeps, and how short it stays.

use super::{Known, Rig, SESSION_MS, nobody, reference, settings};
use crate::config::GroupSettings;
use crate::protocol::ErrorCode;

#[test]
fn members_generation_assignments_and_offsets_survive_a_restart() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    assert_eq!(rig.commit(&first, 42), ErrorCode::None);
    let mut restarted = rig.restarted(settings());
    assert_eq!(restarted.describe(), rig.describe());
    assert_eq!(restarted.committed("t"), Some(42));
    assert_eq!(restarted.heartbeat(&first), ErrorCode::None);
    let asker = restarted.sync(&second, &[]);
    assert_eq!(restarted.synced(asker), Ok(b"2".to_vec()));
    assert_eq!(restarted.commit(&second, 43), ErrorCode::None);
    let asker = restarted.join_again(&second);
    assert_eq!(restarted.joined(asker).generation, 2, "no rebalance");
    restarted.pass_ms(SESSION_MS);
    assert_eq!(restarted.state(), "Empty", "sessions began anew and ended");
}

#[test]
fn a_rebalance_that_was_not_finished_begins_from_the_last_stable_generation() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    rig.join(|_| {});
    rig.join_again(&first);
    let restarted = rig.restarted(settings());
    let described = restarted.describe().unwrap();
    let member_ids: Vec<_> = described.members.iter().map(|it| &*it.member_id).collect();
    let mut expected = [&*first.member_id, &*second.member_id];
    expected.sort_unstable();
    assert_eq!(member_ids, expected);
}

#[test]
fn offsets_of_topics_that_are_gone_at_the_start_are_deleted_durably() {
    let mut rig = Rig::new();
    rig.commit_without_member("gone", 1);
    rig.commit_without_member("t", 2);
    let restarted = rig.restarted(settings());
    assert_eq!(restarted.committed("gone"), None);
    assert_eq!(restarted.committed("t"), Some(2));
    assert!(
        restarted.log.len() > rig.log.len(),
        "a tombstone was written"
    );
}

#[test]
fn records_of_other_kinds_and_forms_are_left_out() {
    let mut rig = Rig::new();
    rig.coordinator = super::Coordinator::new(settings(), 1 << 20);
    rig.coordinator
        .assign(1, &std::collections::BTreeSet::from([0]), rig.now);
    for (key, value) in [
        (&[][..], Some(&b"x"[..])),
        (&[0, 3, 0, 1, b'g'], Some(b"newer kind")),
        (&[0, 2, 0, 9, b'g'], Some(b"cut key")),
        (&[0, 2, 0, 1, b'g'], Some(&[0, 9, 1])),
        (
            &[0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 0],
            Some(&[0, 3, 0]),
        ),
    ] {
        rig.coordinator.load_record(0, key, value, rig.now);
    }
    rig.coordinator.loaded(0, |_| true, rig.now);
    assert_eq!(rig.coordinator.list(), []);
}

fn short(bytes: usize) -> GroupSettings {
    GroupSettings {
        snapshot_bytes_min: bytes,
        ..settings()
    }
}

#[test]
fn the_log_stays_short_and_says_the_same() {
    let mut rig = Rig::with(short(10_000));
    let member = rig.stable_one();
    let mut longest = 0;
    for offset in 0..20_000 {
        if offset % 50 == 0 {
            assert_eq!(rig.heartbeat(&member), ErrorCode::None);
        }
        let partition = i32::try_from(offset % 7).unwrap();
        let begun = rig.try_commit(reference(&member), offset, |it| it.partition = partition);
        let asker = begun.unwrap();
        assert_eq!(rig.code(asker), ErrorCode::None);
        longest = longest.max(rig.log.len() - rig.log_start);
    }
    assert!(longest < 200, "{longest} batches");
    let restarted = rig.restarted(settings());
    assert_eq!(restarted.describe(), rig.describe());
    let both = [&rig, &restarted].map(|it| {
        let group = it.coordinator.committed("g").unwrap().unwrap();
        let all = group.all_offsets();
        all.map(|(_, partition, offset)| (partition, offset.clone()))
            .collect::<Vec<_>>()
    });
    assert_eq!(both[0].len(), 7);
    assert_eq!(both[0], both[1]);
}

#[test]
fn a_snapshot_in_pieces_is_right_whatever_changes_between_them() {
    let mut rig = Rig::with(short(700_000));
    for group in 0..200 {
        let name = format!("group {group:03}");
        let note = "n".repeat(3000);
        commit(&mut rig, &name, &note);
    }
    rig.is_slow = true;
    // The first piece is appended; what follows lies between it and the next ones.
    while !matches!(rig.pending.back(), Some(super::Pending::Snapshot(_))) {
        commit(&mut rig, "group 000", &"m".repeat(3000));
    }
    assert_eq!(rig.log_start, 0);
    commit(&mut rig, "group 000", "behind its piece");
    commit(&mut rig, "group 199", "before its piece");
    for name in ["group 001", "group 198"] {
        let asker = rig.asker();
        rig.coordinator.delete_group(asker, name, rig.now).unwrap();
        rig.carry_out();
    }
    let log_start = rig.log_start;
    while !rig.pending.is_empty() {
        assert_eq!(
            rig.log_start, log_start,
            "not before all pieces are durable"
        );
        // At any moment a replay of what is in the log finds the same.
        if rig.pending.len().is_multiple_of(3) {
            check_replay(&rig);
        }
        rig.settle();
    }
    assert!(rig.log_start > 100, "{}", rig.log_start);
    check_replay(&rig);
}

fn commit(rig: &mut Rig, group_id: &str, metadata: &str) {
    use crate::groups::offset_requests::Commit;
    let asker = rig.asker();
    let commit = Commit {
        topic: "t",
        partition: 0,
        offset: 1,
        leader_epoch: -1,
        metadata,
    };
    let member: Known = nobody();
    let who = (asker, group_id);
    rig.coordinator
        .commit(who, reference(&member), &[commit], None, rig.now)
        .unwrap();
    rig.carry_out();
}

fn check_replay(rig: &Rig) {
    let restarted = rig.restarted(settings());
    let found = |name: &str| {
        let group = restarted.coordinator.committed(name).unwrap()?;
        Some(group.offset("t", 0)?.metadata.to_string())
    };
    assert_eq!(found("group 000").as_deref(), Some("behind its piece"));
    assert_eq!(found("group 199").as_deref(), Some("before its piece"));
    assert_eq!((found("group 001"), found("group 198")), (None, None));
    assert_eq!(found("group 100").map(|note| note.len()), Some(3000));
    assert_eq!(restarted.coordinator.list().len(), 198);
}

#[test]
fn a_log_without_anything_that_lives_is_cut_whole() {
    let mut rig = Rig::with(short(1000));
    for offset in 0..100 {
        rig.commit_without_member("t", offset);
        let asker = rig.asker();
        rig.coordinator.delete_group(asker, "g", rig.now).unwrap();
        rig.carry_out();
    }
    assert!(rig.log.len() - rig.log_start < 20);
    assert_eq!(rig.restarted(settings()).state(), "none");
}

#[test]
fn a_partition_that_moves_away_takes_its_groups_and_answers_who_waits() {
    let mut rig = Rig::new();
    let (first, _) = rig.stable_two();
    let waiting = rig.join_again(&first);
    rig.coordinator
        .assign(0, &std::collections::BTreeSet::new(), rig.now);
    rig.carry_out();
    assert_eq!(rig.refused(waiting), ErrorCode::NotCoordinator);
    assert_eq!(rig.heartbeat(&first), ErrorCode::NotCoordinator);
    assert_eq!(rig.coordinator.bytes(), 0);
    assert!(rig.coordinator.alarms.is_empty());
}

//! Sessions, phases and offsets that end.

use super::{REBALANCE_MS, Rig, SESSION_MS, settings};
use crate::config::GroupSettings;
use crate::protocol::ErrorCode;

#[test]
fn a_member_without_heartbeats_is_out_after_its_session_and_no_sooner() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    for _ in 0..5 {
        rig.pass_ms(SESSION_MS - 1);
        assert_eq!(rig.heartbeat(&first), ErrorCode::None);
        assert_eq!(rig.heartbeat(&second), ErrorCode::None);
    }
    rig.pass_ms(SESSION_MS - 1);
    assert_eq!(rig.heartbeat(&first), ErrorCode::None);
    rig.pass_ms(1);
    assert_eq!(rig.heartbeat(&second), ErrorCode::UnknownMemberId);
    assert_eq!(rig.heartbeat(&first), ErrorCode::RebalanceInProgress);
}

#[test]
fn commits_keep_the_session_too() {
    let mut rig = Rig::new();
    let member = rig.stable_one();
    for offset in 0..5 {
        rig.pass_ms(SESSION_MS - 1);
        assert_eq!(rig.commit(&member, offset), ErrorCode::None);
    }
    rig.pass_ms(SESSION_MS);
    assert_eq!(rig.heartbeat(&member), ErrorCode::UnknownMemberId);
}

#[test]
fn whoever_waits_for_a_generation_or_an_assignment_needs_no_heartbeats() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    let leader = rig.join_again(&first);
    for _ in 0..3 {
        rig.pass_ms(SESSION_MS - 1);
        assert_eq!(rig.heartbeat(&second), ErrorCode::RebalanceInProgress);
    }
    let follower = rig.join_again(&second);
    let (first, second) = (rig.member(leader), rig.member(follower));
    let waiting = rig.sync(&second, &[]);
    for _ in 0..3 {
        rig.pass_ms(SESSION_MS - 1);
        assert_eq!(rig.heartbeat(&first), ErrorCode::None);
    }
    let asker = rig.sync(&first, &[(&second.member_id, b"2")]);
    assert_eq!(rig.synced(asker), Ok(Vec::new()));
    assert_eq!(rig.synced(waiting), Ok(b"2".to_vec()));
    rig.pass_ms(SESSION_MS);
    assert_eq!(rig.heartbeat(&first), ErrorCode::UnknownMemberId);
    assert_eq!(rig.heartbeat(&second), ErrorCode::UnknownMemberId);
}

#[test]
fn members_that_joined_and_never_sync_are_out_after_the_rebalance_timeout() {
    let mut rig = Rig::new();
    let asker = rig.join(|_| {});
    rig.pass_ms(0);
    let leader = rig.member(asker);
    let asker = rig.join(|_| {});
    let again = rig.join_again(&leader);
    let (leader, follower) = (rig.member(again), rig.member(asker));
    let waiting = rig.sync(&follower, &[]);
    for _ in 0..6 {
        rig.pass_ms(REBALANCE_MS / 6 - 1);
        assert_eq!(rig.heartbeat(&leader), ErrorCode::None);
    }
    assert!(!rig.is_answered(waiting));
    rig.pass_ms(6);
    assert_eq!(rig.synced(waiting), Err(ErrorCode::RebalanceInProgress));
    assert_eq!(rig.heartbeat(&leader), ErrorCode::UnknownMemberId);
    assert_eq!(rig.heartbeat(&follower), ErrorCode::RebalanceInProgress);
}

#[test]
fn the_last_session_that_ends_leaves_an_empty_group_with_its_offsets() {
    let mut rig = Rig::new();
    let member = rig.stable_one();
    assert_eq!(rig.commit(&member, 7), ErrorCode::None);
    rig.pass_ms(SESSION_MS);
    assert_eq!(rig.state(), "Empty");
    assert_eq!(rig.committed("t"), Some(7));
}

#[test]
fn each_group_has_one_alarm_however_often_it_is_set() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    for _ in 0..100 {
        rig.pass_ms(10);
        rig.heartbeat(&first);
        rig.heartbeat(&second);
    }
    assert_eq!(rig.coordinator.alarms.len(), 1);
}

fn forgetful() -> GroupSettings {
    GroupSettings {
        offsets_retention_ms: 60_000,
        retention_check_ms: 1000,
        ..settings()
    }
}

#[test]
fn offsets_of_a_live_group_stay_and_of_an_empty_one_go_after_the_retention_time() {
    let mut rig = Rig::with(forgetful());
    let member = rig.stable_one();
    assert_eq!(rig.commit(&member, 7), ErrorCode::None);
    for _ in 0..30 {
        rig.pass_ms(SESSION_MS - 1);
        assert_eq!(rig.heartbeat(&member), ErrorCode::None);
    }
    assert_eq!(rig.committed("t"), Some(7));
    rig.leave(&member.member_id, None);
    rig.pass_ms(58_000);
    assert_eq!(rig.committed("t"), Some(7), "empty for less than the time");
    rig.pass_ms(4000);
    assert_eq!(rig.committed("t"), None);
    assert_eq!(rig.state(), "none", "the group goes with its last offset");
    assert_eq!(rig.coordinator.bytes(), 0);
    assert_eq!(rig.restarted(forgetful()).state(), "none");
}

#[test]
fn offsets_committed_without_a_group_go_each_on_its_own() {
    let mut rig = Rig::with(forgetful());
    rig.commit_without_member("old", 1);
    rig.pass_ms(30_000);
    rig.commit_without_member("new", 2);
    rig.pass_ms(32_000);
    assert_eq!(
        (rig.committed("old"), rig.committed("new")),
        (None, Some(2))
    );
    rig.pass_ms(30_000);
    assert_eq!(rig.state(), "none");
}

#[test]
fn topics_that_the_members_read_no_more_lose_their_offsets() {
    let mut rig = Rig::with(forgetful());
    let subscription = [0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff];
    let protocols: [(&str, &[u8]); 1] = [("range", &subscription)];
    let asker = rig.join(|join| join.protocols = &protocols);
    rig.pass_ms(0);
    let member = rig.member(asker);
    let asker = rig.sync(&member, &[]);
    assert_eq!(rig.synced(asker), Ok(Vec::new()));
    for topic in ["t", "u"] {
        let begun = rig.try_commit(super::reference(&member), 1, |it| it.topic = topic);
        let asker = begun.unwrap();
        assert_eq!(rig.code(asker), ErrorCode::None);
    }
    for _ in 0..8 {
        rig.pass_ms(SESSION_MS - 1);
        assert_eq!(rig.heartbeat(&member), ErrorCode::None);
    }
    assert_eq!((rig.committed("t"), rig.committed("u")), (Some(1), None));
}

#[test]
fn a_client_may_say_how_long_its_offsets_are_kept() {
    use crate::groups::offset_requests::Commit;
    let mut rig = Rig::with(forgetful());
    let asker = rig.asker();
    let commit = Commit {
        topic: "t",
        partition: 0,
        offset: 1,
        leader_epoch: -1,
        metadata: "",
    };
    let expire_ms = Some(rig.now.wall_ms + 200_000);
    let member = super::nobody();
    let who = (asker, super::GROUP);
    let begun = rig.coordinator.commit(
        who,
        super::reference(&member),
        &[commit],
        expire_ms,
        rig.now,
    );
    assert_eq!(begun, Ok(()));
    rig.carry_out();
    rig.pass_ms(198_000);
    let mut rig = rig.restarted(forgetful());
    assert_eq!(rig.committed("t"), Some(1));
    rig.pass_ms(4000);
    assert_eq!(rig.committed("t"), None);
}

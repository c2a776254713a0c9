//! Committing, deleting, describing.

use super::{GROUP, Known, Rig, nobody, reference};
use crate::protocol::ErrorCode;

#[test]
fn an_offset_is_answered_and_seen_when_it_is_durable_and_not_before() {
    let mut rig = Rig::new();
    let member = rig.stable_one();
    rig.is_slow = true;
    let asker = rig.try_commit(reference(&member), 5, |_| {}).unwrap();
    assert!(!rig.is_answered(asker));
    assert_eq!(rig.committed("t"), None);
    rig.settle();
    assert_eq!(rig.code(asker), ErrorCode::None);
    assert_eq!(rig.committed("t"), Some(5));
}

#[test]
fn a_commit_that_cannot_be_appended_changes_nothing() {
    let mut rig = Rig::new();
    let member = rig.stable_one();
    assert_eq!(rig.commit(&member, 5), ErrorCode::None);
    rig.is_refusing = true;
    assert_eq!(rig.commit(&member, 6), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(rig.committed("t"), Some(5));
}

#[test]
fn commits_of_a_group_with_members_need_a_member_of_this_generation() {
    let mut rig = Rig::new();
    let member = rig.stable_one();
    let stale = Known {
        generation: 0,
        ..member.clone()
    };
    assert_eq!(rig.commit(&stale, 1), ErrorCode::IllegalGeneration);
    assert_eq!(rig.commit(&nobody(), 1), ErrorCode::UnknownMemberId);
    let stranger = Known {
        member_id: "stranger".to_owned(),
        ..member.clone()
    };
    assert_eq!(rig.commit(&stranger, 1), ErrorCode::UnknownMemberId);
    rig.join(|_| {});
    assert_eq!(rig.state(), "PreparingRebalance");
    assert_eq!(
        rig.commit(&member, 2),
        ErrorCode::None,
        "what it has worked on"
    );
    let asker = rig.join_again(&member);
    let member = rig.member(asker);
    assert_eq!(rig.state(), "CompletingRebalance");
    assert_eq!(rig.commit(&member, 3), ErrorCode::RebalanceInProgress);
    assert_eq!(rig.committed("t"), Some(2));
}

#[test]
fn an_empty_or_unknown_group_takes_commits_without_a_generation_only() {
    let mut rig = Rig::new();
    let late = Known {
        member_id: "late".to_owned(),
        generation: 3,
        instance_id: None,
    };
    assert_eq!(rig.commit(&late, 1), ErrorCode::IllegalGeneration);
    assert_eq!(rig.state(), "none");
    rig.commit_without_member("t", 4);
    assert_eq!(rig.state(), "Empty");
    assert_eq!(rig.commit(&late, 5), ErrorCode::UnknownMemberId);
    assert_eq!(rig.committed("t"), Some(4));
}

#[test]
fn a_group_is_deleted_only_without_members_and_then_for_good() {
    let mut rig = Rig::new();
    let member = rig.stable_one();
    assert_eq!(rig.commit(&member, 5), ErrorCode::None);
    let asker = rig.asker();
    let delete = |rig: &mut Rig| rig.coordinator.delete_group(asker, GROUP, rig.now);
    assert_eq!(delete(&mut rig), Err(ErrorCode::NonEmptyGroup));
    rig.leave(&member.member_id, None);
    rig.is_slow = true;
    // A commit on its way when the group is deleted goes with it.
    rig.try_commit(reference(&nobody()), 9, |it| it.topic = "u")
        .unwrap();
    assert_eq!(delete(&mut rig), Ok(()));
    rig.carry_out();
    assert_eq!(delete(&mut rig), Err(ErrorCode::GroupIdNotFound), "dead");
    assert_eq!(rig.committed("t"), None);
    let joining = rig.join(|_| {});
    assert_eq!(rig.refused(joining), ErrorCode::CoordinatorNotAvailable);
    rig.settle();
    assert!(!rig.is_answered(asker));
    rig.settle();
    assert_eq!(rig.code(asker), ErrorCode::None);
    assert_eq!(rig.state(), "none");
    assert_eq!(rig.coordinator.bytes(), 0);
    assert_eq!(delete(&mut rig), Err(ErrorCode::GroupIdNotFound));
    let restarted = rig.restarted(super::settings());
    assert_eq!(restarted.state(), "none");
}

#[test]
fn a_deletion_that_cannot_be_appended_leaves_the_group() {
    let mut rig = Rig::new();
    let member = rig.stable_one();
    assert_eq!(rig.commit(&member, 5), ErrorCode::None);
    rig.leave(&member.member_id, None);
    rig.is_refusing = true;
    let asker = rig.asker();
    rig.coordinator.delete_group(asker, GROUP, rig.now).unwrap();
    rig.carry_out();
    assert_eq!(rig.code(asker), ErrorCode::CoordinatorNotAvailable);
    assert_eq!((rig.state(), rig.committed("t")), ("Empty", Some(5)));
}

#[test]
fn offsets_of_topics_that_members_read_are_not_deleted() {
    let mut rig = Rig::new();
    let subscription = [0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff];
    let protocols: [(&str, &[u8]); 1] = [("range", &subscription)];
    let asker = rig.join(|join| join.protocols = &protocols);
    rig.pass_ms(0);
    let member = rig.member(asker);
    let asker = rig.sync(&member, &[]);
    assert_eq!(rig.synced(asker), Ok(Vec::new()));
    for topic in ["t", "u"] {
        let begun = rig.try_commit(reference(&member), 1, |it| it.topic = topic);
        let asker = begun.unwrap();
        assert_eq!(rig.code(asker), ErrorCode::None);
    }
    let asker = rig.asker();
    let asked = [("t", 0), ("u", 0), ("v", 0)];
    let codes = rig
        .coordinator
        .delete_offsets((asker, GROUP), &asked, rig.now);
    let expected = vec![
        ErrorCode::GroupSubscribedToTopic,
        ErrorCode::None,
        ErrorCode::None,
    ];
    assert_eq!(codes, Ok(expected));
    rig.carry_out();
    assert_eq!(rig.code(asker), ErrorCode::None);
    assert_eq!((rig.committed("t"), rig.committed("u")), (Some(1), None));
    let missing = rig
        .coordinator
        .delete_offsets((asker, "other"), &asked, rig.now);
    assert_eq!(missing, Err(ErrorCode::GroupIdNotFound));
}

#[test]
fn offsets_of_a_group_that_is_no_consumers_are_not_deleted_while_it_has_members() {
    let mut rig = Rig::new();
    rig.join(|join| join.protocol_type = "connect");
    rig.pass_ms(0);
    let asker = rig.asker();
    let deleted = rig
        .coordinator
        .delete_offsets((asker, GROUP), &[("t", 0)], rig.now);
    assert_eq!(deleted, Err(ErrorCode::NonEmptyGroup));
}

#[test]
fn deleted_topics_take_their_offsets_along() {
    let mut rig = Rig::new();
    rig.commit_without_member("t", 1);
    rig.commit_without_member("u", 2);
    rig.coordinator
        .topics_deleted(|topic| topic == "u", rig.now);
    rig.carry_out();
    assert_eq!((rig.committed("t"), rig.committed("u")), (Some(1), None));
    let restarted = rig.restarted(super::settings());
    assert_eq!(restarted.committed("u"), None, "durably");
}

#[test]
fn metadata_and_assignments_are_described_while_the_group_is_stable() {
    let mut rig = Rig::new();
    let member = rig.stable_one();
    let described = rig.describe().unwrap();
    assert_eq!(
        (described.state, &*described.protocol_name),
        ("Stable", "range")
    );
    assert_eq!(&*described.members[0].assignment, b"all");
    assert_eq!(&*described.members[0].client_host, "/127.0.0.1");
    rig.join(|_| {});
    let described = rig.describe().unwrap();
    assert_eq!(described.state, "PreparingRebalance");
    assert_eq!(&*described.protocol_name, "");
    let described = described.members.iter();
    let mut known = described.filter(|it| *it.member_id == *member.member_id);
    assert_eq!(known.next().map(|it| it.assignment.len()), Some(0));
}

//! Joining, generations, assignments.

use super::{GROUP, Known, RANGE, REBALANCE_MS, Rig, SESSION_MS, settings};
use crate::config::GroupSettings;
use crate::protocol::ErrorCode;

#[test]
fn a_new_dynamic_member_has_to_come_back_with_its_id() {
    let mut rig = Rig::new();
    let asker = rig.join(|join| join.needs_member_id = true);
    let answer = rig.joined(asker);
    assert_eq!(answer.error, ErrorCode::MemberIdRequired);
    assert!(answer.member_id.starts_with("client-"));
    let asker = rig.join(|join| {
        join.needs_member_id = true;
        join.member_id = &answer.member_id;
    });
    rig.pass_ms(0);
    let joined = rig.joined(asker);
    assert_eq!((joined.error, joined.generation), (ErrorCode::None, 1));
    assert_eq!(joined.member_id, answer.member_id);
}

#[test]
fn an_id_that_was_never_used_is_forgotten_with_its_group() {
    let mut rig = Rig::new();
    let asker = rig.join(|join| join.needs_member_id = true);
    let member_id = rig.joined(asker).member_id;
    assert_eq!(rig.state(), "Empty");
    rig.pass_ms(SESSION_MS);
    assert_eq!(rig.state(), "none");
    assert_eq!(rig.coordinator.bytes(), 0);
    let asker = rig.join(|join| join.member_id = &member_id);
    assert_eq!(rig.refused(asker), ErrorCode::UnknownMemberId);
}

#[test]
fn a_member_whose_id_is_outstanding_holds_up_the_rebalance_until_it_expires() {
    let mut rig = Rig::new();
    let first = rig.stable_one();
    let promised = rig.join(|join| join.needs_member_id = true);
    assert_eq!(rig.refused(promised), ErrorCode::MemberIdRequired);
    let first = rig.join_again(&first);
    assert!(!rig.is_answered(first));
    rig.pass_ms(SESSION_MS);
    assert_eq!(rig.member(first).generation, 2);
}

#[test]
fn ids_and_timeouts_that_cannot_be_are_refused() {
    let mut rig = Rig::new();
    let asker = rig.join(|join| join.group_id = "");
    assert_eq!(rig.refused(asker), ErrorCode::InvalidGroupId);
    for timeout in [5999, 1_800_001, -1] {
        let asker = rig.join(|join| join.session_timeout_ms = timeout);
        assert_eq!(rig.refused(asker), ErrorCode::InvalidSessionTimeout);
    }
    let asker = rig.join(|join| join.member_id = "stranger");
    assert_eq!(rig.refused(asker), ErrorCode::UnknownMemberId);
    let asker = rig.join(|join| join.protocols = &[]);
    assert_eq!(rig.refused(asker), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(rig.state(), "none", "nothing is left behind");
}

#[test]
fn the_first_rebalance_waits_for_more_members_and_again_while_they_come() {
    let mut rig = Rig::with(GroupSettings {
        initial_rebalance_delay_ms: 3000,
        ..settings()
    });
    let first = rig.join(|_| {});
    rig.pass_ms(2999);
    let second = rig.join(|_| {});
    rig.pass_ms(1);
    assert!(!rig.is_answered(first), "the delay began again");
    rig.pass_ms(2999);
    assert!(!rig.is_answered(first));
    rig.pass_ms(1);
    let (first, second) = (rig.joined(first), rig.joined(second));
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
    assert_eq!(first.leader, first.member_id);
    assert_eq!(second.leader, first.member_id);
}

#[test]
fn the_first_rebalance_waits_no_longer_than_the_rebalance_timeout() {
    let mut rig = Rig::with(GroupSettings {
        initial_rebalance_delay_ms: 3000,
        ..settings()
    });
    let first = rig.join(|join| join.rebalance_timeout_ms = 5000);
    for _ in 0..4 {
        rig.pass_ms(1000);
        rig.join(|join| join.rebalance_timeout_ms = 5000);
    }
    rig.pass_ms(999);
    assert!(!rig.is_answered(first));
    rig.pass_ms(1);
    assert_eq!(rig.joined(first).members.len(), 5);
}

#[test]
fn members_that_do_not_join_again_in_time_are_out() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    let asker = rig.join_again(&first);
    assert_eq!(rig.heartbeat(&second), ErrorCode::RebalanceInProgress);
    for _ in 0..6 {
        rig.pass_ms(REBALANCE_MS / 6 - 1);
        assert_eq!(rig.heartbeat(&second), ErrorCode::RebalanceInProgress);
    }
    assert!(!rig.is_answered(asker));
    rig.pass_ms(6);
    let joined = rig.joined(asker);
    assert_eq!((joined.generation, joined.members.len()), (3, 1));
    assert_eq!(rig.heartbeat(&second), ErrorCode::UnknownMemberId);
}

#[test]
fn the_leader_is_replaced_when_it_does_not_come_back() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    assert_eq!(rig.leave(&first.member_id, None), ErrorCode::None);
    let asker = rig.join_again(&second);
    let joined = rig.joined(asker);
    assert_eq!(
        (&*joined.leader, joined.members.len()),
        (&*second.member_id, 1)
    );
}

#[test]
fn a_follower_that_joins_again_unchanged_is_told_what_is_and_a_leader_rebalances() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    let asker = rig.join_again(&second);
    let joined = rig.joined(asker);
    assert_eq!((joined.generation, joined.members.len()), (2, 0));
    assert_eq!(rig.state(), "Stable");
    let leader = rig.join_again(&first);
    assert!(!rig.is_answered(leader));
    assert_eq!(rig.state(), "PreparingRebalance");
    let follower = rig.join_again(&second);
    assert_eq!(rig.joined(leader).generation, 3);
    assert_eq!(rig.joined(follower).generation, 3);
}

#[test]
fn a_member_with_a_new_subscription_rebalances_and_the_leader_sees_it() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    let follower = rig.join(|join| {
        join.member_id = &second.member_id;
        join.protocols = &[("range", b"new")];
    });
    assert_eq!(rig.state(), "PreparingRebalance");
    let leader = rig.join_again(&first);
    let joined = rig.joined(leader);
    let seen: Vec<_> = joined
        .members
        .iter()
        .map(|it| it.metadata.to_vec())
        .collect();
    assert!(seen.contains(&b"new".to_vec()), "{seen:?}");
    assert_eq!(rig.joined(follower).error, ErrorCode::None);
}

#[test]
fn a_join_that_was_lost_is_answered_again_while_the_assignment_is_awaited() {
    let mut rig = Rig::new();
    let asker = rig.join(|_| {});
    rig.pass_ms(0);
    let member = rig.member(asker);
    assert_eq!(rig.state(), "CompletingRebalance");
    let again = rig.join_again(&member);
    let joined = rig.joined(again);
    assert_eq!((joined.generation, joined.members.len()), (1, 1));
}

#[test]
fn a_repeated_join_takes_the_place_of_the_one_that_waits() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    let lost = rig.join_again(&first);
    let again = rig.join_again(&first);
    assert_eq!(rig.refused(lost), ErrorCode::RebalanceInProgress);
    let follower = rig.join_again(&second);
    assert_eq!(rig.joined(again).generation, 3);
    assert_eq!(rig.joined(follower).generation, 3);
}

#[test]
fn the_protocol_that_most_prefer_among_those_all_know_is_taken() {
    let mut rig = Rig::with(GroupSettings {
        initial_rebalance_delay_ms: 100,
        ..settings()
    });
    let lists: [&[(&str, &[u8])]; 3] = [
        &[("sticky", b"s1"), ("range", b"r1"), ("robin", b"o1")],
        &[("robin", b"o2"), ("range", b"r2")],
        &[("robin", b"o3"), ("range", b"r3"), ("sticky", b"s3")],
    ];
    let askers = lists.map(|protocols| rig.join(|join| join.protocols = protocols));
    let stranger = rig.join(|join| join.protocols = &[("sticky", b"")]);
    assert_eq!(rig.refused(stranger), ErrorCode::InconsistentGroupProtocol);
    let worker = rig.join(|join| join.protocol_type = "connect");
    assert_eq!(rig.refused(worker), ErrorCode::InconsistentGroupProtocol);
    rig.pass_ms(200);
    let leader = rig.joined(askers[0]);
    assert_eq!(leader.protocol_name.as_deref(), Some("robin"));
    assert_eq!(leader.protocol_type.as_deref(), Some("consumer"));
    let mut metadata: Vec<_> = leader
        .members
        .iter()
        .map(|it| it.metadata.to_vec())
        .collect();
    metadata.sort();
    assert_eq!(metadata, [b"o1", b"o2", b"o3"]);
}

#[test]
fn an_empty_group_takes_members_of_another_protocol_type() {
    let mut rig = Rig::new();
    let member = rig.stable_one();
    rig.leave(&member.member_id, None);
    let asker = rig.join(|join| join.protocol_type = "connect");
    rig.pass_ms(0);
    let joined = rig.joined(asker);
    assert_eq!(joined.protocol_type.as_deref(), Some("connect"));
    assert_eq!(
        joined.generation, 3,
        "one for the empty group, one for this member"
    );
}

#[test]
fn a_group_takes_no_more_than_group_max_size() {
    let mut rig = Rig::with(GroupSettings {
        group_size_max: 2,
        ..settings()
    });
    let (first, second) = rig.stable_two();
    let third = rig.join(|_| {});
    assert_eq!(rig.refused(third), ErrorCode::GroupMaxSizeReached);
    assert_eq!(rig.state(), "Stable");
    let leader = rig.join_again(&first);
    let follower = rig.join_again(&second);
    assert_eq!(rig.joined(leader).members.len(), 2);
    assert_eq!(rig.joined(follower).error, ErrorCode::None);
}

#[test]
fn the_assignment_is_handed_out_when_it_is_durable_and_not_before() {
    let mut rig = Rig::new();
    let asker = rig.join(|_| {});
    rig.pass_ms(0);
    let member = rig.member(asker);
    rig.is_slow = true;
    let sync = rig.sync(&member, &[(&member.member_id, b"all")]);
    assert!(!rig.is_answered(sync));
    assert_eq!(rig.state(), "CompletingRebalance");
    rig.settle();
    assert_eq!(rig.synced(sync), Ok(b"all".to_vec()));
    assert_eq!(rig.state(), "Stable");
}

#[test]
fn an_assignment_that_cannot_be_stored_is_nobodys_and_the_group_rebalances() {
    let mut rig = Rig::new();
    let asker = rig.join(|_| {});
    rig.pass_ms(0);
    let member = rig.member(asker);
    rig.is_refusing = true;
    let sync = rig.sync(&member, &[(&member.member_id, b"all")]);
    assert_eq!(rig.synced(sync), Err(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(rig.state(), "PreparingRebalance");
}

#[test]
fn a_rebalance_that_overtakes_the_assignment_wins() {
    let mut rig = Rig::new();
    let asker = rig.join(|_| {});
    rig.pass_ms(0);
    let first = rig.member(asker);
    rig.is_slow = true;
    let sync = rig.sync(&first, &[(&first.member_id, b"all")]);
    let second = rig.join(|_| {});
    assert_eq!(rig.synced(sync), Err(ErrorCode::RebalanceInProgress));
    rig.settle();
    assert_eq!(
        rig.state(),
        "PreparingRebalance",
        "the old one counts no more"
    );
    let again = rig.join_again(&first);
    assert_eq!(rig.joined(again).generation, 2);
    assert_eq!(rig.joined(second).generation, 2);
}

#[test]
fn sync_and_heartbeat_tell_members_what_is_wrong_with_them() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    let stale = Known {
        generation: 1,
        ..first.clone()
    };
    let asker = rig.sync(&stale, &[]);
    assert_eq!(rig.synced(asker), Err(ErrorCode::IllegalGeneration));
    assert_eq!(rig.heartbeat(&stale), ErrorCode::IllegalGeneration);
    let stranger = Known {
        member_id: "stranger".to_owned(),
        ..first.clone()
    };
    let asker = rig.sync(&stranger, &[]);
    assert_eq!(rig.synced(asker), Err(ErrorCode::UnknownMemberId));
    assert_eq!(rig.heartbeat(&stranger), ErrorCode::UnknownMemberId);
    let asker = rig.sync(&second, &[]);
    assert_eq!(rig.synced(asker), Ok(b"2".to_vec()), "asked again");
    rig.join_again(&first);
    let asker = rig.sync(&second, &[]);
    assert_eq!(rig.synced(asker), Err(ErrorCode::RebalanceInProgress));
    assert_eq!(
        rig.coordinator
            .heartbeat("other", super::reference(&first), rig.now),
        Err(ErrorCode::UnknownMemberId)
    );
}

#[test]
fn sync_checks_the_protocol_it_names() {
    use crate::groups::effects::Sync;
    let mut rig = Rig::new();
    let member = rig.stable_one();
    for (protocol_type, protocol_name, error) in [
        (
            Some("connect"),
            None,
            Err(ErrorCode::InconsistentGroupProtocol),
        ),
        (
            None,
            Some("sticky"),
            Err(ErrorCode::InconsistentGroupProtocol),
        ),
        (Some("consumer"), Some("range"), Ok(b"all".to_vec())),
        (None, None, Ok(b"all".to_vec())),
    ] {
        let asker = rig.asker();
        let sync = Sync {
            asker,
            group_id: GROUP,
            member: super::reference(&member),
            protocol_type,
            protocol_name,
            assignments: &[],
        };
        rig.coordinator.sync(&sync, rig.now);
        rig.carry_out();
        assert_eq!(rig.synced(asker), error);
    }
}

#[test]
fn leaving_rebalances_the_rest_and_the_last_leaves_an_empty_group() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    assert_eq!(rig.leave("stranger", None), ErrorCode::UnknownMemberId);
    assert_eq!(rig.leave(&second.member_id, None), ErrorCode::None);
    assert_eq!(rig.heartbeat(&first), ErrorCode::RebalanceInProgress);
    let asker = rig.join_again(&first);
    let first = rig.member(asker);
    let asker = rig.sync(&first, &[(&first.member_id, b"all")]);
    assert_eq!(rig.synced(asker), Ok(b"all".to_vec()));
    assert_eq!(rig.leave(&first.member_id, None), ErrorCode::None);
    assert_eq!(rig.state(), "Empty");
    assert_eq!(rig.describe().unwrap().members, []);
    let left = rig.coordinator.leave("other", &[("x", None)], rig.now);
    assert_eq!(left, Ok(vec![Err(ErrorCode::UnknownMemberId)]));
}

#[test]
fn a_member_that_leaves_while_it_waits_gets_its_answer() {
    let mut rig = Rig::new();
    let (first, second) = rig.stable_two();
    let waiting = rig.join_again(&second);
    assert!(rig.is_answered(waiting), "unchanged follower");
    let waiting = rig.join_again(&first);
    assert!(!rig.is_answered(waiting));
    assert_eq!(rig.leave(&first.member_id, None), ErrorCode::None);
    assert_eq!(rig.refused(waiting), ErrorCode::UnknownMemberId);
}

#[test]
fn memory_is_counted_up_and_down_and_refuses_what_does_not_fit() {
    let mut rig = Rig::bounded(settings(), 20_000);
    let (first, second) = rig.stable_two();
    let large = vec![0; 20_000];
    let protocols: [(&str, &[u8]); 1] = [("range", &large)];
    let asker = rig.join(|join| {
        join.member_id = &first.member_id;
        join.protocols = &protocols;
    });
    assert_eq!(rig.refused(asker), ErrorCode::CoordinatorNotAvailable);
    let asker = rig.sync(&first, &[(&first.member_id, &large)]);
    assert_eq!(rig.synced(asker), Err(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(rig.heartbeat(&second), ErrorCode::None, "others go on");
    let mut groups = 0;
    loop {
        let name = format!("flood {groups}");
        let asker = rig.join(|join| join.group_id = &name);
        rig.pass_ms(0);
        if rig.refused(asker) != ErrorCode::None {
            break;
        }
        groups += 1;
    }
    assert!((2..20).contains(&groups), "{groups} groups fit");
    rig.leave(&first.member_id, None);
    rig.leave(&second.member_id, None);
    rig.pass_ms(SESSION_MS);
    let asker = rig.asker();
    rig.coordinator.delete_group(asker, GROUP, rig.now).unwrap();
    for number in 0..groups {
        let name = format!("flood {number}");
        let asker = rig.asker();
        rig.coordinator.delete_group(asker, &name, rig.now).unwrap();
    }
    rig.carry_out();
    assert_eq!(rig.coordinator.bytes(), 0, "all of it came back");
    assert_eq!(rig.coordinator.list(), []);
    assert_eq!(RANGE.len(), 1);
}

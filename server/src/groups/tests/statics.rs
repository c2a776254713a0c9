//! Static members (KIP-345, KIP-814).

use super::{Known, Rig, SESSION_MS};
use crate::protocol::ErrorCode;

/// A leader "a" and a follower "b", second generation, assigned "1" and "2".
fn stable_pair(rig: &mut Rig) -> (Known, Known) {
    let first = rig.join(|join| join.instance_id = Some("a"));
    rig.pass_ms(0);
    let first = named(rig, first, "a");
    let asker = rig.sync(&first, &[]);
    assert_eq!(rig.synced(asker), Ok(Vec::new()));
    let second = rig.join(|join| join.instance_id = Some("b"));
    let again = rig.join_again(&first);
    let (first, second) = (named(rig, again, "a"), named(rig, second, "b"));
    let waiting = rig.sync(&second, &[]);
    let given: [(&str, &[u8]); 2] = [(&first.member_id, b"1"), (&second.member_id, b"2")];
    let asker = rig.sync(&first, &given);
    assert_eq!(rig.synced(asker), Ok(b"1".to_vec()));
    assert_eq!(rig.synced(waiting), Ok(b"2".to_vec()));
    (first, second)
}

fn named(rig: &mut Rig, asker: super::Asker, instance_id: &'static str) -> Known {
    let member = rig.member(asker);
    assert!(member.member_id.starts_with(instance_id));
    Known {
        instance_id: Some(instance_id),
        ..member
    }
}

#[test]
fn a_static_member_that_comes_back_keeps_its_assignment_without_a_rebalance() {
    let mut rig = Rig::new();
    let (first, second) = stable_pair(&mut rig);
    let asker = rig.join(|join| join.instance_id = Some("b"));
    let back = named(&mut rig, asker, "b");
    assert_ne!(back.member_id, second.member_id);
    assert_eq!(back.generation, 2);
    assert_eq!(rig.state(), "Stable");
    assert_eq!(rig.heartbeat(&first), ErrorCode::None);
    let asker = rig.sync(&back, &[]);
    assert_eq!(rig.synced(asker), Ok(b"2".to_vec()));
    assert_eq!(rig.heartbeat(&second), ErrorCode::FencedInstanceId);
    let asker = rig.sync(&second, &[]);
    assert_eq!(rig.synced(asker), Err(ErrorCode::FencedInstanceId));
    assert_eq!(rig.commit(&second, 5), ErrorCode::FencedInstanceId);
    let asker = rig.join_again(&second);
    assert_eq!(rig.refused(asker), ErrorCode::FencedInstanceId);
    let restarted = rig.restarted(super::settings());
    assert_eq!(
        rig.describe(),
        restarted.describe(),
        "the new id is durable"
    );
}

#[test]
fn a_static_leader_that_comes_back_skips_the_assignment_or_is_told_of_another_leader() {
    let mut rig = Rig::new();
    let (first, _) = stable_pair(&mut rig);
    let asker = rig.join(|join| {
        join.instance_id = Some("a");
        join.can_skip_assignment = true;
    });
    let joined = rig.joined(asker);
    assert_eq!(joined.leader, joined.member_id);
    assert!(joined.skip_assignment);
    assert_eq!(joined.members.len(), 2);
    let before = joined.member_id;
    let asker = rig.join(|join| join.instance_id = Some("a"));
    let joined = rig.joined(asker);
    assert_eq!(joined.leader, before, "an id that nobody has any more");
    assert_ne!(joined.leader, joined.member_id);
    assert!(!joined.skip_assignment);
    assert_eq!(joined.members, []);
    assert_ne!(&*joined.member_id, &*first.member_id);
    assert_eq!(rig.state(), "Stable");
}

#[test]
fn a_static_member_that_changes_the_chosen_protocol_rebalances() {
    let mut rig = Rig::new();
    let alone = rig.join(|join| {
        join.instance_id = Some("a");
        join.protocols = &[("range", b""), ("robin", b"")];
    });
    rig.pass_ms(0);
    let member = named(&mut rig, alone, "a");
    let asker = rig.sync(&member, &[]);
    assert_eq!(rig.synced(asker), Ok(Vec::new()));
    let asker = rig.join(|join| {
        join.instance_id = Some("a");
        join.protocols = &[("robin", b""), ("range", b"")];
    });
    let joined = rig.joined(asker);
    assert_eq!(joined.generation, 2);
    assert_eq!(joined.protocol_name.as_deref(), Some("robin"));
}

#[test]
fn a_static_member_that_is_away_keeps_its_place_until_its_session_ends() {
    let mut rig = Rig::new();
    let (first, second) = stable_pair(&mut rig);
    rig.pass_ms(SESSION_MS - 1);
    assert_eq!(rig.heartbeat(&first), ErrorCode::None);
    rig.pass_ms(1);
    assert_eq!(rig.heartbeat(&first), ErrorCode::RebalanceInProgress);
    assert_eq!(rig.heartbeat(&second), ErrorCode::UnknownMemberId);
    let asker = rig.join_again(&first);
    assert_eq!(rig.joined(asker).members.len(), 1);
}

#[test]
fn a_second_one_of_an_instance_fences_the_first_while_it_waits() {
    let mut rig = Rig::new();
    let (first, second) = stable_pair(&mut rig);
    let waiting = rig.join_again(&first);
    assert!(!rig.is_answered(waiting));
    let twin = rig.join(|join| join.instance_id = Some("a"));
    assert_eq!(rig.refused(waiting), ErrorCode::FencedInstanceId);
    let follower = rig.join_again(&second);
    let joined = rig.joined(twin);
    assert_eq!((joined.generation, joined.members.len()), (3, 2));
    assert_eq!(rig.joined(follower).error, ErrorCode::None);
}

#[test]
fn an_administrator_takes_a_static_member_out_by_its_instance() {
    let mut rig = Rig::new();
    let (first, second) = stable_pair(&mut rig);
    assert_eq!(rig.leave("", Some("c")), ErrorCode::UnknownMemberId);
    assert_eq!(
        rig.leave(&first.member_id, Some("b")),
        ErrorCode::FencedInstanceId
    );
    assert_eq!(rig.leave("", Some("b")), ErrorCode::None);
    assert_eq!(rig.heartbeat(&second), ErrorCode::UnknownMemberId);
    assert_eq!(rig.heartbeat(&first), ErrorCode::RebalanceInProgress);
}

#[test]
fn an_id_given_out_is_no_static_members() {
    let mut rig = Rig::new();
    let asker = rig.join(|join| join.needs_member_id = true);
    let member_id = rig.joined(asker).member_id;
    let asker = rig.join(|join| {
        join.member_id = &member_id;
        join.instance_id = Some("a");
    });
    assert_eq!(rig.refused(asker), ErrorCode::UnknownServerError);
}

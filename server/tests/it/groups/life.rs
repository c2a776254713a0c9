//! The whole life of a group, who answers for it, what clients may do with its topic.

use super::*;

#[test]
fn a_group_lives_through_join_sync_commit_and_leave_and_survives_a_restart() {
    for mut broker in brokers() {
        broker.create("t", 4);
        let address = address_of(&broker, "g");
        let (mut first, mut second) = stable_pair(address, "g");
        assert_eq!(first.heartbeat(), 0);
        assert_eq!(first.commit(0, 10), 0);
        assert_eq!(second.commit(1, 20), 0);
        let mut admin = Client::connect(address);
        let before = describe(&mut admin, "g");
        assert_eq!((before.0, &*before.1, &*before.2), (0, "Stable", "range"));
        assert_eq!(before.3.len(), 2);

        let stale = ("nobody", 2);
        assert_eq!(
            commit(&mut admin, "g", stale, &[("t", 0, 99, "")]),
            [ErrorCode::UnknownMemberId.code()]
        );
        restart(&mut broker);
        let address = address_of(&broker, "g");
        let mut admin = Client::connect(address);
        assert_eq!(describe(&mut admin, "g"), before, "members and assignments");
        assert_eq!(committed(&mut admin, "g", 0), (0, 10));
        assert_eq!(committed(&mut admin, "g", 1), (0, 20));
        assert_eq!(committed(&mut admin, "g", 2), (0, -1));

        first.client = Client::connect(address);
        second.client = Client::connect(address);
        assert_eq!(
            first.heartbeat(),
            0,
            "the member is known after the restart"
        );
        assert_eq!(second.commit(1, 21), 0);
        assert_eq!(
            delete(&mut admin, &["g"]),
            [ErrorCode::NonEmptyGroup.code()]
        );
        assert_eq!(second.leave(), 0);
        assert_eq!(first.heartbeat(), ErrorCode::RebalanceInProgress.code());
        assert_eq!(first.leave(), 0);
        assert_eq!(describe(&mut admin, "g").1, "Empty");
        assert_eq!(committed(&mut admin, "g", 1), (0, 21));
        assert_eq!(delete(&mut admin, &["g"]), [0]);
        assert_eq!(describe(&mut admin, "g").1, "Dead");
        assert_eq!(committed(&mut admin, "g", 1), (0, -1));
    }
}

#[test]
fn per_core_only_the_leading_node_answers_for_a_group() {
    let broker = TestBroker::with(4, |config| {
        quick(config);
        config.advertise = millrace_server::Advertise::PerCore;
    });
    broker.create("t", 4);
    let right = address_of(&broker, "g");
    for address in broker.addresses() {
        let mut client = Client::connect(*address);
        assert_eq!(
            coordinator(&mut client, "g"),
            i32::from(right.port()),
            "the same answer everywhere"
        );
        let error = if *address == right {
            0
        } else {
            ErrorCode::NotCoordinator.code()
        };
        assert_eq!(
            commit(&mut client, "g", ("", -1), &[("t", 0, 1, "")]),
            [error]
        );
        assert_eq!(committed(&mut client, "g", 0).0, error);
        assert_eq!(describe(&mut client, "g").0, error);
        let mut member = Member::new(*address, "g");
        member.send_join();
        let joined = if *address == right {
            ErrorCode::MemberIdRequired.code()
        } else {
            error
        };
        assert_eq!(member.joined().0, joined);
    }
}

#[test]
fn the_offsets_topic_is_internal_and_closed_to_clients() {
    let broker = TestBroker::with(2, |config| {
        quick(config);
        let weak = ("millrace.durability".to_owned(), "memory".to_owned());
        config.settings.push(weak);
    });
    let mut client = broker.client();
    coordinator(&mut client, "g");
    let bytes = client.call(9, &MetadataRequest::default());
    let response: MetadataResponse<'_> = decode(&bytes, 9);
    let topics = response.topics.iter();
    let topics: Vec<_> = topics
        .map(|topic| {
            (
                topic.name.unwrap().to_owned(),
                topic.is_internal,
                topic.partitions.len(),
            )
        })
        .collect();
    assert_eq!(topics, [(OFFSETS_TOPIC.to_owned(), true, 8)]);
    let refused = ErrorCode::InvalidTopicException.code();
    assert_eq!(
        client.produce((OFFSETS_TOPIC, 0), &plain(&["x"])).0,
        refused
    );
    let request = crate::harness::fetch_request((OFFSETS_TOPIC, 0), 0, 0);
    let frame = client.call(11, &request);
    assert_eq!(fetched(&frame, 11).0, 0, "everyone may look");
}

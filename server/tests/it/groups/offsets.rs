//! Offsets without members, their deletion, and what is committed for partitions not there.

use super::*;

#[test]
fn offsets_are_committed_without_members_and_read_back_for_many_groups() {
    for mut broker in brokers() {
        broker.create("t", 4);
        let names: Vec<String> = (0..12).map(|number| format!("group {number}")).collect();
        let port = |name: &str| address_of(&broker, name);
        for (name, offset) in names.iter().zip(0..) {
            let mut client = Client::connect(port(name));
            let offsets = [("t", 0, offset, "note"), ("t", 3, offset + 100, "")];
            assert_eq!(commit(&mut client, name, ("", -1), &offsets), [0, 0]);
        }
        restart(&mut broker);
        let is_single = broker.addresses().len() == 1;
        let (mut found, mut listed) = (0, 0);
        for address in broker.addresses() {
            let mut client = Client::connect(*address);
            let asked: Vec<_> = names.iter().map(String::as_str).collect();
            for (answer, offset) in all_committed(&mut client, &asked).into_iter().zip(0..) {
                if answer.0 == ErrorCode::NotCoordinator.code() && !is_single {
                    continue;
                }
                let expected = vec![
                    ("t".to_owned(), 0, offset, "note".to_owned()),
                    ("t".to_owned(), 3, offset + 100, String::new()),
                ];
                assert_eq!(answer, (0, expected));
                found += 1;
            }
            listed += list(&mut client, &[]).len();
            assert_eq!(list(&mut client, &["stable"]), []);
        }
        assert_eq!((found, listed), (12, 12), "each group has one coordinator");
        let mut client = broker.client();
        assert_eq!(
            all_committed(&mut client, &["never seen"])[0].1,
            [],
            "and no other group has offsets"
        );
    }
}

#[test]
fn deleted_topics_take_their_offsets_along_and_single_offsets_can_be_deleted() {
    let mut broker = TestBroker::with(2, quick);
    broker.create("t", 4);
    broker.create("u", 1);
    let mut client = broker.client();
    coordinator(&mut client, "g");
    let offsets = [
        ("t", 0, 1, ""),
        ("t", 1, 2, ""),
        ("u", 0, 3, ""),
        ("no", 0, 4, ""),
    ];
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(
        commit(&mut client, "g", ("", -1), &offsets),
        [0, 0, 0, unknown]
    );

    assert_eq!(forget(&mut client, "t", 1), 0);

    let request = DeleteTopicsRequest {
        topic_names: ["u"].into(),
        timeout_ms: 1000,
        ..DeleteTopicsRequest::default()
    };
    client.call(4, &request);
    let left = vec![("t".to_owned(), 0, 1, String::new())];
    restart(&mut broker);
    broker.create("u", 1);
    let mut client = broker.client();
    assert_eq!(all_committed(&mut client, &["g"]), [(0, left)]);
}

/// Deletes one committed offset of the group g.
fn forget(client: &mut Client, topic: &str, partition_index: i32) -> i16 {
    let request = OffsetDeleteRequest {
        group_id: "g",
        topics: [OffsetDeleteRequestTopic {
            name: topic,
            partitions: [OffsetDeleteRequestPartition { partition_index }].into(),
        }]
        .into(),
    };
    let frame = client.call(0, &request);
    let response: OffsetDeleteResponse<'_> = decode(&frame, 0);
    assert_eq!(response.error_code, 0);
    let topic = response.topics.first().unwrap();
    topic.partitions.first().unwrap().error_code
}

#[test]
fn partitions_that_are_not_there_have_no_committed_offsets() {
    let broker = TestBroker::with(2, quick);
    broker.create("t", 3);
    let mut client = broker.client();
    coordinator(&mut client, "g");
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let offsets = [("t", 2, 5, ""), ("t", 3, 5, ""), ("t", -1, 5, "")];
    let codes = commit(&mut client, "g", ("", -1), &offsets);
    assert_eq!(codes, [0, unknown, unknown]);
    let kept = vec![("t".to_owned(), 2, 5, String::new())];
    assert_eq!(all_committed(&mut client, &["g"]), [(0, kept)]);
    assert_eq!(forget(&mut client, "t", 3), unknown);
    assert_eq!(forget(&mut client, "t", 2), 0);
}

//! Topics: created, found, described, changed, deleted.

use crate::harness::{Client, TestBroker, decode, plain, produce_request};
use millrace_server::protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use millrace_server::protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use millrace_server::protocol::messages::delete_topics_request::DeleteTopicState;
use millrace_server::protocol::messages::describe_configs_request::DescribeConfigsResource;
use millrace_server::protocol::messages::metadata_request::MetadataRequestTopic;
use millrace_server::protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, CreatePartitionsRequest, CreatePartitionsResponse,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    DescribeClusterRequest, DescribeClusterResponse, DescribeConfigsRequest,
    DescribeConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    MetadataRequest, MetadataResponse, ProduceResponse,
};
use millrace_server::protocol::{ErrorCode, Uuid};

/// Creates one topic; returns the error code.
fn create(client: &mut Client, topic: CreatableTopic<'_>, validate_only: bool) -> i16 {
    let asked = CreateTopicsRequest {
        topics: [topic].into(),
        timeout_ms: 1000,
        validate_only,
    };
    let bytes = client.call(5, &asked);
    let response: CreateTopicsResponse<'_> = decode(&bytes, 5);
    response.topics.first().unwrap().error_code
}

fn named(name: &str) -> CreatableTopic<'_> {
    CreatableTopic {
        name,
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    }
}

/// Error code, id, and leaders of a topic's partitions.
fn look_up(client: &mut Client, name: &str, allow: bool) -> (i16, Uuid, Vec<i32>) {
    let asked = MetadataRequest {
        topics: Some(
            [MetadataRequestTopic {
                name: Some(name),
                ..MetadataRequestTopic::default()
            }]
            .into(),
        ),
        allow_auto_topic_creation: allow,
        ..MetadataRequest::default()
    };
    let bytes = client.call(12, &asked);
    let response: MetadataResponse<'_> = decode(&bytes, 12);
    let topic = response.topics.first().unwrap();
    let leaders = topic
        .partitions
        .iter()
        .map(|partition| partition.leader_id)
        .collect();
    (topic.error_code, topic.topic_id, leaders)
}

#[test]
fn a_topic_is_created_when_it_is_first_asked_for_unless_somebody_objects() {
    let broker = TestBroker::new(2);
    let mut client = broker.client();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(look_up(&mut client, "fresh", false).0, unknown);
    let (error, id, leaders) = look_up(&mut client, "fresh", true);
    assert_eq!((error, leaders.len()), (0, 1));
    assert_ne!(id, Uuid::ZERO);
    assert_eq!(client.produce(("fresh", 0), &plain(&["a"])), (0, 0));
    let illegal = ErrorCode::InvalidTopicException.code();
    assert_eq!(look_up(&mut client, "../etc", true).0, illegal);

    let off = TestBroker::with(1, |config| {
        let key = "auto.create.topics.enable".to_owned();
        config.settings.push((key, "false".to_owned()));
    });
    assert_eq!(look_up(&mut off.client(), "fresh", true).0, unknown);
}

#[test]
fn metadata_of_every_version_shows_the_topic() {
    let broker = TestBroker::new(1);
    broker.create("t", 3);
    let mut client = broker.client();
    for version in 0..=12 {
        let asked = MetadataRequest {
            topics: if version == 0 {
                Some(Vec::new().into())
            } else {
                None
            },
            ..MetadataRequest::default()
        };
        let bytes = client.call(version, &asked);
        let response: MetadataResponse<'_> = decode(&bytes, version);
        let topics = response.topics.to_vec();
        assert_eq!(topics.len(), 1, "version {version}");
        assert_eq!(topics[0].name, Some("t"));
        assert_eq!(topics[0].partitions.len(), 3);
        let port = response.brokers.first().unwrap().port;
        assert_eq!(port, i32::from(broker.addresses()[0].port()));
    }
    let asked = MetadataRequest {
        topics: Some(Vec::new().into()),
        ..MetadataRequest::default()
    };
    let bytes = client.call(1, &asked);
    let response: MetadataResponse<'_> = decode(&bytes, 1);
    assert!(
        response.topics.is_empty(),
        "an empty list asks for none since version 1"
    );

    let id = look_up(&mut client, "t", false).1;
    for (id, error) in [
        (id, ErrorCode::None),
        (Uuid([9; 16]), ErrorCode::UnknownTopicId),
    ] {
        let asked = MetadataRequest {
            topics: Some(
                [MetadataRequestTopic {
                    topic_id: id,
                    name: None,
                }]
                .into(),
            ),
            ..MetadataRequest::default()
        };
        let bytes = client.call(12, &asked);
        let response: MetadataResponse<'_> = decode(&bytes, 12);
        assert_eq!(response.topics.first().unwrap().error_code, error.code());
    }
}

#[test]
fn what_cannot_be_created_is_refused_with_the_right_error() {
    let broker = TestBroker::new(1);
    let mut client = broker.client();
    assert_eq!(create(&mut client, named("a.b"), false), 0);
    let long = "x".repeat(250);
    let bad_config = [CreatableTopicConfig {
        name: "retention.ms",
        value: Some("soon"),
    }];
    let unknown_config = [CreatableTopicConfig {
        name: "no.such.config",
        value: Some("1"),
    }];
    let node = |ids: &[i32]| {
        vec![CreatableReplicaAssignment {
            partition_index: 0,
            broker_ids: ids.to_vec().into(),
        }]
    };
    let assigned = |ids: &[i32]| CreatableTopic {
        num_partitions: -1,
        replication_factor: -1,
        assignments: node(ids).into(),
        ..named("n")
    };
    let cases = [
        (named("a.b"), ErrorCode::TopicAlreadyExists),
        (named("a_b"), ErrorCode::InvalidTopicException),
        (named(""), ErrorCode::InvalidTopicException),
        (named(".."), ErrorCode::InvalidTopicException),
        (named("../../etc/passwd"), ErrorCode::InvalidTopicException),
        (named(&long), ErrorCode::InvalidTopicException),
        (
            CreatableTopic {
                replication_factor: 2,
                ..named("n")
            },
            ErrorCode::InvalidReplicationFactor,
        ),
        (
            CreatableTopic {
                num_partitions: 0,
                ..named("n")
            },
            ErrorCode::InvalidPartitions,
        ),
        (
            CreatableTopic {
                num_partitions: i32::MAX,
                ..named("n")
            },
            ErrorCode::InvalidPartitions,
        ),
        (
            CreatableTopic {
                configs: bad_config[..].into(),
                ..named("n")
            },
            ErrorCode::InvalidConfig,
        ),
        (
            CreatableTopic {
                configs: unknown_config[..].into(),
                ..named("n")
            },
            ErrorCode::InvalidConfig,
        ),
        (assigned(&[1, 2]), ErrorCode::InvalidReplicationFactor),
        (assigned(&[77]), ErrorCode::InvalidReplicaAssignment),
    ];
    for (topic, error) in cases {
        let what = format!("{topic:?}");
        assert_eq!(create(&mut client, topic, false), error.code(), "{what}");
    }
    assert_eq!(create(&mut client, named("n"), true), 0);
    let (error, ..) = look_up(&mut client, "n", false);
    assert_eq!(
        error,
        ErrorCode::UnknownTopicOrPartition.code(),
        "it was only checked"
    );
    assert_eq!(create(&mut client, named("n"), false), 0);
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let broker = TestBroker::new(2);
    broker.create("a", 2);
    broker.create("b", 2);
    let mut client = broker.client();
    client.produce(("a", 0), &plain(&["x"]));
    let id = look_up(&mut client, "b", false).1;
    let asked = DeleteTopicsRequest {
        topics: [
            DeleteTopicState {
                name: Some("a"),
                ..DeleteTopicState::default()
            },
            DeleteTopicState {
                name: None,
                topic_id: id,
            },
            DeleteTopicState {
                name: Some("c"),
                ..DeleteTopicState::default()
            },
        ]
        .into(),
        timeout_ms: 1000,
        ..DeleteTopicsRequest::default()
    };
    let bytes = client.call(6, &asked);
    let response: DeleteTopicsResponse<'_> = decode(&bytes, 6);
    let answers: Vec<_> = response
        .responses
        .iter()
        .map(|answer| (answer.name.map(str::to_owned), answer.error_code))
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let expected = [("a", 0), ("b", 0), ("c", unknown)];
    let expected = expected.map(|(name, error)| (Some(name.to_owned()), error));
    assert_eq!(answers, expected);
    assert_eq!(client.produce(("a", 0), &plain(&["x"])).0, unknown);

    // A new topic of the same name is another topic, and empty.
    broker.create("a", 1);
    assert_eq!(client.fetch(("a", 0), 0).1, 0);
    let asked = DeleteTopicsRequest {
        topic_names: ["a"].into(),
        timeout_ms: 1000,
        ..DeleteTopicsRequest::default()
    };
    let bytes = client.call(3, &asked);
    let response: DeleteTopicsResponse<'_> = decode(&bytes, 3);
    assert_eq!(response.responses.first().unwrap().error_code, 0);
}

#[test]
fn an_append_that_its_topics_deletion_overtakes_finds_an_unknown_topic() {
    const BATCHES: usize = 8;
    let broker = TestBroker::new(2);
    let mut client = broker.client();
    let mut admin = broker.client();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let long = plain(&["x".repeat(900_000).as_str()]);
    let mut overtaken = 0;
    for round in 0..8 {
        // The deletion does not wait for the space that so much needs in a new file.
        let name = format!("t{round}");
        broker.create(&name, 1);
        let asked = DeleteTopicsRequest {
            topic_names: [name.as_str()].into(),
            timeout_ms: 1000,
            ..DeleteTopicsRequest::default()
        };
        for _ in 0..BATCHES {
            client.send(9, &produce_request(-1, &name, 0, Some(&long)));
        }
        admin.send(3, &asked);
        for _ in 0..BATCHES {
            let answer = client.receive().expect("an answer to Produce");
            let answer: ProduceResponse<'_> = decode(&answer, 9);
            let topic = answer.responses.first().unwrap();
            let error = topic.partition_responses.first().unwrap().error_code;
            assert!(error == 0 || error == unknown, "round {round}: {error}");
            overtaken += u32::from(error == unknown);
        }
        let answer = admin.receive().expect("an answer to DeleteTopics");
        let answer: DeleteTopicsResponse<'_> = decode(&answer, 3);
        assert_eq!(answer.responses.first().unwrap().error_code, 0);
    }
    assert!(overtaken > 0, "no append met the deletion of its topic");
}

/// Asks for partitions; returns the error code.
fn grow(client: &mut Client, topic: CreatePartitionsTopic<'_>) -> i16 {
    let asked = CreatePartitionsRequest {
        topics: [topic].into(),
        timeout_ms: 1000,
        validate_only: false,
    };
    let bytes = client.call(3, &asked);
    let response: CreatePartitionsResponse<'_> = decode(&bytes, 3);
    response.results.first().unwrap().error_code
}

#[test]
fn a_topic_gets_more_partitions_and_never_fewer() {
    let broker = TestBroker::new(2);
    broker.create("t", 2);
    let mut client = broker.client();
    client.produce(("t", 1), &plain(&["kept"]));
    let to = |count| CreatePartitionsTopic {
        name: "t",
        count,
        assignments: None,
    };
    assert_eq!(
        grow(&mut client, to(2)),
        ErrorCode::InvalidPartitions.code()
    );
    assert_eq!(grow(&mut client, to(5)), 0);
    assert_eq!(client.produce(("t", 4), &plain(&["a"])), (0, 0));
    assert_eq!(client.fetch(("t", 1), 0).1, 1);
    let wrong = CreatePartitionsTopic {
        assignments: Some(
            [CreatePartitionsAssignment {
                broker_ids: [55].into(),
            }]
            .into(),
        ),
        ..to(6)
    };
    assert_eq!(
        grow(&mut client, wrong),
        ErrorCode::InvalidReplicaAssignment.code()
    );
}

/// Value and source of one topic config.
fn config(client: &mut Client, topic: &str, key: &str) -> (String, i8) {
    let asked = DescribeConfigsRequest {
        resources: [DescribeConfigsResource {
            resource_type: 2,
            resource_name: topic,
            configuration_keys: Some([key].into()),
        }]
        .into(),
        include_synonyms: true,
        include_documentation: true,
    };
    let bytes = client.call(4, &asked);
    let response: DescribeConfigsResponse<'_> = decode(&bytes, 4);
    let result = response.results.first().unwrap();
    assert_eq!(result.error_code, 0);
    let configs = result.configs.to_vec();
    assert_eq!(configs.len(), 1);
    assert!(!configs[0].synonyms.is_empty() && configs[0].documentation.is_some());
    (
        configs[0].value.as_deref().unwrap().to_owned(),
        configs[0].config_source,
    )
}

#[test]
fn settings_are_described_changed_and_take_effect() {
    use millrace_server::protocol::messages::alter_configs_request as whole;
    use millrace_server::protocol::messages::incremental_alter_configs_request as incremental;
    let broker = TestBroker::with(2, |config| {
        config
            .settings
            .push(("log.retention.hours".to_owned(), "1".to_owned()));
    });
    broker.create_with("t", 1, &[("max.message.bytes", "2000")]);
    let mut client = broker.client();
    assert_eq!(
        config(&mut client, "t", "max.message.bytes"),
        ("2000".to_owned(), 1)
    );
    assert_eq!(
        config(&mut client, "t", "retention.ms"),
        ("3600000".to_owned(), 4)
    );
    assert_eq!(config(&mut client, "t", "segment.ms").1, 5);

    let large = plain(&[&"x".repeat(3000)]);
    let too_large = ErrorCode::MessageTooLarge.code();
    assert_eq!(client.produce(("t", 0), &large).0, too_large);
    let change = |name, operation, value| IncrementalAlterConfigsRequest {
        resources: [incremental::AlterConfigsResource {
            resource_type: 2,
            resource_name: "t",
            configs: [incremental::AlterableConfig {
                name,
                config_operation: operation,
                value,
            }]
            .into(),
        }]
        .into(),
        validate_only: false,
    };
    let mut alter = |asked: &IncrementalAlterConfigsRequest<'_>| {
        let bytes = client.call(1, asked);
        let response: IncrementalAlterConfigsResponse<'_> = decode(&bytes, 1);
        response.responses.first().unwrap().error_code
    };
    assert_eq!(alter(&change("max.message.bytes", 0, Some("5000"))), 0);
    assert_eq!(alter(&change("cleanup.policy", 2, Some("compact"))), 0);
    let invalid = ErrorCode::InvalidConfig.code();
    assert_eq!(alter(&change("max.message.bytes", 0, Some("-7"))), invalid);
    assert_eq!(alter(&change("nonsense", 0, Some("1"))), invalid);
    assert_eq!(alter(&change("max.message.bytes", 9, Some("1"))), invalid);
    assert_eq!(client.produce(("t", 0), &large), (0, 0));
    assert_eq!(
        config(&mut client, "t", "cleanup.policy").0,
        "delete,compact"
    );

    let asked = AlterConfigsRequest {
        resources: [
            whole::AlterConfigsResource {
                resource_type: 2,
                resource_name: "t",
                configs: [whole::AlterableConfig {
                    name: "flush.messages",
                    value: Some("7"),
                }]
                .into(),
            },
            whole::AlterConfigsResource {
                resource_type: 4,
                resource_name: "1",
                ..whole::AlterConfigsResource::default()
            },
        ]
        .into(),
        validate_only: false,
    };
    let bytes = client.call(2, &asked);
    let response: AlterConfigsResponse<'_> = decode(&bytes, 2);
    let errors: Vec<_> = response
        .responses
        .iter()
        .map(|answer| answer.error_code)
        .collect();
    assert_eq!(errors, [0, ErrorCode::InvalidRequest.code()]);
    assert_eq!(
        config(&mut client, "t", "max.message.bytes").1,
        5,
        "the rest went back"
    );
    assert_eq!(
        config(&mut client, "t", "flush.messages"),
        ("7".to_owned(), 1)
    );
}

#[test]
fn the_broker_describes_itself_and_its_cluster() {
    let broker = TestBroker::new(1);
    let mut client = broker.client();
    let resource = |name| DescribeConfigsRequest {
        resources: [DescribeConfigsResource {
            resource_type: 4,
            resource_name: name,
            configuration_keys: None,
        }]
        .into(),
        ..DescribeConfigsRequest::default()
    };
    let bytes = client.call(1, &resource("1"));
    let response: DescribeConfigsResponse<'_> = decode(&bytes, 1);
    let result = response.results.first().unwrap();
    assert_eq!(result.error_code, 0);
    assert!(
        result
            .configs
            .iter()
            .any(|entry| entry.name == "message.max.bytes")
    );
    let bytes = client.call(1, &resource("2"));
    let response: DescribeConfigsResponse<'_> = decode(&bytes, 1);
    assert_ne!(
        response.results.first().unwrap().error_code,
        0,
        "another node's"
    );

    for version in 0..=1 {
        let asked = DescribeClusterRequest {
            endpoint_type: 1,
            ..DescribeClusterRequest::default()
        };
        let bytes = client.call(version, &asked);
        let response: DescribeClusterResponse<'_> = decode(&bytes, version);
        assert_eq!((response.error_code, response.controller_id), (0, 1));
        assert!(!response.cluster_id.is_empty());
        let nodes = response.brokers.to_vec();
        assert_eq!(nodes.len(), 1);
        assert_eq!(nodes[0].port, i32::from(broker.addresses()[0].port()));
    }
}

/// Every topic config of Kafka 4.3, with a value that is not its default where there is one.
const TOPIC_CONFIGS: [(&str, &str); 33] = [
    ("cleanup.policy", "compact"),
    ("compression.gzip.level", "5"),
    ("compression.lz4.level", "7"),
    ("compression.type", "lz4"),
    ("compression.zstd.level", "4"),
    ("delete.retention.ms", "7001"),
    ("file.delete.delay.ms", "7002"),
    ("flush.messages", "7003"),
    ("flush.ms", "7004"),
    ("follower.replication.throttled.replicas", "*"),
    ("index.interval.bytes", "7005"),
    ("leader.replication.throttled.replicas", "*"),
    ("local.retention.bytes", "7006"),
    ("local.retention.ms", "7007"),
    ("max.compaction.lag.ms", "7008"),
    ("max.message.bytes", "7009"),
    ("message.timestamp.after.max.ms", "7010"),
    ("message.timestamp.before.max.ms", "7011"),
    ("message.timestamp.type", "LogAppendTime"),
    ("min.cleanable.dirty.ratio", "0.25"),
    ("min.compaction.lag.ms", "7012"),
    ("min.insync.replicas", "1"),
    ("preallocate", "true"),
    ("remote.log.copy.disable", "false"),
    ("remote.log.delete.on.disable", "false"),
    ("remote.storage.enable", "false"),
    ("retention.bytes", "70013000"),
    ("retention.ms", "70014000"),
    ("segment.bytes", "7015000"),
    ("segment.index.bytes", "7016"),
    ("segment.jitter.ms", "7017"),
    ("segment.ms", "7018000"),
    ("unclean.leader.election.enable", "true"),
];

#[test]
fn every_topic_config_is_stored_described_and_kept() {
    let mut broker = TestBroker::new(2);
    broker.create_with("t", 2, &TOPIC_CONFIGS);
    for _ in 0..2 {
        let mut client = broker.client();
        for (name, value) in TOPIC_CONFIGS {
            let found = config(&mut client, "t", name);
            assert_eq!(found, (value.to_owned(), 1), "{name}");
        }
        broker.restart();
    }
}

//! Several shards, one node or several.

use crate::harness::{Client, TestBroker, decode, plain, values};
use millrace_server::protocol::ErrorCode;
use millrace_server::protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic,
};
use millrace_server::protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, InitProducerIdRequest, InitProducerIdResponse,
    MetadataRequest, MetadataResponse,
};

/// Node ids and ports, and the leader of each partition of the only topic.
fn cluster(client: &mut Client) -> (Vec<(i32, i32)>, Vec<i32>) {
    let asked = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let bytes = client.call(9, &asked);
    let response: MetadataResponse<'_> = decode(&bytes, 9);
    let nodes = response
        .brokers
        .iter()
        .map(|node| (node.node_id, node.port))
        .collect();
    let topic = response.topics.first().unwrap();
    let leaders = topic
        .partitions
        .iter()
        .map(|partition| partition.leader_id)
        .collect();
    (nodes, leaders)
}

fn large_every_seventh(round: i64) -> String {
    "x".repeat(if round % 7 == 0 { 70_000 } else { 10 })
}

#[test]
fn every_connection_reaches_every_partition() {
    for shards in [2, 4] {
        let broker = TestBroker::new(shards);
        broker.create("t", 8);
        // As many connections as shards: each shard has one.
        let mut clients: Vec<Client> = (0..shards).map(|_| broker.client()).collect();
        let mut expected = vec![Vec::new(); 8];
        for round in 0..20_i64 {
            for (number, client) in clients.iter_mut().enumerate() {
                for partition in 0..8 {
                    let value = format!("{round} {number} {}", large_every_seventh(round));
                    let sent = plain(&[&value]);
                    let (error, offset) = client.produce(("t", partition), &sent);
                    let log: &mut Vec<(i64, String)> = &mut expected[partition as usize];
                    assert_eq!((error, offset), (0, log.len() as i64));
                    log.push((offset, value));
                }
            }
        }
        for client in &mut clients {
            for partition in 0..8 {
                let (error, _, bytes) = client.fetch(("t", partition), 0);
                assert_eq!(error, 0);
                assert!(
                    values(&bytes) == expected[partition as usize],
                    "partition {partition}"
                );
            }
        }
        let (nodes, leaders) = cluster(&mut clients[0]);
        assert_eq!(nodes.len(), 1);
        assert!(leaders.iter().all(|leader| *leader == nodes[0].0));
    }
}

#[test]
fn per_core_every_shard_is_a_node_and_answers_for_all() {
    let broker = TestBroker::per_core(4);
    broker.create("t", 8);
    assert_eq!(broker.addresses().len(), 4);
    let mut clients: Vec<Client> = broker
        .addresses()
        .iter()
        .map(|address| Client::connect(*address))
        .collect();
    let first = cluster(&mut clients[0]);
    let ports: Vec<_> = broker
        .addresses()
        .iter()
        .map(|address| i32::from(address.port()))
        .collect();
    let expected: Vec<_> = (1..=4).zip(ports).collect();
    assert_eq!(first.0, expected);
    for node in 1..=4 {
        let led = first.1.iter().filter(|leader| **leader == node).count();
        assert_eq!(led, 2, "partitions of node {node}");
    }
    for client in &mut clients {
        assert_eq!(cluster(client), first, "the same answer everywhere");
        for partition in 0..8 {
            assert_eq!(client.produce(("t", partition), &plain(&["a"])).0, 0);
        }
    }
    for partition in 0..8 {
        assert_eq!(clients[0].fetch(("t", partition), 0).1, 4);
    }
}

#[test]
fn per_core_an_assignment_pins_a_partition_to_its_node() {
    let mut broker = TestBroker::per_core(3);
    let mut client = broker.client();
    let create = |client: &mut Client, name, nodes: &[i32]| {
        let assignments: Vec<_> = nodes
            .iter()
            .zip(0..)
            .map(|(node, partition_index)| CreatableReplicaAssignment {
                partition_index,
                broker_ids: [*node].into(),
            })
            .collect();
        let asked = CreateTopicsRequest {
            topics: [CreatableTopic {
                name,
                num_partitions: -1,
                replication_factor: -1,
                assignments: assignments.into(),
                ..CreatableTopic::default()
            }]
            .into(),
            ..CreateTopicsRequest::default()
        };
        let bytes = client.call(5, &asked);
        let response: CreateTopicsResponse<'_> = decode(&bytes, 5);
        response.topics.first().unwrap().error_code
    };
    let nowhere = ErrorCode::InvalidReplicaAssignment.code();
    assert_eq!(create(&mut client, "bad", &[3, 4]), nowhere);
    assert_eq!(create(&mut client, "t", &[3, 3, 1, 3]), 0);
    assert_eq!(cluster(&mut client).1, [3, 3, 1, 3]);
    assert_eq!(client.produce(("t", 1), &plain(&["a"])), (0, 0));
    broker.restart();
    let mut client = broker.client();
    assert_eq!(cluster(&mut client).1, [3, 3, 1, 3]);
    assert_eq!(client.fetch(("t", 1), 0).1, 1);
}

#[test]
fn producer_ids_are_unique_over_shards_and_restarts() {
    let mut broker = TestBroker::per_core(2);
    let mut ids = Vec::new();
    for _ in 0..3 {
        for address in broker.addresses() {
            let mut client = Client::connect(*address);
            for _ in 0..3 {
                let bytes = client.call(4, &InitProducerIdRequest::default());
                let response: InitProducerIdResponse = decode(&bytes, 4);
                assert_eq!(response.error_code, 0);
                ids.push(response.producer_id);
            }
        }
        broker.restart();
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), count), (18, 18));
}

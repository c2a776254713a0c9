//! What is still there after a clean stop, and after a change of the number of shards.

use crate::harness::{Client, TestBroker, decode, fetch_request, fetched, now_ms, plain, values};
use millrace_engine::record_batch::Compression;
use millrace_engine::record_batch::builder::{BatchBuilder, Producer};
use millrace_server::protocol::ErrorCode;
use millrace_server::protocol::messages::describe_configs_request::DescribeConfigsResource;
use millrace_server::protocol::messages::{
    DescribeClusterRequest, DescribeClusterResponse, DescribeConfigsRequest,
    DescribeConfigsResponse, MetadataRequest, MetadataResponse,
};

fn cluster_id(client: &mut Client) -> String {
    let bytes = client.call(0, &DescribeClusterRequest::default());
    let response: DescribeClusterResponse<'_> = decode(&bytes, 0);
    response.cluster_id.to_owned()
}

fn retention(client: &mut Client) -> String {
    let asked = DescribeConfigsRequest {
        resources: [DescribeConfigsResource {
            resource_type: 2,
            resource_name: "t",
            configuration_keys: Some(["retention.ms"].into()),
        }]
        .into(),
        ..DescribeConfigsRequest::default()
    };
    let bytes = client.call(1, &asked);
    let response: DescribeConfigsResponse<'_> = decode(&bytes, 1);
    let result = response.results.first().unwrap();
    result
        .configs
        .first()
        .unwrap()
        .value
        .as_deref()
        .unwrap()
        .to_owned()
}

fn idempotent(base_sequence: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.set_producer(Some(Producer {
        id: 4711,
        epoch: 0,
        base_sequence,
    }));
    builder.push(now_ms(), None, Some(b"v"), &[]);
    builder.build().unwrap()
}

#[test]
fn records_topics_settings_producers_and_the_cluster_id_survive_a_restart() {
    let mut broker = TestBroker::new(2);
    broker.create_with("t", 6, &[("retention.ms", "77777777")]);
    let mut client = broker.client();
    let cluster = cluster_id(&mut client);
    let mut expected = vec![Vec::new(); 6];
    for round in 0..3 {
        let mut client = broker.client();
        for (partition, log) in (0..).zip(&mut expected) {
            let large = "x".repeat(if round == 1 { 200_000 } else { 10 });
            let value = format!("{round} {partition} {large}");
            let (error, offset) = client.produce(("t", partition), &plain(&[&value]));
            assert_eq!((error, offset), (0, round));
            log.push((offset, value));
        }
        broker.restart();
    }
    let mut client = broker.client();
    assert_eq!(cluster_id(&mut client), cluster);
    assert_eq!(retention(&mut client), "77777777");
    for (partition, log) in (0..).zip(&expected) {
        let (_, _, bytes) = client.fetch(("t", partition), 0);
        assert!(values(&bytes) == *log, "partition {partition}");
    }
    broker.create("u", 1);
    assert_eq!(client.produce(("u", 0), &idempotent(0)), (0, 0));
    assert_eq!(client.produce(("u", 0), &idempotent(1)), (0, 1));
    broker.restart();
    let mut client = broker.client();
    assert_eq!(
        client.produce(("u", 0), &idempotent(1)),
        (0, 1),
        "a duplicate still"
    );
    assert_eq!(client.produce(("u", 0), &idempotent(2)), (0, 2));
}

#[test]
fn records_survive_every_change_of_the_number_of_shards() {
    let mut broker = TestBroker::new(1);
    broker.create("t", 5);
    let mut expected = 0;
    for shards in [2, 4, 3, 1] {
        let mut client = broker.client();
        for partition in 0..5 {
            let sent = plain(&[&format!("{shards}")]);
            assert_eq!(client.produce(("t", partition), &sent), (0, expected));
        }
        expected += 1;
        broker.change(|config| {
            config.cores = Some(vec![0; shards]);
            config.memory_bytes = shards as u64 * (96 << 20);
        });
        broker.restart();
        let mut client = broker.client();
        for partition in 0..5 {
            let (error, high_watermark, bytes) = client.fetch(("t", partition), 0);
            assert_eq!((error, high_watermark), (0, expected), "{shards} shards");
            assert_eq!(values(&bytes).len() as i64, expected);
        }
    }
}

#[test]
fn a_deleted_topic_stays_deleted() {
    use millrace_server::protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
    let mut broker = TestBroker::new(2);
    broker.create("t", 4);
    let mut client = broker.client();
    client.produce(("t", 0), &plain(&["a"]));
    let asked = DeleteTopicsRequest {
        topic_names: ["t"].into(),
        ..DeleteTopicsRequest::default()
    };
    let bytes = client.call(3, &asked);
    let response: DeleteTopicsResponse<'_> = decode(&bytes, 3);
    assert_eq!(response.responses.first().unwrap().error_code, 0);
    broker.restart();
    let mut client = broker.client();
    assert_ne!(client.fetch(("t", 0), 0).0, 0);
    broker.create("t", 1);
    assert_eq!(client.fetch(("t", 0), 0).1, 0);
}

/// What a power cut leaves: the files as they are while the broker runs.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn metadata_says_the_leader_epoch_that_fetch_goes_by_after_an_unclean_stop() {
    let before = TestBroker::new(2);
    before.create("t", 2);
    assert_eq!(before.client().produce(("t", 0), &plain(&["a"])), (0, 0));
    let broker = TestBroker::with(2, |config| {
        copy(&before.config().data_dir, &config.data_dir);
    });
    let mut client = broker.client();
    for partition in 0..2 {
        let bytes = client.call(9, &MetadataRequest::default());
        let response: MetadataResponse<'_> = decode(&bytes, 9);
        let topic = response.topics.first().unwrap();
        let mut partitions = topic.partitions.iter();
        let told = partitions.find(|it| it.partition_index == partition);
        let leader_epoch = told.unwrap().leader_epoch;
        assert!(leader_epoch > 0, "the stop was unclean");
        for (epoch, error) in [
            (leader_epoch, ErrorCode::None),
            (leader_epoch - 1, ErrorCode::FencedLeaderEpoch),
        ] {
            let mut request = fetch_request(("t", partition), 0, 0);
            let mut asked = request.topics.first().unwrap();
            let mut place = asked.partitions.first().unwrap();
            place.current_leader_epoch = epoch;
            asked.partitions = [place].into();
            request.topics = [asked].into();
            let frame = client.call(11, &request);
            assert_eq!(fetched(&frame, 11).0, error.code(), "epoch {epoch}");
        }
    }
}

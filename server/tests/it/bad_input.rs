//! Bytes that are no requests, and too many of everything.

use crate::harness::{Client, TestBroker, correlation_id, decode, directory, plain};
use millrace_server::protocol::ErrorCode;
use millrace_server::protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse,
};
use millrace_server::{ServeConfig, start};

/// A frame with this size field and content.
fn frame(size: i32, content: &[u8]) -> Vec<u8> {
    let mut bytes = size.to_be_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes
}

/// A request header, version 1 of its layout, with the content behind it, as a frame.
fn request(api_key: i16, version: i16, content: &[u8]) -> Vec<u8> {
    let mut bytes = api_key.to_be_bytes().to_vec();
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&7_i32.to_be_bytes());
    bytes.extend_from_slice(&[0xff, 0xff]);
    bytes.extend_from_slice(content);
    frame(i32::try_from(bytes.len()).unwrap(), &bytes)
}

#[test]
fn garbage_closes_its_connection_and_no_other() {
    let broker = TestBroker::new(2);
    broker.create("t", 2);
    let mut other = broker.client();
    let huge_count = [0x7f, 0xff, 0xff, 0xff];
    let cases: [(&str, Vec<u8>); 14] = [
        (
            "another protocol",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        ("negative size", frame(-1, b"")),
        ("smallest size", frame(i32::MIN, b"")),
        ("largest size", frame(i32::MAX, b"")),
        ("size zero", frame(0, b"")),
        ("too small for a header", frame(7, &[0; 7])),
        (
            "above socket.request.max.bytes",
            frame((100 << 20) + 1, b""),
        ),
        ("unknown api key", request(999, 0, &[])),
        ("negative api key", request(-1, 0, &[])),
        ("an api that is not served", request(24, 0, &[0; 64])),
        ("unknown version", request(3, 99, &[0; 64])),
        ("produce version 2", request(0, 2, &[0; 64])),
        ("huge array", request(3, 1, &huge_count)),
        (
            "huge array in produce",
            request(0, 3, &[&[0xff; 8][..], &huge_count[..]].concat()),
        ),
    ];
    for (name, bytes) in cases {
        let mut client = broker.client();
        client.send_bytes(&bytes);
        assert!(client.is_closed(), "{name}");
        assert_eq!(other.produce(("t", 0), &plain(&["a"])).0, 0, "{name}");
    }
}

#[test]
fn every_cut_of_a_request_is_survived() {
    let broker = TestBroker::new(1);
    broker.create("t", 1);
    let mut whole = Vec::new();
    let records = plain(&["a"]);
    let asked = crate::harness::produce_request(-1, "t", 0, Some(&records));
    millrace_server::protocol::encode_request(&mut whole, 9, 1, Some("x"), &asked).unwrap();
    for length in 4..whole.len() {
        // The size says that this is all.
        let mut bytes = whole[..length].to_vec();
        let size = i32::try_from(length - 4).unwrap();
        bytes[..4].copy_from_slice(&size.to_be_bytes());
        let mut client = broker.client();
        client.send_bytes(&bytes);
        assert!(client.is_closed(), "cut at {length}");
    }
    // The connection ends inside the frame.
    for length in [1, 3, 4, 10, whole.len() - 1] {
        let mut client = broker.client();
        client.send_bytes(&whole[..length]);
        drop(client);
    }
    assert_eq!(
        broker.client().produce(("t", 0), &records),
        (0, 0),
        "nothing was appended"
    );
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let broker = TestBroker::new(1);
    broker.create("t", 1);
    let mut whole = Vec::new();
    let records = plain(&["a"]);
    let asked = crate::harness::produce_request(-1, "t", 0, Some(&records));
    for id in 1..=3 {
        millrace_server::protocol::encode_request(&mut whole, 9, id, Some("x"), &asked).unwrap();
    }
    let mut client = broker.client();
    for byte in &whole {
        client.send_bytes(&[*byte]);
    }
    for id in 1..=3 {
        assert_eq!(correlation_id(&client.receive().unwrap()), id);
    }
}

#[test]
fn api_versions_lists_produce_from_zero_and_answers_an_unknown_version_in_version_zero() {
    let broker = TestBroker::new(1);
    let mut client = broker.client();
    for version in 0..=4 {
        let asked = ApiVersionsRequest {
            client_software_name: "test",
            client_software_version: "1",
        };
        let bytes = client.call(version, &asked);
        let response: ApiVersionsResponse<'_> = decode(&bytes, version);
        assert_eq!(response.error_code, 0);
        let produce = response
            .api_keys
            .iter()
            .find(|api| api.api_key == 0)
            .unwrap();
        assert_eq!((produce.min_version, produce.max_version), (0, 11));
        let transactions = response.api_keys.iter().find(|api| api.api_key == 24);
        assert!(transactions.is_none(), "what is not served is not listed");
    }
    client.send_bytes(&request(18, 77, &[0]));
    let bytes = client.receive().unwrap();
    assert_eq!(correlation_id(&bytes), 7);
    let response: ApiVersionsResponse<'_> = decode(&bytes, 0);
    assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
    assert!(response.api_keys.iter().any(|api| api.api_key == 18));
    // The connection lives on.
    client.call(0, &ApiVersionsRequest::default());
}

#[test]
fn a_large_frame_that_is_no_produce_request_is_refused_and_one_that_stops_is_dropped() {
    let broker = TestBroker::new(1);
    broker.create("t", 1);
    let mut client = broker.client();
    client.send_bytes(&request(3, 1, &[0; 3_000_000]));
    // Bytes behind a message are skipped, as Kafka does; or the connection is closed.
    drop(client);
    let mut client = broker.client();
    client.send_bytes(&request(0, 9, &[0xff; 3_000_000]));
    assert!(client.is_closed());
    for _ in 0..20 {
        // Says that it will send much, and does not.
        let mut client = broker.client();
        client.send_bytes(&frame(90 << 20, &[0; 100]));
    }
    let large = plain(&[&"x".repeat(1_000_000)]);
    assert_eq!(broker.client().produce(("t", 0), &large), (0, 0));
}

#[test]
fn frames_that_stop_do_not_keep_others_out() {
    let broker = TestBroker::with(1, |config| config.memory_bytes = 64 << 20);
    broker.create("t", 1);
    let large = plain(&[&"x".repeat(1_000_000)]);
    let asked = crate::harness::produce_request(-1, "t", 0, Some(&large));
    let mut whole = Vec::new();
    millrace_server::protocol::encode_request(&mut whole, 9, 1, Some("x"), &asked).unwrap();
    // More than there is memory for: each sends a part and keeps its connection.
    let stopped: Vec<Client> = (0..60)
        .map(|_| {
            let mut client = broker.client();
            client.send_bytes(&whole[..20_000]);
            client
        })
        .collect();
    let mut client = broker.client();
    assert_eq!(client.produce(("t", 0), &plain(&["small"])), (0, 0));
    assert_eq!(client.produce(("t", 0), &large), (0, 1));
    drop(stopped);
}

#[test]
fn connections_above_the_bounds_are_closed_at_once() {
    let broker = TestBroker::with(2, |config| {
        let key = "max.connections.per.ip".to_owned();
        config.settings.push((key, "3".to_owned()));
    });
    let mut clients: Vec<Client> = (0..3).map(|_| broker.client()).collect();
    for client in &mut clients {
        client.call(0, &ApiVersionsRequest::default());
    }
    let mut refused = broker.client();
    assert!(refused.is_closed());
    drop(clients.pop());
    // The broker notices the end of a connection before it takes the next one, or refuses it.
    let mut tries = 0;
    loop {
        let mut client = broker.client();
        client.send(0, &ApiVersionsRequest::default());
        if client.receive().is_some() {
            break;
        }
        tries += 1;
        assert!(tries < 1000, "a place that was given back is not given out");
    }
}

#[test]
fn silent_connections_are_closed() {
    let broker = TestBroker::with(1, |config| {
        let key = "connections.max.idle.ms".to_owned();
        config.settings.push((key, "100".to_owned()));
    });
    let mut silent = broker.client();
    silent.call(0, &ApiVersionsRequest::default());
    assert!(silent.is_closed());
}

#[test]
fn a_port_in_use_is_named_and_a_wildcard_needs_an_advertised_address() {
    let broker = TestBroker::new(1);
    let address = broker.addresses()[0];
    let mut config = ServeConfig {
        data_dir: directory(),
        listen: address.to_string(),
        cores: Some(vec![0]),
        memory_bytes: 96 << 20,
        ..ServeConfig::default()
    };
    let error = start(&config).unwrap_err().to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("--listen"),
        "{error}"
    );
    assert!(!config.data_dir.exists(), "nothing was made");

    config.listen = "0.0.0.0:0".to_owned();
    let error = start(&config).unwrap_err().to_string();
    assert!(error.contains("--advertised"), "{error}");
    assert!(!config.data_dir.exists(), "nothing was made");

    config.data_dir = broker.config().data_dir.clone();
    config.listen = "127.0.0.1:0".to_owned();
    let error = start(&config).unwrap_err().to_string();
    assert!(error.contains("use"), "the directory is locked: {error}");
    drop(std::fs::remove_dir_all(directory()));
}

#[test]
fn settings_that_nobody_knows_are_refused() {
    for (key, value, part) in [
        ("num.partition", "1", "num.partition"),
        ("num.partitions", "0", "from 1 to 10000"),
        ("socket.request.max.bytes", "12", "from 1024"),
    ] {
        let config = ServeConfig {
            data_dir: directory(),
            settings: vec![(key.to_owned(), value.to_owned())],
            ..ServeConfig::default()
        };
        let error = start(&config).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(value), "{error}");
    }
}

#[test]
fn many_topics_fit_an_answer_that_no_block_can_hold() {
    let broker = TestBroker::with(1, |config| {
        config.memory_bytes = 4 << 30;
        config
            .settings
            .push(("num.partitions".to_owned(), "5000".to_owned()));
    });
    let mut client = broker.client();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        broker.create(name, 5000);
    }
    let asked = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let bytes = client.call(9, &asked);
    assert!(bytes.len() > 1 << 20, "{} bytes", bytes.len());
    let response: MetadataResponse<'_> = decode(&bytes, 9);
    let partitions: usize = response
        .topics
        .iter()
        .map(|topic| topic.partitions.len())
        .sum();
    assert_eq!(partitions, 50_000);
}

#[test]
fn a_start_names_the_topics_whose_records_a_crash_may_take() {
    let mut broker = TestBroker::new(2);
    broker.create("kept", 1);
    broker.create_with("fast", 3, &[("millrace.durability", "memory")]);
    broker.restart();
    let named: Vec<_> = broker.relaxed_topics().iter().map(|t| &*t.name).collect();
    assert_eq!(named, ["fast"]);
}

#[test]
fn options_are_refused_by_the_name_under_which_they_were_given() {
    let refused = |change: fn(&mut ServeConfig)| {
        let mut config = ServeConfig {
            data_dir: directory(),
            cores: Some(vec![0, 0]),
            ..ServeConfig::default()
        };
        change(&mut config);
        start(&config).unwrap_err().to_string()
    };
    let error = refused(|config| config.memory_bytes = 1 << 20);
    for part in ["--memory", "\"1 MiB\"", "32 to"] {
        assert!(error.contains(part), "{error}");
    }
    let error = refused(|config| config.listen = "127.0.0.1:80000".to_owned());
    assert!(
        error.contains("--listen") && error.contains("65535"),
        "{error}"
    );
    let error = refused(|config| {
        let listeners = "PLAINTEXT://:9092,CONTROLLER://:9093".to_owned();
        config.settings.push(("listeners".to_owned(), listeners));
    });
    assert!(error.contains("config listeners"), "{error}");
    let error = refused(|config| config.listen = "192.0.2.1:9092".to_owned());
    assert!(
        error.contains("192.0.2.1:9092") && error.contains("no interface"),
        "{error}"
    );
}

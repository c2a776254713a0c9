//! What a tool says that was pointed at the wrong place.

use crate::harness::{Broker, Ended, millrace, new_path};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Each command that talks to a broker.
const COMMANDS: [&str; 7] = [
    "topic list",
    "topic create a",
    "produce a",
    "consume a",
    "consume a --group g",
    "group list",
    "group describe g",
];

/// Runs `command` against a listener that does `serve` with each connection.
fn against(
    command: &str,
    serve: impl Fn(TcpStream) + Send + Sync + Copy + 'static,
) -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Ends with the process: how often a command connects is its own business.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    let words = format!("{command} --timeout 1 --bootstrap {address}");
    (millrace(&words, "line\n").error(), address)
}

#[test]
fn every_command_says_where_no_broker_is_and_how_to_start_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    for command in COMMANDS {
        let words = format!("{command} --timeout 1 --bootstrap {address}");
        let error = millrace(&words, "line\n").error();
        for part in [
            &*address,
            "nothing listens there",
            "millrace serve",
            "--bootstrap",
        ] {
            assert!(error.contains(part), "{command}: {error}");
        }
    }
}

#[test]
fn a_host_without_an_address_is_named() {
    let error = millrace("topic list --bootstrap no-such-host.invalid:9092", "").error();
    let expected = "host no-such-host.invalid cannot be resolved";
    assert!(error.contains(expected), "{error}");
    let error = millrace("topic list --bootstrap localhost", "").error();
    assert!(error.contains("HOST:PORT"), "{error}");
}

#[test]
fn ports_that_speak_something_else_are_told_by_what_they_speak() {
    let answers: [(&[u8], &str); 3] = [
        // A TLS alert, as a TLS listener answers what is no TLS.
        (b"\x15\x03\x03\x00\x02\x02\x0a", "TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
    ];
    for (answer, name) in answers {
        let (error, address) = against("topic list", move |mut stream| {
            let mut request = [0; 512];
            let read = stream.read(&mut request);
            if read.is_ok() {
                drop(stream.write_all(answer));
            }
        });
        assert!(error.contains(&address) && error.contains(name), "{error}");
        assert!(error.contains("plaintext Kafka listener"), "{error}");
    }
}

#[test]
fn a_port_that_never_answers_is_given_up_after_the_timeout() {
    for command in ["topic list", "group list"] {
        let (error, address) = against(command, |mut stream| {
            // Reads what comes until the client has gone.
            drop(std::io::copy(&mut stream, &mut std::io::sink()));
        });
        for part in [&*address, "did not answer within 1 s", "--timeout"] {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[test]
fn a_port_that_hangs_up_is_told_from_one_that_is_silent() {
    let (error, _) = against("topic list", |mut stream| {
        let mut request = [0; 512];
        drop(stream.read(&mut request));
    });
    assert!(error.contains("closed the connection"), "{error}");
}

#[test]
fn topics_groups_and_offsets_that_are_not_there_are_told_with_what_to_do() {
    let broker = Broker::new();
    let said = |ended: Ended, parts: &[&str]| {
        let error = ended.error();
        for part in parts {
            assert!(error.contains(part), "{error}");
        }
    };
    said(
        broker.run("consume nothing"),
        &[
            "topic nothing",
            "UNKNOWN_TOPIC_OR_PARTITION",
            "topic create",
        ],
    );
    broker.run("topic create a --partitions 2").output();
    said(
        broker.run("topic create a"),
        &["topic a", "TOPIC_ALREADY_EXISTS"],
    );
    said(
        broker.run("consume a --partition 7"),
        &["partition 7", "0 to 1"],
    );
    said(
        broker.run("consume a --from 5"),
        &["offset 5", "[0, 0]", "--from"],
    );
    said(
        broker.run("topic create ../a"),
        &["../a", "INVALID_TOPIC_EXCEPTION"],
    );
    said(
        broker.run("topic create b --replication-factor 3"),
        &["INVALID_REPLICATION_FACTOR"],
    );
}

#[test]
fn a_broker_that_cannot_start_says_why() {
    let directory = new_path("refused");
    let words = format!(
        "serve --data-dir {} --listen 0.0.0.0:0 --log-level error",
        directory.display()
    );
    let error = millrace(&words, "").error();
    assert!(error.contains("--advertised"), "{error}");
    let words = format!(
        "serve --data-dir {} --set num.partition=3",
        directory.display()
    );
    let error = millrace(&words, "").error();
    assert!(
        error.contains("num.partition") && error.contains("\"3\""),
        "{error}"
    );
    assert_eq!(
        error.matches("num.partition").count(),
        1,
        "said once: {error}"
    );
    drop(std::fs::remove_dir_all(directory));
}

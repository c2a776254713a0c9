//! Topics, producing and consuming.

use crate::harness::{Broker, millrace, new_path};

#[test]
fn lines_come_back_as_they_went_in() {
    let broker = Broker::new();
    broker.run("topic create lines --partitions 3").output();
    let input: String = (0..200)
        .map(|index| format!("k{index}:v{index}\n"))
        .collect();
    let sent = broker.run_with(
        "produce lines --key-separator : --header a=1 --compression zstd",
        &input,
    );
    assert!(sent.stderr.contains("200 records acknowledged"), "{sent:?}");
    sent.output();
    let printed = broker.run("consume lines --format key-value").output();
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    let mut expected: Vec<String> = (0..200)
        .map(|index| format!("k{index}\tv{index}"))
        .collect();
    expected.sort_unstable();
    assert_eq!(lines, expected);
    let one = broker.run("consume lines --format json --count 1").output();
    assert!(
        one.contains(r#""headers":[{"name":"a","value":"1"}]"#),
        "{one}"
    );
}

#[test]
fn a_file_is_sent_whole_and_read_from_the_end_that_is_asked_for() {
    let broker = Broker::new();
    broker.run("topic create file").output();
    let path = new_path("lines.txt");
    std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
    broker
        .run(&format!("produce file --from-file {}", path.display()))
        .output();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(broker.run("consume file").output(), "one\ntwo\nthree\n");
    assert_eq!(broker.run("consume file --from -1").output(), "three\n");
    assert_eq!(broker.run("consume file --from 1 -c 1").output(), "two\n");
    assert_eq!(
        broker.run("consume file --from @0").output(),
        "one\ntwo\nthree\n"
    );
    let none = broker
        .run("consume file --from @2099-01-01T00:00:00Z")
        .output();
    assert_eq!(none, "");
}

#[test]
fn a_topic_is_altered_and_described() {
    let broker = Broker::new();
    broker
        .run("topic create a --config retention.ms=1000")
        .output();
    broker
        .run("topic alter a --set segment.bytes=2097152 --delete retention.ms --partitions 3")
        .output();
    let described = broker.run("topic describe a --json").output();
    for part in [
        r#""segment.bytes":"2097152""#,
        r#""partition":2"#,
        r#""high_watermark":0"#,
    ] {
        assert!(described.contains(part), "{part}: {described}");
    }
    assert!(!described.contains("retention.ms"), "{described}");
    broker
        .run("topic alter a --partitions 9 --dry-run")
        .output();
    let listed = broker.run("topic list --json").output();
    assert_eq!(
        listed,
        "{\"is_internal\":false,\"partitions\":3,\"topic\":\"a\"}\n"
    );

    let error = broker.run("topic alter a --partitions 2").error();
    assert!(error.contains("INVALID_PARTITIONS"), "{error}");
    let error = broker.run("topic alter a --set segment.bytes=1").error();
    for part in ["segment.bytes", "INVALID_CONFIG", "from 1048576"] {
        assert!(error.contains(part), "{error}");
    }
    let error = broker.run("topic alter a").error();
    assert!(error.contains("nothing to change"), "{error}");
}

#[test]
fn the_doctor_finds_a_machine_where_these_tests_run_fit_for_a_broker() {
    let path = new_path("doctor");
    let words = format!("doctor --json --data-dir {}", path.display());
    let lines = millrace(&words, "").output();
    for subject in [
        "kernel",
        "io_uring",
        "locked memory",
        "durable writes",
        "free space",
    ] {
        let line = lines
            .lines()
            .find(|line| line.contains(&format!("\"{subject}\"")));
        let line = line.unwrap_or_else(|| panic!("{subject} is missing: {lines}"));
        assert!(!line.contains("\"fail\""), "{line}");
    }
    assert!(!path.exists(), "nothing is made");
    let nowhere = millrace("doctor --data-dir /proc/1/fd/x", "");
    let said = nowhere.stdout.clone();
    let error = nowhere.error();
    assert!(
        error.contains("would not run") && said.contains("FAIL"),
        "{error} {said}"
    );
}

#[test]
fn a_compacted_topic_refuses_lines_without_a_key_and_says_how_to_give_one() {
    let broker = Broker::new();
    broker
        .run("topic create c --config cleanup.policy=compact")
        .output();
    let error = broker.run_with("produce c", "no key\n").error();
    assert!(
        error.contains("INVALID_RECORD") && error.contains("--key-separator"),
        "{error}"
    );
    broker
        .run_with("produce c --key-separator :", "a:1\n")
        .output();
}

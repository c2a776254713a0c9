//! Consumer groups: consuming as a member, describing, moving offsets, deleting.

use crate::harness::Broker;

/// A topic of three partitions with 90 records whose values are 0 to 89.
fn filled() -> Broker {
    let broker = Broker::new();
    broker.run("topic create a --partitions 3").output();
    let input: String = (0..90).map(|index| format!("k{index}:{index}\n")).collect();
    broker
        .run_with("produce a --key-separator :", &input)
        .output();
    broker
}

fn numbers(lines: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = lines.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_group_goes_on_where_it_was_and_leaves_nothing_out() {
    let broker = filled();
    let first = broker.run("consume a --group g --count 25").output();
    assert_eq!(first.lines().count(), 25);
    let rest = broker.run("consume a --group g").output();
    assert_eq!(numbers(&(first + &rest)), (0..90).collect::<Vec<_>>());
    assert_eq!(broker.run("consume a --group g").output(), "");
    // Another group begins anew.
    let other = broker.run("consume a --group h").output();
    assert_eq!(other.lines().count(), 90);

    let described = broker.run("group describe g").output();
    assert!(described.contains("group g: Empty"), "{described}");
    assert!(described.contains("no members"), "{described}");
    let json = broker.run("group describe g --json").output();
    assert_eq!(json.matches("\"lag\":0").count(), 3, "{json}");
    let listed = broker.run("group list").output();
    let names: Vec<_> = listed.lines().skip(1).map(|line| &line[..1]).collect();
    assert_eq!(names, ["g", "h"]);
}

#[test]
fn offsets_are_moved_only_when_told_to_execute() {
    let broker = filled();
    broker.run("consume a --group g").output();
    let plan = broker.run("group reset-offsets g --topic a --to-earliest");
    assert!(plan.stderr.contains("--execute"), "{plan:?}");
    plan.output();
    assert_eq!(broker.run("consume a --group g").output(), "");

    broker
        .run("group reset-offsets g --topic a --to-earliest --execute")
        .output();
    assert_eq!(
        broker.run("consume a --group g").output().lines().count(),
        90
    );
    broker
        .run("group reset-offsets g --all-topics --shift-by -2 --execute")
        .output();
    assert_eq!(
        broker.run("consume a --group g").output().lines().count(),
        6
    );
    broker
        .run("group reset-offsets g --topic a:1 --to-offset 0 --execute")
        .output();
    let again = broker.run("consume a --group g --format %p\\n").output();
    assert!(
        !again.is_empty() && again.lines().all(|line| line == "1"),
        "{again}"
    );
    broker
        .run("group reset-offsets g --topic a --by-duration PT1H --execute")
        .output();
    assert_eq!(
        broker.run("consume a --group g").output().lines().count(),
        90
    );
    let future = "group reset-offsets g --topic a --to-datetime 2099-01-01T00:00:00Z --execute";
    broker.run(future).output();
    assert_eq!(broker.run("consume a --group g").output(), "");

    let above = broker
        .run("group reset-offsets g --topic a:0 --to-offset 1000")
        .output();
    assert!(above.contains("1000 is outside of the log"), "{above}");
    let error = broker
        .run("group reset-offsets new --all-topics --to-latest")
        .error();
    assert!(
        error.contains("committed nothing") && error.contains("--topic"),
        "{error}"
    );
    let error = broker
        .run("group reset-offsets new --topic a --shift-by 1")
        .error();
    assert!(error.contains("nothing is committed"), "{error}");
}

#[test]
fn deleting_a_group_deletes_its_offsets() {
    let broker = filled();
    broker.run("consume a --group g").output();
    assert_eq!(broker.run("group delete g").output(), "deleted group g\n");
    for command in ["group describe g", "group delete g"] {
        let error = broker.run(command).error();
        assert!(
            error.contains("group g") && error.contains("group list"),
            "{error}"
        );
    }
    broker.run("group delete g --if-exists").output();
    assert_eq!(
        broker.run("consume a --group g").output().lines().count(),
        90
    );
}

#[test]
fn two_members_share_the_partitions_and_hand_them_over() {
    let broker = filled();
    let mut first = broker.spawn("consume a --group g --follow");
    assert_eq!(first.note(), "assigned partitions of a: 0,1,2");
    let mut second = broker.spawn("consume a --group g --follow");
    let shares = [first.note(), second.note()].map(|note| note.rsplit_once(' ').unwrap().1.len());
    assert_eq!(
        shares.iter().sum::<usize>(),
        "0,1".len() + "2".len(),
        "two and one"
    );
    let described = broker.run("group describe g").output();
    assert!(described.contains("Stable, assignor range"), "{described}");
    for command in [
        "group delete g",
        "group reset-offsets g --topic a --to-latest --execute",
    ] {
        let error = broker.run(command).error();
        assert!(error.contains("members"), "{error}");
    }

    let input: String = (90..150)
        .map(|index| format!("k{index}:{index}\n"))
        .collect();
    broker
        .run_with("produce a --key-separator :", &input)
        .output();
    let is_caught_up = |_: &u32| {
        let json = broker.run("group describe g --json").output();
        json.matches("\"lag\":0").count() == 3
    };
    assert!((0..1000).any(|attempt| is_caught_up(&attempt)), "lag stays");
    let printed = second.interrupt();
    // The one that stays is told with its next heartbeat.
    assert_eq!(first.note(), "assigned partitions of a: 0,1,2");
    let printed = printed + &first.interrupt();
    assert_eq!(numbers(&printed), (0..150).collect::<Vec<_>>());
    let described = broker.run("group describe g").output();
    assert!(described.contains("group g: Empty"), "{described}");
}

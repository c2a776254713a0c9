//! Hand-made histories: good ones that pass, and one bad one per violation, which is told.

use super::{History, Kind, check};

fn kinds(lines: &str) -> Vec<Kind> {
    let logs = "log orders/0 durable\nlog relaxed/0 relaxed\nlog kept/0 compacted 5 30";
    let text = format!("millrace-history 1\n{logs}\n{lines}");
    let history = History::from_text(&text).unwrap();
    let mut kinds: Vec<Kind> = check(&history)
        .into_iter()
        .map(|violation| violation.kind)
        .collect();
    kinds.dedup();
    kinds
}

const TWO_SENT: &str = "\
10 1 send 1 orders/0 7/0/0 100+2
20 1 acked 1 0
30 1 send 2 orders/0 7/0/2 200+3
40 1 acked 2 2
";

fn after_two(lines: &str) -> Vec<Kind> {
    kinds(&format!("{TWO_SENT}{lines}"))
}

#[test]
fn what_a_broker_may_answer_passes() {
    assert_eq!(kinds(""), []);
    assert_eq!(after_two(""), []);
    assert_eq!(
        after_two(
            "50 2 seek orders/0 0\n60 2 poll orders/0 45 0 2 0 5 0:100+2\n\
             70 2 poll orders/0 61 2 5 0 5 2:200+3\n80 2 poll orders/0 71 5 5 0 5"
        ),
        []
    );
    // Asked for before the acknowledgement, answered after it.
    assert_eq!(after_two("50 2 poll orders/0 35 0 2 0 2 0:100+2"), []);
    // An unacknowledged batch may be there, or not.
    let unknown = "50 3 send 3 orders/0 9/0/0 300+1\n";
    let there = "60 2 poll orders/0 55 4 6 0 6 4:202+1 5:300+1";
    let absent = "60 2 poll orders/0 55 4 5 0 5 4:202+1";
    assert_eq!(after_two(&format!("{unknown}{there}")), []);
    assert_eq!(after_two(&format!("{unknown}{absent}")), []);
    // A plain producer that sends twice may be there twice.
    let twice = "50 3 send 3 orders/0 - 300+1\n55 3 send 4 orders/0 - 300+1\n";
    let seen = "60 2 poll orders/0 58 5 7 0 7 5:300+1 6:300+1";
    assert_eq!(after_two(&format!("{twice}{seen}")), []);
    // Deleted on request.
    let trimmed = "50 3 trim orders/0 3\n60 2 poll orders/0 55 0 5 3 5 3:201+2";
    assert_eq!(after_two(trimmed), []);
}

#[test]
fn an_acknowledged_record_that_is_gone_is_lost() {
    let lost = [Kind::LostAckedWrite];
    assert_eq!(
        after_two("60 2 poll orders/0 45 0 2 0 2 0:100+2"),
        lost,
        "the end"
    );
    assert_eq!(
        after_two("60 2 poll orders/0 45 0 5 0 5 0:100+2 3:201+2"),
        lost,
        "the middle"
    );
    assert_eq!(
        after_two("60 2 poll orders/0 45 2 5 2 5 2:200+3"),
        lost,
        "the start"
    );
    let unplaced = "50 1 send 3 orders/0 7/0/5 300+1\n55 1 acked 3 ?\n\
                    60 2 poll orders/0 58 0 5 0 5 0:100+2 2:200+3";
    assert_eq!(after_two(unplaced), lost, "acknowledged without an offset");
    let relaxed = "10 1 send 9 relaxed/0 - 1+1\n20 1 acked 9 0\n30 2 poll relaxed/0 25 0 0 0 0";
    assert_eq!(kinds(relaxed), []);
}

#[test]
fn a_record_of_an_idempotent_producer_is_there_once() {
    let again = "50 1 send 3 orders/0 7/0/2 200+3\n\
                 60 2 poll orders/0 55 0 8 0 8 0:100+2 2:200+3 5:200+3";
    assert!(after_two(again).contains(&Kind::Duplicate));
    let once_sent = "50 3 send 3 orders/0 - 300+1\n\
                     60 2 poll orders/0 55 5 7 0 7 5:300+1 6:300+1";
    assert_eq!(after_two(once_sent), [Kind::Duplicate]);
}

#[test]
fn an_offset_means_one_record() {
    let two_readers = "50 3 send 3 orders/0 - 300+1\n51 3 send 4 orders/0 - 301+1\n\
                       60 2 poll orders/0 55 5 6 0 6 5:300+1\n\
                       61 4 poll orders/0 55 5 6 0 6 5:301+1";
    assert_eq!(after_two(two_readers), [Kind::InconsistentOffset]);
    let acked_elsewhere = "50 3 send 3 orders/0 - 300+1\n60 3 acked 3 4";
    assert_eq!(after_two(acked_elsewhere), [Kind::InconsistentOffset]);
}

#[test]
fn records_of_a_producer_keep_their_order() {
    let swapped = "10 1 send 1 orders/0 7/0/0 100+1\n11 1 send 2 orders/0 7/0/1 200+1\n\
                   20 2 poll orders/0 15 0 2 0 2 0:200+1 1:100+1";
    assert_eq!(kinds(swapped), [Kind::Reorder]);
    let of_two = "10 1 send 1 orders/0 7/0/0 100+1\n11 1 send 2 orders/0 8/0/1 200+1\n\
                  20 2 poll orders/0 15 0 2 0 2 0:200+1 1:100+1";
    assert_eq!(kinds(of_two), []);
}

#[test]
fn offsets_of_a_durable_log_have_no_gap() {
    let gap = "10 1 send 1 orders/0 - 100+1\n11 1 send 2 orders/0 - 200+1\n\
               20 2 poll orders/0 15 0 3 0 3 0:100+1 2:200+1";
    assert_eq!(kinds(gap), [Kind::Gap]);
    assert_eq!(kinds(&gap.replace("orders", "relaxed")), []);
}

/// Records 100 (key 1), 101 (key 2, a tombstone) and 102 (key 3).
const THREE_KEYS: &str = "\
10 1 keys kept/0 100 1,2!,3
10 1 send 1 kept/0 7/0/0 100+3
20 1 acked 1 0
";

#[test]
fn a_compacted_log_lacks_only_what_a_later_record_of_its_key_follows() {
    let lost = [Kind::LostAckedWrite];
    let then = |lines: &str| kinds(&format!("{THREE_KEYS}{lines}"));
    let next = "21 1 keys kept/0 200 1\n21 1 send 2 kept/0 7/0/3 200+1\n";
    let acked = format!("{next}22 1 acked 2 3\n");
    let without_first = "30 2 poll kept/0 25 0 4 0 4 1:101+2 3:200+1";
    assert_eq!(then(&format!("{acked}{without_first}")), []);
    assert_eq!(then("30 2 poll kept/0 25 0 3 0 3 0:100+3"), []);
    assert_eq!(then("30 2 poll kept/0 25 0 3 0 3 1:101+2"), lost);
    // Another key, or one that was sent too late, is no reason.
    assert_eq!(
        then(&format!(
            "{acked}30 2 poll kept/0 25 0 4 0 4 0:100+2 3:200+1"
        )),
        lost
    );
    let too_late = format!(
        "30 2 poll kept/0 25 0 3 0 3 1:101+2\n{}",
        next.replace("21 1", "31 1")
    );
    assert_eq!(then(&too_late), lost);
    // Nobody knows where it is: it may lie behind.
    assert_eq!(
        then(&format!("{next}30 2 poll kept/0 25 0 3 0 3 1:101+2")),
        []
    );
    // Asked for before it was acknowledged.
    assert_eq!(then("30 2 poll kept/0 15 1 3 0 3 2:102+1"), []);
    // Too young to be compacted.
    let young = "10 1 keys kept/0 100 1,1\n10 1 send 1 kept/0 7/0/0 100+2\n11 1 acked 1 0\n";
    let poll = |at: u64| kinds(&format!("{young}{at} 2 poll kept/0 12 0 2 0 2 1:101+1"));
    assert_eq!(poll(14), lost);
    assert_eq!(poll(15), []);
    // The newest of a key is gone, although the one before it is there.
    assert_eq!(
        then(&format!("{acked}30 2 poll kept/0 25 0 4 0 4 0:100+3")),
        lost
    );
}

#[test]
fn a_tombstone_goes_in_its_time() {
    let poll = |at: u64| {
        let began = at - 1;
        kinds(&format!(
            "{THREE_KEYS}{at} 2 poll kept/0 {began} 0 3 0 3 0:100+1 2:102+1"
        ))
    };
    assert_eq!(poll(39), [Kind::LostAckedWrite]);
    assert_eq!(poll(40), []);
}

#[test]
fn what_was_compacted_away_does_not_come_back() {
    let gone = format!(
        "{THREE_KEYS}21 1 keys kept/0 200 1\n21 1 send 2 kept/0 7/0/3 200+1\n22 1 acked 2 3\n\
         30 2 poll kept/0 25 0 4 0 4 1:101+2 3:200+1\n"
    );
    let again = "40 3 poll kept/0 35 0 4 0 4 0:100+3 3:200+1";
    assert_eq!(kinds(&format!("{gone}{again}")), [Kind::Reappeared]);
    // Asked for before the other was answered.
    let beside = again.replace(" 35 ", " 29 ");
    assert_eq!(kinds(&format!("{gone}{beside}")), []);
}

#[test]
fn what_a_tombstone_deleted_does_not_come_back() {
    let sent = "10 1 keys kept/0 100 1,1!,2\n10 1 send 1 kept/0 7/0/0 100+3\n\
                11 1 acked 1 0\n";
    let gone = format!("{sent}45 2 poll kept/0 44 0 3 0 3 0:100+1 2:102+1\n");
    let later = "55 3 poll kept/0 50 0 3 0 3 0:100+1 2:102+1";
    assert_eq!(
        kinds(&format!("{gone}{later}")),
        [Kind::Reappeared],
        "the older record outlives its tombstone"
    );
    // Read while both went.
    assert_eq!(kinds(&gone), []);
    assert_eq!(
        kinds(&format!("{gone}{}", later.replace("0:100+1 ", ""))),
        []
    );
    // Another record of the key lies behind, or may: its tombstone went for that one.
    let next = "21 1 keys kept/0 200 1\n21 1 send 2 kept/0 7/0/3 200+1\n";
    assert_eq!(
        kinds(&format!("{sent}{next}{}{later}", &gone[sent.len()..])),
        []
    );
}

#[test]
fn a_record_of_unknown_offset_is_in_a_compacted_log_or_was_followed() {
    let unplaced = format!(
        "{THREE_KEYS}50 1 keys kept/0 300 9\n50 1 send 3 kept/0 7/0/3 300+1\n55 1 acked 3 ?\n"
    );
    let read = "60 2 poll kept/0 58 0 3 0 3 0:100+1 2:102+1";
    assert_eq!(kinds(&format!("{unplaced}{read}")), [Kind::LostAckedWrite]);
    let follows = "56 1 keys kept/0 400 9\n56 1 send 4 kept/0 7/0/4 400+1\n";
    assert_eq!(kinds(&format!("{unplaced}{follows}{read}")), []);
}

#[test]
fn what_nobody_sent_is_not_read() {
    let never = [Kind::NeverSent];
    assert_eq!(kinds("20 2 poll orders/0 15 0 1 0 1 0:5+1"), never);
    assert_eq!(kinds("20 2 poll orders/0 15 0 1 0 1 0:?+1"), never);
    let elsewhere = "10 1 send 1 relaxed/0 - 5+1\n20 2 poll orders/0 15 0 1 0 1 0:5+1";
    assert_eq!(kinds(elsewhere), never);
    let refused = "10 1 send 1 orders/0 - 5+1\n12 1 refused 1\n20 2 poll orders/0 15 0 1 0 1 0:5+1";
    assert_eq!(kinds(refused), [Kind::ReadOfRefused]);
}

#[test]
fn a_reader_goes_forward() {
    let back = [Kind::NonMonotonicPoll];
    let first = "60 2 poll orders/0 45 0 5 0 5 0:100+2 2:200+3\n";
    let again = "70 2 poll orders/0 65 2 5 0 5 2:200+3";
    assert_eq!(after_two(&format!("{first}{again}")), back);
    let sought = "65 2 seek orders/0 2\n";
    assert_eq!(after_two(&format!("{first}{sought}{again}")), []);
    assert_eq!(
        after_two("60 2 poll orders/0 45 0 5 0 5 0:100+2 2:200+3 1:101+1"),
        back
    );
    assert_eq!(after_two("60 2 poll orders/0 45 2 3 0 5 2:200+3"), back);
}

#[test]
fn a_high_watermark_does_not_move_back() {
    let sent = "10 1 send 1 orders/0 - 5+2\n";
    let higher = "20 2 poll orders/0 15 0 2 0 2 0:5+2\n";
    let lower = "30 3 poll orders/0 25 0 1 0 1 0:5+1";
    assert_eq!(
        kinds(&format!("{sent}{higher}{lower}")),
        [Kind::EndMovedBack]
    );
    let at_once = "30 3 poll orders/0 19 0 1 0 1 0:5+1";
    assert_eq!(kinds(&format!("{sent}{higher}{at_once}")), []);
}

#[test]
fn a_committed_offset_is_the_newest() {
    let back = [Kind::GroupOffsetBack];
    let commits = "10 1 commit 1 g orders/0 5\n20 1 committed 1\n30 1 commit 2 g orders/0 8\n\
                   40 1 committed 2\n";
    let told = |offset: &str| kinds(&format!("{commits}60 2 fetched g orders/0 50 {offset}"));
    assert_eq!(told("8"), []);
    assert_eq!(told("5"), back);
    assert_eq!(told("none"), back);
    assert_eq!(told("9"), back);
    // Asked for before the second was acknowledged.
    assert_eq!(kinds(&format!("{commits}60 2 fetched g orders/0 35 5")), []);
    // One that nobody acknowledged may come to be at any time.
    let unknown = format!("{commits}45 1 commit 3 g orders/0 3\n60 2 fetched g orders/0 50 ");
    assert_eq!(kinds(&format!("{unknown}3")), []);
    assert_eq!(kinds(&format!("{unknown}8")), []);
    let refused = unknown.replace("60 2", "46 1 refused 3\n60 2");
    assert_eq!(kinds(&format!("{refused}3")), back);
    assert_eq!(kinds(&format!("{refused}8")), []);
    assert_eq!(kinds("60 2 fetched g orders/0 50 none"), []);
}

#[test]
fn a_history_survives_its_file() {
    let lines = "10 1 send 1 orders/0 7/0/0 100+2\n20 1 acked 1 0\n30 1 refused 1\n\
                 40 2 seek orders/0 3\n50 2 poll orders/0 45 0 2 0 2 0:100+2 2:?+1\n\
                 60 1 trim orders/0 1\n70 1 commit 5 g orders/0 5\n80 1 committed 5\n\
                 90 1 fetched g orders/0 85 5\n95 1 fetched g orders/0 85 none\n\
                 96 1 acked 1 ?\n97 1 send 2 relaxed/0 - 1+1\n98 1 keys kept/0 7 1,2!,3\n";
    let logs = "log orders/0 durable\nlog relaxed/0 relaxed\nlog kept/0 compacted 0 50";
    let text = format!("millrace-history 1\n{logs}\n{lines}");
    let history = History::from_text(&text).unwrap();
    assert_eq!(history.to_text(), text);
    assert_eq!(History::from_text(&history.to_text()).unwrap(), history);
}

#[test]
fn lines_that_are_none_are_named() {
    let error = |text: &str| format!("{:#}", History::from_text(text).unwrap_err());
    assert!(error("hello").contains("line 1"));
    let bad = [
        "log a durable b",
        "log a fast",
        "x 1 acked 1 0",
        "1 1 dance",
        "1 1 acked 1",
        "1 1 seek b 0",
        "1 1 send 1 a 7/0 1+1",
        "1 1 send 1 a - 1",
        "1 1 poll a 0 0 1 0 1 0:1+2000000",
        "1 1 poll a 0 0 1 0 1 5",
        "1 1 keys a 0 1,x",
        "log b compacted 5",
    ];
    for line in bad {
        let text = format!("millrace-history 1\nlog a durable\n{line}");
        let error = error(&text);
        assert!(error.starts_with("line 3: "), "{line}: {error}");
    }
}

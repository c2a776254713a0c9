//! Each reader by itself: it goes forward, and is answered at its position.

use super::{History, Kind, LogId, Poll, Violation, What, violation};
use std::collections::BTreeMap;

pub(super) fn check(history: &History, violations: &mut Vec<Violation>) {
    let mut positions: BTreeMap<(u32, LogId), i64> = BTreeMap::new();
    for event in history.events() {
        match &event.what {
            What::Seek { log, offset } => {
                positions.insert((event.client, *log), *offset);
            }
            What::Poll(poll) => {
                let position = positions.insert((event.client, poll.log), poll.next);
                let problem = match position {
                    Some(expected) if expected != poll.position => {
                        Some(format!("it was at {expected}"))
                    }
                    _ => out_of_place(poll),
                };
                if let Some(problem) = problem {
                    let text = format!(
                        "line {}: reader {} asks for {} of {} and goes on at {}: {problem}",
                        event.line,
                        event.client,
                        poll.position,
                        history.of(poll.log).name,
                        poll.next
                    );
                    violations.push(violation(Kind::NonMonotonicPoll, text));
                }
            }
            _ => {}
        }
    }
}

/// The first record of an answer that does not lie behind the one before it.
fn out_of_place(poll: &Poll) -> Option<String> {
    let mut position = poll.position;
    for run in &poll.records {
        if run.offset < position {
            return Some(format!(
                "a record at {} where {position} is due",
                run.offset
            ));
        }
        position = run.offset + i64::from(run.count);
    }
    (position > poll.next).then(|| format!("records up to {position}"))
}

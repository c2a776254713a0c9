//! Committed offsets: an answer is the newest acknowledged commit, or one that may have come after.

use super::{GroupId, History, Kind, LogId, Violation, What, violation};
use std::collections::BTreeMap;

/// A commit: when it was sent, when it was acknowledged if it was, and what.
#[derive(Clone, Copy, Debug)]
struct Commit {
    began_ns: u64,
    acked_ns: Option<u64>,
    is_refused: bool,
    offset: i64,
    line: usize,
}

/// The commits of each group and log.
fn commits(history: &History) -> BTreeMap<(GroupId, LogId), Vec<Commit>> {
    let mut commits: BTreeMap<(GroupId, LogId), Vec<Commit>> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for event in history.events() {
        match event.what {
            What::Commit {
                op,
                group,
                log,
                offset,
            } => {
                let of_log = commits.entry((group, log)).or_default();
                places.insert(op, ((group, log), of_log.len()));
                of_log.push(Commit {
                    began_ns: event.at_ns,
                    acked_ns: None,
                    is_refused: false,
                    offset,
                    line: event.line,
                });
            }
            What::Refused { op } => {
                if let Some((key, index)) = places.get(&op)
                    && let Some(of_log) = commits.get_mut(key)
                {
                    of_log[*index].is_refused = true;
                }
            }
            What::Committed { op } => {
                if let Some((key, index)) = places.get(&op)
                    && let Some(of_log) = commits.get_mut(key)
                {
                    of_log[*index].acked_ns = Some(event.at_ns);
                }
            }
            _ => {}
        }
    }
    commits
}

pub(super) fn check(history: &History, violations: &mut Vec<Violation>) {
    let commits = commits(history);
    for event in history.events() {
        let What::Fetched {
            group,
            log,
            began_ns,
            offset,
        } = event.what
        else {
            continue;
        };
        let all = commits
            .get(&(group, log))
            .map_or(&[][..], |all| all.as_slice());
        // The newest commit that must be known: what began before it ended cannot hide it.
        let acked = all
            .iter()
            .filter(|commit| commit.acked_ns.is_some_and(|acked| acked < began_ns));
        let newest = acked.max_by_key(|commit| commit.began_ns);
        let is_current = |commit: &&Commit| {
            let is_superseded = newest
                .is_some_and(|newest| commit.acked_ns.is_some_and(|acked| acked < newest.began_ns));
            commit.began_ns <= event.at_ns && !is_superseded && !commit.is_refused
        };
        let is_allowed = match offset {
            None => newest.is_none(),
            Some(offset) => all
                .iter()
                .filter(is_current)
                .any(|commit| commit.offset == offset),
        };
        if !is_allowed {
            let answered = offset.map_or("none".to_owned(), |offset| offset.to_string());
            let known = newest.map_or("no commit was acknowledged".to_owned(), |newest| {
                format!("{} was acknowledged (line {})", newest.offset, newest.line)
            });
            let text = format!(
                "line {}: group {} is told {answered} for {}, {known}",
                event.line,
                history.group_name(group),
                history.of(log).name
            );
            violations.push(violation(Kind::GroupOffsetBack, text));
        }
    }
}

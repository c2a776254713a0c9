//! The account in a file, beside the recording it belongs to: a line each for a partition and a
//! batch.

use crate::account::{Account, Log, Outcome, Sent};
use std::fmt::Write as _;
use std::path::Path;

const NEVER: u64 = u64::MAX;

pub(crate) fn save(account: &Account, path: &Path) -> Result<(), String> {
    let mut text = String::new();
    for (handle, log) in &account.logs {
        let [created, asked, deleted] =
            [log.created, log.delete_asked, log.deleted].map(|time| time.unwrap_or(NEVER));
        let _ = writeln!(text, "log {handle} {created} {asked} {deleted}");
        for sent in &log.sent {
            let (kind, events, offset) = match sent.outcome {
                Outcome::Unknown => ("unknown", 0, 0),
                Outcome::Refused => ("refused", 0, 0),
                Outcome::Acked {
                    events,
                    base_offset,
                } => ("acked", events, base_offset),
            };
            let Sent {
                sequence,
                records,
                bytes,
                sum,
                ..
            } = sent;
            let _ = writeln!(
                text,
                "{kind} {sequence} {records} {bytes} {sum} {events} {offset}"
            );
        }
    }
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

pub(crate) fn load(path: &Path) -> Result<Account, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    let mut account = Account::default();
    let mut handle = 0;
    for line in text.lines() {
        let read = read_line(line, &mut account, &mut handle);
        read.ok_or_else(|| format!("{}: `{line}` is no line of it", path.display()))?;
    }
    Ok(account)
}

fn read_line(line: &str, account: &mut Account, handle: &mut u64) -> Option<()> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    if kind == "log" {
        *handle = number()?;
        let mut time = || number().map(|time| (time != NEVER).then_some(time));
        let log = Log {
            created: time()?,
            delete_asked: time()?,
            deleted: time()?,
            sent: Vec::new(),
        };
        account.logs.insert(*handle, log);
        return Some(());
    }
    let mut sent = Sent {
        sequence: number()? as i32,
        records: number()? as i32,
        bytes: number()?,
        sum: number()?,
        outcome: Outcome::Unknown,
    };
    let (events, base_offset) = (number()?, number()? as i64);
    sent.outcome = match kind {
        "acked" => Outcome::Acked {
            events,
            base_offset,
        },
        "refused" => Outcome::Refused,
        "unknown" => Outcome::Unknown,
        _ => return None,
    };
    account.logs.get_mut(handle)?.sent.push(sent);
    Some(())
}

//! A history as lines of a file; `docs/reliability.md` describes them.

use super::{History, Key, LogClass, LogId, Poll, Run, Sequence, Stays, What};
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write;

const HEAD: &str = "millrace-history 1";
/// Records of one run at most: a line of a file does not decide how much memory is taken.
const RECORDS_MAX: u32 = 1 << 20;

impl History {
    /// The lines of a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for log in &self.logs {
            let class = match log.class {
                LogClass::Durable => "durable".to_owned(),
                LogClass::Relaxed => "relaxed".to_owned(),
                LogClass::Compacted(stays) => {
                    format!("compacted {} {}", stays.records_ns, stays.tombstones_ns)
                }
            };
            // Writing to a string does not fail.
            _ = writeln!(text, "log {} {class}", log.name);
        }
        for event in &self.events {
            _ = write!(text, "{} {} ", event.at_ns, event.client);
            self.put(&mut text, &event.what);
            text.push('\n');
        }
        text
    }

    fn put(&self, text: &mut String, what: &What) {
        let log = |log: &LogId| &self.of(*log).name;
        // Writing to a string does not fail.
        _ = match what {
            What::Send {
                op,
                log: of,
                sequence,
                first,
                count,
            } => {
                let sequence = sequence.map_or("-".to_owned(), |sequence| {
                    let Sequence {
                        producer,
                        epoch,
                        base,
                    } = sequence;
                    format!("{producer}/{epoch}/{base}")
                });
                write!(text, "send {op} {} {sequence} {first}+{count}", log(of))
            }
            What::Keys {
                log: of,
                first,
                keys,
            } => {
                let keys: Vec<String> = keys.iter().map(key_text).collect();
                write!(text, "keys {} {first} {}", log(of), keys.join(","))
            }
            What::Acked { op, base_offset } => match base_offset {
                Some(offset) => write!(text, "acked {op} {offset}"),
                None => write!(text, "acked {op} ?"),
            },
            What::Refused { op } => write!(text, "refused {op}"),
            What::Seek { log: of, offset } => write!(text, "seek {} {offset}", log(of)),
            What::Trim { log: of, offset } => write!(text, "trim {} {offset}", log(of)),
            What::Poll(poll) => self.put_poll(text, poll),
            What::Commit {
                op,
                group,
                log: of,
                offset,
            } => {
                let group = self.group_name(*group);
                write!(text, "commit {op} {group} {} {offset}", log(of))
            }
            What::Committed { op } => write!(text, "committed {op}"),
            What::Fetched {
                group,
                log: of,
                began_ns,
                offset,
            } => {
                let group = self.group_name(*group);
                let offset = offset.map_or("none".to_owned(), |offset| offset.to_string());
                write!(text, "fetched {group} {} {began_ns} {offset}", log(of))
            }
        };
    }

    fn put_poll(&self, text: &mut String, poll: &Poll) -> std::fmt::Result {
        write!(
            text,
            "poll {} {} {} {} {} {}",
            self.of(poll.log).name,
            poll.began_ns,
            poll.position,
            poll.next,
            poll.log_start,
            poll.end
        )?;
        for run in &poll.records {
            match run.number {
                Some(number) => write!(text, " {}:{number}+{}", run.offset, run.count)?,
                None => write!(text, " {}:?+{}", run.offset, run.count)?,
            }
        }
        Ok(())
    }

    /// Reads the lines of a file.
    ///
    /// # Errors
    /// The first line that is none of a history, with its number.
    pub fn from_text(text: &str) -> Result<Self> {
        let mut lines = text.lines().enumerate();
        let head = lines.next().map(|(_, line)| line);
        ensure!(
            head == Some(HEAD),
            "line 1: a history begins with `{HEAD}`, this with {head:?}"
        );
        let mut history = Self::default();
        for (index, line) in lines {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            history
                .take_line(line, index + 1)
                .with_context(|| format!("line {}: `{line}`", index + 1))?;
        }
        Ok(history)
    }

    fn take_line(&mut self, line: &str, number: usize) -> Result<()> {
        let mut words = Words(line.split(' '));
        let first = words.next("a time, or log")?;
        if first == "log" {
            let name = words.next("a name")?;
            let class = match words.next("a class")? {
                "durable" => LogClass::Durable,
                "relaxed" => LogClass::Relaxed,
                "compacted" => LogClass::Compacted(Stays {
                    records_ns: words.number("how long a record stays")?,
                    tombstones_ns: words.number("how long a tombstone stays")?,
                }),
                other => bail!("`{other}` is not durable, relaxed or compacted"),
            };
            self.log(name, class);
            return words.end();
        }
        let at_ns = first.parse().context("the time")?;
        let client = words.number("the client")?;
        let what = self.read(&mut words)?;
        words.end()?;
        self.push(at_ns, client, what);
        if let Some(event) = self.events.last_mut() {
            event.line = number;
        }
        Ok(())
    }

    fn known(&self, words: &mut Words<'_>) -> Result<LogId> {
        let name = words.next("a log")?;
        let id = self.log_ids.get(name).copied();
        id.with_context(|| format!("log `{name}` was not declared by a line `log {name} CLASS`"))
    }

    fn read(&mut self, words: &mut Words<'_>) -> Result<What> {
        Ok(match words.next("what happened")? {
            "send" => {
                let op = words.number("the operation")?;
                let log = self.known(words)?;
                let sequence = read_sequence(words.next("a sequence or -")?)?;
                let (first, count) = read_run(words.next("records")?)?;
                What::Send {
                    op,
                    log,
                    sequence,
                    first: first.parse().context("the first record")?,
                    count,
                }
            }
            "keys" => What::Keys {
                log: self.known(words)?,
                first: words.number("the first record")?,
                keys: read_keys(words.next("keys")?)?,
            },
            "acked" => What::Acked {
                op: words.number("the operation")?,
                base_offset: match words.next("an offset or ?")? {
                    "?" => None,
                    offset => Some(offset.parse().context("the offset")?),
                },
            },
            "refused" => What::Refused {
                op: words.number("the operation")?,
            },
            "seek" => What::Seek {
                log: self.known(words)?,
                offset: words.number("the offset")?,
            },
            "trim" => What::Trim {
                log: self.known(words)?,
                offset: words.number("the offset")?,
            },
            "poll" => What::Poll(self.read_poll(words)?),
            "commit" => What::Commit {
                op: words.number("the operation")?,
                group: self.group(words.next("a group")?),
                log: self.known(words)?,
                offset: words.number("the offset")?,
            },
            "committed" => What::Committed {
                op: words.number("the operation")?,
            },
            "fetched" => What::Fetched {
                group: self.group(words.next("a group")?),
                log: self.known(words)?,
                began_ns: words.number("the begin")?,
                offset: match words.next("an offset or none")? {
                    "none" => None,
                    offset => Some(offset.parse().context("the offset")?),
                },
            },
            other => bail!("`{other}` is nothing that happens"),
        })
    }

    fn read_poll(&self, words: &mut Words<'_>) -> Result<Poll> {
        let mut poll = Poll {
            log: self.known(words)?,
            began_ns: words.number("the begin")?,
            position: words.number("the position")?,
            next: words.number("the next position")?,
            log_start: words.number("the log start")?,
            end: words.number("the high watermark")?,
            records: Vec::new(),
        };
        for word in words.0.by_ref() {
            let (offset, records) = word
                .split_once(':')
                .context("records are OFFSET:NUMBER+COUNT")?;
            let (number, count) = read_run(records)?;
            poll.records.push(Run {
                offset: offset.parse().context("the offset")?,
                number: match number {
                    "?" => None,
                    number => Some(number.parse().context("the number")?),
                },
                count,
            });
        }
        Ok(poll)
    }
}

fn read_sequence(word: &str) -> Result<Option<Sequence>> {
    if word == "-" {
        return Ok(None);
    }
    let parts: Vec<&str> = word.split('/').collect();
    let [producer, epoch, base] = parts[..] else {
        bail!("`{word}` is not PRODUCER/EPOCH/SEQUENCE");
    };
    Ok(Some(Sequence {
        producer: producer.parse().context("the producer")?,
        epoch: epoch.parse().context("the epoch")?,
        base: base.parse().context("the sequence")?,
    }))
}

fn key_text(key: &Key) -> String {
    let mark = if key.is_tombstone { "!" } else { "" };
    format!("{}{mark}", key.key)
}

fn read_keys(word: &str) -> Result<Vec<Key>> {
    let key = |text: &str| {
        let key = text.strip_suffix('!').unwrap_or(text);
        Ok(Key {
            key: key.parse().context("a key")?,
            is_tombstone: key.len() < text.len(),
        })
    };
    word.split(',').map(key).collect()
}

fn read_run(word: &str) -> Result<(&str, u32)> {
    let (first, count) = word.split_once('+').context("records are FIRST+COUNT")?;
    let count = count.parse().context("the count")?;
    ensure!(
        count <= RECORDS_MAX,
        "{count} records are above {RECORDS_MAX}"
    );
    Ok((first, count))
}

struct Words<'a>(std::str::Split<'a, char>);

impl<'a> Words<'a> {
    fn next(&mut self, what: &str) -> Result<&'a str> {
        let word = self.0.next();
        word.with_context(|| format!("{what} is missing"))
    }

    fn number<N: std::str::FromStr>(&mut self, what: &str) -> Result<N> {
        let word = self.next(what)?;
        let number = word.parse().ok();
        number.with_context(|| format!("`{word}` is not {what}"))
    }

    fn end(&mut self) -> Result<()> {
        match self.0.next() {
            None => Ok(()),
            Some(word) => bail!("`{word}` is too much"),
        }
    }
}

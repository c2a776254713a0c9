//! Drives connections from one thread: as fast as a window allows, or on a fixed schedule.

use crate::connection::Connection;
use crate::machine::ExactSleeps;
use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How requests are paced.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Each connection keeps this many requests in flight. Latency is from the send.
    Window(u64),
    /// Requests a second over all connections, on a schedule. Latency is from the due time.
    Rate(f64),
}

/// What one load run did after its warm-up.
#[derive(Debug)]
pub struct LoadResult {
    /// Requests answered.
    pub requests: u64,
    /// Over this many seconds.
    pub seconds: f64,
    /// Answer times in nanoseconds.
    pub latency: Histogram<u64>,
    /// Requests that were due, for a schedule.
    pub offered: u64,
}

impl LoadResult {
    /// Answered requests a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// A single-threaded load run.
#[derive(Debug)]
pub struct Load<'a> {
    /// The connections, all of one kind.
    pub connections: &'a mut [Connection],
    /// How fast.
    pub pace: Pace,
    /// Not measured at first.
    pub warm_up: Duration,
    /// Measured after that.
    pub measure: Duration,
}

struct Schedule {
    start: Instant,
    interval_ns: f64,
    issued: u64,
}

impl Schedule {
    fn due(&self, request: u64) -> Instant {
        self.start + Duration::from_nanos((request as f64 * self.interval_ns) as u64)
    }
}

impl Load<'_> {
    /// Runs it; `at_measure_start` is called when the warm-up is over.
    ///
    /// # Errors
    /// When a connection broke or the broker refused a request.
    pub fn run(mut self, mut at_measure_start: impl FnMut()) -> Result<LoadResult> {
        ensure!(!self.connections.is_empty(), "a load needs a connection");
        let _exact = ExactSleeps::begin()?;
        let mut latency = Histogram::new_with_bounds(1_000, 120_000_000_000, 3)?;
        let begin = Instant::now();
        let rate = if let Pace::Rate(rate) = self.pace {
            rate
        } else {
            1.0
        };
        let mut schedule = Schedule {
            start: begin,
            interval_ns: 1e9 / rate,
            issued: 0,
        };
        let mut measured_from: Option<(Instant, u64, u64)> = None;
        loop {
            let now = Instant::now();
            let since = now - begin;
            if measured_from.is_none() && since >= self.warm_up {
                at_measure_start();
                latency.reset();
                measured_from = Some((Instant::now(), self.answered(), schedule.issued));
            }
            if since >= self.warm_up + self.measure {
                break;
            }
            let moved = self.turn(now, &mut schedule, &mut latency)?;
            if !moved {
                self.wait(&schedule, begin + self.warm_up + self.measure)?;
            }
        }
        let (from, answered, issued) = measured_from.unwrap_or((begin, 0, 0));
        let result = LoadResult {
            requests: self.answered() - answered,
            seconds: from.elapsed().as_secs_f64(),
            latency,
            offered: schedule.issued - issued,
        };
        self.drain()?;
        Ok(result)
    }

    fn answered(&self) -> u64 {
        self.connections.iter().map(Connection::answered).sum()
    }

    fn turn(
        &mut self,
        now: Instant,
        schedule: &mut Schedule,
        latency: &mut Histogram<u64>,
    ) -> Result<bool> {
        let mut moved = false;
        if let Pace::Rate(_) = self.pace {
            while schedule.due(schedule.issued) <= now {
                let due = schedule.due(schedule.issued);
                let count = self.connections.len() as u64;
                let place = usize::try_from(schedule.issued % count)?;
                self.connections[place].send_due(&[due])?;
                schedule.issued += 1;
                moved = true;
            }
        }
        for connection in &mut *self.connections {
            if connection.in_flight() > 0 {
                moved |= connection.take_answers(|due| {
                    let taken = u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    latency.saturating_record(taken);
                })?;
            }
            moved |= match self.pace {
                Pace::Window(window) => connection.fill_window(window, Instant::now())?,
                Pace::Rate(_) => connection.flush_due()?,
            };
        }
        Ok(moved)
    }

    /// Sleeps until an answer comes or the next request is due.
    fn wait(&self, schedule: &Schedule, end: Instant) -> Result<()> {
        let mut until = end;
        if let Pace::Rate(_) = self.pace {
            until = until.min(schedule.due(schedule.issued));
        }
        let left = until
            .saturating_duration_since(Instant::now())
            .min(Duration::from_millis(50));
        let mut fds: Vec<PollFd<'_>> = self
            .connections
            .iter()
            .map(|connection| PollFd::from_borrowed_fd(connection.stream().as_fd(), PollFlags::IN))
            .collect();
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs())?,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        poll(&mut fds, Some(&timeout))?;
        Ok(())
    }

    /// Takes the answers still owed, so that the next run begins with nothing in flight.
    fn drain(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self
            .connections
            .iter()
            .any(|connection| connection.in_flight() > 0)
        {
            ensure!(
                Instant::now() < deadline,
                "requests were not answered within 30 s"
            );
            let owing = self
                .connections
                .iter_mut()
                .filter(|connection| connection.in_flight() > 0);
            for connection in owing {
                connection.flush_begun()?;
                connection.take_answers(drop)?;
            }
        }
        Ok(())
    }
}

//! The one thread for what may block: file operations, long computations, closing files. Shards
//! send jobs and get answers through their completion queue; a shard itself never blocks.
//!
//! It drives its own io_uring through tokio-uring, so that the kernel workers which these
//! operations need anyway belong to this thread and stay off the data cores. Computations run on
//! a small pool beside it. It ends when every shard has ended.

mod directories;
mod file_ops;

pub(super) use directories::Directories;

use super::kernel::signal::{Bell, Signal};
use super::op::{FileOp, FileReply, IoFailure};
use crate::ids::ShardId;
use file_ops::FileOps;
use std::any::Any;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

/// Computations at the same time.
const COMPUTATIONS: usize = 2;

/// What a shard asks for.
pub(super) struct Job {
    pub(super) shard: ShardId,
    pub(super) id: u64,
    pub(super) task: Task,
}

type Computation = Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>;

pub(super) enum Task {
    /// A file operation; with the file, if it names an open one.
    File(FileOp, Option<Arc<OwnedFd>>),
    Work(Computation),
    /// Drops this share of a file. Has no answer.
    Close(Arc<OwnedFd>),
}

/// What became of a job.
pub(super) struct Reply {
    pub(super) id: u64,
    pub(super) answer: Answer,
}

pub(super) enum Answer {
    File(Result<FileReply, IoFailure>),
    /// An open file and its size; the shard makes the handle.
    Opened(OwnedFd, u64),
    Work(Box<dyn Any + Send>),
}

/// A shard's way to the housekeeper.
#[derive(Clone)]
pub(super) struct HousekeeperHandle {
    jobs: UnboundedSender<Job>,
}

impl HousekeeperHandle {
    /// Unbounded here: operations in flight are bounded by who submits them.
    pub(super) fn send(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            // It ends after the shards, or by a panic that ends the process.
            log::error!("the housekeeper is gone");
        }
    }
}

/// Where answers to one shard go.
pub(super) struct ReplyTo {
    pub(super) replies: mpsc::Sender<Reply>,
    pub(super) signal: Arc<Signal>,
}

/// A housekeeper that does not run yet.
pub(super) struct Housekeeper {
    jobs: UnboundedReceiver<Job>,
    directories: Directories,
    shards: Vec<ReplyTo>,
}

impl Housekeeper {
    pub(super) fn new(directories: Directories, shards: Vec<ReplyTo>) -> (HousekeeperHandle, Self) {
        let (sender, jobs) = unbounded_channel();
        let housekeeper = Self {
            jobs,
            directories,
            shards,
        };
        (HousekeeperHandle { jobs: sender }, housekeeper)
    }

    /// Works until every handle is gone.
    pub(super) fn run(self) {
        tokio_uring::start(self.serve());
    }

    async fn serve(mut self) {
        let files = Rc::new(FileOps::new(self.directories));
        let shards: Rc<[ReplyTo]> = self.shards.into();
        let computations = Arc::new(Semaphore::new(COMPUTATIONS));
        let mut tasks = JoinSet::new();
        while let Some(job) = self.jobs.recv().await {
            while let Some(ended) = tasks.try_join_next() {
                end_with_panic(ended);
            }
            let (files, shards) = (Rc::clone(&files), Rc::clone(&shards));
            let computations = Arc::clone(&computations);
            tasks.spawn_local(async move {
                let answer = match job.task {
                    Task::File(op, file) => files.perform(op, file).await,
                    Task::Work(work) => compute(&computations, work).await,
                    Task::Close(file) => return close(file).await,
                };
                shards[job.shard.index()].answer(job.id, answer);
            });
        }
        while let Some(ended) = tasks.join_next().await {
            end_with_panic(ended);
        }
    }
}

impl ReplyTo {
    fn answer(&self, id: u64, answer: Answer) {
        // A shard that has ended wants no answer.
        if self.replies.send(Reply { id, answer }).is_ok() {
            self.signal.ring_from_outside(Bell::Housekeeper);
        }
    }
}

async fn compute(computations: &Semaphore, work: Computation) -> Answer {
    let _permit: Option<SemaphorePermit<'_>> = computations.acquire().await.ok();
    let result = tokio::task::spawn_blocking(work).await;
    Answer::Work(end_with_panic(result))
}

async fn close(file: Arc<OwnedFd>) {
    end_with_panic(tokio::task::spawn_blocking(move || drop(file)).await);
}

/// A panic of a job is a panic of the housekeeper.
fn end_with_panic<T>(result: Result<T, tokio::task::JoinError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("a job of the housekeeper did not end: {error}"),
        },
    }
}

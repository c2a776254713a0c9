//! The simulated disk answers as the kernel does: one scenario, two implementations of the seam,
//! equal transcripts.

use millrace_engine::io::group::{KernelConfig, run_shards};
use millrace_engine::io::mailbox::Mailbox;
use millrace_engine::io::simulated::{World, WorldConfig};
use millrace_engine::io::{
    Awaiting, Class, Completion, Dir, FileHandle, FileOp, FilePath, FileReply, Io, IoFailure, Op,
    Outcome, Token,
};

const BLOCK: u64 = 4096;

/// The scenario's state: an `Io` and what was said so far.
struct Scenario<'a> {
    io: &'a mut Io,
    transcript: Vec<String>,
}

fn path(name: &str) -> FilePath {
    FilePath::new(Dir::Segments, name)
}

impl Scenario<'_> {
    fn say(&mut self, what: &str, answer: impl std::fmt::Debug) {
        self.transcript.push(format!("{what}: {answer:?}"));
    }

    fn perform(&mut self, op: FileOp) -> Result<FileReply, IoFailure> {
        match self.io.call(Op::File(op)) {
            Outcome::File(result) => result,
            other => panic!("a file operation answered {other:?}"),
        }
    }

    fn file(&mut self, what: &str, op: FileOp) {
        let answer = self.perform(op);
        self.say(what, answer);
    }

    /// Handles are the implementation's own business; only the size is compared.
    fn open(&mut self, what: &str, op: FileOp) -> Option<FileHandle> {
        match self.perform(op) {
            Ok(FileReply::Opened { file, bytes }) => {
                self.say(what, bytes);
                Some(file)
            }
            other => {
                self.say(what, other);
                None
            }
        }
    }

    fn write_op(&mut self, file: FileHandle, block: u64, bytes: &[u8], durable: bool) -> Op {
        let blocks = bytes.iter().map(|&byte| {
            let mut buf = self.io.arena().alloc(BLOCK as usize).unwrap();
            buf.extend_from_slice(&[byte; BLOCK as usize]);
            buf.freeze()
        });
        Op::Write {
            file,
            position: block * BLOCK,
            parts: blocks.collect(),
            durable,
        }
    }

    fn write(&mut self, what: &str, file: FileHandle, block: u64, bytes: &[u8], durable: bool) {
        let op = self.write_op(file, block, bytes, durable);
        match self.io.call(op) {
            Outcome::Write(parts, result) => self.say(what, (parts.len(), result)),
            other => panic!("a write answered {other:?}"),
        }
    }

    /// Says the first byte of every block read, and whether its block is all of that byte.
    fn read(&mut self, what: &str, file: FileHandle, block: u64, blocks: usize) {
        let buf = self.io.arena().alloc(blocks * BLOCK as usize).unwrap();
        let position = block * BLOCK;
        match self.io.call(Op::Read {
            file,
            position,
            buf,
        }) {
            Outcome::Read(buf, result) => {
                let chunks = buf.chunks(BLOCK as usize);
                let seen: Vec<_> = chunks
                    .map(|chunk| (chunk[0], chunk.len(), chunk.iter().all(|&b| b == chunk[0])))
                    .collect();
                self.say(what, (seen, result));
            }
            other => panic!("a read answered {other:?}"),
        }
    }

    fn poll_one(&mut self) -> Completion {
        let mut done = Vec::new();
        loop {
            self.io.poll(&mut done);
            if let Some(completion) = done.pop() {
                assert!(done.is_empty(), "one operation has one completion");
                return completion;
            }
            // In simulation time passes only in calls.
            _ = self.perform(FileOp::FreeSpace { dir: Dir::Root });
            let deadline = self.io.now_ns() + 10_000_000;
            self.io.park(Some(deadline), Awaiting::Disk);
        }
    }
}

fn scenario(io: &mut Io) -> Vec<String> {
    let mut s = Scenario {
        io,
        transcript: Vec::new(),
    };
    s.file("an empty folder", FileOp::List { dir: Dir::Segments });
    s.open("open what is not there", FileOp::Open { path: path("a") });
    let a = s
        .open("create", FileOp::Create { path: path("a") })
        .unwrap();
    s.open("create again", FileOp::Create { path: path("a") });
    s.open(
        "a name that leaves its folder",
        FileOp::Create { path: path("../a") },
    );
    s.file(
        "zero-fill",
        FileOp::ZeroFill {
            file: a,
            from: 0,
            to: 8 * BLOCK,
        },
    );
    s.file(
        "zero-fill of nothing",
        FileOp::ZeroFill {
            file: a,
            from: BLOCK,
            to: BLOCK,
        },
    );
    s.file("sync", FileOp::SyncData { file: a });
    s.file("sync the folder", FileOp::SyncDir { dir: Dir::Segments });
    s.write("a durable write of three slices", a, 1, &[1, 2, 3], true);
    s.write("a write", a, 6, &[4, 5], false);
    s.write("a growing write", a, 8, &[6, 7], true);
    s.read("all of it", a, 0, 8);
    s.read("the growth, over the end", a, 8, 4);
    s.read("behind the end", a, 16, 1);
    s.file("the folder", FileOp::List { dir: Dir::Segments });
    let again = s.open("open", FileOp::Open { path: path("a") }).unwrap();
    s.read("through another handle", again, 2, 1);
    s.io.close_file(again);
    s.file(
        "zero-fill over bytes",
        FileOp::ZeroFill {
            file: a,
            from: BLOCK,
            to: 3 * BLOCK,
        },
    );
    s.read("zeros and what is behind them", a, 1, 4);

    let op = s.write_op(a, 2, &[9], true);
    s.io.submit(
        Token {
            class: Class::Log,
            key: 77,
        },
        op,
    );
    let completion = s.poll_one();
    s.say("a submitted write", (completion.token, completion.outcome));
    s.read("what it wrote", a, 2, 1);

    s.file("unlink", FileOp::Unlink { path: path("a") });
    s.file("unlink again", FileOp::Unlink { path: path("a") });
    s.read("an unlinked file that is open", a, 2, 1);
    s.io.close_file(a);
    s.open("open what was unlinked", FileOp::Open { path: path("a") });

    let root = FilePath::new(Dir::Root, "root");
    let content = b"small and not a whole block".to_vec();
    let bytes = content.len() as u64;
    let write_all = |content: &[u8]| FileOp::WriteAll {
        path: root.clone(),
        content: content.to_vec(),
    };
    let read_all = |bytes_max| FileOp::ReadAll {
        path: root.clone(),
        bytes_max,
    };
    s.file("a small file that is not there", read_all(100));
    s.file("write a small file", write_all(&content));
    s.file("read it", read_all(bytes));
    s.file("a bound too small", read_all(bytes - 1));
    s.file("replace it by less", write_all(b"less"));
    s.file("read less", read_all(100));
    s.file("replace it by more", write_all(&[7; 5000]));
    s.file("the root folder", FileOp::List { dir: Dir::Root });
    s.file("read more", read_all(5000));
    let lock = FileOp::Lock {
        path: FilePath::new(Dir::Root, "lock"),
    };
    s.file("lock", lock.clone());
    s.file("lock again", lock);
    match s.perform(FileOp::FreeSpace { dir: Dir::Journal }) {
        Ok(FileReply::Space { free, total }) => s.say("space", 0 < free && free <= total),
        other => s.say("space", other),
    }
    let work = s.io.call(Op::Work(Box::new(|| Box::new(6 * 7))));
    match work {
        Outcome::Work(answer) => s.say("work", answer.downcast_ref::<i32>()),
        other => s.say("work", other),
    }
    let counters = s.io.counters();
    s.say(
        "writes",
        (
            counters.writes,
            counters.written_bytes,
            counters.durable_writes,
        ),
    );
    s.say("reads", (counters.reads, counters.read_bytes));
    s.transcript
}

/// A folder that goes with its test.
struct TestDir(std::path::PathBuf);

impl Drop for TestDir {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_simulated_disk_answers_as_the_kernel_does() {
    let (_world, mut ios) = World::new(1, 1, WorldConfig::default());
    let simulated = scenario(&mut ios[0]);

    // Beside the build, which lies on a file system with O_DIRECT.
    let name = format!("conformance-{}", std::process::id());
    let dir = TestDir(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
    let config = KernelConfig {
        cores: vec![0],
        arena_bytes: 8 << 20,
        data_dir: dir.0.clone(),
        journal_dir: dir.0.join("journal"),
        mailbox_capacity: 16,
        durable_by: None,
    };
    let kernel = run_shards(&config, |mut io, _: Mailbox<()>| scenario(&mut io)).unwrap();
    for (simulated, kernel) in simulated.iter().zip(&kernel[0]) {
        assert_eq!(
            simulated, kernel,
            "simulated on the left, the kernel on the right"
        );
    }
    assert_eq!(simulated.len(), kernel[0].len());
}

//! Groups: what the heartbeats of many consumer groups cost a broker that does nothing else.
//!
//! Each group's members join and sync pipelined on one connection, and send their heartbeats on
//! one at even distances, so that each finds it idle, as the connection of a single member is.

use super::load::{Load, LoadResult, Pace};
use super::{Setting, Subject, produce};
use crate::cli::GroupsArgs;
use crate::connection::{Connection, RequestRing};
use crate::machine::{Sampler, Usage, pin_to};
use crate::report::{Report, Target};
use crate::requests::{call, frame, receive};
use crate::sleeping_sink::SleepingSink;
use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use millrace_server::protocol::encode_response;
use millrace_server::protocol::messages::HeartbeatResponse;
use millrace_server::protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use millrace_server::protocol::messages::heartbeat_request::HeartbeatRequest;
use millrace_server::protocol::messages::join_group_request::{
    JoinGroupRequest, JoinGroupRequestProtocol,
};
use millrace_server::protocol::messages::sync_group_request::{
    SyncGroupRequest, SyncGroupRequestAssignment,
};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const FIND_COORDINATOR_VERSION: i16 = 0;
/// The last version without the round in which a member is only given its id.
const JOIN_VERSION: i16 = 3;
const SYNC_VERSION: i16 = 2;
/// The last version before tagged fields: the error code has a fixed place.
const HEARTBEAT_VERSION: i16 = 3;
/// Behind correlation id and throttle time.
const HEARTBEAT_ERROR_AT: usize = 8;
/// Kafka's defaults.
const SESSION_TIMEOUT_MS: i32 = 45_000;
const REBALANCE_TIMEOUT_MS: i32 = 300_000;
const ANSWER_LIMIT: Duration = Duration::from_secs(120);
/// Until `__consumer_offsets` is there.
const COORDINATOR_LIMIT: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// A consumer's subscription: version 0, one topic of five letters, no user data.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x05bench\xff\xff\xff\xff";
/// A consumer's assignment: version 0, one partition of that topic, no user data.
const ASSIGNMENT: &[u8] = b"\0\0\0\0\0\x01\0\x05bench\0\0\0\x01\0\0\0\0\xff\xff\xff\xff";
const BOUND_PERCENT: f64 = 5.0;

/// A group whose members have all joined.
struct Joined {
    id: String,
    generation: i32,
    /// The leader is among them.
    members: Vec<String>,
    stream: TcpStream,
}

/// Joins all groups, rests, then measures heartbeats.
///
/// # Errors
/// When the broker cannot be started, or refuses a member or a heartbeat.
pub fn run(setting: &Setting, args: &GroupsArgs, report: &mut Report) -> Result<()> {
    pin_to(setting.client_core)?;
    let floor = floor(setting, args)?;
    report.figure(
        "calibration: the same load against a sink that looks into nothing",
        floor,
        "% of a core",
    );
    let subject = setting.subject("groups")?;
    find_coordinator(subject.address)?;
    let empty = resident(&subject);
    let begin = Instant::now();
    let groups = join_all(subject.address, args)?;
    let members = args.groups * args.members;
    report.figure("groups: members", members as f64, "");
    report.figure(
        "groups: until all had their assignments",
        begin.elapsed().as_secs_f64(),
        "s",
    );
    if let (Some(empty), Some(full)) = (empty, resident(&subject)) {
        report.figure(
            "groups: memory per member, its share of a connection with it",
            full.saturating_sub(empty) as f64 / members as f64 / 1024.0,
            "KiB",
        );
    }
    let (load, usage) = heartbeats(setting, &subject, args, &groups)?;
    describe(report, &load, &usage);
    report.figure(
        "groups: broker CPU / the sink's",
        usage.broker_cpu_seconds / usage.seconds * 100.0 / floor,
        "x",
    );
    drop(groups);
    drop(subject.stop()?);
    Ok(())
}

fn resident(subject: &Subject) -> Option<u64> {
    let process = subject.process.as_ref();
    process.map(crate::broker_process::BrokerProcess::resident_bytes)
}

fn describe(report: &mut Report, load: &LoadResult, usage: &Usage) {
    let answered = load.requests as f64 / load.offered.max(1) as f64;
    if answered < 0.99 {
        report.remark(format!(
            "groups: VOID, only {answered:.3} of the heartbeats due were answered"
        ));
    }
    report.figure("groups: heartbeats", load.rate(), "/s");
    produce::percentiles(report, "groups: heartbeat", &load.latency);
    report.against(
        "groups: broker CPU",
        usage.broker_cpu_seconds / usage.seconds * 100.0,
        "% of a core",
        Target::AtMost(BOUND_PERCENT),
    );
    report.figure(
        "groups: all CPU outside the client",
        usage.outside_cpu_seconds / usage.seconds * 100.0,
        "% of a core",
    );
    report.figure(
        "groups: broker CPU per heartbeat",
        usage.broker_cpu_seconds * 1e6 / load.requests.max(1) as f64,
        "us",
    );
    report.figure(
        "groups: client CPU",
        usage.client_cpu_seconds / usage.seconds,
        "cores",
    );
}

/// The first such request makes the topic in which groups are kept.
fn find_coordinator(address: SocketAddr) -> Result<()> {
    let mut stream = connect(address)?;
    let request = FindCoordinatorRequest {
        key: "bench",
        ..FindCoordinatorRequest::default()
    };
    let begin = Instant::now();
    loop {
        let code = call(
            &mut stream,
            FIND_COORDINATOR_VERSION,
            &request,
            |response| Ok(response.error_code),
        )?;
        if code == 0 {
            return Ok(());
        }
        ensure!(
            begin.elapsed() < COORDINATOR_LIMIT,
            "no coordinator within {COORDINATOR_LIMIT:?}: error code {code}"
        );
        std::thread::sleep(LOOK_INTERVAL);
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)
        .with_context(|| format!("no broker answers at {address}; is it running?"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    Ok(stream)
}

/// All groups at once: each waits for the broker's initial rebalance delay, during which the
/// others join.
fn join_all(address: SocketAddr, args: &GroupsArgs) -> Result<Vec<Joined>> {
    let progress = ProgressBar::new((args.groups * args.members * 2) as u64).with_style(
        ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {eta}")?,
    );
    progress.set_message("joining");
    let mut waiting = Vec::new();
    for number in 0..args.groups {
        let id = format!("bench-{number:06}");
        let mut stream = connect(address)?;
        stream.write_all(&joins(&id, args.members)?)?;
        waiting.push((id, stream));
    }
    let mut groups = Vec::new();
    for (id, mut stream) in waiting {
        let (generation, members) = joined(&mut stream, args.members)
            .with_context(|| format!("group {id}, of which members join"))?;
        progress.inc(args.members as u64);
        groups.push(Joined {
            id,
            generation,
            members,
            stream,
        });
    }
    for group in &mut groups {
        group.sync()?;
    }
    for group in &mut groups {
        for _ in 0..args.members {
            receive::<SyncGroupRequest<'_>, _>(&mut group.stream, SYNC_VERSION, |response| {
                let code = response.error_code;
                ensure!(code == 0, "a member is not given its share: error {code}");
                ensure!(response.assignment == ASSIGNMENT, "another assignment came");
                Ok(())
            })
            .with_context(|| format!("group {}", group.id))?;
        }
        progress.inc(args.members as u64);
    }
    progress.finish_and_clear();
    Ok(groups)
}

/// The requests of all members of a group.
fn joins(group: &str, members: usize) -> Result<Vec<u8>> {
    let protocol = JoinGroupRequestProtocol {
        name: "range",
        metadata: SUBSCRIPTION,
    };
    let request = JoinGroupRequest {
        group_id: group,
        session_timeout_ms: SESSION_TIMEOUT_MS,
        rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
        protocol_type: "consumer",
        protocols: vec![protocol].into(),
        ..JoinGroupRequest::default()
    };
    Ok(frame(JOIN_VERSION, &request)?.repeat(members))
}

/// The answers to all of them: the generation they share, and who they are.
fn joined(stream: &mut TcpStream, members: usize) -> Result<(i32, Vec<String>)> {
    let mut found = Vec::new();
    let mut generations = Vec::new();
    for _ in 0..members {
        receive::<JoinGroupRequest<'_>, _>(stream, JOIN_VERSION, |response| {
            let code = response.error_code;
            ensure!(code == 0, "a member cannot join: error {code}");
            generations.push(response.generation_id);
            // The leader comes first, since it has to send the assignments.
            let is_leader = response.leader == response.member_id;
            let at = if is_leader { 0 } else { found.len() };
            found.insert(at, response.member_id.to_owned());
            Ok(())
        })?;
    }
    let generation = *generations.first().context("a group without members")?;
    ensure!(
        generations.iter().all(|&it| it == generation),
        "members joined in generations {generations:?}; was the broker too busy?"
    );
    Ok((generation, found))
}

impl Joined {
    fn sync(&mut self) -> Result<()> {
        let mut frames = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            let all = self.members.iter().map(|it| SyncGroupRequestAssignment {
                member_id: it,
                assignment: ASSIGNMENT,
            });
            let assignments: Vec<_> = all.take(if index == 0 { usize::MAX } else { 0 }).collect();
            let request = SyncGroupRequest {
                group_id: &self.id,
                generation_id: self.generation,
                member_id: member,
                assignments: assignments.into(),
                ..SyncGroupRequest::default()
            };
            frames.extend(frame(SYNC_VERSION, &request)?);
        }
        self.stream.write_all(&frames)?;
        Ok(())
    }

    /// One heartbeat of each member.
    fn heartbeats(&self) -> Result<RequestRing> {
        let frames = self.members.iter().map(|member| {
            let request = HeartbeatRequest {
                group_id: &self.id,
                generation_id: self.generation,
                member_id: member,
                ..HeartbeatRequest::default()
            };
            frame(HEARTBEAT_VERSION, &request)
        });
        let frames: Vec<_> = frames.collect::<Result<_>>()?;
        RequestRing::new(&frames, HEARTBEAT_ERROR_AT, 0)
    }
}

fn heartbeats(
    setting: &Setting,
    subject: &Subject,
    args: &GroupsArgs,
    groups: &[Joined],
) -> Result<(LoadResult, Usage)> {
    let frames = groups.iter().map(Joined::heartbeats);
    let frames = frames.collect::<Result<Vec<_>>>()?;
    let id = subject.process.as_ref();
    let id = id.map(crate::broker_process::BrokerProcess::id);
    let sampler = Sampler::new(id, Some(&setting.dir));
    let mut from = sampler.sample();
    let result = send(subject.address, frames, args, || from = sampler.sample())?;
    Ok((result, sampler.since(&from)))
}

/// Sends each connection's heartbeats in turn, all of them at even distances.
fn send(
    address: SocketAddr,
    frames: Vec<RequestRing>,
    args: &GroupsArgs,
    at_measure_start: impl FnMut(),
) -> Result<LoadResult> {
    let connections = frames.into_iter();
    let connections = connections.map(|ring| Connection::open(address, ring, 0));
    let mut connections = connections.collect::<Result<Vec<_>>>()?;
    let per_second = (args.groups * args.members) as f64 * 1e3 / f64::from(args.interval_ms);
    Load {
        connections: &mut connections,
        pace: Pace::Rate(per_second),
        warm_up: Duration::from_secs_f64(args.warm_up),
        measure: Duration::from_secs_f64(args.seconds),
    }
    .run(at_measure_start)
}

/// What the machine takes for these sockets and wake-ups alone, in percent of a core.
fn floor(setting: &Setting, args: &GroupsArgs) -> Result<f64> {
    let mut response = Vec::new();
    encode_response(
        &mut response,
        HEARTBEAT_VERSION,
        1,
        &HeartbeatResponse::default(),
    )?;
    let sink = SleepingSink::start(setting.first_server_core()?, response)?;
    let heartbeat = HeartbeatRequest {
        group_id: "bench-000000",
        member_id: "millrace-bench-00000000-0000-0000-0000-000000000000",
        ..HeartbeatRequest::default()
    };
    let heartbeat = frame(HEARTBEAT_VERSION, &heartbeat)?;
    let ring = RequestRing::new(&[heartbeat], HEARTBEAT_ERROR_AT, 0)?;
    let mut from = (sink.cpu(), Instant::now());
    send(sink.address, vec![ring; args.groups], args, || {
        from = (sink.cpu(), Instant::now());
    })?;
    let cpu = sink.cpu().saturating_sub(from.0).as_secs_f64();
    let percent = cpu / from.1.elapsed().as_secs_f64() * 100.0;
    sink.stop()?;
    Ok(percent)
}

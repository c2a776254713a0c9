//! `millrace group describe`: members with their assignments, and for each partition how far the
//! group is behind.

use crate::client::consumer_protocol::{Assignment, decode_assignment};
use crate::client::{
    At, ClientArgs, Cluster, Coordinator, GroupDescription, Offsets, check, list_offsets,
};
use crate::commands::table::{Align, Table};
use anyhow::{Result, bail};
use millrace_server::protocol::ErrorCode;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Options of `group describe`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Ids of groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// One JSON object per group
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// A partition of the group.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    /// The high watermark: what a consumer can reach. `None`: the topic is gone.
    log_end: Option<i64>,
    member: Option<usize>,
}

impl Place {
    /// Records between; `None` where nothing is committed or nothing is there.
    fn lag(&self) -> Option<i64> {
        Some((self.log_end? - self.committed?).max(0))
    }
}

struct Group {
    id: String,
    coordinator: i32,
    description: GroupDescription,
    assignments: Vec<Assignment>,
    places: Vec<Place>,
}

/// Describes each group.
pub(super) fn run(args: &Args) -> Result<()> {
    let mut cluster = Cluster::open(&args.client)?;
    let mut out = std::io::stdout().lock();
    for id in &args.groups {
        let group = look_at(&mut cluster, id)?;
        if args.json {
            writeln!(out, "{}", to_json(&group))?;
        } else {
            print(&mut out, &group)?;
        }
    }
    Ok(())
}

fn look_at(cluster: &mut Cluster, id: &str) -> Result<Group> {
    let mut coordinator = Coordinator::new(id);
    let mut description = coordinator.describe(cluster)?;
    let committed = coordinator.committed(cluster)?;
    let is_unknown = description.error_code == ErrorCode::GroupIdNotFound.code();
    // KAFKA: versions below 6 call a group that does not exist dead.
    let is_dead = description.state == "Dead";
    if (is_unknown || is_dead) && committed.is_empty() {
        bail!("group {id} does not exist; see `millrace group list`");
    }
    if is_unknown {
        // Its members speak another protocol than the one described here (KIP-848, KIP-932).
        "not classic".clone_into(&mut description.state);
    } else {
        check(description.error_code, &format!("group {id}"), None)?;
    }
    let assignments: Vec<Assignment> = description
        .members
        .iter()
        .map(|member| match description.protocol_type.as_str() {
            // What another kind of member writes here only its like can read.
            "consumer" => decode_assignment(&member.assignment).unwrap_or_default(),
            _ => Assignment::new(),
        })
        .collect();
    let places = places(cluster, &assignments, &committed)?;
    Ok(Group {
        id: id.to_owned(),
        coordinator: coordinator.node().unwrap_or(-1),
        description,
        assignments,
        places,
    })
}

/// Every partition that a member has or that has a committed offset.
fn places(
    cluster: &mut Cluster,
    assignments: &[Assignment],
    committed: &Offsets,
) -> Result<Vec<Place>> {
    let mut owners: BTreeMap<(String, i32), usize> = BTreeMap::new();
    for (member, assignment) in assignments.iter().enumerate() {
        for (topic, partitions) in assignment {
            for &partition in partitions {
                owners.insert((topic.clone(), partition), member);
            }
        }
    }
    let all: BTreeSet<(String, i32)> = owners.keys().chain(committed.keys()).cloned().collect();
    let mut ends: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
    let mut places = Vec::new();
    for (topic, partition) in all {
        if !ends.contains_key(&topic) {
            ends.insert(topic.clone(), log_ends(cluster, &topic)?);
        }
        let key = (topic, partition);
        places.push(Place {
            committed: committed.get(&key).copied(),
            log_end: ends
                .get(&key.0)
                .and_then(|ends| ends.get(&partition))
                .copied(),
            member: owners.get(&key).copied(),
            topic: key.0,
            partition,
        });
    }
    Ok(places)
}

/// Of a topic that may have been deleted since.
fn log_ends(cluster: &mut Cluster, topic: &str) -> Result<BTreeMap<i32, i64>> {
    match cluster.find_topic(topic)? {
        Some(topic) => list_offsets(cluster, &topic, At::Latest),
        None => Ok(BTreeMap::new()),
    }
}

fn print(out: &mut impl Write, group: &Group) -> Result<()> {
    let description = &group.description;
    write!(out, "group {}: {}", group.id, description.state)?;
    if !description.protocol.is_empty() {
        write!(out, ", assignor {}", description.protocol)?;
    }
    writeln!(out, ", coordinator {}", group.coordinator)?;
    if description.members.is_empty() {
        writeln!(out, "  no members")?;
    } else {
        let mut members = Table::new(&[
            ("MEMBER", Align::Left),
            ("CLIENT", Align::Left),
            ("HOST", Align::Left),
            ("ASSIGNED", Align::Left),
        ]);
        for (member, assignment) in description.members.iter().zip(&group.assignments) {
            members.row(vec![
                named(member.instance_id.as_deref(), &member.member_id),
                member.client_id.clone(),
                member.host.clone(),
                in_words(assignment),
            ]);
        }
        members.print(out, "  ")?;
    }
    if group.places.is_empty() {
        writeln!(out, "  no offsets committed")?;
        return Ok(());
    }
    let mut offsets = Table::new(&[
        ("TOPIC", Align::Left),
        ("PARTITION", Align::Right),
        ("COMMITTED", Align::Right),
        ("LOG END", Align::Right),
        ("LAG", Align::Right),
        ("CLIENT", Align::Left),
    ]);
    let or_dash = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
    for place in &group.places {
        let member = place
            .member
            .and_then(|member| description.members.get(member));
        offsets.row(vec![
            place.topic.clone(),
            place.partition.to_string(),
            or_dash(place.committed),
            or_dash(place.log_end),
            or_dash(place.lag()),
            member.map_or("-".to_owned(), |member| member.client_id.clone()),
        ]);
    }
    offsets.print(out, "  ")?;
    Ok(())
}

/// A static member by its instance id, which stays, and its member id.
fn named(instance_id: Option<&str>, member_id: &str) -> String {
    match instance_id {
        Some(instance_id) => format!("{instance_id} ({member_id})"),
        None => member_id.to_owned(),
    }
}

/// `clicks 0-3,7; views 2`.
fn in_words(assignment: &Assignment) -> String {
    let topics: Vec<String> = assignment
        .iter()
        .map(|(topic, partitions)| format!("{topic} {}", ranges(partitions)))
        .collect();
    if topics.is_empty() {
        return "-".to_owned();
    }
    topics.join("; ")
}

fn ranges(partitions: &[i32]) -> String {
    let mut sorted = partitions.to_vec();
    sorted.sort_unstable();
    let mut runs: Vec<(i32, i32)> = Vec::new();
    for partition in sorted {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == partition => *last = partition,
            _ => runs.push((partition, partition)),
        }
    }
    let texts: Vec<String> = runs
        .iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    texts.join(",")
}

fn to_json(group: &Group) -> Value {
    let described = &group.description;
    let members: Vec<Value> = described
        .members
        .iter()
        .zip(&group.assignments)
        .map(|(member, assignment)| {
            json!({
                "member": member.member_id,
                "instance_id": member.instance_id,
                "client": member.client_id,
                "host": member.host,
                "assignment": assignment,
            })
        })
        .collect();
    let offsets: Vec<Value> = group
        .places
        .iter()
        .map(|place| {
            let member = place
                .member
                .and_then(|member| described.members.get(member));
            json!({
                "topic": place.topic,
                "partition": place.partition,
                "committed": place.committed,
                "log_end": place.log_end,
                "lag": place.lag(),
                "member": member.map(|member| &member.member_id),
            })
        })
        .collect();
    json!({
        "group": group.id,
        "state": described.state,
        "protocol_type": described.protocol_type,
        "assignor": described.protocol,
        "coordinator": group.coordinator,
        "members": members,
        "offsets": offsets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_shown_as_ranges() {
        let assignment = Assignment::from([
            ("a".to_owned(), vec![3, 0, 1, 2, 7]),
            ("b".to_owned(), vec![5]),
        ]);
        assert_eq!(in_words(&assignment), "a 0-3,7; b 5");
        assert_eq!(in_words(&Assignment::new()), "-");
    }

    #[test]
    fn lag_is_known_only_where_both_ends_are_and_is_never_negative() {
        let lag = |committed, log_end| {
            let (topic, partition) = ("a".to_owned(), 0);
            let member = None;
            Place {
                topic,
                partition,
                committed,
                log_end,
                member,
            }
            .lag()
        };
        assert_eq!(lag(Some(3), Some(10)), Some(7));
        assert_eq!(lag(None, Some(10)), None);
        assert_eq!(lag(Some(3), None), None);
        // A log that was deleted and made again ends below what was committed.
        assert_eq!(lag(Some(12), Some(10)), Some(0));
    }
}

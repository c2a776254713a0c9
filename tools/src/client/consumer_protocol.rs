//! What members of a classic consumer group tell each other through the coordinator, which passes
//! these bytes on unread: subscriptions and assignments.
//!
//! ```text
//! subscription: version i16 | topics [string] | user data bytes
//!   v1: owned [topic string, partitions [i32]] | v2: generation i32 | v3: rack string
//! assignment:   version i16 | [topic string, partitions [i32]] | user data bytes
//! ```
//! KAFKA: lengths have 16 bits for strings and 32 for the rest, -1 is null; a later version only
//! adds fields at the end, so what is read here stays readable.

use anyhow::{Result, bail, ensure};
use std::collections::BTreeMap;

/// Partitions by topic.
pub(crate) type Assignment = BTreeMap<String, Vec<i32>>;

/// What a subscription of ours says: version 0, so that members of any age understand it.
pub(crate) fn encode_subscription(topics: &[&str]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    put_i16(&mut bytes, 0);
    put_count(&mut bytes, topics.len())?;
    for topic in topics {
        put_string(&mut bytes, topic)?;
    }
    put_i32(&mut bytes, -1);
    Ok(bytes)
}

/// The topics that a member wants.
pub(crate) fn decode_subscription(mut bytes: &[u8]) -> Result<Vec<String>> {
    let rest = &mut bytes;
    ensure!(take_i16(rest)? >= 0, "a subscription of a negative version");
    let count = take_count(rest)?;
    (0..count).map(|_| take_string(rest)).collect()
}

/// What a leader gives a member.
pub(crate) fn encode_assignment(assignment: &Assignment) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    put_i16(&mut bytes, 0);
    put_count(&mut bytes, assignment.len())?;
    for (topic, partitions) in assignment {
        put_string(&mut bytes, topic)?;
        put_count(&mut bytes, partitions.len())?;
        for &partition in partitions {
            put_i32(&mut bytes, partition);
        }
    }
    put_i32(&mut bytes, -1);
    Ok(bytes)
}

/// What a member was given. No bytes at all are an empty assignment.
pub(crate) fn decode_assignment(mut bytes: &[u8]) -> Result<Assignment> {
    let rest = &mut bytes;
    if rest.is_empty() {
        return Ok(Assignment::new());
    }
    ensure!(take_i16(rest)? >= 0, "an assignment of a negative version");
    let mut assignment = Assignment::new();
    for _ in 0..take_count(rest)? {
        let topic = take_string(rest)?;
        let count = take_count(rest)?;
        let partitions = (0..count)
            .map(|_| take(rest).map(i32::from_be_bytes))
            .collect::<Result<_>>()?;
        assignment.insert(topic, partitions);
    }
    Ok(assignment)
}

/// KAFKA: the `range` assignor. Of each topic, the members that want it, in the order of their
/// ids, get stretches of equal length; the first ones one partition more where it does not divide.
pub(crate) fn assign_ranges(
    members: &BTreeMap<String, Vec<String>>,
    partition_counts: &BTreeMap<String, i32>,
) -> BTreeMap<String, Assignment> {
    let mut assigned: BTreeMap<String, Assignment> = members
        .keys()
        .map(|member| (member.clone(), Assignment::new()))
        .collect();
    for (topic, &count) in partition_counts {
        let wanting: Vec<&String> = members
            .iter()
            .filter(|(_, topics)| topics.contains(topic))
            .map(|(member, _)| member)
            .collect();
        let Ok(member_count) = i32::try_from(wanting.len()) else {
            continue;
        };
        if member_count == 0 {
            continue;
        }
        let (each, more) = (count / member_count, count % member_count);
        let mut next = 0;
        for (place, member) in (0..).zip(wanting) {
            let length = each + i32::from(place < more);
            let range: Vec<i32> = (next..next + length).collect();
            next += length;
            if let (false, Some(mine)) = (range.is_empty(), assigned.get_mut(member)) {
                mine.insert(topic.clone(), range);
            }
        }
    }
    assigned
}

fn put_i16(bytes: &mut Vec<u8>, value: i16) {
    bytes.extend_from_slice(&value.to_be_bytes());
}

fn put_i32(bytes: &mut Vec<u8>, value: i32) {
    bytes.extend_from_slice(&value.to_be_bytes());
}

fn put_count(bytes: &mut Vec<u8>, count: usize) -> Result<()> {
    put_i32(bytes, i32::try_from(count)?);
    Ok(())
}

fn put_string(bytes: &mut Vec<u8>, text: &str) -> Result<()> {
    put_i16(bytes, i16::try_from(text.len())?);
    bytes.extend_from_slice(text.as_bytes());
    Ok(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let Some((first, behind)) = rest.split_first_chunk() else {
        bail!("the bytes end within a field");
    };
    *rest = behind;
    Ok(*first)
}

fn take_i16(rest: &mut &[u8]) -> Result<i16> {
    take(rest).map(i16::from_be_bytes)
}

/// A count that the bytes behind it can hold, each element being 2 bytes at least.
fn take_count(rest: &mut &[u8]) -> Result<usize> {
    let count = usize::try_from(i32::from_be_bytes(take(rest)?)).unwrap_or(0);
    ensure!(
        count <= rest.len() / 2,
        "{count} elements in {} bytes",
        rest.len()
    );
    Ok(count)
}

fn take_string(rest: &mut &[u8]) -> Result<String> {
    let length = usize::try_from(take_i16(rest)?).unwrap_or(0);
    let Some((text, behind)) = rest.split_at_checked(length) else {
        bail!("a name of {length} bytes in {}", rest.len());
    };
    *rest = behind;
    Ok(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(parts: &[(&str, &[i32])]) -> Assignment {
        parts
            .iter()
            .map(|(topic, partitions)| ((*topic).to_owned(), partitions.to_vec()))
            .collect()
    }

    #[test]
    fn subscriptions_have_the_bytes_that_kafka_documents() {
        let bytes = encode_subscription(&["ab", "c"]).unwrap();
        let expected = b"\0\0\0\0\0\x02\0\x02ab\0\x01c\xff\xff\xff\xff";
        assert_eq!(bytes, expected);
        assert_eq!(decode_subscription(&bytes).unwrap(), ["ab", "c"]);
        // Version 3 adds fields behind; they are not looked at.
        let newer = b"\0\x03\0\0\0\x01\0\x01t\xff\xff\xff\xff\0\0\0\0\0\0\0\x07\xff\xff";
        assert_eq!(decode_subscription(newer).unwrap(), ["t"]);
    }

    #[test]
    fn assignments_are_read_back_and_no_bytes_are_none() {
        let given = assignment(&[("a", &[0, 2]), ("b", &[])]);
        let bytes = encode_assignment(&given).unwrap();
        assert_eq!(decode_assignment(&bytes).unwrap(), given);
        assert_eq!(decode_assignment(b"").unwrap(), Assignment::new());
    }

    #[test]
    fn bytes_of_another_member_are_checked_before_they_are_believed() {
        let bytes = encode_assignment(&assignment(&[("a", &[0, 2])])).unwrap();
        for end in 1..bytes.len() - 4 {
            assert!(decode_assignment(&bytes[..end]).is_err(), "{end}");
        }
        assert!(decode_assignment(b"\0\0\x7f\xff\xff\xff").is_err());
        assert!(decode_subscription(b"\0\0\x7f\xff\xff\xff\0\0").is_err());
    }

    #[test]
    fn ranges_are_cut_per_topic_in_the_order_of_members() {
        let member = |topics: &[&str]| topics.iter().map(|&topic| topic.to_owned()).collect();
        let members = BTreeMap::from([
            ("m1".to_owned(), member(&["a", "b"])),
            ("m2".to_owned(), member(&["a"])),
            ("m3".to_owned(), member(&["a"])),
        ]);
        let counts = BTreeMap::from([("a".to_owned(), 7), ("b".to_owned(), 2)]);
        let assigned = assign_ranges(&members, &counts);
        assert_eq!(
            assigned["m1"],
            assignment(&[("a", &[0, 1, 2]), ("b", &[0, 1])])
        );
        assert_eq!(assigned["m2"], assignment(&[("a", &[3, 4])]));
        assert_eq!(assigned["m3"], assignment(&[("a", &[5, 6])]));
        let few = BTreeMap::from([("a".to_owned(), 1)]);
        assert_eq!(assign_ranges(&members, &few)["m3"], Assignment::new());
    }
}

//! The topic that groups live in: its name, its making, and which group belongs to which of its
//! partitions. The leader of that partition is the group's coordinator.

use crate::config::GroupSettings;

/// Kafka's name of the topic.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Whether clients may look at a topic and not write to it.
#[must_use]
pub fn is_internal(topic: &str) -> bool {
    topic == OFFSETS_TOPIC
}

/// The topic's configs when it is made at its first use.
#[must_use]
pub fn configs(settings: &GroupSettings) -> Vec<(String, Option<String>)> {
    let segment_bytes = settings.offsets_topic_segment_bytes.to_string();
    [
        ("cleanup.policy", "compact"),
        ("compression.type", "producer"),
        ("millrace.durability", "disk"),
        ("segment.bytes", &segment_bytes),
    ]
    .iter()
    .map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())))
    .collect()
}

/// The group's partition of a topic with `partition_count` of them.
#[must_use]
pub fn partition_of(group_id: &str, partition_count: i32) -> i32 {
    // KAFKA: hash and mask as Java does, over UTF-16; the mask keeps the smallest value positive.
    let hash = group_id.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    (hash & i32::MAX) % partition_count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_belong_where_kafka_puts_them() {
        // "a" is 97; the second hashes to the smallest i32; the third is a surrogate pair.
        assert_eq!(partition_of("a", 50), 47);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        let pair = (0xd83d_i32 * 31 + 0xde00) % 50;
        assert_eq!(partition_of("\u{1f600}", 50), pair);
        assert_eq!(partition_of("", 50), 0);
    }
}

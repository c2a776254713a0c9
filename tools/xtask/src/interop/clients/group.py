"""A member of a group with kafka-python: address, topic, group, limit.

Prints `partition offset value` and commits. Leaves after `limit` records, or, when that is 0,
when the group has committed the end of every partition.
"""

import sys

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

address, topic, group, limit = sys.argv[1:]
consumer = KafkaConsumer(
    topic,
    bootstrap_servers=address,
    group_id=group,
    auto_offset_reset="earliest",
    enable_auto_commit=False,
    max_poll_records=100,
    session_timeout_ms=6000,
    heartbeat_interval_ms=300,
)
out = sys.stdout.buffer
partitions = [TopicPartition(topic, index) for index in consumer.partitions_for_topic(topic)]
ends = consumer.end_offsets(partitions)


def is_over():
    if int(limit) > 0:
        return count >= int(limit)
    return all((consumer.committed(partition) or 0) >= ends[partition] for partition in partitions)


count = 0
while not is_over():
    for records in consumer.poll(timeout_ms=500).values():
        for record in records:
            out.write(b"%d %d %s\n" % (record.partition, record.offset, record.value))
            count += 1
    try:
        consumer.commit()
    except KafkaError as error:
        # In a rebalance: whoever gets the partition reads these records again.
        print(error, file=sys.stderr)
out.flush()
consumer.close()

"""Prints `partition offset value` with kafka-python's assign: address, topic."""

import sys

from kafka import KafkaConsumer, TopicPartition

address, topic = sys.argv[1:]
consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, group_id=None)
assigned = [TopicPartition(topic, index) for index in sorted(consumer.partitions_for_topic(topic))]
consumer.assign(assigned)
consumer.seek_to_beginning(*assigned)
ends = consumer.end_offsets(assigned)
out = sys.stdout.buffer
while any(consumer.position(partition) < ends[partition] for partition in assigned):
    for records in consumer.poll(timeout_ms=1000).values():
        for record in records:
            out.write(b"%d %d %s\n" % (record.partition, record.offset, record.value))
out.flush()
consumer.close()

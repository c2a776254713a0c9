"""The scenario program for kafka-python; README.md beside it says what each verb does."""

import sys
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

BASE = 1_700_000_000_000


def produce(address, topic, codec, first, count):
    producer = KafkaProducer(
        bootstrap_servers=address,
        acks="all",
        compression_type=None if codec == "none" else codec,
    )
    sent = []
    for i in range(int(first), int(first) + int(count)):
        sent.append(
            producer.send(
                topic,
                key=b"k%d" % i,
                value=b"v%d" % i,
                headers=[("n", b"%d" % i)],
                partition=i % 3,
                timestamp_ms=BASE + 1000 * i,
            )
        )
    producer.flush(timeout=60)
    for future in sent:
        future.get(timeout=10)
    producer.close()


def assigned_consumer(address, topic):
    consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, group_id=None)
    partitions = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))]
    return consumer, partitions


def read(address, topic):
    consumer, partitions = assigned_consumer(address, topic)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(p) < ends[p] for p in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            for r in records:
                header = dict(r.headers)["n"].decode()
                key, value = r.key.decode(), r.value.decode()
                print(r.partition, r.offset, r.timestamp, key, header, value)
    consumer.close()


def member(address, topic, group):
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=address,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=6000,
        heartbeat_interval_ms=300,
    )
    assigned = None
    while not over.is_set():
        # A poll that ends within a rebalance may lose the answer to SyncGroup (kafka-python
        # 3.0.12), and the member then neither reads nor sends heartbeats.
        polled = consumer.poll(timeout_ms=2000)
        if consumer.assignment() != assigned:
            assigned = set(consumer.assignment())
            print("assigned", len(assigned), flush=True)
        for records in polled.values():
            for r in records:
                print("record", r.partition, r.offset, r.value.decode(), flush=True)
        if polled:
            try:
                consumer.commit()
            except KafkaError as error:
                # In a rebalance: whoever gets the partition reads these records again.
                print(error, file=sys.stderr)
    consumer.close()


def seek(address, topic, partition, kind, number):
    consumer, _ = assigned_consumer(address, topic)
    place = TopicPartition(topic, int(partition))
    consumer.assign([place])
    offset = int(number)
    if kind == "time":
        offset = consumer.offsets_for_times({place: offset})[place].offset
    consumer.seek(place, offset)
    records = {}
    while not records:
        records = consumer.poll(timeout_ms=500, max_records=1)
    record = records[place][0]
    print(record.partition, record.offset, record.value.decode())
    consumer.close()


def admin(address, topic):
    client = KafkaAdminClient(bootstrap_servers=address)
    resource = ConfigResourceType.TOPIC

    def partitions():
        return len(client.describe_topics([topic])[0]["partitions"])

    def retention():
        found = client.describe_configs([ConfigResource(resource, topic)])
        return retention_of(found)

    wanted = NewTopic(topic, 2, 1, topic_configs={"retention.ms": "60000"})
    client.create_topics([wanted])
    print("partitions", settled(2, partitions))
    print("retention.ms", settled("60000", retention))
    try:
        client.create_topics([wanted])
    except TopicAlreadyExistsError:
        print("exists")
    client.alter_configs([ConfigResource(resource, topic, {"retention.ms": "120000"})])
    print("retention.ms", settled("120000", retention))
    client.create_partitions({topic: NewPartitions(4)})
    print("partitions", settled(4, partitions))
    client.delete_topics([topic])
    print("there" if settled(False, lambda: topic in client.list_topics()) else "gone")
    client.close()


def settled(wanted, look):
    """What `look` finds: brokers may answer from before a change for a moment."""
    for _ in range(50):
        if (found := look()) == wanted:
            break
        time.sleep(0.1)
    return found


def retention_of(found):
    """The value, whichever of its forms this version of the client gives."""
    if isinstance(found, dict):
        for topics in found.values():
            for configs in topics.values():
                value = configs["retention.ms"]
                return value["value"] if isinstance(value, dict) else value
    for response in found:
        for resource in response.resources:
            for entry in resource[4]:
                if entry[0] == "retention.ms":
                    return entry[1]
    raise ValueError(f"no retention.ms in {found}")


def groups(address, topic, group):
    client = KafkaAdminClient(bootstrap_servers=address)

    def is_listed():
        return any(group in str(found) for found in client.list_groups())

    print("listed" if is_listed() else "not listed")
    described = client.describe_groups([group])
    found = described[group] if isinstance(described, dict) else described[0]
    state = found["group_state"] if isinstance(found, dict) else found.state
    print("state", state)
    committed = client.list_group_offsets({group: None})[group]
    for place in sorted(committed):
        print("committed", place.partition, committed[place].offset)
    client.delete_groups([group])
    print("listed" if is_listed() else "gone")
    client.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

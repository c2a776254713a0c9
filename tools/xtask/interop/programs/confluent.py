"""The scenario program for confluent-kafka; README.md beside it says what each verb does."""

import sys
import threading
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka import OFFSET_BEGINNING, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin import NewPartitions, NewTopic, ResourceType

BASE = 1_700_000_000_000


def produce(address, topic, codec, first, count):
    producer = Producer(
        {
            "bootstrap.servers": address,
            "enable.idempotence": True,
            "compression.type": codec,
            "linger.ms": 5,
        }
    )
    errors = []
    delivered = lambda error, _: errors.append(error) if error else None
    for i in range(int(first), int(first) + int(count)):
        producer.produce(
            topic,
            key=b"k%d" % i,
            value=b"v%d" % i,
            headers=[("n", b"%d" % i)],
            partition=i % 3,
            timestamp=BASE + 1000 * i,
            on_delivery=delivered,
        )
    if producer.flush(60) or errors:
        sys.exit(f"not delivered: {errors[:3]}")


def consumer_of(address, group="none", **more):
    return Consumer(
        {
            "bootstrap.servers": address,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            **more,
        }
    )


def next_of(consumer, timeout=1.0):
    message = consumer.poll(timeout)
    if message is not None and message.error():
        raise KafkaException(message.error())
    return message


def read(address, topic):
    consumer = consumer_of(address)
    found = consumer.list_topics(topic, 10).topics[topic].partitions
    left = 0
    for p in found:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, p), 10)
        left += high - low
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in sorted(found)])
    while left > 0:
        r = next_of(consumer)
        if r is None:
            continue
        left -= 1
        header = dict(r.headers())["n"].decode()
        key, value = r.key().decode(), r.value().decode()
        print(r.partition(), r.offset(), r.timestamp()[1], key, header, value)
    consumer.close()


def member(address, topic, group):
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    more = {
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 300,
        "partition.assignment.strategy": "cooperative-sticky",
    }
    consumer = consumer_of(address, group, **more)
    consumer.subscribe([topic])
    assigned = None
    while not over.is_set():
        r = next_of(consumer, 0.2)
        if (now := len(consumer.assignment())) != assigned:
            assigned = now
            print("assigned", assigned, flush=True)
        if r is None:
            continue
        print("record", r.partition(), r.offset(), r.value().decode(), flush=True)
        try:
            consumer.commit(message=r, asynchronous=False)
        except KafkaException as error:
            # In a rebalance: whoever gets the partition reads this record again.
            print(error, file=sys.stderr)
    consumer.close()


def seek(address, topic, partition, kind, number):
    consumer = consumer_of(address)
    place = TopicPartition(topic, int(partition), int(number))
    if kind == "time":
        place = consumer.offsets_for_times([place], 10)[0]
    consumer.assign([TopicPartition(topic, int(partition), OFFSET_BEGINNING)])
    while next_of(consumer) is None:
        pass
    consumer.seek(place)
    record = None
    while record is None:
        record = next_of(consumer)
    print(record.partition(), record.offset(), record.value().decode())
    consumer.close()


def settled(wanted, look):
    """What `look` finds: brokers may answer from before a change for a moment."""
    for _ in range(50):
        if (found := look()) == wanted:
            break
        time.sleep(0.1)
    return found


def one(futures):
    return next(iter(futures.values())).result()


def admin(address, topic):
    client = AdminClient({"bootstrap.servers": address})

    def partitions():
        return len(client.list_topics(topic, 10).topics[topic].partitions)

    def retention():
        found = one(client.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))
        return found["retention.ms"].value

    wanted = NewTopic(topic, 2, 1, config={"retention.ms": "60000"})
    one(client.create_topics([wanted]))
    print("partitions", settled(2, partitions))
    print("retention.ms", settled("60000", retention))
    try:
        one(client.create_topics([wanted]))
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            print("exists")
    entry = ConfigEntry("retention.ms", "120000", incremental_operation=AlterConfigOpType.SET)
    change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    one(client.incremental_alter_configs([change]))
    print("retention.ms", settled("120000", retention))
    one(client.create_partitions([NewPartitions(topic, 4)]))
    print("partitions", settled(4, partitions))
    one(client.delete_topics([topic]))
    is_there = lambda: topic in client.list_topics(timeout=10).topics
    print("there" if settled(False, is_there) else "gone")


def groups(address, topic, group):
    client = AdminClient({"bootstrap.servers": address})

    def is_listed():
        return any(found.group_id == group for found in client.list_consumer_groups().result().valid)

    print("listed" if is_listed() else "not listed")
    state = one(client.describe_consumer_groups([group])).state
    print("state", state.name.title())
    offsets = one(client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
    for place in sorted(offsets.topic_partitions, key=lambda place: place.partition):
        print("committed", place.partition, place.offset)
    one(client.delete_consumer_groups([group]))
    print("listed" if is_listed() else "gone")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

"""Producers, members and samplers of the endurance run; README.md beside it says what each prints."""

import sys
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

SESSION_MS = 2000
HEARTBEAT_MS = 300
RECONNECT_MS = 500
# What a member that is killed may have read and not committed.
COMMIT_SECONDS = 0.2


def until_stdin_ends():
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    return over


def say(*words):
    """One clock for all processes of the machine orders what they print."""
    print(words[0], time.monotonic_ns(), *words[1:])


def listed(offsets):
    return ",".join(f"{partition}:{offset}" for partition, offset in offsets.items())


def produce(address, topic, partitions, name, rate):
    """Sends `rate` records a second, in turn to all partitions, until standard input ends."""
    over = until_stdin_ends()
    producer = Producer(
        {
            "bootstrap.servers": address,
            "enable.idempotence": True,
            "linger.ms": 5,
            "message.timeout.ms": 120000,
            "reconnect.backoff.max.ms": RECONNECT_MS,
        }
    )
    failed = []

    def delivered(error, message):
        if error:
            failed.append(error)
        else:
            print("acked", message.partition(), message.offset(), message.value().decode())

    begin, sent, partitions = time.monotonic(), 0, int(partitions)
    while not over.is_set() and not failed:
        due = int((time.monotonic() - begin) * int(rate))
        for number in range(sent, due):
            partition, sequence = number % partitions, number // partitions
            value = f"{name}.{partition}.{sequence}"
            producer.produce(topic, value, partition=partition, on_delivery=delivered)
        sent = max(sent, due)
        producer.poll(0.02)
    if producer.flush(120) or failed:
        sys.exit(f"not delivered: {failed[:3]}")


def member(client, address, topic, group, strategy):
    """Reads and commits until standard input ends, then leaves."""
    {"confluent": confluent_member, "kafka-python": python_member}[client](
        until_stdin_ends(), address, topic, group, strategy
    )


def confluent_member(over, address, topic, group, strategy):
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": strategy,
            "session.timeout.ms": SESSION_MS,
            "heartbeat.interval.ms": HEARTBEAT_MS,
            "reconnect.backoff.max.ms": RECONNECT_MS,
            "topic.metadata.refresh.interval.ms": 5000,
        }
    )
    pending = {}

    def commit(partitions):
        offsets = {p: pending.pop(p) for p in partitions if p in pending}
        if not offsets:
            return
        say("committing", listed(offsets))
        sys.stdout.flush()
        try:
            wanted = [TopicPartition(topic, p, o) for p, o in offsets.items()]
            done = consumer.commit(offsets=wanted, asynchronous=False)
        except KafkaException as error:
            # Tried again with what is read next, for a cooperative member keeps its partitions; if
            # they go, whoever has them next reads these records again.
            print(error, file=sys.stderr)
            for partition, offset in offsets.items():
                pending.setdefault(partition, offset)
            return
        say("committed", listed({it.partition: it.offset for it in done if not it.error}))

    def forget(taken):
        for it in taken:
            pending.pop(it.partition, None)

    def assigned(_, given):
        say("assigned", ",".join(str(it.partition) for it in given))

    def revoked(_, taken):
        commit([it.partition for it in taken])
        forget(taken)
        say("revoked", ",".join(str(it.partition) for it in taken))

    def lost(_, taken):
        forget(taken)
        say("revoked", ",".join(str(it.partition) for it in taken))

    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=lost)
    next_commit = 0
    while not over.is_set():
        message = consumer.poll(0.1)
        if message is not None and message.error():
            print(message.error(), file=sys.stderr)
            continue
        if message is not None:
            partition, offset = message.partition(), message.offset()
            say("record", partition, offset, message.value().decode())
            pending[partition] = offset + 1
        if time.monotonic() > next_commit:
            commit(list(pending))
            next_commit = time.monotonic() + COMMIT_SECONDS
        sys.stdout.flush()
    commit(list(pending))
    consumer.close()
    say("left")


def python_member(over, address, topic, group, strategy):
    from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata
    from kafka import TopicPartition as Place
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    from kafka.errors import KafkaError

    assert strategy == "range"
    consumer = KafkaConsumer(
        bootstrap_servers=address,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        partition_assignment_strategy=[RangePartitionAssignor],
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        reconnect_backoff_max_ms=RECONNECT_MS,
    )

    class Listener(ConsumerRebalanceListener):
        def on_partitions_assigned(self, assigned):
            say("assigned", ",".join(str(place.partition) for place in assigned))

        def on_partitions_revoked(self, revoked):
            say("revoked", ",".join(str(place.partition) for place in revoked))

    consumer.subscribe([topic], listener=Listener())
    while not over.is_set():
        # Long, for the reason that kafka_python.py gives.
        polled = consumer.poll(timeout_ms=2000)
        offsets = {}
        for place, records in polled.items():
            for record in records:
                say("record", place.partition, record.offset, record.value.decode())
            offsets[place.partition] = records[-1].offset + 1
        if offsets:
            say("committing", listed(offsets))
            sys.stdout.flush()
            places = {Place(topic, p): OffsetAndMetadata(o, "", -1) for p, o in offsets.items()}
            try:
                consumer.commit(places)
                say("committed", listed(offsets))
            except KafkaError as error:
                print(repr(error), file=sys.stderr)
        sys.stdout.flush()
    consumer.close()
    say("left")


def sample(address, topic, partitions, group):
    """Asks for the group's committed offsets five times a second until standard input ends."""
    over = until_stdin_ends()
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": group,
            "reconnect.backoff.max.ms": RECONNECT_MS,
        }
    )
    places = [TopicPartition(topic, p) for p in range(int(partitions))]
    while not over.wait(0.2):
        asked = time.monotonic_ns()
        try:
            found = consumer.committed(places, timeout=10)
        except KafkaException as error:
            print(error, file=sys.stderr)
            continue
        if any(it.error for it in found):
            print([it for it in found if it.error], file=sys.stderr)
            continue
        offsets = {it.partition: max(it.offset, -1) for it in found}
        say("sampled", asked, listed(offsets))
        sys.stdout.flush()
    consumer.close()


def read(address, topic):
    """The whole log."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "none", "check.crcs": True})
    found = sorted(consumer.list_topics(topic, 10).topics[topic].partitions)
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), 10)[1] for p in found}
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in found])
    while any(ends.values()):
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        partition, offset = message.partition(), message.offset()
        print("log", partition, offset, message.value().decode())
        if offset + 1 >= ends[partition]:
            ends[partition] = 0
    consumer.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

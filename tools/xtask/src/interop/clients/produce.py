"""Sends the lines of a file with kafka-python: address, topic, codec, partitions, file."""

import sys

from kafka import KafkaProducer

address, topic, codec, partitions, path = sys.argv[1:]
producer = KafkaProducer(
    bootstrap_servers=address,
    acks="all",
    retries=5,
    max_in_flight_requests_per_connection=1,
    compression_type=None if codec == "none" else codec,
    linger_ms=5,
)
sent = []
with open(path, "rb") as lines:
    for number, line in enumerate(lines):
        partition = number % int(partitions)
        sent.append(producer.send(topic, line.rstrip(b"\n"), partition=partition))
producer.flush(timeout=100)
for future in sent:
    future.get(timeout=10)
producer.close(timeout=10)

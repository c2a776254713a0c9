// Sends the lines of a file with kafkajs: address, topic, codec, partitions, file.
const fs = require("fs");
const { Kafka, CompressionTypes, logLevel } = require("kafkajs");

const [address, topic, codec, partitions, path] = process.argv.slice(2);
const compression = codec === "gzip" ? CompressionTypes.GZIP : CompressionTypes.None;

async function main() {
  const kafka = new Kafka({ clientId: "interop", brokers: [address], logLevel: logLevel.ERROR });
  const producer = kafka.producer({ maxInFlightRequests: 1, allowAutoTopicCreation: false });
  await producer.connect();
  const lines = fs.readFileSync(path, "latin1").split("\n");
  lines.pop();
  for (let start = 0; start < lines.length; start += 1000) {
    const messages = lines.slice(start, start + 1000).map((line, index) => ({
      value: Buffer.from(line, "latin1"),
      partition: (start + index) % Number(partitions),
    }));
    await producer.send({ topic, acks: -1, compression, messages });
  }
  await producer.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

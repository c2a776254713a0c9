// A member of a group with kafkajs: address, topic, group, limit. As group.py.
const { Kafka, logLevel } = require('kafkajs')

const [address, topic, groupId, limit] = process.argv.slice(2)
const kafka = new Kafka({ brokers: [address], logLevel: logLevel.ERROR })

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  const ends = new Map(
    (await admin.fetchTopicOffsets(topic)).map((it) => [it.partition, Number(it.high)])
  )
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 300 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const lines = []
  let leave
  const isOver = new Promise((resolve) => (leave = resolve))
  await consumer.run({
    eachBatch: async ({ batch, resolveOffset, commitOffsetsIfNecessary, heartbeat }) => {
      for (const message of batch.messages) {
        lines.push(`${batch.partition} ${message.offset} ${message.value}\n`)
        resolveOffset(message.offset)
      }
      await commitOffsetsIfNecessary({
        topics: [
          {
            topic,
            partitions: [
              { partition: batch.partition, offset: String(Number(batch.lastOffset()) + 1) },
            ],
          },
        ],
      })
      await heartbeat()
      if (Number(limit) > 0 && lines.length >= Number(limit)) leave()
    },
  })
  while (Number(limit) === 0) {
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
    const isAtEnd = (it) => Math.max(0, Number(it.offset)) >= ends.get(it.partition)
    const isDone = found.partitions.every(isAtEnd)
    if (isDone) leave()
    if (isDone) break
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  await isOver
  await consumer.disconnect()
  await admin.disconnect()
  process.stdout.write(lines.join(''))
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})

// The scenario program for kafkajs; README.md beside it says what each verb does.
const { Kafka, CompressionTypes, ConfigResourceTypes, logLevel } = require('kafkajs')

const BASE = 1700000000000
const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP }
const [verb, address, topic, ...args] = process.argv.slice(2)
const kafka = new Kafka({ brokers: [address], logLevel: logLevel.ERROR })
const print = (...words) => process.stdout.write(words.join(' ') + '\n')

async function withAdmin(work) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

async function produce(codec, first, count) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const messages = []
  for (let i = Number(first); i < Number(first) + Number(count); i++) {
    messages.push({
      key: `k${i}`,
      value: `v${i}`,
      headers: { n: String(i) },
      partition: i % 3,
      timestamp: String(BASE + 1000 * i),
    })
  }
  await producer.send({ topic, acks: -1, compression: CODECS[codec], messages })
  await producer.disconnect()
}

// Kafkajs reads only as a member of a group, so this group never commits.
async function readFrom(seeks, onMessage) {
  const groupId = `reader-${process.pid}`
  const consumer = kafka.consumer({ groupId })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  let end
  const isOver = new Promise((resolve) => (end = resolve))
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => onMessage(partition, message, end),
  })
  for (const seek of seeks) consumer.seek({ topic, ...seek })
  await isOver
  await consumer.disconnect()
}

async function read() {
  const ends = await withAdmin((admin) => admin.fetchTopicOffsets(topic))
  let left = ends.reduce((sum, it) => sum + Number(it.high) - Number(it.low), 0)
  await readFrom([], (partition, { offset, timestamp, key, headers, value }, end) => {
    if (left === 0) return
    print(partition, offset, timestamp, key, headers.n, value)
    left -= 1
    if (left === 0) end()
  })
}

async function member(groupId) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 300 })
  const assigned = (count) => print('assigned', count)
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
    assigned((payload.memberAssignment[topic] || []).length)
  )
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachBatchAutoResolve: false,
    autoCommit: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat }) => {
      for (const message of batch.messages) {
        print('record', batch.partition, message.offset, message.value)
        resolveOffset(message.offset)
      }
      const offset = String(Number(batch.lastOffset()) + 1)
      await consumer.commitOffsets([{ topic, partition: batch.partition, offset }])
      await heartbeat()
    },
  })
  await new Promise((resolve) => process.stdin.on('end', resolve).resume())
  await consumer.disconnect()
}

async function seek(partition, kind, number) {
  let offset = number
  if (kind === 'time') {
    const found = await withAdmin((admin) => admin.fetchTopicOffsetsByTimestamp(topic, Number(number)))
    offset = found.find((it) => it.partition === Number(partition)).offset
  }
  let isFound = false
  const wanted = { partition: Number(partition), offset }
  await readFrom([wanted], (at, message, end) => {
    // Until the seek is done records of other places may come.
    if (isFound || at !== wanted.partition || Number(message.offset) < Number(offset)) return
    isFound = true
    print(at, message.offset, message.value)
    end()
  })
}

// What `look` finds: brokers may answer from before a change for a moment.
async function settled(wanted, look) {
  let found
  for (let tries = 0; tries < 50; tries++) {
    found = await look()
    if (found === wanted) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return found
}

async function adminVerb() {
  await withAdmin(async (admin) => {
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
    const partitions = async () =>
      (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length
    const retention = async () => {
      const found = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] })
      return found.resources[0].configEntries.find((it) => it.configName === 'retention.ms').configValue
    }
    const configEntries = [{ name: 'retention.ms', value: '60000' }]
    const wanted = { topic, numPartitions: 2, replicationFactor: 1, configEntries }
    await admin.createTopics({ waitForLeaders: true, topics: [wanted] })
    print('partitions', await settled(2, partitions))
    print('retention.ms', await settled('60000', retention))
    // False says that the topic exists.
    if (!(await admin.createTopics({ topics: [wanted] }))) print('exists')
    const change = { ...resource, configEntries: [{ name: 'retention.ms', value: '120000' }] }
    await admin.alterConfigs({ validateOnly: false, resources: [change] })
    print('retention.ms', await settled('120000', retention))
    await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
    print('partitions', await settled(4, partitions))
    await admin.deleteTopics({ topics: [topic] })
    const isThere = async () => (await admin.listTopics()).includes(topic)
    print((await settled(false, isThere)) ? 'there' : 'gone')
  })
}

async function groups(groupId) {
  await withAdmin(async (admin) => {
    const isListed = async () =>
      (await admin.listGroups()).groups.some((found) => found.groupId === groupId)
    print((await isListed()) ? 'listed' : 'not listed')
    print('state', (await admin.describeGroups([groupId])).groups[0].state)
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
    for (const it of found.partitions.sort((a, b) => a.partition - b.partition)) {
      print('committed', it.partition, it.offset)
    }
    await admin.deleteGroups([groupId])
    print((await isListed()) ? 'listed' : 'gone')
  })
}

const verbs = { produce, read, member, seek, admin: adminVerb, groups }
verbs[verb](...args).then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  }
)

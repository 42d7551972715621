import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { bootBroker } from '../../../sim/broker/broker-server.js'
import { UsageError } from '../../../sim/kernel/errors.js'
import { Errors } from '../../../sim/wire/errors.js'
import { conversation } from './conversation.js'
import { metadataOf, TestCluster } from './test-cluster.js'

/** The states that a broker went through, with why. */
function states(cluster: TestCluster, broker: string): string[] {
  return cluster
    .of('broker.state')
    .filter((event) => event.node === broker)
    .map((event) => `${event.data.to} (${event.data.reason})`)
}

function downs(cluster: TestCluster, node: string): string[] {
  return cluster
    .of('node.down')
    .filter((event) => event.node === node)
    .map((event) => `${event.data.how} ${event.data.reason}`.trim())
}

describe('a broker starting up', () => {
  it('registers, catches up, is unfenced, and only then accepts connections', () => {
    const cluster = new TestCluster({ brokers: 1 })
    for (const name of ['c1', 'b1', 'client']) cluster.world.start(name)
    expect(cluster.ask('b1', 'Metadata', metadataOf())).toEqual({ ok: false, reason: 'disconnected' })
    cluster.until(() => cluster.broker('b1').inspect().state === 'RUNNING', 5_000)
    expect(states(cluster, 'b1')).toEqual(['STARTING (start)', 'RECOVERY (caught-up)', 'RUNNING (unfenced)'])
    cluster.run(100)
    expect(cluster.answer('b1', 'Metadata', metadataOf()).brokers).toEqual([
      { nodeId: 1, host: 'b1', port: 9092, rack: null },
    ])
  })

  it('shows the same first second as ever', () => {
    const cluster = new TestCluster({ brokers: 1 })
    for (const name of ['c1', 'b1']) cluster.world.start(name)
    cluster.run(1_000)
    const text = conversation(cluster.events, 'b1')
    const path = new URL('golden/first-second.txt', import.meta.url)
    if (process.env['UPDATE'] === '1') writeFileSync(path, text)
    expect(text).toBe(readFileSync(path, 'utf8'))
  })

  it('gives up after 60 s without a controller, in order', () => {
    const cluster = new TestCluster({ brokers: 1 })
    cluster.world.start('b1')
    cluster.run(59_000)
    expect(downs(cluster, 'b1')).toEqual([])
    cluster.run(2_000)
    expect(states(cluster, 'b1').at(-1)).toBe('SHUTTING_DOWN (registration-timeout)')
    expect(downs(cluster, 'b1')).toEqual(['halt registration-timeout'])
  })

  it('ends at once when it is stopped before it was started', () => {
    const cluster = new TestCluster({ brokers: 1 })
    cluster.world.start('b1')
    cluster.run(1_000)
    cluster.world.stop('b1')
    cluster.run(0)
    expect(downs(cluster, 'b1')).toEqual(['stop'])
    expect(states(cluster, 'b1')).toEqual(['STARTING (start)'])
  })

  it('is refused with a wrong configuration', () => {
    const options = { brokerId: 1, clusterId: 'x', voters: [], config: { 'num.partition': 1 } }
    expect(() => bootBroker(options)).toThrow(UsageError)
  })
})

describe('a cluster', () => {
  it('creates a topic that a client asks any broker for, leads and replicates it', () => {
    const cluster = new TestCluster().up()
    expect(cluster.createTopic('orders', 3)?.errorCode).toBe(Errors.NONE)
    cluster.run(1_500)
    expect(cluster.produce('orders-0', 'hello')).toMatchObject({ errorCode: Errors.NONE, baseOffset: 0 })
    cluster.run(1_000)
    for (const name of cluster.brokers) {
      expect(cluster.partition(name, 'orders-0')).toMatchObject({ logEndOffset: 1, highWatermark: 1, leaderEpoch: 0 })
    }
  })

  it('creates a topic when a client asks for its metadata', () => {
    const cluster = new TestCluster({ config: { 'default.replication.factor': 2, 'num.partitions': 2 } }).up()
    const first = cluster.answer('b2', 'Metadata', metadataOf('payments')).topics[0]
    expect(first?.errorCode).toBe(Errors.UNKNOWN_TOPIC_OR_PARTITION)
    cluster.run(200)
    const then = cluster.answer('b2', 'Metadata', metadataOf('payments')).topics[0]
    expect(then?.errorCode).toBe(Errors.NONE)
    expect(then?.partitions.map((one) => one.replicaNodes.length)).toEqual([2, 2])
  })

  it('gives different producer ids from different brokers', () => {
    const cluster = new TestCluster().up()
    const body = { transactionalId: null, transactionTimeoutMs: 0, producerId: -1, producerEpoch: -1 }
    for (const name of ['b1', 'b2']) {
      expect(cluster.answer(name, 'InitProducerId', body).errorCode).toBe(Errors.COORDINATOR_LOAD_IN_PROGRESS)
    }
    cluster.run(200)
    const ids = ['b1', 'b2', 'b1'].map((name) => cluster.answer(name, 'InitProducerId', body).producerId)
    expect(new Set(ids).size).toBe(3)
    expect(ids[2]).toBe((ids[0] as number) + 1)
  })

  it('says who its raft leader is, and what lies on a disk', () => {
    const cluster = new TestCluster().up()
    const quorum = cluster.answer('b1', 'DescribeQuorum', {
      topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }],
    })
    expect(quorum.topics[0]?.partitions[0]?.leaderId).toBe(3_001)
    cluster.createTopic('orders', 3)
    cluster.run(1_000)
    const dirs = cluster.answer('b2', 'DescribeLogDirs', { topics: null })
    expect(dirs.results[0]?.topics).toEqual([
      { name: 'orders', partitions: [{ partitionIndex: 0, partitionSize: 0, offsetLag: 0, isFutureKey: false }] },
    ])
  })

  it('applies settings of a topic and of all brokers while it runs', () => {
    const cluster = new TestCluster().up()
    cluster.createTopic('orders', 3)
    const alter = (resourceType: number, resourceName: string, name: string, value: string) =>
      cluster.answer('b1', 'IncrementalAlterConfigs', {
        resources: [{ resourceType, resourceName, configs: [{ name, configOperation: 0, value }] }],
        validateOnly: false,
      }).responses[0]
    const shown = (name: string) =>
      cluster.answer('b3', 'DescribeConfigs', {
        resources: [{ resourceType: 2, resourceName: 'orders', configurationKeys: [name] }],
        includeSynonyms: false,
        includeDocumentation: false,
      }).results[0]?.configs[0]
    expect(alter(2, 'orders', 'retention.ms', '1000')?.errorCode).toBe(Errors.NONE)
    expect(alter(4, '', 'message.max.bytes', '2000')?.errorCode).toBe(Errors.NONE)
    cluster.run(500)
    expect(shown('retention.ms')).toMatchObject({ value: '1000', configSource: 1 })
    expect(shown('max.message.bytes')).toMatchObject({ value: '2000', configSource: 3 })
    expect(alter(4, '', 'num.partitions', '3')?.errorCode).toBe(Errors.INVALID_REQUEST)
  })

  it('has the same hash whether messages travel as objects or as bytes', () => {
    const hashes = (['reference', 'bytes'] as const).map((wire) => {
      const cluster = new TestCluster({ wire }).up()
      cluster.createTopic('orders', 3)
      cluster.run(2_000)
      return cluster.engine.trace.hash
    })
    expect(hashes[0]).toBe(hashes[1])
  })
})

describe('a broker that dies', () => {
  it('is fenced when its session ends, and another leads; back again it follows and joins the ISR', () => {
    const cluster = new TestCluster().up()
    cluster.createTopic('orders', 3)
    cluster.run(1_500)
    cluster.produce('orders-0', 'first')
    const old = cluster.leader('orders-0')
    cluster.world.kill(old)
    cluster.until(() => cluster.leader('orders-0') !== old, 12_000)
    expect(cluster.decided('orders-0')?.isr).not.toContain(Number(old.slice(1)))
    expect(cluster.produce('orders-0', 'second')).toMatchObject({ errorCode: Errors.NONE, baseOffset: 1 })
    cluster.world.start(old)
    cluster.until(() => cluster.decided('orders-0')?.isr.length === 3, 20_000)
    cluster.run(1_500)
    expect(cluster.partition(old, 'orders-0')).toMatchObject({ logEndOffset: 2, leaderEpoch: 1 })
  })

  it('registers under a new epoch with its old one unknown, as its end was not clean', () => {
    const cluster = new TestCluster({ brokers: 1 }).up()
    const before = cluster.broker('b1').inspect()
    cluster.world.kill('b1')
    cluster.world.start('b1')
    cluster.until(() => cluster.broker('b1').inspect().isServing, 30_000)
    const after = cluster.broker('b1').inspect()
    expect(after.brokerEpoch).toBeGreaterThan(before.brokerEpoch)
    expect(after.incarnationId).not.toBe(before.incarnationId)
    const sent = cluster.of('request.send').filter((event) => event.data.api === 'BrokerRegistration')
    expect(sent.at(-1)?.data.body).toMatchObject({ previousBrokerEpoch: -1 })
  })

  it('ends when its disk fails', () => {
    const cluster = new TestCluster().up()
    cluster.createTopic('orders', 3)
    cluster.run(1_500)
    const leader = cluster.leader('orders-0')
    cluster.world.node(leader).disk.fail()
    cluster.run(10_000)
    expect(downs(cluster, leader)[0]).toMatch(/^halt/)
  })
})

describe('a broker that is stopped', () => {
  it('hands its leadership over first, leaves a clean disk, and says so when it comes back', () => {
    const cluster = new TestCluster().up()
    cluster.createTopic('orders', 3)
    cluster.run(1_500)
    const old = cluster.leader('orders-0')
    const { brokerEpoch } = cluster.broker(old).inspect()
    cluster.world.stop(old)
    cluster.until(() => downs(cluster, old).length > 0, 10_000)
    expect(downs(cluster, old)).toEqual(['stop'])
    expect(states(cluster, old).slice(-2)).toEqual(['PENDING_CONTROLLED_SHUTDOWN (stop)', 'SHUTTING_DOWN (approved)'])
    expect(cluster.leader('orders-0')).not.toBe(old)
    cluster.world.start(old)
    cluster.until(() => cluster.broker(old).inspect().isServing, 15_000)
    const sent = cluster.of('request.send').filter((event) => event.data.api === 'BrokerRegistration')
    expect(sent.at(-1)?.data.body).toMatchObject({ previousBrokerEpoch: brokerEpoch })
    const opened = cluster.of('log.open').filter((event) => event.node === old && event.data.partition === 'orders-0')
    expect(opened.at(-1)?.data.clean).toBe(true)
  })

  it('goes on serving until the controller lets it go', () => {
    const cluster = new TestCluster({ brokers: 2 }).up()
    cluster.world.node('c1').process?.pause()
    cluster.world.stop('b1')
    cluster.run(1_000)
    expect(cluster.broker('b1').inspect().state).toBe('PENDING_CONTROLLED_SHUTDOWN')
    expect(cluster.ask('b1', 'Metadata', metadataOf()).ok).toBe(true)
  })

  it('stops all the same, after five minutes, when no controller answers', () => {
    const cluster = new TestCluster({ brokers: 1 }).up()
    cluster.world.kill('c1')
    cluster.world.stop('b1')
    cluster.run(299_000)
    expect(cluster.broker('b1').inspect().state).toBe('PENDING_CONTROLLED_SHUTDOWN')
    cluster.run(2_000)
    expect(downs(cluster, 'b1')).toEqual(['stop'])
  })

  it('does not ask anybody when controlled shutdown is off', () => {
    const cluster = new TestCluster({ brokers: 2, config: { 'controlled.shutdown.enable': false } }).up()
    cluster.world.stop('b1')
    cluster.run(100)
    expect(downs(cluster, 'b1')).toEqual(['stop'])
    expect(states(cluster, 'b1').at(-1)).toBe('SHUTTING_DOWN (asked)')
  })
})

describe('a broker that comes back within its session', () => {
  it('is told DUPLICATE_BROKER_REGISTRATION until the old session ends, and tries every 2 s', () => {
    const cluster = new TestCluster().up()
    cluster.world.kill('b2')
    cluster.world.start('b2')
    cluster.until(() => cluster.broker('b2').inspect().isServing, 15_000)
    const answers = cluster
      .of('response.receive')
      .filter((event) => event.node === 'b2' && event.data.api === 'BrokerRegistration')
      .map((event) => event.data.error)
    expect(answers.slice(1, -1).length).toBeGreaterThan(2)
    expect(new Set(answers.slice(1, -1))).toEqual(new Set(['DUPLICATE_BROKER_REGISTRATION']))
    expect(answers.at(-1)).toBe('')
  })
})

describe('a cluster of three controllers', () => {
  it('goes on under another controller when the active one dies', () => {
    const cluster = new TestCluster({ controllers: 3 }).up()
    const active = cluster.of('controller.active').at(-1)?.node as string
    cluster.world.kill(active)
    cluster.until(() => cluster.of('controller.active').at(-1)?.node !== active, 20_000)
    expect(cluster.createTopic('orders', 3)?.errorCode).toBe(Errors.NONE)
    cluster.run(12_000)
    const fenced = cluster.of('controller.broker').filter((event) => event.data.change === 'fenced')
    expect(fenced).toEqual([])
    expect(cluster.produce('orders-0', 'hello')?.errorCode).toBe(Errors.NONE)
  })
})

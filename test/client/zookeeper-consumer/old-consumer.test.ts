/** The old consumer beyond its znodes: settings, leaders, queues, what stops it. */
import { describe, expect, it } from 'vitest'
import { parseZookeeperConsumerConfig } from '../../../sim/client/zookeeper-consumer/zookeeper-consumer-config.js'
import { UsageError } from '../../../sim/kernel/errors.js'
import { Errors } from '../../../sim/wire/errors.js'
import { RecordBatch } from '../../../sim/wire/record-batch.js'
import type { IncomingRequestOf } from '../../../sim/wire/request-server.js'
import { fill } from '../applications.js'
import { fetchAnswer, must } from '../lab.js'
import { OldLab } from './old-lab.js'

function problems(given: Readonly<Record<string, unknown>>, newNames: readonly string[] = []): string[] {
  try {
    parseZookeeperConsumerConfig(given, new Set(newNames))
    return []
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return error.problems.map(({ message, mend }) => `${message}${mend === undefined ? '' : ` (${mend})`}`)
  }
}

describe('settings of an old consumer', () => {
  it('have the defaults of Kafka 1.1, some of them other settings', () => {
    expect(parseZookeeperConsumerConfig({ 'group.id': 'shop', 'zookeeper.sync.time.ms': 500 })).toMatchObject({
      'zookeeper.session.timeout.ms': 6_000,
      'zookeeper.connection.timeout.ms': 6_000,
      'rebalance.backoff.ms': 500,
      'rebalance.max.retries': 4,
      'auto.commit.interval.ms': 60_000,
      'queued.max.message.chunks': 2,
      'auto.offset.reset': 'largest',
      'fetch.wait.max.ms': 100,
      'client.id': 'shop',
    })
  })

  it.each([
    [
      { 'session.timeout.ms': 1 },
      "session.timeout.ms belongs to the new consumer (the old one's is zookeeper.session.timeout.ms)",
    ],
    [{ 'auto.offset.reset': 'earliest' }, "auto.offset.reset: earliest is the new consumer's (write smallest)"],
    [
      { 'max.poll.records': 5 },
      'max.poll.records belongs to the new consumer (leave it out: the old one has nothing like it)',
    ],
    [
      { 'offsets.storage': 'kafka' },
      'offsets.storage: offsets in Kafka are not simulated for old consumers (leave it out: offsets are kept in ZooKeeper)',
    ],
    [{ 'dual.commit.enabled': true }, 'dual.commit.enabled is not simulated for old consumers (leave it out)'],
    [{ 'rebalance.max.retry': 1 }, 'unknown setting rebalance.max.retry (did you mean rebalance.max.retries?)'],
    [{ 'auto.offset.reset': 'none' }, 'auto.offset.reset: expected one of smallest, largest, got "none"'],
    [
      { 'fetch.wait.max.ms': 500, 'socket.timeout.ms': 400 },
      'socket.timeout.ms (400) must not be below fetch.wait.max.ms (500) (or every fetch without records would time out)',
    ],
  ])('%j are refused', (given, message) => expect(problems(given, ['max.poll.records'])).toEqual([message]))
})

describe('an old consumer', () => {
  it('follows its partition to another leader, 200 ms after it looked for one', () => {
    const lab = new OldLab(1, 2, [1])
    fill(lab.partition('orders-0'), 1)
    const { got } = lab.member('g1')
    lab.after(500)
    lab.moveLeader('orders-0', 2)
    fill(lab.partition('orders-0'), 1)
    lab.after(600)
    expect(got).toEqual(['orders-0@0', 'orders-0@1'])
    expect(lab.sent('Fetch').at(-1)?.to).toBe('b2')
  })

  it('asks another broker where the leaders are when one does not answer', () => {
    const lab = new OldLab(1, 2, [1])
    lab.world.kill('b2')
    fill(lab.partition('orders-0'), 1)
    const { got } = lab.member('g1')
    lab.after(2_000)
    expect(got).toEqual(['orders-0@0'])
  })

  it('tries a fetch twice, rests, and looks for the leader', () => {
    const lab = new OldLab(1)
    lab.member('g1')
    lab.after(300)
    const asked = lab.sent('Metadata').length
    lab.next('Fetch', (request) => request.closeConnection(), 2)
    lab.after(1_000)
    const failed = lab.of('request.failed').map(({ data, time }) => ({ api: data.api, time }))
    expect(failed.map(({ api }) => api)).toEqual(['Fetch', 'Fetch'])
    const [again] = lab.sent('Metadata').slice(asked)
    const restedMs = (must(again).time - must(failed[1]).time) / 1_000
    expect(restedMs).toBeGreaterThanOrEqual(200)
    expect(restedMs).toBeLessThan(210)
  })

  it('fetches no further ahead than two chunks that wait, and one that finds no room', () => {
    const lab = new OldLab(1)
    const batches = Array.from({ length: 6 }, () => fill(lab.partition('orders-0'), 1))
    // One batch each time, as with a small fetch.message.max.bytes.
    const one = (request: IncomingRequestOf<'Fetch'>): void => {
      const { topic, topicId, partitions } = must(request.body.topics[0])
      const records = batches.filter(({ baseOffset }) => baseOffset === must(partitions[0]).fetchOffset)
      const responses = [{ topic, topicId, partitions: [fetchAnswer(0, { highWatermark: 6, records })] }]
      request.respond({ throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses, nodeEndpoints: [] })
    }
    lab.next('Fetch', one, 6)
    lab.member('g1', {}, true)
    lab.after(2_000)
    expect(lab.sent('Fetch').map(({ body }) => body.topics[0]?.partitions[0]?.fetchOffset)).toEqual([0, 1, 2])
  })

  it('is not given again what lies before its offset in a batch that was compacted', () => {
    const lab = new OldLab(1)
    const batch = fill(lab.partition('orders-0'), 3)
    for (const path of ['/consumers/shop', '/consumers/shop/offsets', '/consumers/shop/offsets/orders'])
      lab.create(path, '')
    lab.create('/consumers/shop/offsets/orders/0', '3')
    // The batch of offsets 0 to 2 is what the log has at 3, too: later records of it are gone.
    lab.next('Fetch', (request) => {
      const { topic, topicId } = must(request.body.topics[0])
      const responses = [{ topic, topicId, partitions: [fetchAnswer(0, { highWatermark: 4, records: [batch] })] }]
      request.respond({ throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses, nodeEndpoints: [] })
    })
    lab.after(20)
    const { got } = lab.member('g1')
    lab.after(300)
    expect(got).toEqual([])
  })

  it('does not begin without an ensemble', () => {
    const lab = new OldLab(1)
    lab.world.kill('z1')
    const made = lab.member('g1', { 'zookeeper.connection.timeout.ms': 1_500 })
    lab.after(1_400)
    expect(made.outcome).toBe('creating')
    lab.after(200)
    expect(made.outcome).toBe('ZK_TIMEOUT')
  })

  it('reads on while the ensemble is away, and commits when it is back', () => {
    const lab = new OldLab(1)
    fill(lab.partition('orders-0'), 1)
    const { got } = lab.member('g1', { 'auto.commit.interval.ms': 1_000 })
    lab.after(500)
    lab.world.kill('z1')
    fill(lab.partition('orders-0'), 1)
    lab.after(3_000)
    expect(got).toEqual(['orders-0@0', 'orders-0@1'])
    expect(lab.of('consumer.committed')).toEqual([])
    lab.world.start('z1')
    lab.after(4_000)
    expect(lab.of('consumer.committed').map(({ data }) => data.outcome)).toContain('ok')
    expect(lab.read('/consumers/shop/offsets/orders/0')).toBe('2')
  })

  it('ends its streams when it is shut down, with what was handed over committed and its znodes gone', () => {
    const lab = new OldLab(1)
    fill(lab.partition('orders-0'), 3)
    const member = lab.member('g1')
    lab.after(300)
    member.connector.shutdown(() => undefined)
    lab.after(300)
    expect(member.outcome).toBe('ended')
    expect(lab.read('/consumers/shop/offsets/orders/0')).toBe('3')
    expect(lab.read('/consumers/shop/owners/orders/0')).toBeUndefined()
    expect(lab.read('/consumers/shop/ids/shop_g1')).toBeUndefined()
  })

  it('meets a record that is rotten and hands over nothing more', () => {
    const lab = new OldLab(1)
    const batch = fill(lab.partition('orders-0'), 1)
    const bytes = batch.toBytes().slice()
    bytes[bytes.length - 2] = (must(bytes[bytes.length - 2]) + 1) % 256
    lab.next('Fetch', (request) =>
      request.respond({
        throttleTimeMs: 0,
        errorCode: Errors.NONE,
        sessionId: 0,
        nodeEndpoints: [],
        responses: [
          {
            topic: 'orders',
            topicId: must(request.body.topics[0]).topicId,
            partitions: [fetchAnswer(0, { highWatermark: 1, records: [must(RecordBatch.parse(bytes))] })],
          },
        ],
      }),
    )
    const member = lab.member('g1')
    lab.after(300)
    expect(member.got).toEqual([])
    expect(member.outcome).toBe('ended')
  })
})

import { describe, expect, it } from 'vitest'
import { Errors } from '../../../sim/wire/errors.js'
import { batch, makeCluster, produced, TOPIC, TOPIC_ID, valuesOf } from './harness.js'

const PRODUCER = { producerId: 7, producerEpoch: 0 }

describe('produce', () => {
  it('with acks=all is answered once every replica of the ISR has it', () => {
    const cluster = makeCluster({ minIsr: 2 })
    const call = cluster.produce(1, ['a', 'b'])
    cluster.pass(50)
    expect(produced(call)).toMatchObject({ errorCode: 0, baseOffset: 0, logAppendTimeMs: -1, logStartOffset: 0 })
    for (const id of [1, 2, 3]) expect(valuesOf(cluster.log(id))).toEqual(['0:a', '1:b'])
    expect(cluster.offsets(1)).toEqual({ hw: 2, end: 2 })
  })

  it('with acks=1 is answered after the append', () => {
    const cluster = makeCluster({ running: [1] })
    const call = cluster.produce(1, ['a'], { acks: 1 })
    cluster.pass(5)
    expect(produced(call)).toMatchObject({ errorCode: 0, baseOffset: 0 })
    expect(cluster.offsets(1)).toEqual({ hw: 0, end: 1 })
  })

  it('with acks=0 is not answered', () => {
    const cluster = makeCluster()
    cluster.produce(1, ['a'], { acks: 0 })
    cluster.pass(50)
    expect(valuesOf(cluster.log(2))).toEqual(['0:a'])
    expect(cluster.of('response.send', 'b1').filter((event) => event.data.api === 'Produce')).toEqual([])
  })

  it('with acks=0 and an error ends the connection', () => {
    const cluster = makeCluster()
    cluster.produce(2, ['a'], { acks: 0 })
    cluster.pass(50)
    expect(cluster.of('net.close', 't1').map((event) => event.data)).toMatchObject([{ peer: 'b2', reason: 'closed' }])
  })

  it.each([2, -2, 5])('with acks=%i is refused', (acks) => {
    const cluster = makeCluster()
    const call = cluster.produce(1, ['a'], { acks })
    cluster.pass(5)
    expect(produced(call)).toMatchObject({ errorCode: Errors.INVALID_REQUIRED_ACKS, baseOffset: -1 })
    expect(cluster.log(1).logEndOffset).toBe(0)
  })

  it('is refused before the append while the ISR is too small', () => {
    const cluster = makeCluster({ minIsr: 2, running: [1] })
    cluster.controller.change(TOPIC, 0, { isr: [1] })
    cluster.pass(5)
    const all = cluster.produce(1, ['a'])
    cluster.pass(5)
    expect(produced(all)).toMatchObject({ errorCode: Errors.NOT_ENOUGH_REPLICAS, baseOffset: -1, logStartOffset: 0 })
    expect(cluster.log(1).logEndOffset).toBe(0)
    const one = cluster.produce(1, ['a'], { acks: 1 })
    cluster.pass(5)
    expect(produced(one)).toMatchObject({ errorCode: 0, baseOffset: 0 })
  })

  it('takes min.insync.replicas for no more than there are replicas', () => {
    const cluster = makeCluster({ minIsr: 3, replicas: [[1, 2]] })
    const call = cluster.produce(1, ['a'])
    cluster.pass(50)
    expect(produced(call).errorCode).toBe(0)
  })

  it('is not done well when what is committed has too few replicas by then', () => {
    const cluster = makeCluster({ running: [1] })
    cluster.controller.change(TOPIC, 0, { isr: [1] })
    cluster.pass(5)
    cluster.produce(1, ['a'], { acks: 1 })
    cluster.pass(5)
    const partition = cluster.partition(1)
    expect(partition.acknowledgement(1)).toBe(Errors.NONE)
    expect(partition.acknowledgement(2)).toBeUndefined()
    cluster.controller.configure(TOPIC, 'min.insync.replicas', '2')
    cluster.pass(5)
    expect(partition.acknowledgement(1)).toBe(Errors.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
  })

  it('is answered REQUEST_TIMED_OUT, with its offset, when its time is up', () => {
    const cluster = makeCluster({ running: [1] })
    const call = cluster.produce(1, ['a'], { timeoutMs: 1_500 })
    cluster.pass(1_499)
    expect(call.response).toBeUndefined()
    cluster.pass(5)
    expect(produced(call)).toMatchObject({ errorCode: Errors.REQUEST_TIMED_OUT, baseOffset: 0 })
  })

  it('is answered NOT_LEADER_OR_FOLLOWER, with the new leader, when leadership goes while it waits', () => {
    const cluster = makeCluster({ running: [1] })
    const call = cluster.produce(1, ['a'])
    cluster.pass(5)
    cluster.controller.change(TOPIC, 0, { leader: 2 })
    cluster.pass(5)
    expect(produced(call)).toMatchObject({
      errorCode: Errors.NOT_LEADER_OR_FOLLOWER,
      currentLeader: { leaderId: 2, leaderEpoch: 1 },
    })
    expect(call.response).toMatchObject({ nodeEndpoints: [{ nodeId: 2, host: 'b2', port: 9092, rack: null }] })
  })

  it('is answered UNKNOWN_TOPIC_OR_PARTITION when the topic is deleted while it waits', () => {
    const cluster = makeCluster({ running: [1] })
    const call = cluster.produce(1, ['a'])
    cluster.pass(5)
    cluster.controller.deleteTopic(TOPIC)
    cluster.pass(5)
    expect(produced(call).errorCode).toBe(Errors.UNKNOWN_TOPIC_OR_PARTITION)
  })

  it('tells who leads from version 10 on', () => {
    const cluster = makeCluster()
    const [older, newer] = [9, 10].map((version) => cluster.produce(2, ['a'], { version }))
    cluster.pass(5)
    expect(produced(older as never).currentLeader).toEqual({ leaderId: -1, leaderEpoch: -1 })
    expect(produced(newer as never).currentLeader).toEqual({ leaderId: 1, leaderEpoch: 0 })
  })

  it('knows topics by name up to version 12, by id from 13 on', () => {
    const cluster = makeCluster()
    const byName = cluster.produce(1, ['a'], { version: 12 })
    const unknownName = cluster.produce(1, ['a'], { version: 12, topic: 'nowhere' })
    const unknownId = cluster.produce(1, ['a'], { topicId: 'nowherenowherenowhereA' })
    cluster.pass(100)
    expect(produced(byName).errorCode).toBe(Errors.NONE)
    expect(produced(unknownName).errorCode).toBe(Errors.UNKNOWN_TOPIC_OR_PARTITION)
    expect(produced(unknownId).errorCode).toBe(Errors.UNKNOWN_TOPIC_ID)
  })

  it('is refused where the partition is on other brokers', () => {
    const cluster = makeCluster({ replicas: [[1, 2]] })
    const call = cluster.produce(3, ['a'])
    const missing = cluster.produce(3, ['a'], { index: 7 })
    cluster.pass(5)
    expect(produced(call).errorCode).toBe(Errors.NOT_LEADER_OR_FOLLOWER)
    expect(produced(missing).errorCode).toBe(Errors.UNKNOWN_TOPIC_OR_PARTITION)
  })

  it('takes exactly one batch for each partition', () => {
    const cluster = makeCluster()
    const send = (records: readonly ReturnType<typeof batch>[] | null) =>
      cluster.send(1, 'Produce', {
        transactionalId: null,
        acks: 1,
        timeoutMs: 1_000,
        topicData: [{ name: '', topicId: TOPIC_ID, partitionData: [{ index: 0, records }] }],
      })
    const calls = [send(null), send([]), send([batch(['a']), batch(['b'])])]
    cluster.pass(20)
    for (const call of calls) expect(produced(call).errorCode).toBe(Errors.INVALID_RECORD)
    expect(cluster.log(1).logEndOffset).toBe(0)
  })

  it('keeps others away from Kafka’s own topics', () => {
    const cluster = makeCluster()
    cluster.controller.createTopic('__consumer_offsets', [[1]], 'offsetsoffsetsoffsetsA')
    cluster.pass(10)
    const call = cluster.produce(1, ['a'], { topic: '__consumer_offsets' })
    cluster.pass(10)
    expect(produced(call).errorCode).toBe(Errors.INVALID_TOPIC_EXCEPTION)
  })

  it('answers each partition for itself', () => {
    const cluster = makeCluster({
      replicas: [
        [1, 2, 3],
        [2, 3, 1],
      ],
    })
    const partitionData = [0, 1, 2].map((index) => ({ index, records: [batch([`v${index}`])] }))
    const call = cluster.send(1, 'Produce', {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1_000,
      topicData: [{ name: '', topicId: TOPIC_ID, partitionData }],
    })
    cluster.pass(50)
    expect(call.response?.responses[0]?.partitionResponses.map(({ index, errorCode }) => [index, errorCode])).toEqual([
      [0, Errors.NONE],
      [1, Errors.NOT_LEADER_OR_FOLLOWER],
      [2, Errors.UNKNOWN_TOPIC_OR_PARTITION],
    ])
  })

  it('answers a repeated batch with the offset of the first time', () => {
    const cluster = makeCluster()
    const first = cluster.produce(1, ['a', 'b'], { batch: { ...PRODUCER, baseSequence: 0 } })
    const other = cluster.produce(1, ['c'], { batch: { ...PRODUCER, baseSequence: 2 } })
    const again = cluster.produce(1, ['a', 'b'], { batch: { ...PRODUCER, baseSequence: 0 } })
    cluster.pass(100)
    expect([first, other, again].map((call) => produced(call).baseOffset)).toEqual([0, 2, 0])
    expect(valuesOf(cluster.log(1))).toEqual(['0:a', '1:b', '2:c'])
  })

  it('does not acknowledge a repeated batch before it is replicated', () => {
    const cluster = makeCluster({ running: [1] })
    cluster.produce(1, ['a'], { acks: 1, batch: { ...PRODUCER, baseSequence: 0 } })
    const again = cluster.produce(1, ['a'], { batch: { ...PRODUCER, baseSequence: 0 } })
    cluster.pass(20)
    expect(again.response).toBeUndefined()
    for (const replicaId of [2, 3]) cluster.fetch(1, 1, { replicaId, leaderEpoch: 0 })
    cluster.pass(20)
    expect(produced(again)).toMatchObject({ errorCode: 0, baseOffset: 0 })
  })

  it('tells what is wrong with a producer’s sequence or epoch, and where the log starts', () => {
    const cluster = makeCluster()
    cluster.produce(1, ['a'], { batch: { producerId: 7, producerEpoch: 1, baseSequence: 0 } })
    const gap = cluster.produce(1, ['b'], { batch: { producerId: 7, producerEpoch: 1, baseSequence: 5 } })
    const fenced = cluster.produce(1, ['c'], { batch: { producerId: 7, producerEpoch: 0, baseSequence: 1 } })
    cluster.pass(100)
    expect(produced(gap)).toMatchObject({ errorCode: Errors.OUT_OF_ORDER_SEQUENCE_NUMBER, logStartOffset: 0 })
    expect(produced(fenced)).toMatchObject({ errorCode: Errors.INVALID_PRODUCER_EPOCH, logStartOffset: 0 })
  })

  it('refuses a batch that is too large without telling of the log', () => {
    const cluster = makeCluster({ topic: { 'max.message.bytes': 100 } })
    const call = cluster.produce(1, ['x'.repeat(200)])
    cluster.pass(10)
    expect(produced(call)).toMatchObject({ errorCode: Errors.MESSAGE_TOO_LARGE, baseOffset: -1, logStartOffset: -1 })
  })

  it('names the records that it refuses', () => {
    const cluster = makeCluster({ topic: { 'cleanup.policy': 'compact' } })
    const call = cluster.produce(1, ['a', 'b'])
    cluster.pass(10)
    const answer = produced(call)
    expect(answer.errorCode).toBe(Errors.INVALID_RECORD)
    expect(answer.errorMessage).not.toBeNull()
    expect(answer.recordErrors.map((error) => error.batchIndex)).toEqual([0, 1])
  })

  it('tells the broker’s time where the topic stamps with it', () => {
    const cluster = makeCluster({ topic: { 'message.timestamp.type': 'LogAppendTime' } })
    const call = cluster.produce(1, ['a'])
    cluster.pass(50)
    const { wallMs } = cluster.broker(1).env.clock
    expect(produced(call).logAppendTimeMs).toBeGreaterThan(0)
    expect(produced(call).logAppendTimeMs).toBeLessThanOrEqual(wallMs.call(cluster.broker(1).env.clock))
  })
})

describe('a hanging disk', () => {
  it('holds an append of the leader up, and lets it go on in order', () => {
    const cluster = makeCluster()
    const hang = cluster.world.node('b1').disk.hang()
    const call = cluster.produce(1, ['a'])
    cluster.pass(2_000)
    expect(call.response).toBeUndefined()
    expect(cluster.log(1).logEndOffset).toBe(0)
    hang.remove()
    cluster.pass(50)
    expect(produced(call)).toMatchObject({ errorCode: 0, baseOffset: 0 })
  })

  it('makes an append fail that goes on when the broker leads no longer', () => {
    const cluster = makeCluster()
    const hang = cluster.world.node('b1').disk.hang()
    const call = cluster.produce(1, ['a'])
    cluster.pass(5)
    cluster.controller.change(TOPIC, 0, { leader: 2 })
    cluster.pass(5)
    hang.remove()
    cluster.pass(50)
    expect(produced(call).errorCode).toBe(Errors.NOT_LEADER_OR_FOLLOWER)
    expect(cluster.log(1).logEndOffset).toBe(0)
  })

  it('of a follower keeps it from telling that it has what it does not have', () => {
    const cluster = makeCluster({ minIsr: 2, config: { 'replica.lag.time.max.ms': 5_000 } })
    const hang = cluster.world.node('b2').disk.hang()
    const call = cluster.produce(1, ['a'])
    cluster.pass(2_000)
    expect(call.response).toBeUndefined()
    expect(cluster.log(2).logEndOffset).toBe(0)
    cluster.until(8_000)
    // It leaves the ISR, and the request is done without it.
    expect(cluster.partition(1).isrState.isr).toEqual([1, 3])
    expect(produced(call).errorCode).toBe(0)
    hang.remove()
    cluster.until(9_000)
    expect(cluster.partition(1).isrState.isr).toEqual([1, 3, 2])
    expect(valuesOf(cluster.log(2))).toEqual(['0:a'])
  })

  it('does not keep a follower with nothing to write from fetching', () => {
    const cluster = makeCluster({ config: { 'replica.lag.time.max.ms': 5_000 } })
    cluster.world.node('b2').disk.hang()
    cluster.until(30_000)
    expect(cluster.partition(1).isrState.isr).toEqual([1, 2, 3])
  })
})

describe('flush.messages=1', () => {
  it('answers after the flush of the leader, and lets followers tell after theirs', () => {
    const cluster = makeCluster({ topic: { 'flush.messages': 1 } })
    const call = cluster.produce(1, ['a'])
    cluster.pass(100)
    expect(produced(call).errorCode).toBe(0)
    const answered = cluster.of('response.send', 'b1').find((event) => event.data.api === 'Produce')
    const advanced = cluster.of('hw.advance', 'b1')[0]
    for (const node of ['b1', 'b2', 'b3']) {
      const flushed = cluster.of('log.flush', node)[0]
      expect(flushed?.seq).toBeLessThan(advanced?.seq ?? 0)
    }
    expect(advanced?.seq).toBeLessThan(answered?.seq ?? 0)
  })
})

describe('a failing disk', () => {
  it.each([
    ['io', 'fail'],
    ['full', 'full'],
  ] as const)('with %s errors takes the replicas offline, and the process down', (reason, fault) => {
    const cluster = makeCluster({
      replicas: [
        [1, 2, 3],
        [1, 2, 3],
      ],
    })
    if (fault === 'fail') cluster.world.node('b1').disk.fail()
    else cluster.world.node('b1').disk.full(0)
    const call = cluster.produce(1, ['a'])
    cluster.pass(20)
    expect(cluster.of('replica.offline', 'b1').map((event) => event.data)).toEqual([
      { partition: 'orders-0', reason },
      { partition: 'orders-1', reason },
    ])
    expect(cluster.of('node.down', 'b1')).toMatchObject([{ data: { how: 'halt' } }])
    expect(call.response === undefined || produced(call).errorCode === Errors.KAFKA_STORAGE_ERROR).toBe(true)
  })

  it('of a follower does not touch the others', () => {
    const cluster = makeCluster({ minIsr: 2, config: { 'replica.lag.time.max.ms': 2_000 } })
    cluster.world.node('b3').disk.fail()
    const call = cluster.produce(1, ['a'])
    cluster.pass(20)
    expect(cluster.of('node.down').map((event) => event.node)).toEqual(['b3'])
    cluster.pass(3_500)
    expect(produced(call).errorCode).toBe(0)
    expect(cluster.offsets(2).end).toBe(1)
  })
})

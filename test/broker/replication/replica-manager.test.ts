import { describe, expect, it } from 'vitest'
import { epochsOf, makeCluster, produced, TOPIC, valuesOf, type TestCluster } from './harness.js'

function append(cluster: TestCluster, ...values: string[]): void {
  for (const value of values) cluster.produce(1, [value])
  cluster.pass(50)
}

function role(cluster: TestCluster, id: number, index = 0): string {
  const { isLeader, leader, leaderEpoch } = cluster.partition(id, index)
  return `${isLeader ? 'leads' : `follows ${leader}`} in ${leaderEpoch}`
}

describe('metadata', () => {
  it('makes leaders and followers', () => {
    const cluster = makeCluster({
      replicas: [
        [1, 2],
        [2, 3],
        [3, 1],
      ],
    })
    expect(role(cluster, 1, 0)).toBe('leads in 0')
    expect(role(cluster, 2, 0)).toBe('follows 1 in 0')
    expect(role(cluster, 2, 1)).toBe('leads in 0')
    expect(cluster.broker(3).replicas.partition(TOPIC, 0)).toBeUndefined()
    expect([1, 2, 3].map((id) => cluster.broker(id).replicas.leaderCount())).toEqual([1, 1, 1])
    expect([...cluster.broker(1).replicas.partitions()].map((partition) => partition.name)).toEqual([
      'orders-0',
      'orders-2',
    ])
  })

  it('has a follower begin to fetch from a new leader where its log ends', () => {
    const cluster = makeCluster()
    append(cluster, 'a', 'b')
    cluster.controller.change(TOPIC, 0, { leader: 2 })
    cluster.pass(100)
    const call = cluster.produce(2, ['c'])
    cluster.pass(100)
    expect(produced(call).errorCode).toBe(0)
    for (const id of [1, 2, 3]) {
      expect(valuesOf(cluster.log(id))).toEqual(['0:a', '1:b', '2:c'])
      expect(epochsOf(cluster.log(id))).toEqual(['0@0', '1@2'])
    }
  })

  it('has a follower without a leader wait', () => {
    const cluster = makeCluster()
    cluster.controller.change(TOPIC, 0, { leader: -1 })
    cluster.pass(10)
    expect(cluster.broker(2).replicas.fetchers.stateOf('orders-0')).toBeUndefined()
    expect(role(cluster, 1)).toBe('follows -1 in 1')
    cluster.controller.change(TOPIC, 0, { leader: 3 })
    cluster.pass(10)
    expect(cluster.broker(2).replicas.fetchers.stateOf('orders-0')?.currentLeaderEpoch).toBe(2)
  })

  it('does not restart fetching while the leader epoch is the same', () => {
    const cluster = makeCluster()
    const state = cluster.broker(2).replicas.fetchers.stateOf('orders-0')
    cluster.controller.change(TOPIC, 0, { isr: [1, 2] })
    cluster.pass(10)
    expect(cluster.partition(2).partitionEpoch).toBe(1)
    expect(cluster.broker(2).replicas.fetchers.stateOf('orders-0')).toBe(state)
    expect(cluster.of('replica.follower', 'b2')).toHaveLength(1)
  })

  it('has one fetcher for each leader, and closes those without partitions', () => {
    const cluster = makeCluster({
      replicas: [
        [1, 2],
        [1, 2],
        [3, 2],
      ],
    })
    const { fetchers } = cluster.broker(2).replicas
    expect(fetchers.fetcherCount).toBe(2)
    cluster.controller.change(TOPIC, 2, { leader: 2 })
    cluster.pass(10)
    expect(fetchers.fetcherCount).toBe(1)
  })

  it('divides partitions among num.replica.fetchers by the hash of their names', () => {
    const cluster = makeCluster({
      config: { 'num.replica.fetchers': 2 },
      replicas: [
        [1, 2],
        [1, 2],
        [1, 2],
      ],
    })
    expect(cluster.broker(2).replicas.fetchers.fetcherCount).toBe(2)
    append(cluster, 'a')
    expect(cluster.log(2).logEndOffset).toBe(1)
  })

  it('deletes what is not assigned any more', () => {
    const cluster = makeCluster()
    append(cluster, 'a')
    cluster.controller.change(TOPIC, 0, { replicas: [1, 2], isr: [1, 2] })
    cluster.pass(10)
    expect(cluster.broker(3).replicas.partition(TOPIC, 0)).toBeUndefined()
    expect(cluster.of('replica.stopped', 'b3').map((event) => event.data)).toEqual([
      { partition: 'orders-0', deleted: true },
    ])
    expect(cluster.of('log.deleted', 'b3')).toHaveLength(1)
    cluster.controller.change(TOPIC, 0, { replicas: [1, 2, 3], adding: [3] })
    cluster.pass(1_500)
    expect(valuesOf(cluster.log(3))).toEqual(['0:a'])
    expect(cluster.partition(1).isrState.isr).toEqual([1, 2, 3])
  })

  it('keeps apart a topic and the one that was deleted before under its name, in one delta too', () => {
    const cluster = makeCluster()
    append(cluster, 'old')
    cluster.cut(2)
    cluster.controller.deleteTopic(TOPIC)
    cluster.controller.createTopic(TOPIC, [[1, 2, 3]], 'ordersordersordersordQ')
    cluster.pass(50)
    append(cluster, 'new')
    expect(valuesOf(cluster.log(3))).toEqual(['0:new'])
    // b2 still fetches the old one, and is told so.
    expect(valuesOf(cluster.log(2))).toEqual(['0:old'])
    cluster.connect(2)
    cluster.pass(2_000)
    expect(valuesOf(cluster.log(2))).toEqual(['0:new'])
  })

  it('changes the settings of logs', () => {
    const cluster = makeCluster({ minIsr: 1 })
    cluster.controller.configure(TOPIC, 'min.insync.replicas', '3')
    cluster.pass(10)
    expect(cluster.partition(1).effectiveMinIsr).toBe(3)
    cluster.controller.configure(TOPIC, 'min.insync.replicas', null)
    cluster.pass(10)
    expect(cluster.partition(1).effectiveMinIsr).toBe(1)
  })

  it('in controlled shutdown stops replicas that have no leader, or are out of the ISR', () => {
    const cluster = makeCluster({
      replicas: [
        [1, 2, 3],
        [1, 2, 3],
      ],
    })
    cluster.broker(2).replicas.beginControlledShutdown()
    cluster.controller.change(TOPIC, 0, { isr: [1, 3] })
    cluster.controller.change(TOPIC, 1, { leader: 3 })
    cluster.pass(10)
    const { fetchers } = cluster.broker(2).replicas
    expect(fetchers.stateOf('orders-0')).toBeUndefined()
    expect(fetchers.stateOf('orders-1')).toBeDefined()
    expect(cluster.of('replica.stopped', 'b2').map((event) => event.data)).toEqual([
      { partition: 'orders-0', deleted: false },
    ])
  })
})

describe('high watermarks on disk', () => {
  it('are written every 5 s, and are where a killed broker begins again', () => {
    const cluster = makeCluster()
    append(cluster, 'a', 'b')
    cluster.until(6_000)
    append(cluster, 'c')
    cluster.until(7_000)
    expect(cluster.offsets(1)).toEqual({ hw: 3, end: 3 })
    cluster.kill(1)
    cluster.start(1)
    cluster.pass(3)
    // testUseCheckpointToInitializeHighWatermark
    expect(cluster.lines('hw.set').at(-1)).toMatch(/b1 hw.set orders-0 from=0 to=2 reason=open$/)
  })

  it('are written at shutdown', () => {
    const cluster = makeCluster()
    append(cluster, 'a', 'b', 'c')
    cluster.pass(600)
    cluster.world.stop('b2')
    cluster.pass(100)
    cluster.brokers.delete(2)
    expect(cluster.of('node.down', 'b2')).toMatchObject([{ data: { how: 'stop' } }])
    cluster.start(2)
    cluster.pass(3)
    expect(cluster.of('log.open', 'b2').at(-1)?.data).toMatchObject({ logEnd: 3, clean: true })
    expect(cluster.lines('hw.set').at(-1)).toMatch(/b2 hw.set orders-0 from=0 to=3 reason=open$/)
  })

  it('are not believed beyond the log', () => {
    const cluster = makeCluster()
    append(cluster, 'a', 'b', 'c')
    cluster.until(6_000)
    cluster.powerLoss(1)
    cluster.controller.lose(1)
    cluster.start(1)
    cluster.pass(2)
    const opened = cluster.of('log.open', 'b1').at(-1)?.data
    const set = cluster.of('hw.set', 'b1').at(-1)?.data
    expect(set?.to).toBeLessThanOrEqual(opened?.logEnd ?? -1)
    cluster.pass(2_500)
    expect(valuesOf(cluster.log(1))).toEqual(['0:a', '1:b', '2:c'])
  })
})

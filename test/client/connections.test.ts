/** Cases of Kafka's NetworkClientTest that decide whom a client talks to. */

import { describe, expect, it } from 'vitest'
import { ClusterClient, NEVER, type MetadataSource } from '../../sim/client/cluster-client.js'
import type { ClusterNode } from '../../sim/client/metadata-snapshot.js'
import { parseProducerConfig } from '../../sim/client/producer-config.js'
import { nodeName } from '../../sim/kernel/names.js'
import { Errors } from '../../sim/wire/errors.js'
import { consuming, producing } from './applications.js'
import { Lab, must } from './lab.js'

const node = (id: number): ClusterNode => ({ id, host: nodeName(id) })

/** A cluster client on node p1 with nothing above it. */
function talking(brokers: number) {
  const lab = new Lab(brokers)
  const source: MetadataSource & { due: boolean; losses: number } = {
    nodes: lab.brokers.map((_, i) => node(i + 1)),
    due: false,
    losses: 0,
    isUpdateDue: () => source.due,
    connectionLost: () => void source.losses++,
  }
  let wakes = 0
  const cluster = lab.client(
    'p1',
    (env) => new ClusterClient(env, parseProducerConfig(), source, { maxInFlight: 2, onWake: () => wakes++ }),
  )
  const now = (): number => must(lab.world.node('p1').env).clock.wallMs()
  const connect = (...ids: number[]): void => {
    for (const id of ids) cluster.ready(node(id), now())
    lab.after(5)
  }
  return { lab, source, cluster, now, connect, wakes: () => wakes }
}

const ASK = {
  topics: [],
  allowAutoTopicCreation: false,
  includeClusterAuthorizedOperations: false,
  includeTopicAuthorizedOperations: false,
}

describe('a node', () => {
  it('is ready once it has told its API versions', () => {
    const { lab, cluster, now } = talking(1)
    lab.next('ApiVersions', (request) => lab.later(50, () => lab.answer(request)))
    expect(cluster.ready(node(1), now())).toBe(false)
    lab.after(40)
    expect([cluster.isConnecting(node(1)), cluster.isReady(node(1))]).toEqual([true, false])
    lab.after(20)
    expect([cluster.isConnecting(node(1)), cluster.ready(node(1), now())]).toEqual([false, true])
    expect(lab.sent('ApiVersions')).toHaveLength(1)
  })

  it('is not ready while metadata is due, so that metadata goes first', () => {
    const { cluster, source, now, connect } = talking(1)
    connect(1)
    source.due = true
    expect([cluster.ready(node(1), now()), cluster.canSend(node(1))]).toEqual([false, true])
  })

  it('is not ready with too many requests in flight', () => {
    const { lab, cluster, now, connect } = talking(1)
    connect(1)
    lab.next('Metadata', () => {})
    cluster.send(node(1), 'Metadata', ASK, () => {})
    expect(cluster.ready(node(1), now())).toBe(true)
    cluster.send(node(1), 'Metadata', ASK, () => {})
    expect([cluster.ready(node(1), now()), cluster.inFlight]).toEqual([false, 2])
  })

  it('that refuses its API versions is dropped', () => {
    const { lab, cluster, connect } = talking(1)
    lab.next('ApiVersions', (request) =>
      request.respond({
        errorCode: Errors.UNKNOWN_SERVER_ERROR,
        apiKeys: [],
        throttleTimeMs: 0,
        supportedFeatures: [],
        finalizedFeaturesEpoch: -1,
        finalizedFeatures: [],
        zkMigrationReady: false,
      }),
    )
    connect(1)
    expect([cluster.isReady(node(1)), cluster.isUnavailable(node(1))]).toEqual([false, true])
  })

  it('that was lost is left alone for a while, and asks for metadata once', () => {
    const { lab, cluster, source, now, connect } = talking(1)
    connect(1)
    const failures: string[] = []
    lab.next('Metadata', () => {}, 2)
    for (let i = 0; i < 2; i++)
      cluster.send(node(1), 'Metadata', ASK, (result) =>
        failures.push(`${result.ok ? 'ok' : result.reason} ${source.losses}`),
      )
    lab.after(5)
    lab.world.kill('b1')
    lab.after(5)
    expect([failures, source.losses]).toEqual([['disconnected 1', 'disconnected 1'], 1])
    expect(cluster.isUnavailable(node(1))).toBe(true)
    const delay = cluster.pollDelayMs(node(1))
    expect(delay).toBeGreaterThan(30)
    expect(delay).toBeLessThanOrEqual(60)
    lab.world.start('b1')
    lab.after(delay + 1)
    expect(cluster.ready(node(1), now())).toBe(false)
    expect(cluster.pollDelayMs(node(1))).toBe(NEVER)
    lab.after(5)
    expect(cluster.ready(node(1), now())).toBe(true)
  })

  it('whose process hangs takes connections but is never ready', () => {
    const { lab, cluster, now } = talking(1)
    lab.world.pause('b1')
    cluster.ready(node(1), now())
    lab.after(10_000)
    expect([cluster.isConnecting(node(1)), cluster.isReady(node(1))]).toEqual([true, false])
  })
})

describe('a request that waits for its node', () => {
  it('goes as soon as the node is ready', () => {
    const { lab, cluster } = talking(1)
    let answered = false
    cluster.sendWhenReady(node(1), 'Metadata', ASK, (result) => (answered = result.ok))
    lab.after(10)
    expect(answered).toBe(true)
  })

  it('fails when the node cannot be reached, now or because of the backoff', () => {
    const { lab, cluster } = talking(1)
    lab.world.kill('b1')
    const failures: string[] = []
    const ask = (): void =>
      cluster.sendWhenReady(node(1), 'Metadata', ASK, (result) => failures.push(result.ok ? 'ok' : result.reason))
    ask()
    lab.after(5)
    ask()
    expect(failures).toEqual(['disconnected'])
    lab.after(1)
    expect(failures).toEqual(['disconnected', 'disconnected'])
  })
})

describe('the least loaded node', () => {
  it('is a ready one without requests in flight', () => {
    const { lab, cluster, connect } = talking(3)
    connect(1, 2)
    lab.next('Metadata', () => {}, 9)
    cluster.send(node(1), 'Metadata', ASK, () => {})
    for (let i = 0; i < 10; i++) expect(cluster.leastLoaded()).toEqual({ node: node(2), anyReady: true })
  })

  it('is the one with fewest requests, when all have some', () => {
    const { lab, cluster, connect } = talking(2)
    connect(1, 2)
    lab.next('Metadata', () => {}, 9)
    cluster.send(node(1), 'Metadata', ASK, () => {})
    cluster.send(node(2), 'Metadata', ASK, () => {})
    cluster.send(node(2), 'Metadata', ASK, () => {})
    for (let i = 0; i < 10; i++) expect(cluster.leastLoaded().node).toEqual(node(1))
  })

  it('is one being connected to, before one that nobody tried', () => {
    const { cluster, now } = talking(3)
    cluster.ready(node(2), now())
    for (let i = 0; i < 10; i++) expect(cluster.leastLoaded()).toEqual({ node: node(2), anyReady: false })
  })

  it('is nobody while all of them back off', () => {
    const { lab, cluster, connect } = talking(2)
    lab.world.kill('b1')
    lab.world.kill('b2')
    connect(1, 2)
    expect(cluster.leastLoaded()).toEqual({ node: undefined, anyReady: false })
  })
})

describe('a client that can reach none of the brokers it knows', () => {
  it.each([
    ['rebootstrap', 'orders-0@1'],
    ['none', 'open'],
  ])('with recovery strategy %s: its second record is %s (KIP-899)', (strategy, outcome) => {
    // b9 is the bootstrap server; it names b1 only, which dies.
    const lab = new Lab(1)
    lab.topic('orders', 1)
    lab.addBroker('b9')
    lab.next('Metadata', (request) => {
      const answer = lab.metadata(request.body)
      request.respond({ ...answer, brokers: answer.brokers.slice(0, 1) })
    })
    const config = { 'linger.ms': 0, 'enable.idempotence': false, 'metadata.recovery.strategy': strategy }
    const app = producing(lab, config, 'p1', ['b9'])
    app.send()
    lab.until(100)
    expect(app.outcome(0)).toBe('orders-0@0')
    lab.world.kill('b1')
    lab.moveLeader('orders-0', 9)
    app.send()
    lab.until(5_000)
    expect(app.outcome(1)).toBe(outcome)
  })

  it('stays with them where that is asked for, and waits', () => {
    const lab = new Lab(1)
    lab.topic('orders', 1)
    const app = consuming(lab, { 'metadata.recovery.strategy': 'none', 'auto.offset.reset': 'earliest' })
    lab.until(100)
    lab.world.kill('b1')
    lab.until(3_000)
    lab.world.start('b1')
    lab.until(6_000)
    expect(app.consumer.position('orders-0')).toBe(0)
  })
})

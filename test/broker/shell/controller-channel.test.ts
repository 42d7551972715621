import { describe, expect, it } from 'vitest'
import { type ChannelResult, ControllerChannel } from '../../../sim/broker/controller-channel.js'
import { Engine } from '../../../sim/kernel/engine.js'
import type { Env } from '../../../sim/kernel/env.js'
import type { NodeName } from '../../../sim/kernel/names.js'
import { millis } from '../../../sim/kernel/units.js'
import { Errors } from '../../../sim/wire/errors.js'
import { RequestClient } from '../../../sim/wire/request-client.js'
import { type IncomingRequest, serve } from '../../../sim/wire/request-server.js'
import { World } from '../../../sim/world/world.js'

const BODY = { brokerId: 1, brokerEpoch: 5 }

/** A broker b1 with a channel, and the controllers c1 and c2, whose answers are the test's. */
class Bench {
  readonly engine = new Engine('controller-channel')
  readonly world = new World(this.engine)
  /** What the broker's raft client would say. */
  leader: NodeName | undefined
  /** How each controller answers AllocateProducerIds; undefined: not at all. */
  readonly rules = new Map<NodeName, (request: IncomingRequest) => void>()
  /** `c1@ms` for each request that reached a controller. */
  readonly received: string[] = []
  readonly results: { readonly atMs: number; readonly result: ChannelResult<'AllocateProducerIds'> }[] = []
  channel!: ControllerChannel

  constructor(retryTimeoutMs = 60_000, socketTimeoutMs = 30_000) {
    this.world.addNode('b1', (env) => this.#bootBroker(env, retryTimeoutMs, socketTimeoutMs))
    for (const name of ['c1', 'c2']) this.world.addNode(name, (env) => this.#bootController(env))
    this.world.start('b1')
  }

  send(): void {
    this.channel.send('AllocateProducerIds', BODY, (result) => this.results.push({ atMs: this.nowMs, result }))
  }

  run(ms: number): void {
    this.engine.run(this.engine.now + millis(ms))
  }

  get nowMs(): number {
    return Math.floor(this.engine.now / 1_000)
  }

  grants(controller: NodeName): void {
    this.answers(controller, Errors.NONE)
  }

  answers(controller: NodeName, errorCode: number): void {
    this.rules.set(controller, (request) => {
      if (request.api !== 'AllocateProducerIds') throw new Error(request.api)
      request.respond({ throttleTimeMs: 0, errorCode, producerIdStart: 1_000, producerIdLen: 1_000 })
    })
  }

  #bootBroker(env: Env, retryTimeoutMs: number, socketTimeoutMs: number) {
    this.channel = new ControllerChannel(env, {
      retryTimeoutMs,
      socketTimeoutMs,
      controller: () => this.leader,
      requests: new RequestClient(env, {
        clientId: '1',
        requestTimeoutMs: 30_000,
        reconnectBackoffMs: 50,
        reconnectBackoffMaxMs: 50,
        maxInFlight: 1,
      }),
    })
    return { stop: (done: () => void) => done() }
  }

  #bootController(env: Env) {
    serve(env, (request) => {
      this.received.push(`${env.node}@${this.nowMs}`)
      this.rules.get(env.node)?.(request)
    })
    return { stop: (done: () => void) => done() }
  }
}

describe('the channel to the controller', () => {
  it('sends to the leader that raft names and hands its answer over', () => {
    const bench = new Bench()
    bench.world.start('c1')
    bench.leader = 'c1'
    bench.grants('c1')
    bench.send()
    bench.run(100)
    expect(bench.results).toHaveLength(1)
    expect(bench.results[0]?.result).toMatchObject({ ok: true, response: { producerIdStart: 1_000 } })
    expect(bench.channel.activeController).toBe('c1')
  })

  it('keeps requests while no leader is known and looks for one every 100 ms', () => {
    const bench = new Bench()
    bench.world.start('c1')
    bench.grants('c1')
    bench.send()
    bench.run(250)
    expect(bench.channel.queueSize).toBe(1)
    bench.leader = 'c1'
    bench.run(250)
    expect(bench.received).toHaveLength(1)
    expect(Number(bench.received[0]?.split('@')[1])).toBeGreaterThanOrEqual(300)
    expect(bench.results).toHaveLength(1)
  })

  it('gives a request up when no leader was found in time', () => {
    const bench = new Bench(2_000)
    bench.send()
    bench.run(1_999)
    expect(bench.results).toEqual([])
    bench.run(1)
    expect(bench.results).toEqual([{ atMs: 2_000, result: { ok: false, reason: 'timeout' } }])
    expect(bench.channel.queueSize).toBe(0)
  })

  it('asks the new controller when the old one says NOT_CONTROLLER', () => {
    const bench = new Bench()
    bench.world.start('c1')
    bench.world.start('c2')
    bench.leader = 'c1'
    bench.rules.set('c1', (request) => {
      bench.leader = 'c2'
      bench.answers('c1', Errors.NOT_CONTROLLER)
      bench.rules.get('c1')?.(request)
    })
    bench.grants('c2')
    bench.send()
    bench.run(200)
    expect(bench.received.map((line) => line.split('@')[0])).toEqual(['c1', 'c2'])
    expect(bench.results).toHaveLength(1)
    expect(bench.results[0]?.result.ok).toBe(true)
    expect(bench.channel.activeController).toBe('c2')
  })

  it('goes on asking a leader that says NOT_CONTROLLER, every 50 ms, for as long as raft names it', () => {
    const bench = new Bench()
    bench.world.start('c1')
    bench.leader = 'c1'
    bench.answers('c1', Errors.NOT_CONTROLLER)
    bench.send()
    bench.run(1_000)
    expect(bench.results).toEqual([])
    expect(bench.received.length).toBeGreaterThan(10)
    expect(bench.received.length).toBeLessThanOrEqual(21)
  })

  it('asks the new controller when the connection to the old one is lost', () => {
    const bench = new Bench()
    bench.world.start('c1')
    bench.world.start('c2')
    bench.leader = 'c1'
    bench.grants('c2')
    bench.send()
    bench.run(50)
    bench.leader = 'c2'
    bench.world.kill('c1')
    bench.run(50)
    expect(bench.results).toHaveLength(1)
    expect(bench.channel.activeController).toBe('c2')
  })

  it('keeps to the old controller for as long as that answers', () => {
    const bench = new Bench()
    bench.world.start('c1')
    bench.leader = 'c1'
    bench.grants('c1')
    bench.send()
    bench.run(50)
    bench.leader = 'c2'
    bench.send()
    bench.run(50)
    expect(bench.received.map((line) => line.split('@')[0])).toEqual(['c1', 'c1'])
  })

  it('gives a request up when the controller does not answer within the retry timeout', () => {
    const bench = new Bench(2_000)
    bench.world.start('c1')
    bench.leader = 'c1'
    bench.send()
    bench.run(2_100)
    expect(bench.results).toHaveLength(1)
    expect(bench.results[0]?.result).toEqual({ ok: false, reason: 'timeout' })
  })

  it('has one request on its way at a time', () => {
    const bench = new Bench()
    bench.world.start('c1')
    bench.leader = 'c1'
    bench.send()
    bench.send()
    bench.run(1_000)
    expect(bench.received).toHaveLength(1)
    expect(bench.channel.queueSize).toBe(1)
  })

  it('calls nobody back after its shutdown and leaves nothing scheduled', () => {
    const bench = new Bench()
    bench.send()
    bench.channel.shutdown()
    expect(bench.engine.pending).toBe(0)
    bench.run(100_000)
    expect(bench.results).toEqual([])
  })
})

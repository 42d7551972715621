/** What sessions may and may not: moves, stale servers, identities, service without a quorum, disks that lie. */

import { describe, expect, it } from 'vitest'
import type { Env } from '../../sim/kernel/env.js'
import type { EventOf } from '../../sim/kernel/events.js'
import { ZooKeeperHistory } from '../../sim/oracle/zookeeper.js'
import { OPEN_ACL, PERMS, type Acl } from '../../sim/zookeeper/api.js'
import { ZooKeeperFrame, type ClientMessage } from '../../sim/zookeeper/messages.js'
import { digestIdentity } from '../../sim/zookeeper/tree/acl.js'
import { bytes, Ensemble } from './lab.js'

function settled(servers = 3, observers = 0, config: Record<string, unknown> = {}): Ensemble {
  const ensemble = new Ensemble({ servers, observers, config })
  ensemble.startAll()
  expect(ensemble.runUntil(() => ensemble.isSettled)).toBe(true)
  return ensemble
}

/** A connection of which the test says every word. */
class RawClient {
  readonly got: ClientMessage[] = []
  closed: string | undefined
  readonly #connection

  constructor(ensemble: Ensemble, env: Env, server: string) {
    this.#connection = env.network.connect(server, {
      onFrame: (frame) => this.got.push(frame.body as ClientMessage),
      onClose: (reason) => (this.closed = reason),
    })
    ensemble.run(5)
  }

  send(message: ClientMessage): void {
    this.#connection.send(new ZooKeeperFrame(message))
  }
}

function rawEnv(ensemble: Ensemble): Env {
  let env: Env | undefined
  ensemble.world.addNode('raw', (given) => {
    env = given
    return { stop: (done) => done() }
  })
  ensemble.world.start('raw')
  ensemble.run(0)
  return env as Env
}

const create = (path: string) => ({ type: 'create', path, data: null, acl: OPEN_ACL, mode: 'PERSISTENT' }) as const

describe('a session that moves to another server', () => {
  it('may not be used at the old one: what comes from there is refused with SESSIONMOVED, and the connection ends', () => {
    const ensemble = settled()
    const errors: string[] = []
    ensemble.engine.trace.watch(['zk.apply'], (event) => {
      if (event.type === 'zk.apply' && event.data.type === 'error') errors.push(event.node)
    })
    const env = rawEnv(ensemble)
    const old = new RawClient(ensemble, env, 'z1')
    old.send({ type: 'connect', lastZxidSeen: 0, timeoutMs: 6_000, session: '0x0000000000000000' })
    ensemble.run(20)
    const established = old.got[0] as ClientMessage & { type: 'connected' }
    expect(established).toMatchObject({ type: 'connected', timeoutMs: 6_000 })
    const moved = new RawClient(ensemble, env, 'z2')
    moved.send({ type: 'connect', lastZxidSeen: 0, timeoutMs: 6_000, session: established.session })
    ensemble.run(20)
    expect(moved.got[0]).toMatchObject({ type: 'connected', session: established.session })
    old.send({ type: 'request', xid: 1, operation: create('/old') })
    moved.send({ type: 'request', xid: 2, operation: create('/new') })
    ensemble.run(50)
    expect(old.closed).toBe('closed')
    expect(old.got).toHaveLength(1)
    expect(moved.got[1]).toMatchObject({ type: 'reply', xid: 2, error: 'OK' })
    expect(errors).toHaveLength(3)
  })

  it('at the same server takes over from the connection before', () => {
    const ensemble = settled()
    const env = rawEnv(ensemble)
    const first = new RawClient(ensemble, env, 'z1')
    first.send({ type: 'connect', lastZxidSeen: 0, timeoutMs: 6_000, session: '0x0000000000000000' })
    ensemble.run(20)
    const { session } = first.got[0] as ClientMessage & { type: 'connected' }
    const second = new RawClient(ensemble, env, 'z1')
    second.send({ type: 'connect', lastZxidSeen: 0, timeoutMs: 6_000, session })
    ensemble.run(20)
    expect(first.closed).toBe('closed')
    expect(second.got[0]).toMatchObject({ type: 'connected', session })
  })
})

describe('a server', () => {
  it('refuses a client that has seen more than it has itself', () => {
    const ensemble = settled()
    const raw = new RawClient(ensemble, rawEnv(ensemble), 'z1')
    raw.send({ type: 'connect', lastZxidSeen: 2 ** 40, timeoutMs: 6_000, session: '0x0000000000000000' })
    ensemble.run(20)
    expect([raw.got, raw.closed]).toEqual([[], 'closed'])
  })

  it('tells a client whose session nobody knows that it has expired', () => {
    const ensemble = settled()
    const raw = new RawClient(ensemble, rawEnv(ensemble), 'z1')
    raw.send({ type: 'connect', lastZxidSeen: 0, timeoutMs: 6_000, session: '0x0100000000000099' })
    ensemble.run(20)
    expect(raw.got).toMatchObject([{ type: 'connected', timeoutMs: 0 }])
    expect(raw.closed).toBe('closed')
  })

  it('serves nobody without a quorum, not even reads', () => {
    const ensemble = settled()
    const client = ensemble.client('k1', 6_000, ['z1'])
    expect(client.ask((zk, done) => zk.create('/a', null, 'PERSISTENT', done))).toBe('/a v0')
    ensemble.world.kill('z2')
    ensemble.world.kill('z3')
    ensemble.run(15_000)
    expect(client.ask((zk, done) => zk.exists('/a', false, done))).toBe('CONNECTIONLOSS')
    expect(client.events).toEqual(['connected', 'disconnected'])
    ensemble.start('z2')
    ensemble.runUntil(() => client.zk.state === 'CONNECTED')
    // Sessions outlive the time without a leader: the next one gives them their timeout anew.
    expect(client.ask((zk, done) => zk.exists('/a', false, done))).toBe('v0')
  })

  it('that observes serves its clients and does not count for the quorum', () => {
    const ensemble = settled(3, 1)
    const client = ensemble.client('k1', 6_000, ['z4'])
    expect(client.ask((zk, done) => zk.create('/a', bytes('x'), 'EPHEMERAL', done))).toBe('/a v0')
    expect(client.ask((zk, done) => zk.sync('/', done))).toBe('/')
    const commits: EventOf<'zk.commit'>[] = []
    ensemble.engine.trace.watch(['zk.commit'], (event) => event.type === 'zk.commit' && commits.push(event))
    expect(client.ask((zk, done) => zk.setData('/a', bytes('y'), 0, done))).toBe('v1')
    expect(commits[0]?.data.acks).not.toContain(4)
    ensemble.world.kill('z1')
    ensemble.world.kill('z2')
    ensemble.run(15_000)
    expect(client.ask((zk, done) => zk.exists('/a', false, done))).toBe('CONNECTIONLOSS')
  })
})

describe('a session client', () => {
  it('fails what was in flight with CONNECTIONLOSS, and everything after its expiry with SESSIONEXPIRED', () => {
    const ensemble = settled()
    const client = ensemble.client('k1', 4_000)
    client.ask((zk, done) => zk.create('/a', null, 'EPHEMERAL', done))
    const answers: string[] = []
    const cut = ensemble.world.network.partition([['k1'], ['z1', 'z2', 'z3']])
    client.zk.exists('/a', false, (result) => answers.push(result.ok ? 'ok' : result.error))
    ensemble.run(20_000)
    expect(answers).toEqual(['CONNECTIONLOSS'])
    cut.remove()
    ensemble.runUntil(() => client.zk.state === 'CLOSED')
    client.zk.exists('/a', false, (result) => answers.push(result.ok ? 'ok' : result.error))
    expect(answers).toHaveLength(1)
    ensemble.run(1)
    expect(answers).toEqual(['CONNECTIONLOSS', 'SESSIONEXPIRED'])
    expect(client.events).toEqual(['connected', 'disconnected', 'expired'])
  })

  it('answers in the order of the calls', () => {
    const ensemble = settled()
    const client = ensemble.client('k1')
    const order: number[] = []
    for (let i = 0; i < 40; i++) {
      const done = (): void => void order.push(i)
      if (i % 3 === 0) client.zk.create('/n-', null, 'PERSISTENT_SEQUENTIAL', done)
      else if (i % 3 === 1) client.zk.getChildren('/', false, done)
      else client.zk.sync('/', done)
    }
    ensemble.run(1_000)
    expect(order).toEqual(Array.from({ length: 40 }, (_, i) => i))
  })

  it('keeps its session alive by pings alone', () => {
    const ensemble = settled()
    const client = ensemble.client('k1', 4_000)
    ensemble.run(600_000)
    expect(client.events).toEqual(['connected'])
  })
})

describe('a znode with an ACL', () => {
  it('is for those who can show who they are', () => {
    const ensemble = settled()
    const alice = ensemble.client('alice')
    const bob = ensemble.client('bob')
    alice.ask((zk, done) => zk.exists('/', false, done))
    alice.zk.addAuth('alice', 'secret')
    const acl: readonly Acl[] = [
      { perms: PERMS.READ, scheme: 'world', id: 'anyone' },
      { perms: PERMS.ALL, scheme: 'auth', id: '' },
    ]
    expect(alice.ask((zk, done) => zk.create('/mine', bytes('x'), 'PERSISTENT', done, acl))).toBe('/mine v0')
    expect(bob.ask((zk, done) => zk.setData('/mine', bytes('y'), -1, done))).toBe('NOAUTH')
    expect(bob.ask((zk, done) => zk.getData('/mine', false, done))).toBe('x v0')
    expect(bob.ask((zk, done) => zk.create('/mine/child', null, 'PERSISTENT', done))).toBe('NOAUTH')
    expect(bob.ask((zk, done) => zk.setAcl('/mine', OPEN_ACL, -1, done))).toBe('NOAUTH')
    expect(alice.ask((zk, done) => zk.setData('/mine', bytes('y'), -1, done))).toBe('v1')
    const seen = new Map<string, readonly Acl[]>()
    for (const client of [alice, bob]) {
      client.ask((zk, done) =>
        zk.getAcl('/mine', (result) => {
          if (result.ok) seen.set(client.name, result.acl)
          done(result)
        }),
      )
    }
    expect(seen.get('alice')?.[1]?.id).toBe(digestIdentity('alice', 'secret'))
    expect(seen.get('bob')?.[1]?.id).toBe('alice:x')
    expect(alice.ask((zk, done) => zk.setAcl('/mine', OPEN_ACL, 0, done))).toBe('v1')
    expect(alice.ask((zk, done) => zk.setAcl('/mine', OPEN_ACL, 0, done))).toBe('BADVERSION')
    expect(bob.ask((zk, done) => zk.create('/mine/child', null, 'PERSISTENT', done))).toBe('/mine/child v0')
    expect(bob.ask((zk, done) => zk.create('/bad', null, 'PERSISTENT', done, []))).toBe('INVALIDACL')
  })

  it('is shown again to the next server', () => {
    const ensemble = settled()
    const alice = ensemble.client('alice', 6_000, ['z1', 'z2'])
    alice.ask((zk, done) => zk.exists('/', false, done))
    alice.zk.addAuth('alice', 'secret')
    const acl: readonly Acl[] = [{ perms: PERMS.ALL, scheme: 'auth', id: '' }]
    alice.ask((zk, done) => zk.create('/mine', null, 'PERSISTENT', done, acl))
    const connected = ensemble.runUntil(() => alice.zk.state === 'CONNECTED')
    expect(connected).toBe(true)
    ensemble.world.kill('z1')
    ensemble.start('z1')
    ensemble.runUntil(() => ensemble.isSettled)
    ensemble.world.kill('z2')
    ensemble.start('z2')
    ensemble.runUntil(() => ensemble.isSettled && alice.zk.state === 'CONNECTED')
    expect(alice.events.filter((event) => event === 'connected').length).toBeGreaterThan(1)
    expect(alice.ask((zk, done) => zk.getData('/mine', false, done))).toBe('v0')
  })
})

describe('an ensemble whose disks lie, and of which nobody says so', () => {
  /** What the oracle finds after everybody has lost power. */
  function lost(seed: string): string[] {
    const ensemble = new Ensemble({ servers: 3, seed })
    const oracle = new ZooKeeperHistory()
    ensemble.engine.trace.watch(oracle.watches, (event) => oracle.observe(event))
    ensemble.startAll()
    ensemble.runUntil(() => ensemble.isSettled)
    for (const name of ensemble.names) ensemble.world.node(name).disk.lie()
    const client = ensemble.client('k1')
    for (const path of ['/a', '/b', '/c']) client.ask((zk, done) => zk.create(path, null, 'PERSISTENT', done))
    for (const name of ensemble.names) ensemble.world.powerLoss(name)
    ensemble.startAll()
    ensemble.runUntil(() => ensemble.isSettled, 5_000)
    return oracle.survive.report().violations.map((violation) => violation.message)
  }

  it('is caught by the oracle', () => {
    const found = Array.from({ length: 8 }, (_, i) => lost(`lies-${i}`)).filter((messages) => messages.length > 0)
    expect(found.length).toBeGreaterThan(0)
    expect(found[0]?.[0]).toContain('which was committed')
  })
})

/**
 * The real cluster in ZooKeeper mode with one of its rules broken: the oracle that guards the rule fails. Unbroken, the same stories pass every oracle.
 */

import { describe, expect, it } from 'vitest'
import { AclAuthorizer } from '../../sim/broker/zookeeper/acl-authorizer.js'
import type { Env } from '../../sim/kernel/env.js'
import { ORACLE_NAMES } from '../../sim/oracle/oracle-names.js'
import { readYaml } from '../../sim/scenario/load.js'
import { Run } from '../../sim/scenario/run.js'
import { ANY_VERSION } from '../../sim/zookeeper/api.js'
import { ZooKeeperClient } from '../../sim/zookeeper/client/zookeeper-client.js'
import { KafkaZkClient } from '../../sim/zookeeper/kafka/kafka-zk-client.js'
import { encodeText, Path } from '../../sim/zookeeper/kafka/znodes.js'
import { FastLeaderElection } from '../../sim/zookeeper/election/fast-leader-election.js'
import { Barrier } from '../../sim/zookeeper/quorum/barrier.js'
import { Leader } from '../../sim/zookeeper/quorum/leader.js'
import { ServerConnection } from '../../sim/zookeeper/server/client-connections.js'
import { CommitProcessor } from '../../sim/zookeeper/server/commit-processor.js'
import { DataTree } from '../../sim/zookeeper/tree/data-tree.js'
import { expectViolated, run, sabotaged, type Reports } from './saboteur.js'

const story = (steps: string, until = '30s'): string => `
version: 1
name: sabotage
cluster:
  mode: zookeeper
  config: { min.insync.replicas: 2, zookeeper.session.timeout.ms: 4000 }
  topics: { orders: { replicas: [[b1, b2, b3]] }, refunds: { replicas: [[b2, b3, b1]] }, extra: { replicas: [[b3, b1, b2]] } }
clients:
  p1: { produce: orders, acks: all, every: 20ms, count: 400 }
steps: [${steps}]
run: { until: ${until}, settle: 30s }
`
const QUIET = story('', '6s')
const BROKER_KILLED = story('{ kill: b3, at: 2s, for: 12s }')
const CONTROLLERS_KILLED = story('{ kill: controller, at: 2s, for: 8s }, { kill: controller, at: 14s, for: 8s }', '40s')
const TWO_PRINCIPALS = `
version: 1
name: sabotage
cluster:
  mode: zookeeper
  config:
    min.insync.replicas: 2
    auto.create.topics.enable: false
    authorizer.class.name: kafka.security.authorizer.AclAuthorizer
  topics: { orders: { replicas: [[b1, b2, b3]] } }
  acls: ['allow alice read,write topic orders']
clients:
  p1: { produce: orders, every: 10ms, count: 100, principal: alice }
  r1: { consume: orders, auto.offset.reset: earliest, principal: alice }
  p2: { produce: orders, every: 50ms, count: 20, principal: bob }
  r2: { consume: orders, auto.offset.reset: earliest, principal: bob }
run: { until: 6s, settle: 30s }
`

const STORIES = { QUIET, BROKER_KILLED, CONTROLLERS_KILLED, TWO_PRINCIPALS }

describe('the sound cluster in ZooKeeper mode', () => {
  it.each(Object.entries(STORIES))('breaks no promise: %s', (_, yaml) => {
    const reports = run(yaml)
    expect(ORACLE_NAMES.filter((name) => reports[name]?.verdict !== 'pass')).toEqual([])
  })
})

/**
 * An operator deletes /controller: another broker is elected, while the session of the first lives. That one hears nothing of it, and then a broker dies:
 * both have something to do. `guards`: whether writes check the version of /controller_epoch.
 */
function withDeafController(guards: boolean, seed: number): Reports {
  const inOffice = new Set<KafkaZkClient>()
  const body = (): Reports => {
    const ran = new Run(readYaml(story('{ kill: b3, at: 4s, for: 12s }'), 'sabotage.yaml'), { seed })
    expect(ran.prepare()).toBe(true)
    const { cluster } = ran
    cluster.addClient('operator', (env: Env) => {
      const nothing = { onConnected: () => {}, onDisconnected: () => {}, onExpired: () => {}, onWatch: () => {} }
      const zk = new ZooKeeperClient(env, { servers: cluster.zookeeper, sessionTimeoutMs: 6_000 }, nothing)
      env.after(2_000, () => zk.delete(Path.controller, ANY_VERSION, () => {}))
      return { stop: (done) => zk.close(done) }
    })
    cluster.start('operator')
    ran.advance(ran.readyAt + 30_000_000)
    return Object.fromEntries(ran.finish(0).oracles.map((report) => [report.name, report]))
  }
  const deaf = (): Reports =>
    sabotaged(
      KafkaZkClient,
      'registerChangeHandler',
      (original) =>
        function (this: KafkaZkClient, path, handler) {
          original.call(this, path, (type) => {
            if (path !== Path.controller || !inOffice.has(this)) handler(type)
          })
        },
      body,
    )
  return sabotaged(
    KafkaZkClient,
    'guarded',
    (original) =>
      function (this: KafkaZkClient, ops, epochVersion) {
        inOffice.add(this)
        return original.call(this, ops, guards ? epochVersion : ANY_VERSION)
      },
    deaf,
  )
}

describe('a broken cluster in ZooKeeper mode is found out', () => {
  it('a deposed controller whose writes check no epoch', () => {
    // Which of the two controllers is quicker differs: the slower one finds another version of the znode itself.
    const seeds = [1, 2, 3]
    for (const seed of seeds) {
      expect(withDeafController(true, seed)['deposed-controller-silent']).toMatchObject({ verdict: 'pass' })
    }
    const broken = seeds.map((seed) => withDeafController(false, seed))
    const [first] = broken.filter((reports) => reports['deposed-controller-silent']?.verdict === 'fail')
    const message = /a write to \/brokers\/topics\/.* by the controller of epoch 1 took effect after/
    expectViolated(first ?? {}, 'deposed-controller-silent', message)
  })

  it('a controller epoch that does not grow', () => {
    const reports = sabotaged(
      KafkaZkClient,
      'multi',
      (original) =>
        function (this: KafkaZkClient, ops) {
          const kept = ops.map((op) =>
            op.op === 'setData' && op.path === Path.controllerEpoch ? { ...op, data: encodeText('1') } : op,
          )
          return original.call(this, kept)
        },
      () => run(CONTROLLERS_KILLED),
    )
    expectViolated(reports, 'one-controller-per-epoch', /were both elected controller of epoch 2/)
  })

  it('an ephemeral that outlives its session', () => {
    const reports = sabotaged(
      DataTree,
      'apply',
      (original) =>
        function (this: DataTree, header, txn) {
          if (txn.type !== 'closeSession') return original.call(this, header, txn)
          this.ephemerals.delete(header.session)
          return original.call(this, header, { ...txn, paths: [] })
        },
      () => run(BROKER_KILLED),
    )
    expectViolated(reports, 'ephemerals-follow-sessions', /outlives session/)
  })

  it('an ephemeral that goes with the session of somebody else', () => {
    const reports = sabotaged(
      DataTree,
      'apply',
      (original) =>
        function (this: DataTree, header, txn) {
          if (txn.type !== 'closeSession') return original.call(this, header, txn)
          return original.call(this, header, {
            ...txn,
            paths: [...this.ephemerals.values()].flatMap((own) => [...own]),
          })
        },
      () => run(BROKER_KILLED),
    )
    expectViolated(reports, 'ephemerals-follow-sessions')
  })

  it('a watch that fires twice', () => {
    const reports = sabotaged(
      ServerConnection,
      'fire',
      (original) =>
        function (this: ServerConnection, type, path, zxid) {
          original.call(this, type, path, zxid)
          original.call(this, type, path, zxid)
        },
      () => run(BROKER_KILLED),
    )
    expectViolated(reports, 'watches-fire-once', /not watched \(any more\)/)
  })

  it('watches that are told in another order', () => {
    const held = new Map<ServerConnection, Parameters<ServerConnection['notify']>[0]>()
    const reports = sabotaged(
      ServerConnection,
      'notify',
      (original) =>
        function (this: ServerConnection, event) {
          const before = held.get(this)
          if (before === undefined) return void held.set(this, event)
          held.delete(this)
          original.call(this, event)
          original.call(this, before)
        },
      () => run(BROKER_KILLED),
    )
    expectViolated(reports, 'watches-fire-once', /is told of/)
  })

  it('a server that leaves a committed transaction out', () => {
    let commits = 0
    const reports = sabotaged(
      CommitProcessor,
      'commit',
      (original) =>
        function (this: CommitProcessor, entry) {
          if (++commits % 50 !== 0) original.call(this, entry)
        },
      () => run(QUIET),
    )
    expectViolated(reports, 'zookeeper-total-order', /applies e\d+:\d+ after/)
  })

  it('a leader that takes its own acknowledgement for those of all', () => {
    const reports = sabotaged(
      Leader,
      'acked',
      (original) =>
        function (this: Leader, sid, zxid) {
          for (const each of [sid, 1, 2, 3]) original.call(this, each, zxid)
        },
      () => run(QUIET),
    )
    expectViolated(reports, 'zookeeper-commits-survive', /has acknowledged but not on disk/)
  })

  it('servers that elect themselves, and ask nobody', () => {
    const electThemselves = (): Reports =>
      sabotaged(
        FastLeaderElection,
        'lookForLeader',
        () =>
          function (this: FastLeaderElection, own, found) {
            found({ ...own, electionEpoch: 1 })
          },
        () => run(QUIET),
      )
    const reports = sabotaged(
      Barrier,
      'arrive',
      (original) =>
        function (this: Barrier, sid, counts) {
          for (const each of [1, 2, 3]) if (each !== sid) original.call(this, each, true)
          return original.call(this, sid, counts) || this.isOpen
        },
      electThemselves,
    )
    expectViolated(reports, 'one-zookeeper-leader-per-epoch', /both lead epoch 1/)
  })

  it('an authorizer that allows everything', () => {
    const reports = sabotaged(
      AclAuthorizer,
      'authorize',
      () => () => true,
      () => run(TWO_PRINCIPALS),
    )
    expectViolated(reports, 'access-as-granted', /to r2, who may not read it/)
    expectViolated(reports, 'access-as-granted', /for somebody who may not write there/)
  })

  it('an authorizer that refuses too much', () => {
    const reports = sabotaged(
      AclAuthorizer,
      'authorize',
      (original) =>
        function (this: AclAuthorizer, principal, host, operation, type, name) {
          return principal !== 'User:alice' && original.call(this, principal, host, operation, type, name)
        },
      () => run(TWO_PRINCIPALS),
    )
    expectViolated(reports, 'access-as-granted', /refused .* to User:alice/)
  })
})

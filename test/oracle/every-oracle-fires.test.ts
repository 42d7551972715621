/**
 * Each oracle fails when the thing that it guards is broken, and passes when it is not.
 *
 * Traces are made by hand: a sound story of three brokers, then the same with one event more or different.
 */
import { describe, expect, it } from 'vitest'
import { Trace } from '../../sim/kernel/trace.js'
import { ORACLE_NAMES } from '../../sim/oracle/oracle-names.js'
import { Oracles } from '../../sim/oracle/oracles.js'
import { P, PROMISES, Story, type AclEntry, DENY, WRITE, ALL, PREFIXED, batchOf, truncated } from './trace-story.js'
import { EnsembleStory } from './ensemble-story.js'

/** Oracle → how to break what it guards, after a sound beginning. */
const BROKEN: Readonly<Record<string, (story: Story) => Story>> = {
  'acked-records-survive': (story) => truncated(story, 'b2', 3, 1).decide(2, 1, 1).lead('b2', 1),
  'log-matching': (story) =>
    truncated(story, 'b2', 3, 2)
      .append('b2', 2, 99)
      .emit('b2', 'hw.advance', { partition: P, from: 0, to: 3, role: 'follower', leaderEpoch: 0 }),
  'one-leader-per-epoch': (story) => story.lead('b2', 0),
  'one-quorum-leader-per-epoch': (story) =>
    story
      .emit('c1', 'quorum.state', { from: 'candidate', to: 'leader', epoch: 4, leader: 3001, reason: 'test' })
      .emit('c2', 'quorum.state', { from: 'candidate', to: 'leader', epoch: 4, leader: 3002, reason: 'test' }),
  'metadata-consistent': (story) => story.replay('c1', 10, 1).replay('b1', 10, 2),
  'reads-below-high-watermark': (story) =>
    story.everywhere(3).emit('b1', 'fetch.served', {
      partition: P,
      to: 'r1',
      from: 0,
      upTo: 4,
      bound: 4,
      isolation: 'uncommitted',
      leaderEpoch: 0,
    }),
  'offsets-consistent': (story) => story.poll([0, 1]).poll([2], ['p1/77']),
  'no-duplicates': (story) => story.everywhere(3, 1).advance(3, 4),
  'no-reordering': (story) => story.everywhere(3, 9).everywhere(4, 5).advance(3, 5),
  'offsets-dense': (story) => story.everywhere(5).advance(3, 6),
  'one-controller-per-epoch': (story) => story.controller('b1', 3, 10).controller('b2', 3, 11),
  'deposed-controller-silent': (story) =>
    story
      .controller('b1', 3, 10)
      .controller('b2', 4, 20)
      .emit('b1', 'zk-controller.write', { path: '/brokers/topics/orders', op: 'setData', epoch: 3, zxid: 21 }),
  'isr-has-committed': (story) => story.append('b1', 3).append('b2', 3).advance(3, 4),
  'high-watermark-monotonic': (story) => story.everywhere(3).advance(3, 4).advance(2, 3),
  'epochs-monotonic': (story) => story.decide(1, 0, 5).decide(1, 0, 4),
  'elections-as-configured': (story) => story.decide(1, 1, 1, [1]).decide(-1, 2, 2, [1]).decide(3, 3, 3, [3], true),
  'positions-consistent': (story) =>
    story.emit('r1', 'consume.position', { partition: P, from: -1, to: 0, reason: 'assigned' }).poll([0]).poll([2]),
  'compaction-keeps-last': (story) =>
    story.emit('b1', 'log.cleaned', {
      partition: P,
      from: 0,
      to: 3,
      bound: 3,
      bytesBefore: 300,
      bytesAfter: 200,
      wallMs: 0,
      batches: [batchOf(0, 0, 0, 'k0'), batchOf(2, 2, 0, 'k2')],
    }),
  'retention-not-early': (story) =>
    story.emit('b1', 'log.segment-deleted', {
      partition: P,
      baseOffset: 0,
      nextOffset: 3,
      largestTimestamp: 0,
      bytes: 300,
      wallMs: 999,
      reason: 'retention-time',
    }),
  'one-owner-per-generation': (story) => story.member('g1', 1).member('g2', 1),
  'committed-offsets-hold': (story) => story.member('g1', 1).works('g1', 3).commits(2),
  'at-least-once': (story) => story.member('g1', 1).works('g1', 3, [1]),
  'groups-settle': (story) => story.member('g1', 1).groupState('PreparingRebalance'),
  'read-committed': (story) =>
    story
      .emit('p1', 'txn.begin', { transactionalId: 'x', txn: 1 })
      .ack(9)
      .emit('r2', 'consume.polled', { partition: P, offsets: [3], ids: ['p1/9'], leaderEpochs: [0] })
      .emit('p1', 'txn.ended', { transactionalId: 'x', txn: 1, outcome: 'aborted', certain: true }),
  'transactions-end': (story) => story.transactional(3).later(60_000_000),
  'access-as-granted': (story) => {
    story.acl('a', {}).receives('w2', 'Fetch', {})
    return story.serves('w2')
  },
  'transactions-atomic': (story) =>
    story
      .emit('p1', 'txn.begin', { transactionalId: 'x', txn: 1 })
      .transactional(3)
      .ack(3)
      .marker(4, false)
      .advance(3, 5)
      .emit('p1', 'txn.ended', { transactionalId: 'x', txn: 1, outcome: 'committed', certain: true })
      .later(60_000_000),
  'exactly-once': (story) => story.copies(3).bills(0, 1, 1, 2).later(9_000_000),
  'zookeeper-total-order': (story) => withEnsemble(story, (ensemble) => ensemble.skip()),
  'zookeeper-commits-survive': (story) => withEnsemble(story, (ensemble) => ensemble.lose()),
  'one-zookeeper-leader-per-epoch': (story) => withEnsemble(story, (ensemble) => ensemble.leadTwice()),
  'ephemerals-follow-sessions': (story) => withEnsemble(story, (ensemble) => ensemble.outlive()),
  'watches-fire-once': (story) => withEnsemble(story, (ensemble) => ensemble.watch().fire()),
  'sessions-live-out': (story) => withEnsemble(story, (ensemble) => ensemble.expire(2_000)),
  recovers: (story) => story.decide(1, 0, 1, [1, 2]),
}

function withEnsemble(story: Story, tell: (ensemble: EnsembleStory) => unknown): Story {
  tell(new EnsembleStory(story))
  return story
}

describe('every oracle', () => {
  it('has a way to break what it guards', () => expect(Object.keys(BROKEN).sort()).toEqual([...ORACLE_NAMES].sort()))

  it.each(ORACLE_NAMES)('%s passes over a sound story', (name) => {
    const ensemble = withEnsemble(new Story().written(), (told) => told.soundly())
    const sound = ensemble.poll([0, 1, 2]).groupState('Stable').member('g1', 1).works('g1', 3)
    expect(sound.report(name)).toMatchObject({
      verdict: 'pass',
      violationCount: 0,
      losses: [],
    })
  })

  it.each(ORACLE_NAMES)('%s fires, with evidence', (name) => {
    const break_ = BROKEN[name] as (story: Story) => Story
    const report = break_(new Story().written()).report(name)
    expect(report.verdict).toBe('fail')
    expect(report.violations[0]?.evidence.length).toBeGreaterThan(0)
    expect(report.violations[0]?.message).not.toBe('')
  })
})

describe('a controller of ZooKeeper mode', () => {
  const write = { path: '/brokers/topics/orders', op: 'setData', epoch: 3, zxid: 15 }

  it('may hear late that a write of its term got through', () => {
    const story = new Story().written().controller('b1', 3, 10).controller('b2', 4, 20)
    expect(story.emit('b1', 'zk-controller.write', write).report('deposed-controller-silent').verdict).toBe('pass')
  })

  it('is caught by an election that is heard of after the write', () => {
    const story = new Story().written().controller('b1', 3, 10)
    story.emit('b1', 'zk-controller.write', write).controller('b2', 4, 12)
    expect(story.report('deposed-controller-silent').verdict).toBe('fail')
  })

  it('takes epochs in the order of transactions', () => {
    const story = new Story().written().controller('b1', 3, 10).controller('b2', 4, 9)
    expect(story.report('one-controller-per-epoch').verdict).toBe('fail')
  })

  it('that is deposed may tell late what its successor has gone on from', () => {
    const story = new Story().written().controller('b1', 3, 10)
    const told = { partition: P, elr: [], replicas: [1, 2, 3], adding: [], removing: [], unclean: false, reason: 'x' }
    const decision = { ...told, leader: 1, leaderEpoch: 0, isr: [1, 2, 3] }
    story.controller('b2', 4, 20).emit('b2', 'controller.partition', { ...decision, partitionEpoch: 5 })
    story.emit('b1', 'controller.partition', { ...decision, partitionEpoch: 4 })
    expect(story.report('epochs-monotonic').verdict).toBe('pass')
  })
})

describe('a pipeline', () => {
  const judged = (story: Story) => story.later(9_000_000).report('exactly-once')

  it('may be in the middle of a transaction', () => {
    expect(new Story().written().copies(2).bills(0, 1).report('exactly-once').verdict).toBe('pass')
  })

  it('must not commit what it has not made', () => {
    const { violations } = judged(new Story().written().copies(3).bills(0, 2))
    expect(violations.map(({ message }) => message)).toEqual([
      't1 committed orders-0@1 (p1/1), and what it made of it is not in bills',
    ])
  })

  it('must not show what it has not committed', () => {
    const { violations } = judged(new Story().written().copies(2).bills(0, 1, 2))
    expect(violations.map(({ message }) => message)).toEqual([
      'bills has t1/2, made of orders-0@2 (p1/2), which copy has not committed',
    ])
  })
})

describe('a group with isolation.level=read_committed', () => {
  it('is not given what was aborted', () => {
    const promises = { ...PROMISES, groups: new Map([['shop', { topics: ['orders'], readCommitted: true }]]) }
    for (const committed of [true, false]) {
      const story = new Story(promises).written().transactional(3).ack(3).marker(4, committed).advance(3, 5)
      const report = story.member('g1', 1).works('g1', 5, [3]).report('at-least-once')
      expect(report.violationCount).toBe(committed ? 1 : 0)
    }
  })
})

describe('a transaction', () => {
  const begun = () => new Story().written().emit('p1', 'txn.begin', { transactionalId: 'x', txn: 1 }).transactional(3)

  it('is not read before its marker, with isolation.level=read_committed', () => {
    const story = begun().ack(3).advance(3, 4)
    story.emit('r2', 'consume.polled', { partition: P, offsets: [3], ids: ['p1/3'], leaderEpochs: [0] })
    expect(story.report('read-committed').violations[0]?.message).toBe(
      'r2 read p1/3 (orders-0@3) before its transaction had ended there',
    )
  })

  it('that was aborted shows nothing', () => {
    const story = begun().ack(3).marker(4, true).advance(3, 5)
    story.emit('p1', 'txn.ended', { transactionalId: 'x', txn: 1, outcome: 'aborted', certain: true }).later(60_000_000)
    expect(story.report('transactions-atomic').violations[0]?.message).toMatch(/\(aborted\).*can be seen all the same/)
  })

  it('may have either end where its producer does not know', () => {
    for (const committed of [true, false]) {
      const story = begun().ack(3).marker(4, committed).advance(3, 5)
      const data = { transactionalId: 'x', txn: 1, outcome: 'REQUEST_TIMED_OUT', certain: false }
      story.emit('p1', 'txn.ended', data).later(60_000_000)
      expect(story.report('transactions-atomic')).toMatchObject({ verdict: 'pass', checks: 1 })
    }
  })
})

describe('a group', () => {
  it('may give a partition to another member in the next generation', () => {
    const story = new Story().written().groupState('Stable').member('g1', 1).member('g2', 2)
    expect(story.report('one-owner-per-generation').verdict).toBe('pass')
  })

  it('is judged by its newest coordinator', () => {
    const story = new Story().written().groupState('Stable', 'b1').groupState('Stable', 'b2').member('g1', 1)
    story.groupState('PreparingRebalance', 'b1', 'Stable')
    expect(story.report('groups-settle').verdict).toBe('pass')
  })

  it('with partitions that nobody owns has not settled', () => {
    const story = new Story().written().groupState('Stable').member('g1', 1, [])
    expect(story.report('groups-settle').violations[0]?.message).toBe('shop is Stable, and nobody owns orders-0')
  })

  it('loses to its reset policy what the policy passes over', () => {
    const story = new Story().written().groupState('Stable').member('g1', 1)
    story.emit('g1', 'consume.position', { partition: P, from: -1, to: 0, reason: 'reset' })
    story.emit('g1', 'consume.position', { partition: P, from: 0, to: 2, reason: 'reset' })
    story.emit('g1', 'consume.processed', { partition: P, offsets: [2], ids: ['p1/2'] }).commits(3)
    const { verdict, losses } = story.report('at-least-once')
    expect(verdict).toBe('pass')
    expect(losses).toMatchObject([{ reason: 'auto.offset.reset passed over it', count: 2 }])
  })

  it('may go back where an operator says so', () => {
    const story = new Story().written().member('g1', 1).works('g1', 3)
    story.emit('admin', 'admin.invoked', { id: 1, operation: 'alter-group-offsets shop orders-0' }).commits(1)
    expect(story.report('committed-offsets-hold').verdict).toBe('pass')
    expect(story.commits(0).report('committed-offsets-hold').verdict).toBe('fail')
  })

  it('may go back where a member was told to', () => {
    const story = new Story().written().member('g1', 1).works('g1', 3)
    story.emit('g1', 'consume.position', { partition: P, from: 3, to: 1, reason: 'seek' }).commits(2)
    expect(story.report('committed-offsets-hold').verdict).toBe('pass')
  })
})

describe('access', () => {
  const verdict = (story: Story) => story.report('access-as-granted').verdict
  const message = (story: Story) => story.report('access-as-granted').violations[0]?.message

  /** A fetch of `from` comes to b1 and is served at once. */
  function fetched(story: Story, from: string): Story {
    const id = story.receives(from, 'Fetch', {})
    return story.serves(from).answers(id, from)
  }

  it('is had by whom it was given to, and by super users', () => {
    const story = new Story().written().acl('a', {})
    expect(verdict(fetched(fetched(story, 'w1'), 'w3'))).toBe('pass')
    expect(story.report('access-as-granted').checks).toBe(2)
  })

  it('is not had by others', () => {
    expect(message(fetched(new Story().written().acl('a', {}), 'w2'))).toBe(
      'b1 served orders-0@0 to w2, who may not read it',
    )
  })

  it.each<[string, Partial<AclEntry>, boolean]>([
    ['for everybody', { principal: 'User:*' }, true],
    ['for all operations', { operation: ALL }, true],
    ['for its prefix', { resourceName: 'ord', patternType: PREFIXED }, true],
    ['for all names', { resourceName: '*' }, true],
    ['for its host', { host: 'w1' }, true],
    ['for another host', { host: 'w2' }, false],
    ['for another operation', { operation: WRITE }, false],
    ['for a name that it only begins with', { resourceName: 'ord' }, false],
    ['for a group of that name', { resourceType: 3 }, false],
  ])('%s is judged as Kafka does', (_, entry, isPermitted) => {
    expect(verdict(fetched(new Story().written().acl('a', entry), 'w1'))).toBe(isPermitted ? 'pass' : 'fail')
  })

  it('is taken away by a denial, whatever allows it', () => {
    const denied = { resourceName: '*', operation: ALL, permissionType: DENY }
    expect(verdict(fetched(new Story().written().acl('a', {}).acl('b', denied), 'w1'))).toBe('fail')
    const story = new Story().written().acl('a', {}).acl('b', denied).acl('b', undefined)
    expect(verdict(fetched(story, 'w1'))).toBe('pass')
  })

  it('counts as it was when the fetch came', () => {
    const story = new Story().written().acl('a', {})
    story.receives('w1', 'Fetch', {})
    expect(verdict(story.acl('a', undefined).serves('w1'))).toBe('pass')
  })

  it('of a fetch that was answered counts no more', () => {
    const story = fetched(new Story().written().acl('a', {}), 'w1').acl('a', undefined)
    expect(verdict(fetched(story, 'w1'))).toBe('fail')
  })

  it('of a fetch whose connection ended counts no more', () => {
    const story = new Story().written().acl('a', {})
    story.receives('w1', 'Fetch', {})
    story.emit('b1', 'net.close', { connection: 0, peer: 'w1', reason: 'reset' }).acl('a', undefined)
    const later = 0x400_0000
    story.emit('b1', 'request.receive', { id: later, api: 'Fetch', version: 1, from: 'w1', correlation: 0, body: {} })
    expect(verdict(story.serves('w1'))).toBe('fail')
  })

  it('counts from when the broker knows of it', () => {
    const story = new Story().written().acl('a', {}, ['b2', 'b3'])
    expect(verdict(fetched(story, 'w1'))).toBe('fail')
    const caughtUp = new Story().written().acl('a', {}, ['b2', 'b3']).aclsReach('b1', 0)
    expect(verdict(fetched(caughtUp, 'w1'))).toBe('pass')
  })

  it('is known to a broker that has loaded a snapshot', () => {
    const story = new Story().written().acl('a', {}, ['b2', 'b3'])
    story.emit('b1', 'quorum.snapshot', { endOffset: 1, epoch: 1, how: 'loaded' })
    expect(verdict(fetched(story, 'w1'))).toBe('pass')
  })

  it('is not known to a broker that starts again', () => {
    const story = new Story().written().acl('a', {})
    story.emit('b1', 'node.down', { how: 'kill', reason: 'kill' })
    expect(verdict(fetched(story, 'w1'))).toBe('fail')
  })

  it('to write is needed by the one who sent the batch', () => {
    const sound = new Story().written().acl('a', { operation: WRITE }).produces('w1', 3).everywhere(3)
    expect(verdict(sound)).toBe('pass')
    const broken = new Story().written().acl('a', { operation: WRITE }).produces('w2', 3).everywhere(3)
    expect(message(broken)).toBe('b1 appended orders-0@3 for somebody who may not write there')
  })

  it('to write that came with a later attempt is enough, and so is that of an earlier one', () => {
    const later = new Story().written().produces('w1', 3).acl('a', { operation: WRITE }).produces('w1', 3)
    expect(verdict(later.everywhere(3))).toBe('pass')
    const earlier = new Story().written().acl('a', { operation: WRITE }).produces('w1', 3).acl('a', undefined)
    expect(verdict(earlier.produces('w1', 3).everywhere(3))).toBe('pass')
  })

  it('is not refused to whom it was given to', () => {
    const story = new Story().written().acl('a', {})
    expect(verdict(story.denied('w2', 'read', 'topic orders').denied('w1', 'write', 'topic orders'))).toBe('pass')
    expect(message(story.denied('w1', 'read', 'topic orders'))).toBe(
      'b1 refused read on topic orders to User:alice on w1, who may do it',
    )
  })

  it('to describe comes with that to read', () => {
    expect(verdict(new Story().written().acl('a', {}).denied('w1', 'describe', 'topic orders'))).toBe('fail')
  })

  it('is not judged without an authorizer', () => {
    const { access: _, ...promises } = PROMISES
    const trace = new Trace(() => 0)
    const oracles = new Oracles(promises)
    oracles.attach(trace)
    expect(trace.watched('request.receive')).toBe(false)
  })
})

describe('a KIP-848 group', () => {
  const stable = (): Story => new Story().written().groupState('Stable', 'b1', 'none', 'consumer')
  const owners = (story: Story) => story.report('one-owner-per-generation')

  it('has one owner at a time, whatever the epochs of its members', () => {
    expect(owners(stable().member('g1', 1).member('g2', 2)).verdict).toBe('fail')
    expect(owners(stable().member('g1', 2).member('g2', 1)).verdict).toBe('fail')
    expect(owners(stable().member('g1', 1).gives('g1').member('g2', 2)).verdict).toBe('pass')
  })

  it('may give away what a member owned that was removed', () => {
    expect(owners(stable().member('g1', 1).groupMember('g1', 'expired', 1).member('g2', 2)).verdict).toBe('pass')
    // Only the group's coordinator removes members.
    expect(owners(stable().member('g1', 1).groupMember('g1', 'expired', 1, 'b2').member('g2', 2)).verdict).toBe('fail')
  })

  it('does not listen to a member that does not know that it was removed, until it joins again', () => {
    const story = stable().groupMember('g1', 'expired', 3).member('g2', 5).member('g1', 3)
    expect(owners(story).verdict).toBe('pass')
    expect(owners(story.groupMember('g1', 'joined', 5).member('g1', 6)).verdict).toBe('fail')
  })

  it('forgets what members owned whom a new coordinator does not find', () => {
    const reload = (story: Story, found: string): Story =>
      story.groupMember(found, 'loaded', 1, 'b2').groupState('Stable', 'b2', 'none', 'consumer')
    expect(owners(reload(stable().member('g1', 1), 'g2').member('g2', 2)).verdict).toBe('pass')
    expect(owners(reload(stable().member('g1', 1), 'g1').member('g2', 2)).verdict).toBe('fail')
  })

  it('does not listen to a broker that coordinates by old metadata, before it is let in', () => {
    const reload = (state: 'STARTING' | 'RECOVERY'): Story => {
      const story = stable().member('g1', 1)
      story.emit('b2', 'broker.state', { from: 'NOT_RUNNING', to: state, brokerEpoch: -1, reason: 'start' })
      return story.groupMember('g3', 'loaded', 1, 'b2').groupState('Empty', 'b2', 'none', 'consumer')
    }
    const outcome = (story: Story): string => owners(story.member('g3', 2)).verdict
    expect(outcome(reload('STARTING'))).toBe('fail')
    expect(outcome(reload('RECOVERY'))).toBe('pass')
  })
})

describe('a commit that comes late', () => {
  it('is told as a loss where its member had given it up', () => {
    const story = new Story().written().member('g1', 1).works('g1', 2)
    story.emit('g1', 'consumer.commit', { id: 7, group: 'shop', how: 'async', partitions: [P], offsets: [1] })
    story.emit('g1', 'request.failed', { id: 1, api: 'OffsetCommit', to: 'b1', correlation: 1, reason: 'disconnected' })
    story.emit('g1', 'consumer.committed', { id: 7, group: 'shop', outcome: 'DISCONNECTED' }).commits(1)
    const { verdict, losses } = story.report('committed-offsets-hold')
    expect(verdict).toBe('pass')
    expect(losses).toMatchObject([{ reason: 'a commit that its member had given up came late', count: 1 }])
  })

  it('is told as a loss where its member was fenced, and has joined again', () => {
    const story = new Story().written().member('g1', 1).works('g1', 2)
    story.emit('g1', 'consumer.commit', { id: 7, group: 'shop', how: 'sync', partitions: [P], offsets: [1] })
    const { verdict, losses } = story.gives('g1', 'lost').commits(1).report('committed-offsets-hold')
    expect(verdict).toBe('pass')
    expect(losses[0]?.reason).toMatch(/^a commit begun before its member was fenced/)
  })

  it('is a violation where it had not', () => {
    const story = new Story().written().member('g1', 1).works('g1', 2)
    story.emit('g1', 'consumer.commit', { id: 7, group: 'shop', how: 'async', partitions: [P], offsets: [1] })
    expect(story.commits(1).report('committed-offsets-hold').verdict).toBe('fail')
  })
})

describe('what the configuration does not promise', () => {
  it('is a loss with its reason: acks=1', () => {
    const story = new Story().append('b1', 0).ack(0, 0, 1)
    story.decide(2, 1, 1).lead('b2', 1)
    const { verdict, losses } = story.report('acked-records-survive')
    expect(verdict).toBe('pass')
    expect(losses).toMatchObject([{ reason: 'acks=1', count: 1 }])
  })

  it('is a violation with acks=all', () => {
    const story = new Story().append('b1', 0).ack(0, 0, -1)
    story.decide(2, 1, 1).lead('b2', 1)
    expect(story.report('acked-records-survive').verdict).toBe('fail')
  })

  it('is undecided before the bound', () => {
    const story = new Story().written().decide(1, 0, 1, [1, 2])
    expect(story.report('recovers', 4_900_000).verdict).toBe('unknown')
  })
})

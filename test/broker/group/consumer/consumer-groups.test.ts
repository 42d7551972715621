/** KIP-848 groups, case by case: those of Kafka's GroupMetadataManagerTest about the consumer protocol. */

import { describe, expect, it } from 'vitest'
import { ConsumerBench } from './consumer-bench.js'

/** Two members that share six partitions, both reconciled. */
function shared(given: Record<string, unknown> = {}): ConsumerBench {
  const bench = new ConsumerBench('foo:6', given)
  expect(bench.beat('A', { topics: 'foo' })).toBe('1 foo:0,1,2,3,4,5')
  expect(bench.beat('B', { topics: 'foo' })).toBe('2')
  expect(bench.beat('A', { epoch: 1 })).toBe('1 foo:0,1,2')
  expect(bench.beat('A', { epoch: 1, owned: 'foo:0,1,2' })).toBe('2 -')
  expect(bench.beat('B', { epoch: 2 })).toBe('2 foo:3,4,5')
  expect(bench.state).toBe('Stable 2/2')
  return bench
}

describe('a request', () => {
  it.each([
    ['without a member id', '', { epoch: 1 }, 'INVALID_REQUEST: MemberId'],
    [
      'of a member that joins and owns something',
      'A',
      { topics: 'foo', owned: 'foo:1' },
      'INVALID_REQUEST: A member that joins',
    ],
    ['of a member that joins and subscribes to nothing', 'A', {}, 'INVALID_REQUEST: A member that joins'],
    [
      'of a member that joins without a timeout',
      'A',
      { topics: 'foo', rebalance: -1 },
      'INVALID_REQUEST: A member that joins',
    ],
    ['of a static member that leaves without its instance', 'A', { epoch: -2 }, 'INVALID_REQUEST: InstanceId'],
    ['with an epoch that means nothing', 'A', { epoch: -3, instance: 'i' }, 'INVALID_REQUEST: MemberEpoch'],
    ['with an empty instance', 'A', { topics: 'foo', instance: '' }, 'INVALID_REQUEST: InstanceId'],
    ['with an empty rack', 'A', { topics: 'foo', rack: ' ' }, 'INVALID_REQUEST: RackId'],
    ['for an assignor that is not there', 'A', { topics: 'foo', assignor: 'sticky' }, 'UNSUPPORTED_ASSIGNOR'],
  ])('%s is refused', (_, memberId, beat, error) => {
    expect(() => new ConsumerBench().beat(memberId, beat)).toThrow(error)
  })
})

describe('joining', () => {
  it('makes a group of one, with all there is', () => {
    const bench = new ConsumerBench('foo:6 bar:3')
    expect(bench.beat('A', { topics: 'foo bar gone' })).toBe('1 bar:0,1,2 foo:0,1,2,3,4,5')
    expect(bench.member('A')).toBe('STABLE 1/0 bar:0,1,2 foo:0,1,2,3,4,5')
    expect(bench.written(0)).toEqual([
      'MemberMetadata',
      'Metadata',
      'TargetAssignmentMember',
      'TargetAssignmentMetadata',
      'CurrentMemberAssignment',
    ])
  })

  it('takes a member that subscribes to nothing yet', () => {
    const bench = new ConsumerBench()
    expect(bench.beat('A', { topics: '' })).toBe('1')
    expect(bench.state).toBe('Stable 1/1')
  })

  it('is refused for whoever does not join, and is not known', () => {
    expect(new ConsumerBench().beat('A', { epoch: 1 })).toBe('GROUP_ID_NOT_FOUND')
    expect(shared().beat('C', { epoch: 1 })).toBe('UNKNOWN_MEMBER_ID')
    expect(shared().beat('C', { epoch: 1, instance: 'i' })).toBe('UNKNOWN_MEMBER_ID')
  })

  it('has room for group.consumer.max.size members', () => {
    const bench = shared({ 'group.consumer.max.size': 2 })
    expect(bench.beat('C', { topics: 'foo' })).toBe('GROUP_MAX_SIZE_REACHED')
    expect(bench.beat('A', { epoch: 2 })).toBe('2 -')
  })

  it('gets the same answer again when the first one was lost', () => {
    const bench = new ConsumerBench('foo:6')
    bench.beat('A', { topics: 'foo' })
    expect(bench.beat('A', { topics: 'foo' })).toBe('1 foo:0,1,2,3,4,5')
    expect(bench.state).toBe('Stable 1/1')
  })

  it('uses the assignor that most members ask for', () => {
    const bench = new ConsumerBench('foo:3 bar:3')
    bench.beat('A', { topics: 'foo bar', assignor: 'range' })
    bench.beat('B', { topics: 'foo bar', assignor: 'range' })
    expect([bench.target('A'), bench.target('B')]).toEqual(['bar:0,1 foo:0,1', 'bar:2 foo:2'])
  })
})

describe('a member epoch', () => {
  it('of the future is fenced', () => expect(shared().beat('A', { epoch: 3 })).toBe('FENCED_MEMBER_EPOCH'))

  it('of the past is fenced', () => expect(shared().beat('B', { epoch: 1 })).toBe('FENCED_MEMBER_EPOCH'))

  it('of before is accepted while the member owns nothing that is not assigned to it', () => {
    const bench = shared()
    expect(bench.beat('A', { epoch: 1 })).toBe('FENCED_MEMBER_EPOCH')
    expect(bench.beat('A', { epoch: 1, owned: 'foo:0,3' })).toBe('FENCED_MEMBER_EPOCH')
    expect(bench.beat('A', { epoch: 1, owned: 'foo:0,1' })).toBe('2 -')
  })

  it('of 0 does not take a member back that is further', () => {
    expect(shared().beat('B', { topics: 'foo' })).toBe('FENCED_MEMBER_EPOCH')
  })
})

describe('a rebalance', () => {
  it('gives a partition away only when its owner has let it go', () => {
    const bench = new ConsumerBench('foo:6')
    bench.beat('A', { topics: 'foo' })
    bench.beat('B', { topics: 'foo' })
    expect(bench.member('B')).toBe('UNRELEASED_PARTITIONS 2/0')
    expect(bench.state).toBe('Reconciling 2/2')
    bench.beat('A', { epoch: 1, owned: 'foo:0,1,2,3,4,5' })
    expect(bench.member('A')).toBe('UNREVOKED_PARTITIONS 1/1 foo:0,1,2 -foo:3,4,5')
    expect(bench.beat('B', { epoch: 2 })).toBe('2 -')
    bench.beat('A', { epoch: 1, owned: 'foo:0,1,2,3' })
    expect(bench.member('A')).toBe('UNREVOKED_PARTITIONS 1/1 foo:0,1,2 -foo:3,4,5')
    bench.beat('A', { epoch: 1, owned: 'foo:0,1,2' })
    expect(bench.member('A')).toBe('STABLE 2/1 foo:0,1,2')
    expect(bench.beat('B', { epoch: 2 })).toBe('2 foo:3,4,5')
  })

  it('lets everybody go on with what stays', () => {
    const bench = shared()
    expect(bench.beat('C', { topics: 'foo' })).toBe('3')
    expect(bench.beat('A', { epoch: 2 })).toBe('2 foo:0,1')
    expect(bench.beat('B', { epoch: 2 })).toBe('2 foo:3,4')
    expect(bench.beat('A', { epoch: 2, owned: 'foo:0,1' })).toBe('3 -')
    expect(bench.beat('C', { epoch: 3 })).toBe('3 foo:2')
    expect(bench.beat('B', { epoch: 2, owned: 'foo:3,4' })).toBe('3 -')
    expect(bench.beat('C', { epoch: 3 })).toBe('3 foo:2,5')
    expect(bench.state).toBe('Stable 3/3')
  })

  it('removes a member that does not give up in time', () => {
    const bench = shared({ 'group.consumer.session.timeout.ms': 45_000 })
    bench.beat('C', { topics: 'foo', rebalance: 60_000 })
    bench.beat('A', { epoch: 2, rebalance: 10_000 })
    for (let at = 0; at < 3; at++) {
      bench.bench.pass(3_000)
      bench.beat('A', { epoch: 2, owned: 'foo:0,1,2' })
    }
    expect(bench.member('A')).toBe('UNREVOKED_PARTITIONS 2/2 foo:0,1 -foo:2')
    bench.bench.pass(1_001)
    expect(bench.member('A')).toBe('none')
    expect(bench.bench.events.filter((event) => event.includes('fenced'))).toHaveLength(1)
  })

  it('follows topics that grow, and those that go', () => {
    const bench = shared()
    bench.setTopics('foo:8', 2)
    expect(bench.beat('A', { epoch: 2 })).toBe('3 foo:0,1,2,6')
    expect(bench.beat('B', { epoch: 2 })).toBe('3 foo:3,4,5,7')
    bench.setTopics('', 3)
    expect(bench.beat('A', { epoch: 3 })).toBe('3')
    expect(bench.state).toBe('Reconciling 4/4')
  })

  it('is not begun by changes of topics that matter to nobody', () => {
    const bench = shared()
    bench.setTopics('foo:6 bar:3', 2)
    expect(bench.beat('A', { epoch: 2 })).toBe('2 -')
  })

  it('is begun by another subscription', () => {
    const bench = new ConsumerBench('foo:6 bar:3')
    bench.beat('A', { topics: 'foo' })
    expect(bench.beat('A', { epoch: 1, topics: 'foo bar' })).toBe('2 bar:0,1,2 foo:0,1,2,3,4,5')
    expect(bench.beat('A', { epoch: 2, topics: 'bar' })).toBe('2 bar:0,1,2')
    expect(bench.beat('A', { epoch: 2, owned: 'bar:0,1,2' })).toBe('3 -')
  })

  it('is not begun by another client id, which is written down', () => {
    const bench = shared()
    const from = bench.bench.log.length
    expect(bench.beat('A', { epoch: 2, client: 'renamed' })).toBe('2 -')
    expect(bench.written(from)).toEqual(['MemberMetadata'])
  })
})

describe('a heartbeat', () => {
  it('that says everything is told everything', () => {
    const bench = shared()
    expect(bench.beat('A', { epoch: 2, topics: 'foo', rebalance: 5_000, owned: 'foo:0,1,2' })).toBe('2 foo:0,1,2')
    expect(bench.beat('A', { epoch: 2, topics: 'foo', owned: 'foo:0,1,2' })).toBe('2 -')
  })

  it('without news writes nothing', () => {
    const bench = shared()
    const from = bench.bench.log.length
    bench.beat('A', { epoch: 2 })
    expect(bench.written(from)).toEqual([])
  })

  it('keeps the session alive', () => {
    const bench = shared({ 'group.consumer.session.timeout.ms': 10_000 })
    for (let at = 0; at < 3; at++) {
      bench.bench.pass(9_000)
      bench.beat('A', { epoch: bench.group.members.get('A')?.memberEpoch ?? 0, owned: 'foo:0,1,2' })
    }
    expect([bench.member('A'), bench.member('B')]).toEqual(['STABLE 3/2 foo:0,1,2,3,4,5', 'none'])
  })

  it('tells the interval of the broker', () => {
    expect(new ConsumerBench().answer('A', { topics: 'foo' }).heartbeatIntervalMs).toBe(5_000)
  })
})

describe('leaving', () => {
  it('frees the partitions for others', () => {
    const bench = shared()
    const from = bench.bench.log.length
    expect(bench.beat('B', { epoch: -1 })).toBe('-1 -')
    expect(bench.written(from)).toEqual([
      '-CurrentMemberAssignment',
      '-TargetAssignmentMember',
      '-MemberMetadata',
      'Metadata',
    ])
    expect(bench.state).toBe('Assigning 3/2')
    expect(bench.beat('A', { epoch: 2 })).toBe('3 foo:0,1,2,3,4,5')
  })

  it('the last one leaves an empty group', () => {
    const bench = new ConsumerBench()
    bench.beat('A', { topics: 'foo' })
    bench.beat('A', { epoch: -1 })
    expect(bench.state).toBe('Empty 2/1')
    expect(bench.beat('B', { epoch: -1 })).toBe('UNKNOWN_MEMBER_ID')
  })

  it('a session that runs out removes the member', () => {
    const bench = shared({ 'group.consumer.session.timeout.ms': 10_000 })
    bench.bench.pass(10_001)
    expect(bench.state).toBe('Empty 4/2')
    expect(bench.beat('A', { epoch: 2 })).toBe('UNKNOWN_MEMBER_ID')
  })
})

describe('a static member', () => {
  const joined = (): ConsumerBench => {
    const bench = new ConsumerBench('foo:6')
    bench.beat('A', { topics: 'foo', instance: 'one' })
    bench.beat('B', { topics: 'foo', instance: 'two' })
    bench.beat('A', { epoch: 1, instance: 'one', owned: 'foo:0,1,2' })
    bench.beat('A', { epoch: 1, instance: 'one', owned: 'foo:0,1,2' })
    bench.beat('B', { epoch: 2, instance: 'two' })
    expect(bench.state).toBe('Stable 2/2')
    return bench
  }

  it('that leaves for a while keeps its partitions, and its follower takes them over', () => {
    const bench = joined()
    expect(bench.beat('B', { epoch: -2, instance: 'two' })).toBe('-2 -')
    expect(bench.member('B')).toBe('STABLE -2/2 foo:3,4,5')
    expect(bench.beat('B2', { topics: 'foo', instance: 'two' })).toBe('2 foo:3,4,5')
    expect([bench.member('B'), bench.member('B2')]).toEqual(['none', 'STABLE 2/0 foo:3,4,5'])
    expect(bench.state).toBe('Stable 2/2')
  })

  it('may come back with another subscription', () => {
    const bench = joined()
    bench.setTopics('foo:6 bar:3', 2)
    bench.beat('B', { epoch: -2, instance: 'two' })
    expect(bench.beat('B2', { topics: 'foo bar', instance: 'two' })).toBe('3 bar:0,1,2 foo:3,4')
  })

  it('that does not come back is removed after its session', () => {
    const bench = joined()
    bench.beat('B', { epoch: -2, instance: 'two' })
    for (let at = 0; at < 6; at++) {
      bench.bench.pass(8_000)
      bench.beat('A', { epoch: 2, instance: 'one' })
    }
    expect([bench.member('B'), bench.group.members.size]).toEqual(['none', 1])
  })

  it('cannot be joined by another while it is there', () => {
    expect(joined().beat('B2', { topics: 'foo', instance: 'two' })).toBe('UNRELEASED_INSTANCE_ID')
  })

  it('is known by its instance', () => {
    const bench = joined()
    expect(bench.beat('X', { epoch: 2, instance: 'two' })).toBe('FENCED_INSTANCE_ID')
    expect(bench.beat('X', { epoch: -1, instance: 'two' })).toBe('FENCED_INSTANCE_ID')
    expect(bench.beat('X', { epoch: -2, instance: 'three' })).toBe('UNKNOWN_MEMBER_ID')
    expect(bench.beat('B', { epoch: -1, instance: 'two' })).toBe('-1 -')
    expect(bench.member('B')).toBe('none')
  })
})

describe('a regular expression', () => {
  it('is resolved by a task of its own, which begins a rebalance', () => {
    const bench = new ConsumerBench('foo:6 bar:3')
    expect(bench.beat('A', { regex: 'fo*' })).toBe('1')
    bench.bench.pass(10)
    expect(bench.state).toBe('Assigning 2/1')
    expect(bench.beat('A', { epoch: 1 })).toBe('2 foo:0,1,2,3,4,5')
  })

  it('that is not valid is refused', () => {
    const bench = new ConsumerBench()
    expect(bench.beat('A', { regex: 'foo(' })).toBe('INVALID_REGULAR_EXPRESSION')
    expect(bench.beat('A', { regex: '(?=foo)' })).toBe('INVALID_REGULAR_EXPRESSION')
    expect(bench.beat('A', { regex: String.raw`(f)\1` })).toBe('INVALID_REGULAR_EXPRESSION')
  })

  it('must match the whole name', () => {
    const bench = new ConsumerBench('foo:6')
    bench.beat('A', { regex: 'fo' })
    bench.bench.pass(10)
    expect(bench.group.regexes.get('fo')?.topics).toEqual([])
  })

  it('that is resolved already begins a rebalance at once', () => {
    const bench = new ConsumerBench('foo:6')
    bench.beat('A', { regex: 'foo.*' })
    bench.bench.pass(10)
    bench.beat('A', { epoch: 1 })
    expect(bench.beat('B', { regex: 'foo.*' })).toBe('3')
    expect(bench.target('B')).toBe('foo:3,4,5')
  })

  it('finds topics that come, ten seconds after the last look at the earliest', () => {
    const bench = new ConsumerBench('foo:6')
    bench.beat('A', { regex: '.*' })
    bench.bench.pass(10)
    bench.beat('A', { epoch: 1 })
    bench.setTopics('foo:6 bar:3', 2)
    bench.bench.pass(5_000)
    bench.beat('A', { epoch: 2 })
    bench.bench.pass(10)
    expect(bench.group.regexes.get('.*')?.topics).toEqual(['foo'])
    bench.bench.pass(5_000)
    bench.beat('A', { epoch: 2 })
    bench.bench.pass(10)
    expect(bench.group.regexes.get('.*')?.topics).toEqual(['bar', 'foo'])
  })

  it('goes with the last member that subscribes to it', () => {
    const bench = new ConsumerBench('foo:6 bar:3')
    bench.beat('A', { regex: 'foo.*', topics: 'bar' })
    bench.bench.pass(10)
    expect(bench.beat('A', { epoch: 1 })).toBe('2 bar:0,1,2 foo:0,1,2,3,4,5')
    const from = bench.bench.log.length
    bench.beat('A', { epoch: -1 })
    expect(bench.written(from)).toContain('-RegularExpression')
    expect(bench.group.regexes.size).toBe(0)
  })
})

describe('another coordinator', () => {
  it('knows members, epochs, targets and owners from the log', () => {
    const bench = shared()
    bench.beat('C', { topics: 'foo' })
    bench.beat('A', { epoch: 2 })
    const next = bench.takeOver()
    expect([next.state, next.member('A'), next.member('B'), next.member('C')]).toEqual([
      bench.state,
      bench.member('A'),
      bench.member('B'),
      bench.member('C'),
    ])
    expect(next.bench.events.filter((event) => event.includes(' loaded '))).toHaveLength(3)
    expect(next.beat('C', { epoch: 3 })).toBe('3 -')
    expect(next.beat('A', { epoch: 2, owned: 'foo:0,1' })).toBe('3 -')
    expect(next.beat('C', { epoch: 3 })).toBe('3 foo:2')
  })

  it('gives every member a session, and those that give up their time for that', () => {
    const bench = shared()
    bench.beat('C', { topics: 'foo', rebalance: 60_000 })
    bench.beat('A', { epoch: 2 })
    const next = bench.takeOver()
    next.bench.pass(5_001)
    expect(next.member('A')).toBe('none')
    next.bench.pass(45_000)
    expect(next.state).toMatch(/^Empty/)
  })
})

describe('what is committed by members', () => {
  it('is committed in the member’s epoch', () => {
    const { bench } = shared()
    expect(bench.commit(5, 'A', 2)).toBe('NONE')
    expect(bench.commit(6, 'A', 1)).toBe('STALE_MEMBER_EPOCH')
    expect(bench.commit(6, 'A', 3)).toBe('STALE_MEMBER_EPOCH')
    expect(bench.commit(6, 'X', 2)).toBe('UNKNOWN_MEMBER_ID')
    expect(bench.commit(6)).toBe('UNKNOWN_MEMBER_ID')
  })

  it('by nobody is for groups without members', () => {
    const bench = new ConsumerBench()
    bench.beat('A', { topics: 'foo' })
    bench.beat('A', { epoch: -1 })
    expect(bench.bench.commit(5)).toBe('NONE')
  })

  it('in a transaction is told of a generation', () => {
    const { bench } = shared()
    expect(bench.commit(6, 'A', 1, { producerId: 7 })).toBe('ILLEGAL_GENERATION')
    expect(bench.commit(6, 'A', 2, { producerId: 7 })).toBe('NONE')
    expect(bench.commit(6, '', -1, { producerId: 7 })).toBe('NONE')
  })

  it('is fetched in the member’s epoch', () => {
    const { bench } = shared()
    const fetch = (memberId: string | null, memberEpoch: number): number =>
      bench.shard.fetch({ groupId: 'shop', memberId, memberEpoch, topics: null }, false, Infinity).errorCode
    expect([fetch(null, -1), fetch('A', 2), fetch('A', 1), fetch('X', 2)]).toEqual([0, 0, 113, 25])
  })
})

describe('administration', () => {
  it('describes epochs, members and assignments', () => {
    const bench = shared()
    const described = bench.bench.shard.consumer.describe('shop', Infinity)
    expect(described).toMatchObject({
      groupState: 'Stable',
      groupEpoch: 2,
      assignmentEpoch: 2,
      assignorName: 'uniform',
    })
    expect(described.members[0]).toMatchObject({
      memberId: 'A',
      memberEpoch: 2,
      subscribedTopicNames: ['foo'],
      assignment: { topicPartitions: [{ topicName: 'foo', partitions: [0, 1, 2] }] },
      memberType: 1,
    })
    expect(bench.bench.shard.consumer.describe('other', Infinity).errorCode).toBe(69)
    expect(bench.bench.shard.describe('shop')).toMatchObject({ errorCode: 69, groupState: 'Dead' })
  })

  it('shows what is committed only', () => {
    const bench = new ConsumerBench()
    const before = bench.bench.log.length
    bench.beat('A', { topics: 'foo' })
    expect(bench.bench.shard.consumer.describe('shop', before).errorCode).toBe(69)
    expect(bench.bench.shard.list([], [], before)).toEqual([])
  })

  it('lists groups by state and type', () => {
    const { bench } = shared()
    const listed = [{ groupId: 'shop', protocolType: 'consumer', groupState: 'Stable', groupType: 'consumer' }]
    expect(bench.shard.list(['stable'], ['CONSUMER'], Infinity)).toEqual(listed)
    expect(bench.shard.list([], ['classic'], Infinity)).toEqual([])
  })

  it('deletes groups without members, with their offsets', () => {
    const bench = shared()
    bench.bench.commit(5, 'A', 2)
    expect(bench.bench.apply(bench.bench.shard.deleteGroup('shop'))).toBe(68)
    bench.beat('A', { epoch: -1 })
    bench.beat('B', { epoch: -1 })
    expect(bench.bench.apply(bench.bench.shard.deleteGroup('shop'))).toBe(0)
    expect(bench.bench.shard.consumer.store.find('shop')).toBeUndefined()
    expect(bench.takeOver().bench.shard.groupCount).toBe(0)
  })

  it('deletes offsets of topics that nobody subscribes to', () => {
    const { bench } = shared()
    bench.commit(5, 'A', 2)
    expect(bench.apply(bench.shard.deleteOffsets('shop', ['foo-0', 'orders-0']))).toEqual([86, 0])
    expect(bench.fetch()).toBe(-1)
  })

  it('lets offsets of unsubscribed topics expire, and the group once it is empty', () => {
    const bench = shared({ 'offsets.retention.minutes': 1, 'offsets.retention.check.interval.ms': 10_000 })
    bench.bench.commit(5, 'A', 2)
    bench.beat('A', { epoch: -1 })
    bench.beat('B', { epoch: -1 })
    bench.bench.pass(50_000)
    expect(bench.bench.fetch()).toBe(5)
    bench.bench.pass(20_000)
    expect(bench.bench.shard.groupCount).toBe(0)
  })
})

/**
 * Every request about groups with every bad input: Kafka's own error (`GroupCoordinatorService`, `GroupMetadataManager`, `OffsetMetadataManager` and their tests).
 *
 * Each row is an input, each column a request; `-` stands for a request that this input cannot be part of.
 */

import { describe, expect, it } from 'vitest'
import { type ErrorCode, Errors } from '../../../sim/wire/errors.js'
import { subscriptionBytes } from './consumer/subscription-bytes.js'
import { CoordinatorLab } from './coordinator-lab.js'
import { nameOf } from './group-bench.js'

/** What the requests say; each takes of it what it has a field for. */
interface Input {
  readonly groupId: string
  readonly memberId: string
  readonly generation: number
  readonly instanceId: string | null
  readonly protocol: string
  readonly type: string
  readonly session: number
}

const COLUMNS = [
  'JoinGroup',
  'SyncGroup',
  'Heartbeat',
  'LeaveGroup',
  'OffsetCommit',
  'OffsetCommit v8',
  'TxnOffsetCommit',
  'OffsetFetch',
  'OffsetDelete',
  'DeleteGroups',
  'DescribeGroups',
  'ConsumerGroupHeartbeat',
  'ConsumerGroupDescribe',
  'ListGroups',
] as const
type Column = (typeof COLUMNS)[number]

/** The error that a request is answered with, `NONE` for none, `waits` for no answer. */
function ask(lab: CoordinatorLab, column: Column, input: Input): string {
  const { groupId, memberId, generation, instanceId, protocol, type, session } = input
  let answer = 'waits'
  const told = (code: ErrorCode | undefined): void => void (answer = nameOf(code ?? Errors.NONE))
  const member = { groupId, memberId, groupInstanceId: instanceId }
  const offset = { partitionIndex: 0, committedOffset: 1, committedLeaderEpoch: -1, committedMetadata: '' }
  const commits = [{ name: 'foo', topicId: '', partitions: [offset] }]
  const committed = ({ topics }: { topics: readonly { partitions: readonly { errorCode: number }[] }[] }): void =>
    told(topics[0]?.partitions[0]?.errorCode)
  switch (column) {
    case 'JoinGroup': {
      const protocols = [{ name: protocol, metadata: subscriptionBytes(['foo']) }]
      const times = { sessionTimeoutMs: session, rebalanceTimeoutMs: 10_000, reason: null }
      lab.ask(column, { ...member, ...times, protocolType: type, protocols }, ({ errorCode }) => told(errorCode), V9)
      break
    }
    case 'SyncGroup': {
      const body = { ...member, generationId: generation, protocolType: type, protocolName: protocol, assignments: [] }
      lab.ask(column, body, ({ errorCode }) => told(errorCode))
      break
    }
    case 'Heartbeat':
      lab.ask(column, { ...member, generationId: generation }, ({ errorCode }) => told(errorCode))
      break
    case 'LeaveGroup': {
      const members = [{ memberId, groupInstanceId: instanceId, reason: null }]
      lab.ask(column, { groupId, memberId, members }, (one) => told(one.members[0]?.errorCode ?? one.errorCode))
      break
    }
    case 'OffsetCommit':
    case 'OffsetCommit v8': {
      const body = { ...member, generationIdOrMemberEpoch: generation, retentionTimeMs: -1, topics: commits }
      lab.ask('OffsetCommit', body, committed, { version: column === 'OffsetCommit' ? 9 : 8 })
      break
    }
    case 'TxnOffsetCommit': {
      const producer = { transactionalId: 'tx', producerId: 7, producerEpoch: 0 }
      lab.ask(column, { ...member, ...producer, generationId: generation, topics: commits }, committed)
      break
    }
    case 'OffsetFetch': {
      const topics = [{ name: 'foo', topicId: '', partitionIndexes: [0] }]
      const groups = [{ groupId, memberId: memberId === '' ? null : memberId, memberEpoch: generation, topics }]
      const body = { groupId: '', topics: null, groups, requireStable: false }
      lab.ask(column, body, (one) => told(one.groups[0]?.errorCode), { version: 9 })
      break
    }
    case 'OffsetDelete': {
      const topics = [{ name: 'bar', partitions: [{ partitionIndex: 0 }] }]
      lab.ask(column, { groupId, topics }, ({ errorCode }) => told(errorCode))
      break
    }
    case 'DeleteGroups':
      lab.ask(column, { groupsNames: [groupId] }, ({ results }) => told(results[0]?.errorCode))
      break
    case 'DescribeGroups': {
      const body = { groups: [groupId], includeAuthorizedOperations: false }
      lab.ask(column, body, ({ groups }) => told(groups[0]?.errorCode), { version: 6 })
      break
    }
    case 'ConsumerGroupHeartbeat': {
      const rest = { rackId: null, rebalanceTimeoutMs: -1, subscribedTopicNames: null, subscribedTopicRegex: null }
      const body = { groupId, memberId, memberEpoch: generation, instanceId, ...rest }
      const { ask: send } = lab
      send.call(lab, column, { ...body, serverAssignor: null, topicPartitions: null } as never, (one) =>
        told((one as { errorCode: number }).errorCode),
      )
      break
    }
    case 'ConsumerGroupDescribe': {
      const body = { groupIds: [groupId], includeAuthorizedOperations: false }
      lab.ask(column, body, ({ groups }) => told(groups[0]?.errorCode))
      break
    }
    case 'ListGroups':
      lab.ask(column, { statesFilter: [], typesFilter: [] }, ({ errorCode }) => told(errorCode))
      break
  }
  return answer
}

const V9 = { version: 9 }

/** A coordinator with a stable classic group `old` of A (instance i1) and B, and a KIP-848 group `new` of N (instance i2) and M in epoch 2. */
function populated(): { lab: CoordinatorLab; ids: Readonly<Record<string, string>> } {
  const lab = new CoordinatorLab({ 'group.initial.rebalance.delay.ms': 0, 'group.min.session.timeout.ms': 6_000 })
  lab.boot()
  lab.run(0)
  const ids: Record<string, string> = {}
  const join = (name: string, groupInstanceId: string | null, memberId = ''): void => {
    const times = { sessionTimeoutMs: 1_000_000, rebalanceTimeoutMs: 10_000, reason: null }
    const protocols = [{ name: 'range', metadata: subscriptionBytes(['foo']) }]
    const body = { groupId: 'old', memberId, groupInstanceId, ...times, protocolType: 'consumer', protocols }
    lab.ask('JoinGroup', body, (answer) => void (ids[name] = answer.memberId), { version: memberId === '' ? 3 : 9 })
  }
  join('A', 'i1')
  lab.run(10)
  join('B', null)
  join('A', 'i1', ids['A'])
  for (const [memberId, groupInstanceId] of [
    [ids['A'] ?? '', 'i1'],
    [ids['B'] ?? '', null],
  ] as const) {
    const body = { groupId: 'old', generationId: 2, memberId, groupInstanceId, protocolType: null, protocolName: null }
    lab.ask('SyncGroup', { ...body, assignments: [] }, ({ errorCode }) => expect(errorCode).toBe(Errors.NONE))
  }
  for (const [memberId, instanceId] of [
    ['N', 'i2'],
    ['M', null],
  ] as const) {
    const told = { rackId: null, rebalanceTimeoutMs: 5_000, subscribedTopicNames: ['foo'], subscribedTopicRegex: null }
    const body = { groupId: 'new', memberId, memberEpoch: 0, instanceId, ...told, serverAssignor: null }
    const answered = ({ errorCode }: { errorCode: ErrorCode }): void => expect(errorCode).toBe(Errors.NONE)
    lab.ask('ConsumerGroupHeartbeat', { ...body, topicPartitions: [] }, answered, { version: 1 })
  }
  return { lab, ids }
}

/** `A` stands for the id of that member. */
const ROWS: readonly [what: string, input: Partial<Input>, errors: Partial<Record<Column, string>>][] = [
  [
    'an empty group id',
    { groupId: '', memberId: 'x', generation: 1 },
    {
      JoinGroup: 'INVALID_GROUP_ID',
      SyncGroup: 'INVALID_GROUP_ID',
      Heartbeat: 'INVALID_GROUP_ID',
      LeaveGroup: 'INVALID_GROUP_ID',
      OffsetCommit: 'GROUP_ID_NOT_FOUND',
      'OffsetCommit v8': 'ILLEGAL_GENERATION',
      TxnOffsetCommit: 'INVALID_GROUP_ID',
      OffsetFetch: 'NONE',
      OffsetDelete: 'INVALID_GROUP_ID',
      DeleteGroups: 'GROUP_ID_NOT_FOUND',
      DescribeGroups: 'GROUP_ID_NOT_FOUND',
      ConsumerGroupHeartbeat: 'INVALID_REQUEST',
      ConsumerGroupDescribe: 'INVALID_GROUP_ID',
    },
  ],
  [
    'a group that is not there',
    { groupId: 'nobody', memberId: 'x', generation: 1 },
    {
      JoinGroup: 'UNKNOWN_MEMBER_ID',
      SyncGroup: 'UNKNOWN_MEMBER_ID',
      Heartbeat: 'UNKNOWN_MEMBER_ID',
      LeaveGroup: 'UNKNOWN_MEMBER_ID',
      OffsetCommit: 'GROUP_ID_NOT_FOUND',
      'OffsetCommit v8': 'ILLEGAL_GENERATION',
      TxnOffsetCommit: 'ILLEGAL_GENERATION',
      OffsetFetch: 'NONE',
      OffsetDelete: 'GROUP_ID_NOT_FOUND',
      DeleteGroups: 'GROUP_ID_NOT_FOUND',
      DescribeGroups: 'GROUP_ID_NOT_FOUND',
      ConsumerGroupHeartbeat: 'GROUP_ID_NOT_FOUND',
      ConsumerGroupDescribe: 'GROUP_ID_NOT_FOUND',
    },
  ],
  [
    'a stranger in a classic group',
    { memberId: 'x' },
    {
      JoinGroup: 'UNKNOWN_MEMBER_ID',
      SyncGroup: 'UNKNOWN_MEMBER_ID',
      Heartbeat: 'UNKNOWN_MEMBER_ID',
      LeaveGroup: 'UNKNOWN_MEMBER_ID',
      OffsetCommit: 'UNKNOWN_MEMBER_ID',
      'OffsetCommit v8': 'UNKNOWN_MEMBER_ID',
      TxnOffsetCommit: 'UNKNOWN_MEMBER_ID',
      OffsetFetch: 'NONE',
      DeleteGroups: 'NON_EMPTY_GROUP',
      ConsumerGroupHeartbeat: 'GROUP_ID_NOT_FOUND',
      ConsumerGroupDescribe: 'GROUP_ID_NOT_FOUND',
    },
  ],
  [
    'nobody, in a group with members',
    { memberId: '', generation: -1 },
    {
      SyncGroup: 'UNKNOWN_MEMBER_ID',
      Heartbeat: 'UNKNOWN_MEMBER_ID',
      LeaveGroup: 'UNKNOWN_MEMBER_ID',
      OffsetCommit: 'UNKNOWN_MEMBER_ID',
      TxnOffsetCommit: 'NONE',
      OffsetFetch: 'NONE',
    },
  ],
  [
    'an old generation',
    { memberId: 'B', generation: 1 },
    {
      SyncGroup: 'ILLEGAL_GENERATION',
      Heartbeat: 'ILLEGAL_GENERATION',
      OffsetCommit: 'ILLEGAL_GENERATION',
      'OffsetCommit v8': 'ILLEGAL_GENERATION',
      TxnOffsetCommit: 'ILLEGAL_GENERATION',
      OffsetFetch: 'NONE',
      LeaveGroup: 'NONE',
    },
  ],
  [
    'a generation to come',
    { memberId: 'B', generation: 3 },
    {
      SyncGroup: 'ILLEGAL_GENERATION',
      Heartbeat: 'ILLEGAL_GENERATION',
      OffsetCommit: 'ILLEGAL_GENERATION',
      TxnOffsetCommit: 'ILLEGAL_GENERATION',
    },
  ],
  [
    'an instance of somebody else',
    { memberId: 'B', instanceId: 'i1' },
    {
      JoinGroup: 'FENCED_INSTANCE_ID',
      SyncGroup: 'FENCED_INSTANCE_ID',
      Heartbeat: 'FENCED_INSTANCE_ID',
      LeaveGroup: 'FENCED_INSTANCE_ID',
      OffsetCommit: 'FENCED_INSTANCE_ID',
      'OffsetCommit v8': 'FENCED_INSTANCE_ID',
      TxnOffsetCommit: 'FENCED_INSTANCE_ID',
    },
  ],
  [
    'an instance of nobody',
    { memberId: 'A', instanceId: 'i9' },
    {
      JoinGroup: 'UNKNOWN_MEMBER_ID',
      SyncGroup: 'UNKNOWN_MEMBER_ID',
      Heartbeat: 'UNKNOWN_MEMBER_ID',
      LeaveGroup: 'UNKNOWN_MEMBER_ID',
      OffsetCommit: 'UNKNOWN_MEMBER_ID',
      TxnOffsetCommit: 'UNKNOWN_MEMBER_ID',
    },
  ],
  ['another protocol', { memberId: 'B', protocol: 'sticky' }, inconsistent()],
  ['another type of protocol', { memberId: 'B', type: 'connect' }, inconsistent()],
  ['a session that is too short', { memberId: '', session: 5_999 }, { JoinGroup: 'INVALID_SESSION_TIMEOUT' }],
  ['a session that is too long', { memberId: '', session: 1_800_001 }, { JoinGroup: 'INVALID_SESSION_TIMEOUT' }],
  [
    'a stranger in a KIP-848 group',
    { groupId: 'new', memberId: 'x' },
    {
      SyncGroup: 'UNKNOWN_MEMBER_ID',
      Heartbeat: 'UNKNOWN_MEMBER_ID',
      LeaveGroup: 'UNKNOWN_MEMBER_ID',
      OffsetCommit: 'UNKNOWN_MEMBER_ID',
      'OffsetCommit v8': 'UNKNOWN_MEMBER_ID',
      TxnOffsetCommit: 'UNKNOWN_MEMBER_ID',
      OffsetFetch: 'UNKNOWN_MEMBER_ID',
      DeleteGroups: 'NON_EMPTY_GROUP',
      DescribeGroups: 'GROUP_ID_NOT_FOUND',
      ConsumerGroupHeartbeat: 'UNKNOWN_MEMBER_ID',
    },
  ],
  [
    'a member of the new protocol that speaks the old one',
    { groupId: 'new', memberId: 'M' },
    { SyncGroup: 'UNKNOWN_MEMBER_ID', Heartbeat: 'UNKNOWN_MEMBER_ID', 'OffsetCommit v8': 'UNSUPPORTED_VERSION' },
  ],
  [
    'an old epoch',
    { groupId: 'new', memberId: 'M', generation: 1 },
    {
      OffsetCommit: 'STALE_MEMBER_EPOCH',
      TxnOffsetCommit: 'ILLEGAL_GENERATION',
      OffsetFetch: 'STALE_MEMBER_EPOCH',
      ConsumerGroupHeartbeat: 'FENCED_MEMBER_EPOCH',
    },
  ],
  [
    'an epoch to come',
    { groupId: 'new', memberId: 'M', generation: 3 },
    {
      OffsetCommit: 'STALE_MEMBER_EPOCH',
      TxnOffsetCommit: 'ILLEGAL_GENERATION',
      OffsetFetch: 'STALE_MEMBER_EPOCH',
      ConsumerGroupHeartbeat: 'FENCED_MEMBER_EPOCH',
    },
  ],
  [
    'an instance of somebody else in a KIP-848 group',
    { groupId: 'new', memberId: 'M', instanceId: 'i2' },
    {
      JoinGroup: 'FENCED_INSTANCE_ID',
      SyncGroup: 'FENCED_INSTANCE_ID',
      Heartbeat: 'FENCED_INSTANCE_ID',
      LeaveGroup: 'FENCED_INSTANCE_ID',
      ConsumerGroupHeartbeat: 'FENCED_INSTANCE_ID',
    },
  ],
  [
    'an instance of nobody in a KIP-848 group',
    { groupId: 'new', memberId: 'M', instanceId: 'i9' },
    {
      JoinGroup: 'UNKNOWN_MEMBER_ID',
      SyncGroup: 'UNKNOWN_MEMBER_ID',
      Heartbeat: 'UNKNOWN_MEMBER_ID',
      LeaveGroup: 'UNKNOWN_MEMBER_ID',
      ConsumerGroupHeartbeat: 'UNKNOWN_MEMBER_ID',
    },
  ],
]

function inconsistent(): Partial<Record<Column, string>> {
  return { JoinGroup: 'INCONSISTENT_GROUP_PROTOCOL', SyncGroup: 'INCONSISTENT_GROUP_PROTOCOL' }
}

const FINE: Input = {
  groupId: 'old',
  memberId: 'B',
  generation: 2,
  instanceId: null,
  protocol: 'range',
  type: 'consumer',
  session: 10_000,
}

describe.each(ROWS)('%s', (_, given, errors) => {
  it.each(Object.entries(errors) as [Column, string][])('in %s is answered %s', (column, error) => {
    const { lab, ids } = populated()
    const input = { ...FINE, ...given }
    expect(ask(lab, column, { ...input, memberId: ids[input.memberId] ?? input.memberId })).toBe(error)
  })
})

describe('a request with nothing wrong', () => {
  it.each(['SyncGroup', 'Heartbeat', 'OffsetCommit', 'TxnOffsetCommit', 'OffsetFetch', 'LeaveGroup'] as const)(
    'in %s is answered NONE',
    (column) => {
      const { lab, ids } = populated()
      expect(ask(lab, column, { ...FINE, memberId: ids['B'] ?? '' })).toBe('NONE')
    },
  )
})

describe('a broker that is not the coordinator', () => {
  it.each(COLUMNS.map((column) => [column, column === 'ListGroups' ? 'NONE' : 'NOT_COORDINATOR'] as const))(
    'answers %s with %s',
    (column, error) => {
      const { lab } = populated()
      lab.resign()
      expect(ask(lab, column, { ...FINE, memberId: 'x' })).toBe(error)
    },
  )
})

describe('a coordinator that loads its partition', () => {
  it.each(COLUMNS.map((column) => [column, column === 'Heartbeat' ? 'NONE' : 'COORDINATOR_LOAD_IN_PROGRESS'] as const))(
    'answers %s with %s',
    (column, error) => {
      const { lab } = populated()
      lab.resign()
      lab.holdDisk()
      lab.boot()
      expect(ask(lab, column, { ...FINE, memberId: 'x' })).toBe(error)
    },
  )
})

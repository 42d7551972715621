/** Groups through the admin client: cases of Kafka's KafkaAdminClientTest and of its handlers' tests. */

import { describe, expect, it } from 'vitest'
import { encodeAssignment } from '../../sim/client/group/consumer-protocol.js'
import type { Apis } from '../../sim/wire/apis.js'
import { Errors } from '../../sim/wire/errors.js'
import { ZERO_UUID } from '../../sim/wire/uuid.js'
import { must } from './lab.js'
import { errors, operating, outcomeOf, sentTo } from './operating.js'
import { foundCoordinators } from './transactional.js'

describe('a question for coordinators', () => {
  const deleted = (results: Record<string, number>): Apis['DeleteGroups']['response'] => ({
    throttleTimeMs: 0,
    results: Object.entries(results).map(([groupId, errorCode]) => ({ groupId, errorCode })),
  })

  it('goes to each one with all of its groups', () => {
    const { lab, admin } = operating({ a: 2, b: 3, c: 2 })
    lab.always('DeleteGroups', (r) =>
      r.respond(deleted(Object.fromEntries(r.body.groupsNames.map((name) => [name, 0])))),
    )
    const result = outcomeOf<void>(lab, (done) => admin.groups.delete(['a', 'b', 'c'], done))
    expect(result.outcome).toBe('ok')
    expect(lab.sent('FindCoordinator').map(({ body }) => body.coordinatorKeys)).toEqual([['a', 'b', 'c']])
    const asked = lab.sent('DeleteGroups').map(({ to, body }) => `${to} ${body.groupsNames.join(',')}`)
    expect(asked.sort()).toEqual(['b2 a,c', 'b3 b'])
    expect(must(lab.of('admin.invoked')[0]).data.operation).toBe('delete-group a,b,c')
  })

  it.each(['COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_LOAD_IN_PROGRESS'] as const)(
    'is put off while the lookup is answered with %s',
    (error) => {
      const { lab, admin } = operating()
      lab.next('FindCoordinator', (r) => r.respond(foundCoordinators(['g'], Errors[error])), 2)
      lab.always('DeleteGroups', (r) => r.respond(deleted({ g: 0 })))
      expect(outcomeOf<void>(lab, (done) => admin.groups.delete(['g'], done)).outcome).toBe('ok')
      expect(lab.sent('FindCoordinator')).toHaveLength(3)
    },
  )

  it('fails where the lookup fails, for that group alone', () => {
    const { lab, admin } = operating()
    lab.next('FindCoordinator', (r) => {
      const good = foundCoordinators(['a'], Errors.NONE, 1)
      const bad = foundCoordinators(['b'], Errors.GROUP_AUTHORIZATION_FAILED)
      r.respond({ ...good, coordinators: [...good.coordinators, ...bad.coordinators] })
    })
    lab.always('DeleteGroups', (r) => r.respond(deleted({ a: 0 })))
    const result = outcomeOf<void>(lab, (done) => admin.groups.delete(['a', 'b'], done))
    expect([...result.values.keys()]).toEqual(['a'])
    expect(errors(result)).toEqual({ b: 'GROUP_AUTHORIZATION_FAILED' })
  })

  it.each(['NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE'] as const)('follows the coordinator after %s', (error) => {
    const { lab, admin, coordinators } = operating()
    lab.next('DeleteGroups', (r) => {
      coordinators['g'] = 3
      r.respond(deleted({ g: Errors[error] }))
    })
    lab.always('DeleteGroups', (r) => r.respond(deleted({ g: 0 })))
    expect(outcomeOf<void>(lab, (done) => admin.groups.delete(['g'], done)).outcome).toBe('ok')
    expect(sentTo(lab, 'DeleteGroups')).toEqual(['b1', 'b3'])
  })

  it('is asked again of a coordinator that still loads, for what is open', () => {
    const { lab, admin } = operating()
    lab.next('DeleteGroups', (r) => r.respond(deleted({ a: 0, b: Errors.COORDINATOR_LOAD_IN_PROGRESS })))
    lab.always('DeleteGroups', (r) => r.respond(deleted({ b: 0 })))
    expect(outcomeOf<void>(lab, (done) => admin.groups.delete(['a', 'b'], done)).outcome).toBe('ok')
    expect(lab.sent('FindCoordinator')).toHaveLength(1)
    expect(lab.sent('DeleteGroups').map(({ body }) => body.groupsNames)).toEqual([['a', 'b'], ['b']])
  })

  it('looks the coordinator up again when it is lost', () => {
    const { lab, admin, coordinators } = operating()
    lab.next('DeleteGroups', (request) => {
      coordinators['g'] = 2
      request.closeConnection()
    })
    lab.always('DeleteGroups', (r) => r.respond(deleted({ g: 0 })))
    expect(outcomeOf<void>(lab, (done) => admin.groups.delete(['g'], done)).outcome).toBe('ok')
    expect(sentTo(lab, 'DeleteGroups')).toEqual(['b1', 'b2'])
  })

  it.each(['NON_EMPTY_GROUP', 'GROUP_ID_NOT_FOUND', 'INVALID_GROUP_ID'] as const)('fails with %s at once', (error) => {
    const { lab, admin } = operating()
    lab.next('DeleteGroups', (r) => r.respond(deleted({ g: Errors[error] })))
    expect(errors(outcomeOf<void>(lab, (done) => admin.groups.delete(['g'], done)))).toEqual({ g: error })
  })

  it('fails with REQUEST_TIMED_OUT at the API timeout', () => {
    const { lab, admin } = operating()
    lab.always('DeleteGroups', (r) => r.respond(deleted({ g: Errors.COORDINATOR_LOAD_IN_PROGRESS })))
    const result = outcomeOf<void>(lab, (done) => admin.groups.delete(['g'], done), 61_000)
    expect(errors(result)).toEqual({ g: 'REQUEST_TIMED_OUT' })
  })
})

describe('a list of groups', () => {
  const listed = (groups: readonly string[], errorCode = 0): Apis['ListGroups']['response'] => ({
    throttleTimeMs: 0,
    errorCode,
    groups: groups.map((groupId) => ({
      groupId,
      protocolType: 'consumer',
      groupState: 'Stable',
      groupType: 'Classic',
    })),
  })

  it('is put together from all brokers, those that still load being asked again', () => {
    const { lab, admin } = operating()
    lab.next('ListGroups', (r) => r.respond(listed([], Errors.COORDINATOR_LOAD_IN_PROGRESS)), 1, 'b2')
    lab.next('ListGroups', (r) => r.respond(listed(['a'])), 1, 'b1')
    lab.next('ListGroups', (r) => r.respond(listed(['b', 'c'])), 1, 'b2')
    lab.next('ListGroups', (r) => r.respond(listed([])), 1, 'b3')
    const result = outcomeOf(lab, (done) => admin.groups.list({ states: ['Stable'] }, done))
    expect([...result.values.keys()].sort()).toEqual(['a', 'b', 'c'])
    expect(must(lab.sent('ListGroups')[0]).body).toEqual({ statesFilter: ['Stable'], typesFilter: [] })
  })

  it('names the broker that refused beside what the others said', () => {
    const { lab, admin } = operating()
    lab.next('ListGroups', (r) => r.respond(listed([], Errors.CLUSTER_AUTHORIZATION_FAILED)), 1, 'b2')
    lab.always('ListGroups', (r) => r.respond(listed(['a'])))
    const result = outcomeOf(lab, (done) => admin.groups.list({}, done))
    expect([...result.values.keys()]).toEqual(['a'])
    expect(errors(result)).toEqual({ b2: 'CLUSTER_AUTHORIZATION_FAILED' })
  })
})

describe('a description of groups', () => {
  type Consumer = Apis['ConsumerGroupDescribe']['response']['groups'][number]
  type Classic = Apis['DescribeGroups']['response']['groups'][number]
  const consumerGroup = (groupId: string, errorCode = 0): Consumer => ({
    errorCode,
    errorMessage: null,
    groupId,
    groupState: errorCode === 0 ? 'Stable' : '',
    groupEpoch: 4,
    assignmentEpoch: 4,
    assignorName: 'uniform',
    members: [
      {
        memberId: 'm',
        instanceId: null,
        rackId: null,
        memberEpoch: 4,
        clientId: 'c',
        clientHost: '/c',
        subscribedTopicNames: ['orders'],
        subscribedTopicRegex: null,
        assignment: { topicPartitions: [{ topicId: ZERO_UUID, topicName: 'orders', partitions: [0] }] },
        targetAssignment: { topicPartitions: [{ topicId: ZERO_UUID, topicName: 'orders', partitions: [0, 1] }] },
        memberType: 1,
      },
    ],
    authorizedOperations: -2147483648,
  })
  const classicGroup = (groupId: string, errorCode = 0): Classic => ({
    errorCode,
    errorMessage: null,
    groupId,
    groupState: errorCode === 0 ? 'Stable' : 'Dead',
    protocolType: 'consumer',
    protocolData: 'range',
    members: [
      {
        memberId: 'm',
        groupInstanceId: 'i',
        clientId: 'c',
        clientHost: '/c',
        memberMetadata: new Uint8Array(),
        memberAssignment: encodeAssignment(['orders-0', 'orders-1']),
      },
    ],
    authorizedOperations: -2147483648,
  })

  it('asks for groups of KIP-848, and for classic ones where there are none', () => {
    const { lab, admin } = operating({ old: 2, new: 2 })
    lab.next('ConsumerGroupDescribe', (r) =>
      r.respond({ throttleTimeMs: 0, groups: [consumerGroup('new'), consumerGroup('old', Errors.GROUP_ID_NOT_FOUND)] }),
    )
    lab.next('DescribeGroups', (r) => r.respond({ throttleTimeMs: 0, groups: [classicGroup('old')] }))
    const result = outcomeOf(lab, (done) => admin.groups.describe(['new', 'old'], done))
    expect(result.values.get('new')).toMatchObject({
      type: 'Consumer',
      state: 'Stable',
      coordinator: 2,
      assignor: 'uniform',
      groupEpoch: 4,
      members: [{ assignment: ['orders-0'], targetAssignment: ['orders-0', 'orders-1'], memberEpoch: 4 }],
    })
    expect(result.values.get('old')).toMatchObject({
      type: 'Classic',
      assignor: 'range',
      members: [{ groupInstanceId: 'i', assignment: ['orders-0', 'orders-1'] }],
    })
    expect(lab.sent('DescribeGroups').map(({ to, body }) => [to, body.groups])).toEqual([['b2', ['old']]])
    expect(lab.sent('FindCoordinator')).toHaveLength(1)
  })

  it('of a group that is of neither kind fails', () => {
    const { lab, admin } = operating()
    lab.next('ConsumerGroupDescribe', (r) =>
      r.respond({ throttleTimeMs: 0, groups: [consumerGroup('g', Errors.GROUP_ID_NOT_FOUND)] }),
    )
    lab.next('DescribeGroups', (r) =>
      r.respond({ throttleTimeMs: 0, groups: [classicGroup('g', Errors.GROUP_ID_NOT_FOUND)] }),
    )
    const result = outcomeOf(lab, (done) => admin.groups.describe(['g'], done))
    expect(errors(result)).toEqual({ g: 'GROUP_ID_NOT_FOUND' })
  })

  it('gives all members to be removed, static ones by their instance id', () => {
    const { lab, admin } = operating()
    lab.next('ConsumerGroupDescribe', (r) =>
      r.respond({ throttleTimeMs: 0, groups: [consumerGroup('g', Errors.GROUP_ID_NOT_FOUND)] }),
    )
    lab.next('DescribeGroups', (r) => r.respond({ throttleTimeMs: 0, groups: [classicGroup('g')] }))
    lab.next('LeaveGroup', (r) =>
      r.respond({
        throttleTimeMs: 0,
        errorCode: 0,
        members: r.body.members.map((member) => ({ ...member, errorCode: 0 })),
      }),
    )
    const result = outcomeOf<void>(lab, (done) => admin.groups.removeMembers('g', 'all', done))
    expect([...result.values.keys()]).toEqual(['i'])
    expect(must(lab.sent('LeaveGroup')[0]).body.members).toMatchObject([{ memberId: '', groupInstanceId: 'i' }])
  })
})

describe('members that are removed', () => {
  it('succeed or fail each for itself', () => {
    const { lab, admin } = operating()
    lab.next('LeaveGroup', (r) =>
      r.respond({
        throttleTimeMs: 0,
        errorCode: 0,
        members: [
          { memberId: '', groupInstanceId: 'i1', errorCode: 0 },
          { memberId: 'm2', groupInstanceId: null, errorCode: Errors.UNKNOWN_MEMBER_ID },
        ],
      }),
    )
    const result = outcomeOf<void>(lab, (done) =>
      admin.groups.removeMembers('g', [{ groupInstanceId: 'i1' }, { memberId: 'm2' }], done),
    )
    expect([...result.values.keys()]).toEqual(['i1'])
    expect(errors(result)).toEqual({ m2: 'UNKNOWN_MEMBER_ID' })
  })
})

describe('offsets of groups', () => {
  const fetched = (errorCode = 0): Apis['OffsetFetch']['response'] => ({
    throttleTimeMs: 0,
    errorCode: 0,
    topics: [],
    groups: [
      {
        groupId: 'g',
        errorCode,
        topics: [
          {
            name: 'orders',
            topicId: ZERO_UUID,
            partitions: [
              { partitionIndex: 0, committedOffset: 5, committedLeaderEpoch: 2, metadata: 'x', errorCode: 0 },
              { partitionIndex: 1, committedOffset: -1, committedLeaderEpoch: -1, metadata: '', errorCode: 0 },
            ],
          },
        ],
      },
    ],
  })

  it('are listed, with nothing where nothing was committed', () => {
    const { lab, admin } = operating()
    lab.next('OffsetFetch', (r) => r.respond(fetched(Errors.NOT_COORDINATOR)))
    lab.next('OffsetFetch', (r) => r.respond(fetched()))
    const result = outcomeOf<ReadonlyMap<string, unknown>>(lab, (done) =>
      admin.groups.listOffsets({ g: 'all' }, done, true),
    )
    expect([...must(result.values.get('g'))]).toEqual([
      ['orders-0', { offset: 5, leaderEpoch: 2, metadata: 'x' }],
      ['orders-1', null],
    ])
    expect(must(lab.sent('OffsetFetch')[0]).body).toMatchObject({
      groups: [{ groupId: 'g', topics: null }],
      requireStable: true,
    })
    expect(must(lab.of('request.receive').find(({ data }) => data.api === 'OffsetFetch')).data.version).toBe(9)
  })

  const committed = (...codes: number[]): Apis['OffsetCommit']['response'] => ({
    throttleTimeMs: 0,
    topics: [
      {
        name: 'orders',
        topicId: ZERO_UUID,
        partitions: codes.map((errorCode, partitionIndex) => ({ partitionIndex, errorCode })),
      },
    ],
  })

  it('are altered as by nobody, all again when one must wait', () => {
    const { lab, admin } = operating()
    lab.next('OffsetCommit', (r) => r.respond(committed(0, Errors.REBALANCE_IN_PROGRESS)))
    lab.next('OffsetCommit', (r) => r.respond(committed(0, Errors.UNKNOWN_TOPIC_OR_PARTITION)))
    const offsets = new Map([
      ['orders-0', { offset: 5 }],
      ['orders-1', { offset: 6, leaderEpoch: 3 }],
    ])
    const result = outcomeOf<void>(lab, (done) => admin.groups.alterOffsets('g', offsets, done))
    expect([...result.values.keys()]).toEqual(['orders-0'])
    expect(errors(result)).toEqual({ 'orders-1': 'UNKNOWN_TOPIC_OR_PARTITION' })
    const sent = lab.sent('OffsetCommit')
    expect(sent).toHaveLength(2)
    expect(must(sent[0]).body).toMatchObject({ groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '' })
    expect(must(must(sent[1]).body.topics[0]).partitions).toHaveLength(2)
  })

  it('cannot be altered while the group has members', () => {
    const { lab, admin } = operating()
    lab.next('OffsetCommit', (r) => r.respond(committed(Errors.UNKNOWN_MEMBER_ID)))
    const result = outcomeOf<void>(lab, (done) =>
      admin.groups.alterOffsets('g', new Map([['orders-0', { offset: 5 }]]), done),
    )
    expect(errors(result)).toEqual({ 'orders-0': 'UNKNOWN_MEMBER_ID' })
  })

  it('are deleted each for itself', () => {
    const { lab, admin } = operating()
    lab.next('OffsetDelete', (r) =>
      r.respond({
        throttleTimeMs: 0,
        errorCode: 0,
        topics: [
          {
            name: 'orders',
            partitions: [
              { partitionIndex: 0, errorCode: 0 },
              { partitionIndex: 1, errorCode: Errors.GROUP_SUBSCRIBED_TO_TOPIC },
            ],
          },
        ],
      }),
    )
    const result = outcomeOf<void>(lab, (done) => admin.groups.deleteOffsets('g', ['orders-0', 'orders-1'], done))
    expect([...result.values.keys()]).toEqual(['orders-0'])
    expect(errors(result)).toEqual({ 'orders-1': 'GROUP_SUBSCRIBED_TO_TOPIC' })
  })

  it('of a group with an error of its own are not deleted at all', () => {
    const { lab, admin } = operating()
    lab.next('OffsetDelete', (r) => r.respond({ throttleTimeMs: 0, errorCode: Errors.GROUP_ID_NOT_FOUND, topics: [] }))
    const result = outcomeOf<void>(lab, (done) => admin.groups.deleteOffsets('g', ['orders-0', 'orders-1'], done))
    expect(errors(result)).toEqual({ 'orders-0': 'GROUP_ID_NOT_FOUND', 'orders-1': 'GROUP_ID_NOT_FOUND' })
  })
})

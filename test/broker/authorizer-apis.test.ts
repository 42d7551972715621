/**
 * Every API: what a client without permission is told, and that it is heard with permission. After Kafka's AuthorizerIntegrationTest.
 *
 * Each story gives one permission after the other; before each of them the request is refused with the error that stands beside it.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ApiName, Apis } from '../../sim/wire/apis.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { type AskOptions, AuthorizerLab } from './authorizer-lab.js'

const TOPIC = 'TOPIC_AUTHORIZATION_FAILED'
const GROUP = 'GROUP_AUTHORIZATION_FAILED'
const CLUSTER = 'CLUSTER_AUTHORIZATION_FAILED'
const TXN = 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'
const DENIALS = [TOPIC, GROUP, CLUSTER, TXN]

const COMMIT = { partitionIndex: 0, committedOffset: 0, committedLeaderEpoch: -1, committedMetadata: '' }
const RECORD = { timestamp: 1, key: null, value: new TextEncoder().encode('x') }
const RESOURCES = { topic: 2, broker: 4, logger: 8, group: 32 } as const

function batch(isTransactional = false): RecordBatch {
  if (!isTransactional) return RecordBatch.build({}, [RECORD])
  return RecordBatch.build({ producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true }, [RECORD])
}

/** A request that may depend on the ids of topics. */
type Body<A extends ApiName> = (lab: AuthorizerLab) => Partial<Apis[A]['request']>

interface Story {
  readonly title: string
  readonly api: ApiName
  readonly body: Body<ApiName>
  /** Refused with this until that is allowed, one after the other. */
  readonly path: readonly (readonly [refusedWith: string, thenAllowed: string])[]
  readonly options?: AskOptions
}

function story<A extends ApiName>(
  title: string,
  api: A,
  body: Partial<Apis[A]['request']> | Body<A>,
  path: Story['path'],
  options?: AskOptions,
): Story {
  const make = (typeof body === 'function' ? body : () => body) as Body<ApiName>
  return { title: `${api} ${title}`, api, body: make, path, ...(options && { options }) }
}

const byTopicId =
  <A extends ApiName>(make: (topicId: string) => Partial<Apis[A]['request']>): Body<A> =>
  (lab) =>
    make(lab.topicIds.get('orders') ?? '')

function produce(transactionalId: string | null): Body<'Produce'> {
  return byTopicId((topicId) => ({
    transactionalId,
    acks: -1,
    timeoutMs: 1_000,
    topicData: [{ name: '', topicId, partitionData: [{ index: 0, records: [batch(transactionalId !== null)] }] }],
  }))
}

const FETCH = byTopicId<'Fetch'>((topicId) => ({
  sessionEpoch: -1,
  maxBytes: 1_000,
  topics: [
    {
      topic: '',
      topicId,
      partitions: [
        {
          partition: 0,
          currentLeaderEpoch: -1,
          fetchOffset: 0,
          lastFetchedEpoch: -1,
          logStartOffset: -1,
          partitionMaxBytes: 1_000,
          replicaDirectoryId: 'AAAAAAAAAAAAAAAAAAAAAA',
          highWatermark: -1,
        },
      ],
    },
  ],
}))

const OFFSET_COMMIT = byTopicId<'OffsetCommit'>((topicId) => ({
  groupId: 'g',
  generationIdOrMemberEpoch: -1,
  topics: [{ name: '', topicId, partitions: [COMMIT] }],
}))

const OFFSET_FETCH = byTopicId<'OffsetFetch'>((topicId) => ({
  groups: [{ groupId: 'g', memberId: null, memberEpoch: -1, topics: [{ name: '', topicId, partitionIndexes: [0] }] }],
}))

const DATA: readonly Story[] = [
  story('writes', 'Produce', produce(null), [[TOPIC, 'write topic orders']]),
  story('writes in a transaction', 'Produce', produce('t'), [
    [TXN, 'write transactional-id t'],
    [TOPIC, 'write topic orders'],
  ]),
  story('reads', 'Fetch', FETCH, [[TOPIC, 'read topic orders']]),
  story('of a follower', 'Fetch', (lab) => ({ ...FETCH(lab), replicaState: { replicaId: 1, replicaEpoch: 1 } }), [
    [TOPIC, 'cluster-action cluster'],
  ]),
  story(
    'describes',
    'ListOffsets',
    {
      replicaId: -1,
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp: -1 }] }],
    },
    [[TOPIC, 'describe topic orders']],
  ),
  ...(['describe topic orders', 'cluster-action cluster'] as const).map((needed) =>
    story(
      `may be asked with ${needed}`,
      'OffsetForLeaderEpoch',
      {
        replicaId: -1,
        topics: [{ topic: 'orders', partitions: [{ partition: 0, currentLeaderEpoch: -1, leaderEpoch: 0 }] }],
      },
      [[TOPIC, needed]],
    ),
  ),
  story(
    'deletes',
    'DeleteRecords',
    { timeoutMs: 1_000, topics: [{ name: 'logs', partitions: [{ partitionIndex: 0, offset: 0 }] }] },
    [[TOPIC, 'delete topic logs']],
  ),
]

const TOPICS: readonly Story[] = [
  story('describes a topic', 'Metadata', { topics: [{ topicId: 'AAAAAAAAAAAAAAAAAAAAAA', name: 'orders' }] }, [
    [TOPIC, 'describe topic orders'],
  ]),
  story(
    'describes a topic by its id',
    'Metadata',
    byTopicId((topicId) => ({ topics: [{ topicId, name: null }] })),
    [[TOPIC, 'describe topic orders']],
  ),
  story('describes', 'DescribeTopicPartitions', { topics: [{ name: 'orders' }], responsePartitionLimit: 10 }, [
    [TOPIC, 'describe topic orders'],
  ]),
  ...(['create topic fresh', 'create cluster'] as const).map((needed) =>
    story(
      `needs ${needed}`,
      'CreateTopics',
      {
        timeoutMs: 1_000,
        validateOnly: true,
        topics: [{ name: 'fresh', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
      },
      [[TOPIC, needed]],
    ),
  ),
  story(
    'needs delete, and describe with it',
    'DeleteTopics',
    { timeoutMs: 1_000, topics: [{ name: 'gone', topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }] },
    [
      [TOPIC, 'describe topic gone'],
      ['UNKNOWN_TOPIC_OR_PARTITION', 'delete topic gone'],
    ],
  ),
  story(
    'alters',
    'CreatePartitions',
    { timeoutMs: 1_000, validateOnly: true, topics: [{ name: 'orders', count: 3, assignments: null }] },
    [[TOPIC, 'alter topic orders']],
  ),
]

const MEMBER = { groupId: 'g', memberId: 'm', generationId: 1, groupInstanceId: null }
const PROTOCOL = { protocolType: 'consumer', protocols: [{ name: 'range', metadata: new Uint8Array() }] }

const GROUPS: readonly Story[] = [
  story('of a group', 'FindCoordinator', { keyType: 0, coordinatorKeys: ['g'] }, [[GROUP, 'describe group g']]),
  story('of a transaction', 'FindCoordinator', { keyType: 1, coordinatorKeys: ['t'] }, [
    [TXN, 'describe transactional-id t'],
  ]),
  story(
    'needs read on the group, and to know of the topics',
    'ConsumerGroupHeartbeat',
    {
      groupId: 'new',
      memberId: 'AAAAAAAAAAAAAAAAAAAAAQ',
      memberEpoch: 0,
      rebalanceTimeoutMs: 6_000,
      subscribedTopicNames: ['orders'],
      topicPartitions: [],
    },
    [
      [GROUP, 'read group new'],
      [TOPIC, 'describe topic orders'],
    ],
  ),
  story('needs describe', 'ConsumerGroupDescribe', { groupIds: ['g'] }, [[GROUP, 'describe group g']]),
  story('needs read', 'JoinGroup', { groupId: 'g', sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 6_000, ...PROTOCOL }, [
    [GROUP, 'read group g'],
  ]),
  story('needs read', 'SyncGroup', { ...MEMBER, protocolType: 'consumer', protocolName: 'range' }, [
    [GROUP, 'read group g'],
  ]),
  story('needs read', 'Heartbeat', MEMBER, [[GROUP, 'read group g']]),
  story(
    'needs read',
    'LeaveGroup',
    { groupId: 'g', members: [{ memberId: 'm', groupInstanceId: null, reason: null }] },
    [[GROUP, 'read group g']],
  ),
  story('needs read on the group and the topic', 'OffsetCommit', OFFSET_COMMIT, [
    [GROUP, 'read group g'],
    [TOPIC, 'read topic orders'],
  ]),
  story('needs describe on the group and the topic', 'OffsetFetch', OFFSET_FETCH, [
    [GROUP, 'describe group g'],
    [TOPIC, 'describe topic orders'],
  ]),
  story('describes', 'DescribeGroups', { groups: ['g'] }, [[GROUP, 'describe group g']]),
  story('deletes', 'DeleteGroups', { groupsNames: ['g'] }, [[GROUP, 'delete group g']]),
  story(
    'deletes from the group what it may read',
    'OffsetDelete',
    { groupId: 'g', topics: [{ name: 'orders', partitions: [{ partitionIndex: 0 }] }] },
    [
      [GROUP, 'delete group g'],
      [TOPIC, 'read topic orders'],
    ],
  ),
]

const PARTITIONS = [{ name: 'orders', partitions: [0] }]
const TXN_COMMIT = {
  transactionalId: 't',
  groupId: 'g',
  producerId: 1,
  producerEpoch: 0,
  generationId: -1,
  topics: [{ name: 'orders', partitions: [COMMIT] }],
}
const MARKER = {
  producerId: 1,
  producerEpoch: 0,
  transactionResult: true,
  coordinatorEpoch: 0,
  topics: [{ name: 'orders', partitionIndexes: [0] }],
}

const TRANSACTIONS: readonly Story[] = [
  story('needs read', 'DescribeProducers', { topics: [{ name: 'orders', partitionIndexes: [0] }] }, [
    [TOPIC, 'read topic orders'],
  ]),
  story(
    'of a transactional id',
    'InitProducerId',
    { transactionalId: 't', transactionTimeoutMs: 1_000, producerId: -1, producerEpoch: -1 },
    [[TXN, 'write transactional-id t']],
  ),
  ...(['idempotent-write cluster', 'write topic anything'] as const).map((needed) =>
    story(
      `without a transactional id needs ${needed}`,
      'InitProducerId',
      { transactionalId: null, transactionTimeoutMs: 1_000, producerId: -1, producerEpoch: -1 },
      [[CLUSTER, needed]],
    ),
  ),
  story(
    'of a client',
    'AddPartitionsToTxn',
    {
      v3AndBelowTransactionalId: 't',
      v3AndBelowProducerId: 1,
      v3AndBelowProducerEpoch: 0,
      v3AndBelowTopics: PARTITIONS,
    },
    [
      [TXN, 'write transactional-id t'],
      [TOPIC, 'write topic orders'],
    ],
    { version: 3 },
  ),
  story(
    'of a broker',
    'AddPartitionsToTxn',
    { transactions: [{ transactionalId: 't', producerId: 1, producerEpoch: 0, verifyOnly: true, topics: PARTITIONS }] },
    [[CLUSTER, 'cluster-action cluster']],
  ),
  story(
    'needs the group as well',
    'AddOffsetsToTxn',
    { transactionalId: 't', producerId: 1, producerEpoch: 0, groupId: 'g' },
    [
      [TXN, 'write transactional-id t'],
      [GROUP, 'read group g'],
    ],
  ),
  story('needs write', 'EndTxn', { transactionalId: 't', producerId: 1, producerEpoch: 0, committed: true }, [
    [TXN, 'write transactional-id t'],
  ]),
  story('needs all three', 'TxnOffsetCommit', TXN_COMMIT, [
    [TXN, 'write transactional-id t'],
    [GROUP, 'read group g'],
    [TOPIC, 'read topic orders'],
  ]),
  ...(['alter cluster', 'cluster-action cluster'] as const).map((needed) =>
    story(`needs ${needed}`, 'WriteTxnMarkers', { markers: [MARKER] }, [[CLUSTER, needed]]),
  ),
  story('describes', 'DescribeTransactions', { transactionalIds: ['t'] }, [[TXN, 'describe transactional-id t']]),
]

const resource = (resourceType: number, resourceName: string) => [{ resourceType, resourceName }]
const described = (type: number, name: string) => ({
  resources: resource(type, name).map((each) => ({ ...each, configurationKeys: null })),
})
const altered = (type: number, name: string) => ({
  validateOnly: true,
  resources: resource(type, name).map((each) => ({
    ...each,
    configs: [{ name: 'retention.ms', configOperation: 0, value: '1000' }],
  })),
})
const ENTRY = { resourceType: 2, resourceName: 'x', principal: 'User:x', host: '*', operation: 3, permissionType: 3 }
const FILTER = {
  resourceTypeFilter: 1,
  resourceNameFilter: 'nothing',
  patternTypeFilter: 1,
  principalFilter: null,
  hostFilter: null,
  operation: 1,
  permissionType: 1,
}

const ADMINISTRATION: readonly Story[] = [
  story('of a topic', 'DescribeConfigs', described(RESOURCES.topic, 'orders'), [
    [TOPIC, 'describe-configs topic orders'],
  ]),
  story('of a group', 'DescribeConfigs', described(RESOURCES.group, 'g'), [[GROUP, 'describe-configs group g']]),
  story('of a broker', 'DescribeConfigs', described(RESOURCES.broker, '1'), [[CLUSTER, 'describe-configs cluster']]),
  ...(['AlterConfigs', 'IncrementalAlterConfigs'] as const).flatMap((api) => [
    story('of a topic', api, altered(RESOURCES.topic, 'orders'), [[TOPIC, 'alter-configs topic orders']]),
    story('of a group', api, altered(RESOURCES.group, 'g'), [[GROUP, 'alter-configs group g']]),
    story(
      'of all brokers',
      api,
      { validateOnly: true, resources: [{ resourceType: 4, resourceName: '', configs: [] }] },
      [[CLUSTER, 'alter-configs cluster']],
    ),
  ]),
  story("of a broker's logger", 'IncrementalAlterConfigs', altered(RESOURCES.logger, '1'), [
    [CLUSTER, 'alter-configs cluster'],
  ]),
  story('describes the cluster', 'DescribeLogDirs', { topics: null }, [[CLUSTER, 'describe cluster']]),
  story(
    'alters',
    'ElectLeaders',
    { electionType: 0, timeoutMs: 1_000, topicPartitions: [{ topic: 'orders', partitions: [0] }] },
    [[CLUSTER, 'alter cluster']],
  ),
  story(
    'alters',
    'AlterPartitionReassignments',
    { timeoutMs: 1_000, topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, replicas: null }] }] },
    [[CLUSTER, 'alter cluster']],
  ),
  story('describes', 'ListPartitionReassignments', { timeoutMs: 1_000, topics: null }, [[CLUSTER, 'describe cluster']]),
  story('alters', 'UpdateFeatures', { timeoutMs: 1_000, validateOnly: true }, [[CLUSTER, 'alter cluster']]),
  story('alters', 'UnregisterBroker', { brokerId: 77 }, [[CLUSTER, 'alter cluster']]),
  story(
    'describes',
    'DescribeQuorum',
    { topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }] },
    [[CLUSTER, 'describe cluster']],
  ),
  story('describes the cluster', 'DescribeAcls', FILTER, [[CLUSTER, 'describe cluster']]),
  story('alters the cluster', 'CreateAcls', { creations: [{ ...ENTRY, resourcePatternType: 3 }] }, [
    [CLUSTER, 'alter cluster'],
  ]),
  story('alters the cluster', 'DeleteAcls', { filters: [FILTER] }, [[CLUSTER, 'alter cluster']]),
]

const TO_CONTROLLER = { to: 'c1' }
const BETWEEN_NODES: readonly Story[] = [
  ...(
    [
      'Vote',
      'BeginQuorumEpoch',
      'EndQuorumEpoch',
      'Fetch',
      'FetchSnapshot',
      'AlterPartition',
      'BrokerHeartbeat',
      'BrokerRegistration',
      'AllocateProducerIds',
      'ControllerRegistration',
      'Envelope',
    ] as const
  ).map((api) => story('is for nodes of the cluster', api, {}, [[CLUSTER, 'cluster-action cluster']], TO_CONTROLLER)),
  story(
    'of a controller alters the cluster',
    'DescribeCluster',
    { endpointType: 2 },
    [[CLUSTER, 'alter cluster']],
    TO_CONTROLLER,
  ),
]

describe.each([
  ['records', DATA],
  ['topics', TOPICS],
  ['groups', GROUPS],
  ['transactions', TRANSACTIONS],
  ['administration', ADMINISTRATION],
  ['what nodes say to one another', BETWEEN_NODES],
])('%s', (_, stories) => {
  let lab: AuthorizerLab
  beforeAll(() => {
    lab = new AuthorizerLab()
  })
  beforeEach(() => {
    lab.revokeAll()
    // A group that exists.
    lab.ask('OffsetCommit', OFFSET_COMMIT(lab), { from: 'root' })
  })
  afterAll(() => lab.revokeAll())

  it.each(stories.map((each) => [each.title, each] as const))('%s', (_title, { api, body, path, options }) => {
    for (const [refusedWith, thenAllowed] of path) {
      expect(lab.errorOf(api, body(lab), options)).toBe(refusedWith)
      lab.acls(`allow alice ${thenAllowed}`)
    }
    expect(DENIALS).not.toContain(lab.errorOf(api, body(lab), options))
    lab.acls(...path.map(([, allowed]) => `deny alice ${allowed}`))
    expect(lab.errorOf(api, body(lab), options)).toBe(path[0]?.[0])
  })

  it.each(stories.map((each) => [each.title, each] as const))(
    '%s, and a super user may',
    (_title, { api, body, options }) => {
      const error = lab.errorOf(api, body(lab), { ...options, from: 'root' })
      expect(DENIALS).not.toContain(error)
    },
  )
})

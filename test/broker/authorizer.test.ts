/** What the answers of a broker with an authorizer tell, and do not tell. After Kafka's AuthorizerIntegrationTest, AuthHelperTest and AclApis. */

import { beforeEach, describe, expect, it } from 'vitest'
import type { AclBinding } from '../../sim/client/admin-acls.js'
import { describeBinding } from '../../sim/client/admin-acls.js'
import type { Apis } from '../../sim/wire/apis.js'
import { errorName, Errors } from '../../sim/wire/errors.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { ZERO_UUID } from '../../sim/wire/uuid.js'
import { AUTHORIZER, AuthorizerLab } from './authorizer-lab.js'

const NOT_ASKED = -2_147_483_648
const RECORD = { timestamp: 1, key: null, value: new TextEncoder().encode('x') }

let lab: AuthorizerLab

function named(...names: string[]) {
  return names.map((name) => ({ topicId: ZERO_UUID, name }))
}

/** `orders: NONE`, … as Metadata answers. */
function metadata(body: Partial<Apis['Metadata']['request']>): string[] {
  return lab.ask('Metadata', body).topics.map(({ name, errorCode }) => `${name}: ${errorName(errorCode)}`)
}

function produceTo(topics: readonly string[], more: Partial<Apis['Produce']['request']> = {}) {
  const topicData = topics.map((name) => ({
    name: '',
    topicId: lab.topicIds.get(name) ?? ZERO_UUID,
    partitionData: [{ index: 0, records: [RecordBatch.build({}, [RECORD])] }],
  }))
  return { acks: -1, timeoutMs: 1_000, topicData, ...more }
}

function commit(topic: string, groupId = 'g') {
  const offset = { partitionIndex: 0, committedOffset: 1, committedLeaderEpoch: -1, committedMetadata: '' }
  const topics = [{ name: '', topicId: lab.topicIds.get(topic) ?? '', partitions: [offset] }]
  return lab.errorOf('OffsetCommit', { groupId, generationIdOrMemberEpoch: -1, topics }, { from: 'root' })
}

function initTransactions(transactionalId: string): Apis['InitProducerId']['response'] {
  const ask = { transactionalId, transactionTimeoutMs: 60_000, producerId: -1, producerEpoch: -1 }
  // The broker may have to get producer ids first.
  for (;;) {
    const answer = lab.ask('InitProducerId', ask, { from: 'root' })
    if (answer.errorCode !== Errors.COORDINATOR_LOAD_IN_PROGRESS) return answer
    lab.run(50)
  }
}

describe('without an authorizer', () => {
  beforeEach(() => {
    lab = new AuthorizerLab({ config: {} })
  })

  it('everybody may do everything', () => {
    expect(lab.errorOf('Produce', produceTo(['orders']))).toBe('NONE')
    expect(lab.errorOf('UnregisterBroker', { brokerId: 77 })).toBe('BROKER_ID_NOT_REGISTERED')
    expect(lab.denied).toEqual([])
  })

  it('questions about ACLs are answered with SECURITY_DISABLED', () => {
    const any = { resourceTypeFilter: 1, patternTypeFilter: 1, operation: 1, permissionType: 1 }
    const filter = { ...any, resourceNameFilter: null, principalFilter: null, hostFilter: null }
    const entry = { resourceType: 2, resourceName: 'x', resourcePatternType: 3, principal: 'User:x', host: '*' }
    expect(lab.errorOf('DescribeAcls', filter)).toBe('SECURITY_DISABLED')
    expect(lab.errorOf('DeleteAcls', { filters: [filter] })).toBe('SECURITY_DISABLED')
    expect(lab.errorOf('CreateAcls', { creations: [{ ...entry, operation: 3, permissionType: 3 }] })).toBe(
      'SECURITY_DISABLED',
    )
  })

  it('all operations are authorized', () => {
    const [topic] = lab.ask('Metadata', { topics: named('orders'), includeTopicAuthorizedOperations: true }).topics
    expect(topic?.topicAuthorizedOperations).toBe(3_576)
    const cluster = lab.ask('DescribeCluster', { endpointType: 1, includeClusterAuthorizedOperations: true })
    expect(cluster.clusterAuthorizedOperations).toBe(8_096)
  })

  it('transactional records without a transactional id are refused all the same', () => {
    const records = [
      RecordBatch.build({ producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true }, [RECORD]),
    ]
    const topicData = [{ name: '', topicId: lab.topicIds.get('orders') ?? '', partitionData: [{ index: 0, records }] }]
    expect(lab.errorOf('Produce', { acks: -1, timeoutMs: 1_000, topicData })).toBe(
      'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    )
  })
})

describe('what a client may not know of', () => {
  beforeEach(() => {
    lab = new AuthorizerLab()
  })

  it('is left out when it asks for all topics, and nobody is blamed', () => {
    lab.acls('allow alice describe topic orders')
    expect(metadata({ topics: null })).toEqual(['orders: NONE'])
    expect(lab.denied).toEqual([])
  })

  it('looks the same whether it exists or not', () => {
    expect(metadata({ topics: named('orders', 'nothing') })).toEqual([
      'orders: TOPIC_AUTHORIZATION_FAILED',
      'nothing: TOPIC_AUTHORIZATION_FAILED',
    ])
    lab.acls('allow alice describe topic *')
    expect(metadata({ topics: named('orders', 'nothing') })).toEqual([
      'orders: NONE',
      'nothing: UNKNOWN_TOPIC_OR_PARTITION',
    ])
  })

  it('keeps its id when asked for by name, and its name when asked for by id', () => {
    const topicId = lab.topicIds.get('orders') ?? ''
    const [byName] = lab.ask('Metadata', { topics: named('orders') }).topics
    const [byId] = lab.ask('Metadata', { topics: [{ topicId, name: null }] }).topics
    expect(byName).toMatchObject({ name: 'orders', topicId: ZERO_UUID, partitions: [] })
    expect(byId).toMatchObject({ name: null, topicId, partitions: [], errorCode: Errors.TOPIC_AUTHORIZATION_FAILED })
  })

  it('is not told of in DescribeTopicPartitions unless it is named', () => {
    lab.acls('allow alice describe topic logs')
    const all = lab.ask('DescribeTopicPartitions', { responsePartitionLimit: 10 })
    expect(all.topics.map(({ name }) => name)).toEqual(['logs'])
    const asked = lab.ask('DescribeTopicPartitions', {
      topics: [{ name: 'logs' }, { name: 'orders' }],
      responsePartitionLimit: 10,
    })
    expect(
      asked.topics.map(({ name, errorCode, topicId }) => [name, errorName(errorCode), topicId === ZERO_UUID]),
    ).toEqual([
      ['logs', 'NONE', false],
      ['orders', 'TOPIC_AUTHORIZATION_FAILED', true],
    ])
  })

  it('cannot be found out by deleting it', () => {
    const topicId = lab.topicIds.get('orders') ?? ''
    const remove = (topics: Apis['DeleteTopics']['request']['topics']) =>
      lab
        .ask('DeleteTopics', { timeoutMs: 1_000, topics })
        .responses.map(({ name, errorCode }) => [name, errorName(errorCode)])
    expect(remove(named('orders', 'nothing'))).toEqual([
      ['orders', 'TOPIC_AUTHORIZATION_FAILED'],
      ['nothing', 'TOPIC_AUTHORIZATION_FAILED'],
    ])
    expect(remove([{ name: null, topicId }])).toEqual([[null, 'TOPIC_AUTHORIZATION_FAILED']])
    lab.acls('allow alice describe topic *')
    expect(new Map(remove(named('orders', 'nothing')) as [string, string][])).toEqual(
      new Map([
        ['orders', 'TOPIC_AUTHORIZATION_FAILED'],
        ['nothing', 'UNKNOWN_TOPIC_OR_PARTITION'],
      ]),
    )
    expect(remove([{ name: null, topicId }])).toEqual([['orders', 'TOPIC_AUTHORIZATION_FAILED']])
  })

  it('is not among the offsets of its group', () => {
    commit('orders')
    commit('logs')
    lab.acls('allow alice describe group g', 'allow alice describe topic logs')
    const ask = { groups: [{ groupId: 'g', memberId: null, memberEpoch: -1, topics: null }] }
    const [group] = lab.ask('OffsetFetch', ask).groups
    expect(group?.errorCode).toBe(Errors.NONE)
    expect(group?.topics.map(({ topicId }) => topicId)).toEqual([lab.topicIds.get('logs')])
  })

  it('is not among the groups, unless it may describe the cluster', () => {
    commit('orders', 'mine')
    commit('orders', 'theirs')
    lab.acls('allow alice describe group mine')
    const groups = (): string[] => lab.ask('ListGroups', {}).groups.map(({ groupId }) => groupId)
    expect(groups()).toEqual(['mine'])
    expect(lab.denied).toEqual([])
    lab.acls('allow alice describe cluster')
    expect(groups()).toEqual(['mine', 'theirs'])
  })

  it('is not among the transactions', () => {
    for (const transactionalId of ['mine', 'theirs']) {
      initTransactions(transactionalId)
    }
    lab.acls('allow alice describe transactional-id mine')
    const listed = lab.ask('ListTransactions', { durationFilter: -1 })
    expect(listed.transactionStates.map(({ transactionalId }) => transactionalId)).toEqual(['mine'])
  })

  it('is not among the topics of a transaction', () => {
    const { producerId, producerEpoch } = initTransactions('t')
    lab.ask(
      'AddPartitionsToTxn',
      {
        v3AndBelowTransactionalId: 't',
        v3AndBelowProducerId: producerId,
        v3AndBelowProducerEpoch: producerEpoch,
        v3AndBelowTopics: ['orders', 'logs'].map((name) => ({ name, partitions: [0] })),
      },
      { from: 'root', version: 3 },
    )
    lab.acls('allow alice describe transactional-id t', 'allow alice describe topic logs')
    const [state] = lab.ask('DescribeTransactions', { transactionalIds: ['t'] }).transactionStates
    expect(state?.transactionState).toBe('Ongoing')
    expect(state?.topics.map(({ topic }) => topic)).toEqual(['logs'])
  })
})

describe('writing', () => {
  beforeEach(() => {
    lab = new AuthorizerLab()
  })

  it('is refused topic by topic', () => {
    lab.acls('allow alice write topic logs')
    const { responses } = lab.ask('Produce', produceTo(['orders', 'logs']))
    expect(responses.map((topic) => errorName(topic.partitionResponses[0]?.errorCode ?? -1))).toEqual([
      'TOPIC_AUTHORIZATION_FAILED',
      'NONE',
    ])
  })

  it('with acks=0 ends the connection when it is refused', () => {
    expect(() => lab.ask('Produce', produceTo(['orders'], { acks: 0 }))).toThrow('was not answered')
  })

  it('does not follow from reading, nor reading from writing', () => {
    lab.acls('allow alice read topic orders')
    expect(lab.errorOf('Produce', produceTo(['orders']))).toBe('TOPIC_AUTHORIZATION_FAILED')
  })

  it("to Kafka's own topics cannot be added to a transaction, whatever is allowed", () => {
    lab.acls('allow alice all topic *', 'allow alice all transactional-id *')
    const v3AndBelowTopics = [{ name: '__consumer_offsets', partitions: [0] }]
    const ask = {
      v3AndBelowTransactionalId: 't',
      v3AndBelowProducerId: 1,
      v3AndBelowProducerEpoch: 0,
      v3AndBelowTopics,
    }
    expect(lab.errorOf('AddPartitionsToTxn', ask, { version: 3 })).toBe('TOPIC_AUTHORIZATION_FAILED')
  })

  it('is a matter of the host as well', () => {
    lab.acls('allow alice write topic orders from elsewhere')
    expect(lab.errorOf('Produce', produceTo(['orders']))).toBe('TOPIC_AUTHORIZATION_FAILED')
    lab.acls('allow alice write topic orders from alice')
    expect(lab.errorOf('Produce', produceTo(['orders']))).toBe('NONE')
    lab.acls('deny alice write topic orders from alice')
    expect(lab.errorOf('Produce', produceTo(['orders']))).toBe('TOPIC_AUTHORIZATION_FAILED')
  })

  it('is allowed to everybody where nothing is said, when so configured', () => {
    lab = new AuthorizerLab({ config: { ...AUTHORIZER, 'allow.everyone.if.no.acl.found': true } })
    expect(lab.errorOf('Produce', produceTo(['orders']))).toBe('NONE')
    lab.acls('allow bob read topic orders')
    expect(lab.errorOf('Produce', produceTo(['orders']))).toBe('TOPIC_AUTHORIZATION_FAILED')
    expect(lab.errorOf('Produce', produceTo(['logs']))).toBe('NONE')
  })
})

describe('creating topics', () => {
  const fresh = { name: 'fresh', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }
  const create = () => lab.ask('CreateTopics', { timeoutMs: 5_000, validateOnly: false, topics: [fresh] }).topics[0]

  it('on demand needs the permission to create', () => {
    lab = new AuthorizerLab({ config: { ...AUTHORIZER, 'auto.create.topics.enable': true } })
    lab.acls('allow alice describe topic fresh')
    const ask = { topics: named('fresh'), allowAutoTopicCreation: true }
    expect(metadata(ask)).toEqual(['fresh: TOPIC_AUTHORIZATION_FAILED'])
    lab.run(1_000)
    expect(metadata({ ...ask, allowAutoTopicCreation: false })).toEqual(['fresh: UNKNOWN_TOPIC_OR_PARTITION'])
    lab.acls('allow alice create topic fresh')
    expect(metadata(ask)).toEqual(['fresh: UNKNOWN_TOPIC_OR_PARTITION'])
    lab.run(1_000)
    expect(metadata(ask)).toEqual(['fresh: NONE'])
  })

  it('shows the settings only to those who may see them', () => {
    lab = new AuthorizerLab()
    lab.acls('allow alice create topic fresh')
    const hidden = { numPartitions: -1, replicationFactor: -1, configs: [] }
    expect(create()).toMatchObject({ errorCode: 0, topicConfigErrorCode: Errors.TOPIC_AUTHORIZATION_FAILED, ...hidden })
    lab.ask('DeleteTopics', { timeoutMs: 5_000, topics: named('fresh') }, { from: 'root' })
    lab.acls('allow alice describe-configs topic fresh')
    expect(create()).toMatchObject({ errorCode: 0, topicConfigErrorCode: 0, numPartitions: 2, replicationFactor: 1 })
  })

  it("of Kafka's own is the broker's affair, whoever asks for a coordinator", () => {
    // The lab's root has made them ask; had it been alice's right, they would not be there.
    lab = new AuthorizerLab()
    lab.ask('DeleteTopics', { timeoutMs: 5_000, topics: named('__consumer_offsets') }, { from: 'root' })
    lab.run(500)
    lab.acls('allow alice describe group g')
    const find = () => lab.errorOf('FindCoordinator', { keyType: 0, coordinatorKeys: ['g'] })
    expect(find()).toBe('COORDINATOR_NOT_AVAILABLE')
    lab.run(1_000)
    expect(find()).toBe('NONE')
    expect(lab.denied).toEqual([])
  })
})

describe('the operations that a client is told to be authorized for', () => {
  beforeEach(() => {
    lab = new AuthorizerLab()
  })

  it('are those on a topic', () => {
    lab.acls('allow alice read,alter-configs topic orders', 'deny alice alter topic orders')
    const asked = { topics: named('orders'), includeTopicAuthorizedOperations: true }
    const bits = (1 << 3) | (1 << 8) | (1 << 10) | (1 << 11)
    expect(lab.ask('Metadata', asked).topics[0]?.topicAuthorizedOperations).toBe(bits)
    expect(lab.ask('Metadata', { topics: named('orders') }).topics[0]?.topicAuthorizedOperations).toBe(NOT_ASKED)
    const [described] = lab.ask('DescribeTopicPartitions', {
      topics: [{ name: 'orders' }],
      responsePartitionLimit: 1,
    }).topics
    expect(described?.topicAuthorizedOperations).toBe(bits)
    expect(lab.denied).toEqual([])
  })

  it('are those on the cluster, if it may describe it', () => {
    const ask = () => lab.ask('DescribeCluster', { endpointType: 1, includeClusterAuthorizedOperations: true })
    expect(ask().clusterAuthorizedOperations).toBe(0)
    lab.acls('allow alice alter cluster')
    expect(ask().clusterAuthorizedOperations).toBe((1 << 7) | (1 << 8))
  })

  it('are those on a group', () => {
    lab.acls('allow alice read group g')
    const ask = (includeAuthorizedOperations: boolean) =>
      lab.ask('DescribeGroups', { groups: ['g'], includeAuthorizedOperations }).groups[0]
    commit('orders')
    expect(ask(true)?.authorizedOperations).toBe((1 << 3) | (1 << 8))
    expect(ask(false)?.authorizedOperations).toBe(NOT_ASKED)
  })
})

describe('a refusal', () => {
  beforeEach(() => {
    lab = new AuthorizerLab()
  })

  it('stands in the trace, with who was refused what', () => {
    lab.ask('Produce', produceTo(['orders']))
    expect(lab.denied).toEqual([
      { principal: 'User:alice', operation: 'write', resource: 'topic orders', api: 'Produce', from: 'alice' },
    ])
  })

  it('of the controller is about the client, not about the broker that passed its request on', () => {
    expect(
      lab.errorOf('ElectLeaders', { timeoutMs: 1_000, topicPartitions: [{ topic: 'orders', partitions: [0] }] }),
    ).toBe('CLUSTER_AUTHORIZATION_FAILED')
    expect(lab.denied).toEqual([
      {
        principal: 'User:alice',
        operation: 'alter',
        resource: 'cluster kafka-cluster',
        api: 'ElectLeaders',
        from: 'alice',
      },
    ])
  })

  it('is the same when every message is encoded and decoded', () => {
    lab = new AuthorizerLab({ wire: 'bytes' })
    lab.acls('allow alice write topic logs')
    const { responses } = lab.ask('Produce', produceTo(['orders', 'logs']))
    expect(responses.map((topic) => topic.partitionResponses[0]?.errorCode)).toEqual([
      Errors.TOPIC_AUTHORIZATION_FAILED,
      0,
    ])
    expect(lab.errorOf('UnregisterBroker', { brokerId: 77 })).toBe('CLUSTER_AUTHORIZATION_FAILED')
  })
})

describe('an administrator', () => {
  const ENTRY: AclBinding = {
    resourceType: 'topic',
    resourceName: 'orders',
    pattern: 'literal',
    principal: 'User:alice',
    host: '*',
    operation: 'read',
    permission: 'allow',
  }

  beforeEach(() => {
    lab = new AuthorizerLab()
  })

  function describeAll(): string[] {
    let found: readonly AclBinding[] | undefined
    lab.cluster.admin.run(
      (admin, done) =>
        admin.acls.describe({}, (result) => {
          found = result.values.get('acls')
          done(result)
        }),
      () => {},
    )
    lab.until(() => found !== undefined)
    return (found ?? []).map(describeBinding)
  }

  function run(operate: Parameters<typeof lab.cluster.admin.run>[0]): string {
    let outcome: string | undefined
    lab.cluster.admin.run(operate, (text) => (outcome = text))
    lab.until(() => outcome !== undefined)
    lab.run(100)
    return outcome ?? ''
  }

  it('creates, sees and deletes ACLs', () => {
    const prefixed: AclBinding = { ...ENTRY, pattern: 'prefixed', operation: 'all', permission: 'deny', host: 'h1' }
    expect(run((admin, done) => admin.acls.create([ENTRY, prefixed], done))).toBe('ok')
    expect(describeAll()).toEqual(['allow User:alice read topic orders', 'deny User:alice all topic orders… from h1'])
    expect(run((admin, done) => admin.acls.delete([{ permission: 'deny' }], done))).toBe('ok')
    expect(describeAll()).toEqual(['allow User:alice read topic orders'])
  })

  it('cannot give the cluster another name, nor leave a name out; the rest of the request stands', () => {
    const cluster: AclBinding = { ...ENTRY, resourceType: 'cluster', resourceName: 'mine', operation: 'alter' }
    expect(run((admin, done) => admin.acls.create([cluster, { ...ENTRY, resourceName: '' }, ENTRY], done))).toBe(
      'INVALID_REQUEST',
    )
    expect(describeAll()).toEqual(['allow User:alice read topic orders'])
  })

  it('finds them again after the controller was replaced by itself, and after the broker was', () => {
    lab.acls('allow alice write topic orders')
    for (const node of ['c1', 'b1']) {
      lab.cluster.kill(node)
      lab.run(200)
      lab.cluster.start(node)
      lab.run(20_000)
      expect(describeAll()).toEqual(['allow User:alice write topic orders'])
      expect(lab.errorOf('Produce', produceTo(['orders']))).toBe('NONE')
      expect(lab.errorOf('Produce', produceTo(['logs']))).toBe('TOPIC_AUTHORIZATION_FAILED')
    }
  })
})

import { describe, expect, it } from 'vitest'
import { ConfigSource } from '../../../sim/broker/broker-dynamic-config.js'
import { ZERO_UUID } from '../../../sim/kraft/metadata/records.js'
import type { Apis } from '../../../sim/wire/apis.js'
import { Errors } from '../../../sim/wire/errors.js'
import { FakeBroker } from './fake-broker.js'
import { broker, imageOf, ORDERS_ID, partition, topic } from './images.js'

const CLUSTER = imageOf([broker(1), broker(2), broker(3, true), topic('orders'), partition(0), partition(1)])

function up(given: Record<string, unknown> = {}): FakeBroker {
  const made = new FakeBroker(given)
  made.setImage(CLUSTER)
  return made
}

function metadataRequest(
  topics: readonly (string | { id: string })[] | null,
  allowAutoTopicCreation = true,
): Apis['Metadata']['request'] {
  return {
    topics:
      topics?.map((one) =>
        typeof one === 'string' ? { topicId: ZERO_UUID, name: one } : { topicId: one.id, name: null },
      ) ?? null,
    allowAutoTopicCreation,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  }
}

describe('Metadata', () => {
  it('lists living brokers, the cluster id and a living broker as controller', () => {
    const { response } = up().ask('Metadata', metadataRequest([]))
    expect(response?.brokers).toEqual([
      { nodeId: 1, host: 'b1', port: 9092, rack: null },
      { nodeId: 2, host: 'b2', port: 9092, rack: null },
    ])
    expect(response?.clusterId).toBe('cluster')
    expect([1, 2]).toContain(response?.controllerId)
    expect(response?.topics).toEqual([])
  })

  it('describes all topics when asked for none in particular', () => {
    const { response } = up().ask('Metadata', metadataRequest(null))
    expect(response?.topics.map((one) => one.name)).toEqual(['orders'])
  })

  it('finds topics by id and says UNKNOWN_TOPIC_ID for strangers', () => {
    const stranger = 'vKe1TnIiTCSMPzVLrnVVTg'
    const { response } = up().ask('Metadata', metadataRequest([{ id: stranger }, { id: ORDERS_ID }]))
    expect(response?.topics.map((one) => [one.name, one.topicId, one.errorCode])).toEqual([
      [null, stranger, Errors.UNKNOWN_TOPIC_ID],
      ['orders', ORDERS_ID, Errors.NONE],
    ])
  })

  it('asks the controller to create a topic that is not there, with the broker defaults, and says so', () => {
    const made = up({ 'num.partitions': 4, 'default.replication.factor': 3 })
    const { response } = made.ask('Metadata', metadataRequest(['orders', 'payments']))
    expect(response?.topics.map((one) => [one.name, one.errorCode])).toEqual([
      ['orders', Errors.NONE],
      ['payments', Errors.UNKNOWN_TOPIC_OR_PARTITION],
    ])
    const forwarded = made.forwarded()
    expect(forwarded.api).toBe('CreateTopics')
    expect(forwarded.clientId).toBe('client-1')
    expect(forwarded.correlationId).toBe(17)
    expect(forwarded.message).toMatchObject({
      topics: [{ name: 'payments', numPartitions: 4, replicationFactor: 3, assignments: [], configs: [] }],
      timeoutMs: 30_000,
      validateOnly: false,
    })
  })

  it('asks once while a creation is on its way, and again after it', () => {
    const made = up()
    made.ask('Metadata', metadataRequest(['payments']))
    made.ask('Metadata', metadataRequest(['payments']))
    expect(made.controller.asked).toHaveLength(1)
    made.answerForwarded('CreateTopics', { throttleTimeMs: 0, topics: [] })
    made.ask('Metadata', metadataRequest(['payments']))
    expect(made.controller.asked).toHaveLength(2)
  })

  it.each([
    ['the client does not allow it', {}, false],
    ['the broker does not allow it', { 'auto.create.topics.enable': false }, true],
  ])('creates nothing when %s', (_why, given, allowed) => {
    const made = up(given)
    const { response } = made.ask('Metadata', metadataRequest(['payments', 'no/name'], allowed))
    expect(response?.topics.map((one) => one.errorCode)).toEqual([
      Errors.UNKNOWN_TOPIC_OR_PARTITION,
      Errors.INVALID_TOPIC_EXCEPTION,
    ])
    expect(made.controller.asked).toEqual([])
  })

  it('does not ask for a topic whose name is invalid', () => {
    const made = up()
    const { response } = made.ask('Metadata', metadataRequest(['..']))
    expect(response?.topics[0]?.errorCode).toBe(Errors.INVALID_TOPIC_EXCEPTION)
    expect(made.controller.asked).toEqual([])
  })
})

describe('DescribeCluster', () => {
  const ask = (endpointType: number, includeFencedBrokers: boolean) =>
    up().ask('DescribeCluster', { includeClusterAuthorizedOperations: true, endpointType, includeFencedBrokers })
      .response

  it('lists living brokers, and fenced ones on request', () => {
    expect(ask(1, false)?.brokers.map((one) => one.brokerId)).toEqual([1, 2])
    expect(ask(1, true)?.brokers.map((one) => [one.brokerId, one.isFenced])).toEqual([
      [1, false],
      [2, false],
      [3, true],
    ])
    expect(ask(1, false)?.clusterAuthorizedOperations).toBe(8_096)
  })

  it('is no question about controllers', () => {
    expect(ask(2, false)?.errorCode).toBe(Errors.MISMATCHED_ENDPOINT_TYPE)
    expect(ask(3, false)?.errorCode).toBe(Errors.UNSUPPORTED_ENDPOINT_TYPE)
  })
})

describe('DescribeTopicPartitions', () => {
  const ask = (topics: string[], cursor: { topicName: string; partitionIndex: number } | null, limit = 2_000) =>
    up().ask('DescribeTopicPartitions', {
      topics: topics.map((name) => ({ name })),
      responsePartitionLimit: limit,
      cursor,
    }).response

  it('pages through all topics', () => {
    expect(ask([], null, 1)?.nextCursor).toEqual({ topicName: 'orders', partitionIndex: 1 })
    expect(ask([], { topicName: 'orders', partitionIndex: 1 }, 1)?.nextCursor).toBeNull()
  })

  it('refuses a cursor outside of what was asked for', () => {
    expect(ask(['orders'], { topicName: 'payments', partitionIndex: 0 })?.topics[0]?.errorCode).toBe(
      Errors.INVALID_REQUEST,
    )
    expect(ask(['orders'], { topicName: 'orders', partitionIndex: -1 })?.topics[0]?.errorCode).toBe(
      Errors.INVALID_REQUEST,
    )
  })
})

describe('a request that changes the cluster', () => {
  const body: Apis['DeleteTopics']['request'] = {
    topics: [{ name: 'orders', topicId: ZERO_UUID }],
    topicNames: [],
    timeoutMs: 1_000,
  }

  it('goes to the controller as the client sent it, and its answer comes back', () => {
    const made = up()
    const answer = made.ask('DeleteTopics', body, 6)
    expect(made.forwarded()).toMatchObject({ api: 'DeleteTopics', version: 6, correlationId: 17, message: body })
    const response = {
      throttleTimeMs: 0,
      responses: [{ name: 'orders', topicId: ORDERS_ID, errorCode: Errors.NONE, errorMessage: null }],
    }
    made.answerForwarded('DeleteTopics', response)
    expect(answer.response).toEqual(response)
  })

  it('is answered REQUEST_TIMED_OUT when no controller was found', () => {
    const made = up()
    const answer = made.ask('DeleteTopics', body)
    made.controller.last('Envelope').timeOut()
    made.node.run(0)
    expect(answer.response?.responses.map((one) => one.errorCode)).toEqual([Errors.REQUEST_TIMED_OUT])
  })

  it('is answered UNKNOWN_SERVER_ERROR when the envelope was refused', () => {
    const made = up()
    const answer = made.ask('DeleteTopics', body)
    made.controller.last('Envelope').answer({ errorCode: Errors.CLUSTER_AUTHORIZATION_FAILED, responseData: null })
    made.node.run(0)
    expect(answer.response?.responses.map((one) => one.errorCode)).toEqual([Errors.UNKNOWN_SERVER_ERROR])
  })

  it('loses its connection when the controller does not speak its version', () => {
    const made = up()
    const answer = made.ask('DeleteTopics', body)
    made.controller.last('Envelope').answer({ errorCode: Errors.UNSUPPORTED_VERSION, responseData: null })
    made.node.run(0)
    expect(answer).toEqual({ response: undefined, closed: true })
  })
})

describe('an API that brokers do not serve', () => {
  it('loses its connection', () => {
    const { closed } = up().ask('BrokerHeartbeat', {
      brokerId: 2,
      brokerEpoch: 1,
      currentMetadataOffset: 1,
      wantFence: false,
      wantShutDown: false,
      offlineLogDirs: [],
    })
    expect(closed).toBe(true)
  })
})

describe('ApiVersions', () => {
  const body = { clientSoftwareName: 'apache-kafka-java', clientSoftwareVersion: '4.1.0' }

  it('lists what the broker serves, in the order of keys, and the features', () => {
    const { response } = up().ask('ApiVersions', body)
    const keys = response?.apiKeys.map((one) => one.apiKey) ?? []
    expect(keys).toEqual([...keys].sort((a, b) => a - b))
    expect(keys).toContain(0)
    expect(keys).not.toContain(52)
    expect(keys).not.toContain(63)
    expect(response?.supportedFeatures).toContainEqual({ name: 'metadata.version', minVersion: 7, maxVersion: 27 })
    expect(response?.supportedFeatures).toContainEqual({ name: 'transaction.version', minVersion: 0, maxVersion: 2 })
    expect(response?.finalizedFeatures).toContainEqual({
      name: 'kraft.version',
      maxVersionLevel: 1,
      minVersionLevel: 1,
    })
    expect(response?.finalizedFeaturesEpoch).toBe(CLUSTER.offset)
  })

  it('hides features that begin at 0 from versions below 4', () => {
    const { response } = up().ask('ApiVersions', body, 3)
    expect(response?.supportedFeatures.map((one) => one.name)).toEqual(['metadata.version'])
  })

  it('refuses names of software that are none', () => {
    const { response } = up().ask('ApiVersions', { ...body, clientSoftwareName: '-x' })
    expect(response?.errorCode).toBe(Errors.INVALID_REQUEST)
  })
})

describe('producers and coordinators', () => {
  const idempotent = { transactionalId: null, transactionTimeoutMs: 60_000, producerId: -1, producerEpoch: -1 }

  it('gets a new producer id with epoch 0, whatever id it had', () => {
    const made = up()
    expect(made.ask('InitProducerId', idempotent).response?.errorCode).toBe(Errors.COORDINATOR_LOAD_IN_PROGRESS)
    const block = { throttleTimeMs: 0, errorCode: Errors.NONE, producerIdStart: 4_000, producerIdLen: 1_000 }
    made.controller.last('AllocateProducerIds').answer(block)
    made.node.run(0)
    expect(made.ask('InitProducerId', idempotent).response).toMatchObject({ producerId: 4_000, producerEpoch: 0 })
    const again = { ...idempotent, producerId: 4_000, producerEpoch: 32_767 }
    expect(made.ask('InitProducerId', again).response).toMatchObject({ producerId: 4_001, producerEpoch: 0 })
  })

  it('is refused with half an identity or an empty transactional id', () => {
    const ask = (change: Partial<Apis['InitProducerId']['request']>) =>
      up().ask('InitProducerId', { ...idempotent, ...change }).response?.errorCode
    expect(ask({ producerId: 5 })).toBe(Errors.INVALID_REQUEST)
    expect(ask({ producerEpoch: 5 })).toBe(Errors.INVALID_REQUEST)
    expect(ask({ transactionalId: '' })).toBe(Errors.INVALID_REQUEST)
  })

  it('finds no coordinator', () => {
    const { response } = up().ask('FindCoordinator', { key: '', keyType: 0, coordinatorKeys: ['group'] })
    expect(response?.coordinators).toEqual([
      { key: 'group', nodeId: -1, host: '', port: -1, errorCode: Errors.COORDINATOR_NOT_AVAILABLE, errorMessage: '' },
    ])
  })
})

describe('DescribeConfigs', () => {
  const describeConfigs = (
    made: FakeBroker,
    resourceType: number,
    resourceName: string,
    configurationKeys: readonly string[] | null,
  ) =>
    made.ask('DescribeConfigs', {
      resources: [{ resourceType, resourceName, configurationKeys }],
      includeSynonyms: true,
      includeDocumentation: false,
    }).response?.results[0]

  it('shows a topic setting with the layers behind it', () => {
    const made = up({ 'min.insync.replicas': 2 })
    made.setImage({ ...CLUSTER, configs: new Map([['topic:orders', new Map([['min.insync.replicas', '3']])]]) })
    const result = describeConfigs(made, 2, 'orders', ['min.insync.replicas'])
    expect(result?.configs).toEqual([
      {
        name: 'min.insync.replicas',
        value: '3',
        readOnly: false,
        configSource: ConfigSource.TOPIC_CONFIG,
        isSensitive: false,
        synonyms: [
          { name: 'min.insync.replicas', value: '3', source: ConfigSource.TOPIC_CONFIG },
          { name: 'min.insync.replicas', value: '2', source: ConfigSource.STATIC_BROKER_CONFIG },
          { name: 'min.insync.replicas', value: '1', source: ConfigSource.DEFAULT_CONFIG },
        ],
        configType: 3,
        documentation: null,
      },
    ])
  })

  it('shows every setting of a topic when none is named', () => {
    const names = describeConfigs(up(), 2, 'orders', null)?.configs.map((one) => one.name)
    expect(names).toContain('retention.ms')
    expect(names).toContain('cleanup.policy')
    expect(names?.some((name) => name.startsWith('internal.'))).toBe(false)
  })

  it('says of a broker setting whether it can be changed', () => {
    const configs = describeConfigs(up(), 4, '1', ['num.partitions', 'log.retention.ms'])?.configs
    expect(configs?.map((one) => [one.name, one.readOnly, one.configType])).toEqual([
      ['log.retention.ms', false, 5],
      ['num.partitions', true, 3],
    ])
  })

  it('shows the cluster-wide defaults under the empty name', () => {
    const made = up()
    expect(describeConfigs(made, 4, '', null)?.configs).toEqual([])
    made.setImage({ ...CLUSTER, configs: new Map([['broker:', new Map([['message.max.bytes', '9']])]]) })
    const configs = describeConfigs(made, 4, '', null)?.configs
    expect(configs?.map((one) => [one.name, one.value, one.configSource])).toEqual([
      ['message.max.bytes', '9', ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG],
    ])
  })

  it('is refused for other brokers, unknown topics and invalid names', () => {
    expect(describeConfigs(up(), 4, '2', null)).toMatchObject({
      errorCode: Errors.INVALID_REQUEST,
      errorMessage: 'this is broker 1, not 2',
    })
    expect(describeConfigs(up(), 2, 'payments', null)?.errorCode).toBe(Errors.UNKNOWN_TOPIC_OR_PARTITION)
    expect(describeConfigs(up(), 2, 'no/name', null)?.errorCode).toBe(Errors.INVALID_TOPIC_EXCEPTION)
  })
})

describe('IncrementalAlterConfigs', () => {
  const SET = 0
  const change = (
    resourceType: number,
    resourceName: string,
    name: string,
    value: string | null,
    configOperation = SET,
  ) => ({
    resourceType,
    resourceName,
    configs: [{ name, configOperation, value }],
  })
  const alter = (made: FakeBroker, ...resources: Apis['IncrementalAlterConfigs']['request']['resources']) =>
    made.ask('IncrementalAlterConfigs', { resources, validateOnly: false })

  it('refuses what only this broker can judge and forwards the rest, answering in order', () => {
    const made = up()
    const answer = alter(
      made,
      change(4, '2', 'message.max.bytes', '9'),
      change(2, 'orders', 'retention.ms', '9'),
      change(4, '', 'num.partitions', '9'),
      change(4, '1', 'message.max.bytes', '9'),
    )
    expect((made.forwarded().message as Apis['IncrementalAlterConfigs']['request']).resources).toEqual([
      change(2, 'orders', 'retention.ms', '9'),
      change(4, '1', 'message.max.bytes', '9'),
    ])
    made.answerForwarded('IncrementalAlterConfigs', {
      throttleTimeMs: 0,
      responses: [
        { errorCode: Errors.NONE, errorMessage: null, resourceType: 4, resourceName: '1' },
        { errorCode: Errors.INVALID_CONFIG, errorMessage: 'no', resourceType: 2, resourceName: 'orders' },
      ],
    })
    expect(answer.response?.responses.map((one) => [one.resourceName, one.errorCode])).toEqual([
      ['2', Errors.INVALID_REQUEST],
      ['orders', Errors.INVALID_CONFIG],
      ['', Errors.INVALID_REQUEST],
      ['1', Errors.NONE],
    ])
  })

  it('answers at once when nothing is left for the controller', () => {
    const made = up()
    const answer = alter(made, change(2, 'orders', 'a', '1'), change(2, 'orders', 'b', '1'))
    expect(answer.response?.responses.map((one) => one.errorMessage)).toEqual([
      'the resource is named twice',
      'the resource is named twice',
    ])
    expect(made.controller.asked).toEqual([])
  })

  it('refuses a missing value, and appending to what is no list', () => {
    const message = (resource: ReturnType<typeof change>) => alter(up(), resource).response?.responses[0]?.errorMessage
    expect(message(change(2, 'orders', 'retention.ms', null))).toBe('no value for retention.ms')
    expect(message(change(4, '', 'message.max.bytes', '9', 2))).toBe("can't append: message.max.bytes is no list")
  })
})

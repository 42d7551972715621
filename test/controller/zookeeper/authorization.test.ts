/** Who may ask the controller of ZooKeeper mode for what (KafkaApis of Kafka 3.9, where it is the controller). */

import { describe, expect, it } from 'vitest'
import type { Requester } from '../../../sim/kraft/metadata/request-authorizer.js'
import type { Apis, ForwardableApi } from '../../../sim/wire/apis.js'
import { errorName } from '../../../sim/wire/errors.js'
import { ZERO_UUID } from '../../../sim/wire/uuid.js'
import { authorizerOf } from '../../kraft/metadata/acls.js'
import { ControllerLab } from './controller-lab.js'

type AdminApi = Exclude<ForwardableApi, 'UnregisterBroker' | 'DescribeQuorum' | 'CreateAcls' | 'DeleteAcls'>

const creation = (name: string) => ({ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] })
const resource = (resourceType: number, resourceName: string) => ({ resourceType, resourceName, configs: [] })

const REQUESTS: { readonly [A in AdminApi]: Apis[A]['request'] } = {
  CreateTopics: { topics: [creation('u')], timeoutMs: 50, validateOnly: false },
  DeleteTopics: { topics: [{ name: 't', topicId: ZERO_UUID }], topicNames: [], timeoutMs: 0 },
  CreatePartitions: { topics: [{ name: 't', count: 2, assignments: null }], timeoutMs: 0, validateOnly: false },
  ElectLeaders: { electionType: 0, topicPartitions: [{ topic: 't', partitions: [0] }], timeoutMs: 0 },
  AlterConfigs: { resources: [resource(2, 't')], validateOnly: false },
  IncrementalAlterConfigs: { resources: [resource(4, '1')], validateOnly: false },
  AlterPartitionReassignments: {
    timeoutMs: 0,
    allowReplicationFactorChange: true,
    topics: [{ name: 't', partitions: [{ partitionIndex: 0, replicas: null }] }],
  },
  ListPartitionReassignments: { timeoutMs: 0, topics: null },
  UpdateFeatures: { timeoutMs: 0, featureUpdates: [], validateOnly: false },
}

/** The answer to alice, by a controller with these ACLs: every error code in it. */
function ask<A extends AdminApi>(api: A, acls: readonly string[], body: Apis[A]['request'] = REQUESTS[api] as never) {
  const lab = new ControllerLab()
  lab.authorizer = authorizerOf(acls)
  lab.start([1, 2]).topic('t', { 0: [1, 2] })
  const alice: Requester = { api, principal: 'User:alice', from: 'h0' }
  let answer: Apis[A]['response'] | undefined
  lab.controller.handle(api, body, alice, (response) => (answer = response))
  lab.run()
  const codes = [...JSON.stringify(answer).matchAll(/"errorCode":(-?\d+)/g)].map((match) => errorName(Number(match[1])))
  return { answer, codes: [...new Set(codes)], lab }
}

describe('what the controller of ZooKeeper mode is asked for', () => {
  it.each<[AdminApi, string, string]>([
    ['CreateTopics', 'allow alice create topic u', 'TOPIC_AUTHORIZATION_FAILED'],
    ['CreateTopics', 'allow alice create cluster kafka-cluster', 'TOPIC_AUTHORIZATION_FAILED'],
    ['DeleteTopics', 'allow alice delete topic t', 'TOPIC_AUTHORIZATION_FAILED'],
    ['CreatePartitions', 'allow alice alter topic t', 'TOPIC_AUTHORIZATION_FAILED'],
    ['ElectLeaders', 'allow alice alter cluster kafka-cluster', 'CLUSTER_AUTHORIZATION_FAILED'],
    ['AlterConfigs', 'allow alice alter-configs topic t', 'TOPIC_AUTHORIZATION_FAILED'],
    ['IncrementalAlterConfigs', 'allow alice alter-configs cluster kafka-cluster', 'CLUSTER_AUTHORIZATION_FAILED'],
    ['AlterPartitionReassignments', 'allow alice alter cluster kafka-cluster', 'CLUSTER_AUTHORIZATION_FAILED'],
    ['ListPartitionReassignments', 'allow alice describe cluster kafka-cluster', 'CLUSTER_AUTHORIZATION_FAILED'],
    ['UpdateFeatures', 'allow alice alter cluster kafka-cluster', 'CLUSTER_AUTHORIZATION_FAILED'],
  ])('by %s needs: %s', (api, needed, refusal) => {
    expect(ask(api, ['allow bob all topic *']).codes).toEqual([refusal])
    expect(ask(api, [needed]).codes).not.toContain(refusal)
  })

  it('is refused before the office is looked at, where the cluster is needed, and after, where topics are', () => {
    const lab = new ControllerLab()
    lab.authorizer = authorizerOf(['allow bob all topic *'])
    lab.start([1, 2])
    const codes = (['ElectLeaders', 'CreateTopics'] as const).map((api) => {
      let code = 'nothing'
      lab.broker(2).server.handle(api, REQUESTS[api], { api, principal: 'User:alice', from: 'h0' }, (response) => {
        code = errorName(Number(/"errorCode":(-?\d+)/.exec(JSON.stringify(response))?.[1]))
      })
      return code
    })
    expect(codes).toEqual(['CLUSTER_AUTHORIZATION_FAILED', 'NOT_CONTROLLER'])
  })

  it('on behalf of a client is not asked about again: a topic that is made by itself', () => {
    const lab = new ControllerLab()
    lab.authorizer = authorizerOf([])
    lab.start([1])
    let codes: number[] = []
    lab.controller.handle('CreateTopics', REQUESTS.CreateTopics, undefined, (response) => {
      codes = response?.topics.map(({ errorCode }) => errorCode) ?? []
    })
    lab.run()
    expect(codes).toEqual([0])
  })

  it('and made does not show its size to who may not see its settings', () => {
    const made = (acls: readonly string[]) => ask('CreateTopics', acls).answer?.topics[0]
    expect(made(['allow alice create topic u'])).toMatchObject({ numPartitions: -1, topicConfigErrorCode: 29 })
    const acls = ['allow alice create topic u', 'allow alice describe-configs topic u']
    expect(made(acls)).toMatchObject({ numPartitions: 1, topicConfigErrorCode: 0 })
  })

  it('for a topic that is not there is told so only to who might delete it', () => {
    const body = { topics: [{ name: 'x', topicId: ZERO_UUID }], topicNames: [], timeoutMs: 0 }
    expect(ask('DeleteTopics', ['allow alice describe topic x'], body).codes).toEqual(['TOPIC_AUTHORIZATION_FAILED'])
    expect(ask('DeleteTopics', ['allow alice delete topic x'], body).codes).toEqual(['UNKNOWN_TOPIC_OR_PARTITION'])
  })
})

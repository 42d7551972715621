/** What a broker does with what a controller tells it, and what it refuses (KafkaApis, ReplicaManager, ZkMetadataCache of Kafka 3.9). */

import { beforeEach, describe, expect, it } from 'vitest'
import type { Hosted, MembershipHost } from '../../../sim/broker/membership.js'
import { ControlRequests } from '../../../sim/broker/zookeeper/control-requests.js'
import { ZkMetadata } from '../../../sim/broker/zookeeper/zk-metadata.js'
import type { LocalPartition } from '../../../sim/kraft/metadata/metadata-delta.js'
import type { Apis } from '../../../sim/wire/apis.js'
import { Errors } from '../../../sim/wire/errors.js'
import { KeeperFailure } from '../../../sim/zookeeper/kafka/kafka-zk-client.js'
import { type Task, wait } from '../../../sim/zookeeper/kafka/task.js'
import { FakeNode } from '../shell/fake-env.js'

const TOPIC_ID = 'topic-t-AAAAAAAAAAAAAA'
const EPOCH = 100

let node: FakeNode
let control: ControlRequests
let metadata: ZkMetadata
let done: string[]
let hosted: Map<string, Hosted>
let failed: Set<string>
let readConfigs: (topics: readonly string[]) => Task<void>

beforeEach(() => {
  node = new FakeNode()
  metadata = new ZkMetadata()
  done = []
  hosted = new Map()
  failed = new Set()
  // oxlint-disable-next-line require-yield
  readConfigs = function* (topics) {
    for (const topic of topics) done.push(`settings of ${topic}`)
  }
  const words = (locals: readonly LocalPartition[]): string[] =>
    locals.map(({ topic, partition, image }) => `${topic}-${partition} e${image.leaderEpoch}`)
  const host: Partial<MembershipHost> = {
    setImage: () => void done.push('image'),
    onTopicsDeleted: (topics) => void done.push(`deleted ${[...topics].join(' ')}`),
    hosted: (topic, index) => hosted.get(`${topic}-${index}`) ?? { kind: 'none' },
    changeRoles: (leaders, followers) => {
      for (const name of words(leaders)) done.push(`lead ${name}`)
      for (const name of words(followers)) done.push(`follow ${name}`)
      return failed
    },
    stopReplicas: (stopped) => {
      for (const { topic, index, isDeleted } of stopped) done.push(`${isDeleted ? 'delete' : 'stop'} ${topic}-${index}`)
    },
  }
  control = new ControlRequests(node.env, {
    brokerId: 1,
    brokerEpoch: () => EPOCH,
    host: host as MembershipHost,
    metadata,
    readTopicConfigs: (topics) => readConfigs(topics),
    onMetadata: () => void done.push('metadata'),
  })
})

type ControlApi = 'LeaderAndIsr' | 'StopReplica' | 'UpdateMetadata'

/** The answer; undefined while there is none. */
function send<A extends ControlApi>(api: A, body: Apis[A]['request']): { readonly response?: Apis[A]['response'] } {
  const answer: { response?: Apis[A]['response'] } = {}
  const request = { api, body, respond: (response: Apis[A]['response']) => (answer.response = response) }
  const handler = control.handlers[api] as unknown as (request: unknown) => void
  handler(request)
  return answer
}

const header = (controllerEpoch = 1, brokerEpoch = EPOCH) => ({
  controllerId: 2,
  isKRaftController: false,
  controllerEpoch,
  brokerEpoch,
})

function leaderAndIsr(
  leader: number,
  leaderEpoch: number,
  { controllerEpoch = 1, brokerEpoch = EPOCH, topicId = TOPIC_ID, replicas = [1, 2] } = {},
): Apis['LeaderAndIsr']['request'] {
  const state = { partitionIndex: 0, controllerEpoch, leader, leaderEpoch, isr: [1, 2], partitionEpoch: 3, replicas }
  const rest = { addingReplicas: [], removingReplicas: [], isNew: false, leaderRecoveryState: 0 }
  const topicStates = [{ topicName: 't', topicId, partitionStates: [{ ...state, ...rest }] }]
  return { ...header(controllerEpoch, brokerEpoch), type: 0, topicStates, liveLeaders: [] }
}

function stopReplica(
  leaderEpoch: number,
  deletePartition: boolean,
  epochs: [number?, number?] = [],
): Apis['StopReplica']['request'] {
  const partitionStates = [{ partitionIndex: 0, leaderEpoch, deletePartition }]
  return { ...header(...epochs), topicStates: [{ topicName: 't', partitionStates }] }
}

function updateMetadata(
  leaders: Readonly<Record<number, number>>,
  { controllerEpoch = 1, brokerEpoch = EPOCH, live = [1, 2, 3], offline = [] as number[] } = {},
): Apis['UpdateMetadata']['request'] {
  const partitionStates = Object.entries(leaders).map(([index, leader]) => ({
    partitionIndex: Number(index),
    controllerEpoch,
    leader,
    leaderEpoch: 5,
    isr: [1, 2],
    zkVersion: 7,
    replicas: [1, 2, 3],
    offlineReplicas: offline,
  }))
  const endpoint = (id: number) => ({ port: 9092, host: `b${id}`, listener: 'PLAINTEXT', securityProtocol: 0 })
  const liveBrokers = live.map((id) => ({ id, endpoints: [endpoint(id)], rack: null }))
  const topicStates = partitionStates.length > 0 ? [{ topicName: 't', topicId: TOPIC_ID, partitionStates }] : []
  return { ...header(controllerEpoch, brokerEpoch), type: 0, topicStates, liveBrokers }
}

const partitionError = (answer: { response?: Apis['LeaderAndIsr']['response'] }): number | undefined =>
  answer.response?.topics[0]?.partitionErrors[0]?.errorCode
const online = (leaderEpoch: number): Hosted => ({ kind: 'online', topicId: TOPIC_ID, leaderEpoch })

describe('a request', () => {
  const all = (epochs: { controllerEpoch?: number; brokerEpoch?: number }): (number | undefined)[] => [
    send('LeaderAndIsr', leaderAndIsr(1, 1, epochs)).response?.errorCode,
    send('StopReplica', stopReplica(1, false, [epochs.controllerEpoch ?? 1, epochs.brokerEpoch ?? EPOCH])).response
      ?.errorCode,
    send('UpdateMetadata', updateMetadata({}, epochs)).response?.errorCode,
  ]

  it('for an earlier life of the broker is refused', () => {
    expect(all({ brokerEpoch: EPOCH - 1 })).toEqual(Array(3).fill(Errors.STALE_BROKER_EPOCH))
    expect(done).toEqual([])
  })

  it('for a life that the broker does not know of yet is taken: the controller heard first', () => {
    expect(all({ brokerEpoch: EPOCH + 1 })).toEqual(Array(3).fill(Errors.NONE))
  })

  it('without a broker epoch is taken', () => expect(all({ brokerEpoch: -1 })).toEqual(Array(3).fill(Errors.NONE)))

  it('of a deposed controller is refused once a later one was heard of', () => {
    send('UpdateMetadata', updateMetadata({}, { controllerEpoch: 5 }))
    done.length = 0
    expect(all({ controllerEpoch: 4 })).toEqual(Array(3).fill(Errors.STALE_CONTROLLER_EPOCH))
    expect(done).toEqual([])
    expect(all({ controllerEpoch: 5 })).toEqual(Array(3).fill(Errors.NONE))
  })

  it('that was refused is told to the trace', () => {
    send('StopReplica', stopReplica(1, true, [1, EPOCH - 1]))
    expect(node.events.map(({ type, data }) => [type, data])).toEqual([
      ['zk-control.refused', { api: 'StopReplica', controller: 2, controllerEpoch: 1, error: 'STALE_BROKER_EPOCH' }],
    ])
  })
})

describe('LeaderAndIsr', () => {
  it('makes leaders and followers, after the settings of what is new here', () => {
    expect(partitionError(send('LeaderAndIsr', leaderAndIsr(1, 1)))).toBe(Errors.NONE)
    hosted.set('t-0', online(1))
    expect(partitionError(send('LeaderAndIsr', leaderAndIsr(2, 2)))).toBe(Errors.NONE)
    expect(done).toEqual(['settings of t', 'lead t-0 e1', 'follow t-0 e2'])
  })

  it.each([
    ['of the leader epoch that is known', 5],
    ['of an older leader epoch', 4],
  ])('%s is refused', (_, leaderEpoch) => {
    hosted.set('t-0', online(5))
    expect(partitionError(send('LeaderAndIsr', leaderAndIsr(1, leaderEpoch)))).toBe(Errors.STALE_CONTROLLER_EPOCH)
    expect(done).toEqual([])
  })

  it('of another topic of that name is refused', () => {
    hosted.set('t-0', online(5))
    const answer = send('LeaderAndIsr', leaderAndIsr(1, 6, { topicId: 'topic-u-AAAAAAAAAAAAAA' }))
    expect(partitionError(answer)).toBe(Errors.INCONSISTENT_TOPIC_ID)
  })

  it('for others is refused', () => {
    const answer = send('LeaderAndIsr', leaderAndIsr(2, 1, { replicas: [2, 3] }))
    expect(partitionError(answer)).toBe(Errors.UNKNOWN_TOPIC_OR_PARTITION)
  })

  it('on a failed log directory is a storage error, known before or found out', () => {
    hosted.set('t-0', { kind: 'offline' })
    expect(partitionError(send('LeaderAndIsr', leaderAndIsr(1, 1)))).toBe(Errors.KAFKA_STORAGE_ERROR)
    hosted.delete('t-0')
    failed.add('t-0')
    expect(partitionError(send('LeaderAndIsr', leaderAndIsr(1, 1)))).toBe(Errors.KAFKA_STORAGE_ERROR)
  })

  it('waits for ZooKeeper, and everything waits behind it', () => {
    let resume: (value: undefined) => void = () => {}
    readConfigs = () => wait<undefined>((go) => (resume = go))
    const first = send('LeaderAndIsr', leaderAndIsr(1, 1))
    const second = send('UpdateMetadata', updateMetadata({ 0: 1 }))
    expect([first.response, second.response]).toEqual([undefined, undefined])
    resume(undefined)
    expect(partitionError(first)).toBe(Errors.NONE)
    expect(second.response?.errorCode).toBe(Errors.NONE)
    expect(done).toEqual(['lead t-0 e1', 'image', 'metadata'])
  })

  it('fails as a whole when the settings cannot be read', () => {
    // oxlint-disable-next-line require-yield
    readConfigs = function* () {
      throw new KeeperFailure('SESSIONEXPIRED', 'settings')
    }
    expect(send('LeaderAndIsr', leaderAndIsr(1, 1)).response).toEqual({
      errorCode: Errors.UNKNOWN_SERVER_ERROR,
      topics: [],
    })
    expect(done).toEqual([])
  })

  it('remembers which controller decided', () => {
    send('LeaderAndIsr', leaderAndIsr(1, 1, { controllerEpoch: 3 }))
    send('UpdateMetadata', updateMetadata({}, { controllerEpoch: 8 }))
    expect(control.decidedBy('t-0')).toBe(3)
  })
})

describe('StopReplica', () => {
  const error = (body: Apis['StopReplica']['request']): number | undefined =>
    send('StopReplica', body).response?.partitionErrors[0]?.errorCode

  it.each<[string, number, number]>([
    ['an older leader epoch is refused', 4, Errors.FENCED_LEADER_EPOCH],
    ['the leader epoch that is known stops', 5, Errors.NONE],
    ['a newer leader epoch stops', 6, Errors.NONE],
    ['no leader epoch stops', -1, Errors.NONE],
    ['the mark of a deletion stops', -2, Errors.NONE],
  ])('of %s', (_, leaderEpoch, expected) => {
    hosted.set('t-0', online(5))
    expect(error(stopReplica(leaderEpoch, false))).toBe(expected)
    expect(done).toEqual(expected === Errors.NONE ? ['stop t-0'] : [])
  })

  it('deletes what nobody hosts: it may be on the disk', () => {
    expect(error(stopReplica(5, true))).toBe(Errors.NONE)
    expect(done).toEqual(['delete t-0'])
  })

  it('on a failed log directory is a storage error', () => {
    hosted.set('t-0', { kind: 'offline' })
    expect(error(stopReplica(-2, true))).toBe(Errors.KAFKA_STORAGE_ERROR)
    expect(done).toEqual([])
  })
})

describe('UpdateMetadata', () => {
  const partitions = (): readonly number[] => [...(metadata.image.topicsByName.get('t')?.partitions.keys() ?? [])]

  it('replaces brokers and controller, and adds to partitions', () => {
    send('UpdateMetadata', updateMetadata({ 0: 1 }))
    send('UpdateMetadata', updateMetadata({ 1: 2 }, { live: [1, 2] }))
    expect(partitions()).toEqual([0, 1])
    expect([...metadata.image.brokers.keys()]).toEqual([1, 2])
    expect(metadata.controllerId).toBe(2)
    expect(metadata.image.topicsById.get(TOPIC_ID)?.partitions.get(1)).toMatchObject({ leader: 2, partitionEpoch: 7 })
  })

  it('without partitions leaves them as they are', () => {
    send('UpdateMetadata', updateMetadata({ 0: 1 }))
    send('UpdateMetadata', updateMetadata({}))
    expect(partitions()).toEqual([0])
  })

  it('removes partitions that are being deleted, and the topic with the last of them', () => {
    send('UpdateMetadata', updateMetadata({ 0: 1, 1: 2 }))
    send('UpdateMetadata', updateMetadata({ 0: -2 }))
    expect(partitions()).toEqual([1])
    done.length = 0
    send('UpdateMetadata', updateMetadata({ 1: -2 }))
    expect(metadata.image.topicsByName.size).toBe(0)
    expect(metadata.image.topicsById.size).toBe(0)
    expect(done).toEqual(['image', 'deleted t', 'metadata'])
  })

  it('names offline replicas', () => {
    send('UpdateMetadata', updateMetadata({ 0: 1 }, { offline: [3] }))
    const directories = metadata.image.topicsByName.get('t')?.partitions.get(0)?.directories ?? []
    expect(directories[2]).not.toBe(directories[0])
  })
})

it('nothing is answered once the broker is on its way down', () => {
  control.close()
  expect(send('UpdateMetadata', updateMetadata({})).response).toBeUndefined()
})

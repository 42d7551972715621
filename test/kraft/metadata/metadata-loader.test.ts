/** Images, deltas and the loader. Cases of Kafka's image tests and of MetadataBatchLoaderTest. */

import { describe, expect, it } from 'vitest'
import { Engine } from '../../../sim/kernel/engine.js'
import type { Env } from '../../../sim/kernel/env.js'
import type { Events } from '../../../sim/kernel/events.js'
import type { MetadataImage } from '../../../sim/kraft/metadata/image.js'
import { EMPTY_IMAGE } from '../../../sim/kraft/metadata/image.js'
import { imageToRecords } from '../../../sim/kraft/metadata/image-records.js'
import { MetadataDelta } from '../../../sim/kraft/metadata/metadata-delta.js'
import type { LoaderManifest } from '../../../sim/kraft/metadata/metadata-loader.js'
import { MetadataLoader } from '../../../sim/kraft/metadata/metadata-loader.js'
import type { MetadataBatch, MetadataRecord } from '../../../sim/kraft/metadata/records.js'
import {
  configRecord,
  featureLevelRecord,
  NO_OP_RECORD,
  partitionChange,
  topicRecord,
} from '../../../sim/kraft/metadata/records.js'
import { SnapshotGenerator } from '../../../sim/kraft/metadata/snapshot-generator.js'

const FOO = 'FoovTZPcSFmvAjV8Ib8nIw'
const BAR = 'BarvTZPcSFmvAjV8Ib8nIw'

function partition(topicId: string, partitionId: number, replicas: readonly number[]): MetadataRecord {
  return {
    type: 'PartitionRecord',
    version: 2,
    partitionId,
    topicId,
    replicas,
    isr: replicas,
    removingReplicas: [],
    addingReplicas: [],
    leader: replicas[0] ?? -1,
    leaderRecoveryState: 0,
    leaderEpoch: 0,
    partitionEpoch: 0,
    directories: replicas.map((id) => `DIRECTORY${id}xxxxxxxxxxxA`),
    eligibleLeaderReplicas: null,
    lastKnownElr: null,
  }
}

function broker(brokerId: number, brokerEpoch: number): MetadataRecord {
  return {
    type: 'RegisterBrokerRecord',
    version: 3,
    brokerId,
    isMigratingZkBroker: false,
    incarnationId: BAR,
    brokerEpoch,
    endPoints: [{ name: 'PLAINTEXT', host: `b${brokerId}`, port: 9092, securityProtocol: 0 }],
    features: [{ name: 'metadata.version', minSupportedVersion: 7, maxSupportedVersion: 27 }],
    rack: null,
    fenced: true,
    inControlledShutdown: false,
    logDirs: [BAR],
  }
}

const CLUSTER: readonly MetadataRecord[] = [
  featureLevelRecord('metadata.version', 27),
  featureLevelRecord('eligible.leader.replicas.version', 1),
  broker(1, 0),
  broker(2, 1),
  {
    type: 'BrokerRegistrationChangeRecord',
    version: 2,
    brokerId: 1,
    brokerEpoch: 0,
    fenced: -1,
    inControlledShutdown: 0,
    logDirs: [],
  },
  topicRecord('foo', FOO),
  partition(FOO, 0, [1, 2]),
  partition(FOO, 1, [2, 1]),
  configRecord(2, 'foo', 'retention.ms', '5'),
  configRecord(4, '', 'min.insync.replicas', '2'),
  partitionChange(FOO, 0, 2, { isr: [1], eligibleLeaderReplicas: [2] }),
  { type: 'ProducerIdsRecord', version: 0, brokerId: 1, brokerEpoch: 0, nextProducerId: 1000 },
]

function apply(image: MetadataImage, records: readonly MetadataRecord[]): MetadataImage {
  const delta = new MetadataDelta(image)
  for (const record of records) delta.replay(record, image.offset + 1, 1)
  return delta.apply()
}

const IMAGE = apply(EMPTY_IMAGE, CLUSTER)

describe('an image', () => {
  it('holds what the records say', () => {
    expect(IMAGE.topicsByName.get('foo')?.partitions.get(0)).toMatchObject({
      isr: [1],
      elr: [2],
      leader: 1,
      leaderEpoch: 0,
      partitionEpoch: 1,
    })
    expect(IMAGE.brokers.get(1)).toMatchObject({ fenced: false, host: 'b1', port: 9092, epoch: 0 })
    expect(IMAGE.brokers.get(2)).toMatchObject({ fenced: true })
    expect(IMAGE.configs.get('topic:foo')?.get('retention.ms')).toBe('5')
    expect(IMAGE.nextProducerId).toBe(1000)
  })

  it('goes into records and comes back the same', () => {
    expect(apply(EMPTY_IMAGE, imageToRecords(IMAGE))).toEqual(IMAGE)
    expect(imageToRecords(apply(EMPTY_IMAGE, imageToRecords(IMAGE)))).toEqual(imageToRecords(IMAGE))
  })

  it('begins as records with its metadata version', () => {
    expect(imageToRecords(IMAGE)[0]).toEqual(featureLevelRecord('metadata.version', 27))
  })

  it('shares with the one before all that did not change', () => {
    const next = apply(IMAGE, [topicRecord('bar', BAR), partition(BAR, 0, [1]), NO_OP_RECORD])
    expect(next.topicsById.get(FOO)).toBe(IMAGE.topicsById.get(FOO))
    expect(next.brokers).toBe(IMAGE.brokers)
    expect(next.configs).toBe(IMAGE.configs)
    expect([...next.topicsByName.keys()]).toEqual(['foo', 'bar'])
    expect([...IMAGE.topicsByName.keys()]).toEqual(['foo'])
  })
})

describe('a delta', () => {
  it('knows a topic that was deleted and created again under its name', () => {
    const delta = new MetadataDelta(IMAGE)
    for (const record of [
      { type: 'RemoveTopicRecord', version: 0, topicId: FOO },
      topicRecord('foo', BAR),
      partition(BAR, 0, [1]),
    ] as const) {
      delta.replay(record, 20, 1)
    }
    expect([...delta.deletedTopicIds]).toEqual([FOO])
    expect(delta.changedTopics.get('foo')?.id).toBe(BAR)
    expect(delta.topicWasDeleted('foo')).toBe(true)
    const image = delta.apply()
    expect([...image.topicsById.keys()]).toEqual([BAR])
    expect(image.configs.has('topic:foo')).toBe(false)
    expect(delta.localChanges(2).deletes.map(({ partition: index }) => index)).toEqual([0, 1])
    expect(delta.localChanges(1).electedLeaders).toMatchObject([{ topic: 'foo', topicId: BAR, partition: 0 }])
  })

  it('leaves no trace of a topic created and deleted within it', () => {
    const delta = new MetadataDelta(EMPTY_IMAGE)
    for (const record of [
      topicRecord('foo', FOO),
      partition(FOO, 0, [1]),
      configRecord(2, 'foo', 'a', 'b'),
      { type: 'RemoveTopicRecord', version: 0, topicId: FOO },
    ] as const) {
      delta.replay(record, 1, 1)
    }
    expect([delta.changedTopics.size, delta.deletedTopicIds.size]).toEqual([0, 0])
    expect(delta.apply().configs.size).toBe(0)
  })

  it('tells a broker what it leads newly, leads on, follows and lost', () => {
    const delta = new MetadataDelta(IMAGE)
    delta.replay(partitionChange(FOO, 0, 2, { isr: [1, 2] }), 20, 1)
    delta.replay(partitionChange(FOO, 1, 2, { leader: 1 }), 21, 1)
    expect(delta.localChanges(1)).toMatchObject({
      deletes: [],
      electedLeaders: [{ partition: 1 }],
      leaders: [{ partition: 0 }, { partition: 1 }],
      followers: [],
    })
    expect(delta.localChanges(2)).toMatchObject({ leaders: [], followers: [{ partition: 0 }, { partition: 1 }] })
    delta.replay(partitionChange(FOO, 1, 2, { replicas: [1], directories: [BAR] }), 22, 1)
    expect(delta.localChanges(2).deletes).toMatchObject([{ topic: 'foo', partition: 1 }])
  })

  it('of a snapshot removes what the snapshot does not name', () => {
    const delta = new MetadataDelta(IMAGE)
    for (const record of [featureLevelRecord('metadata.version', 27), topicRecord('bar', BAR), partition(BAR, 0, [1])])
      delta.replay(record, 30, 1)
    delta.finishSnapshot()
    const image = delta.apply()
    expect([...image.topicsByName.keys()]).toEqual(['bar'])
    expect([image.brokers.size, image.configs.size, image.features.size]).toEqual([0, 0, 1])
  })

  it('empties the ELR of topics that are there, deleted ones aside', () => {
    const image = apply(IMAGE, [
      topicRecord('bar', BAR),
      partition(BAR, 0, [1, 2]),
      partitionChange(BAR, 0, 2, { isr: [1], eligibleLeaderReplicas: [2] }),
    ])
    const next = apply(image, [{ type: 'ClearElrRecord', version: 0, topicName: '' }])
    expect(next.topicsById.get(FOO)?.partitions.get(0)).toMatchObject({ elr: [], partitionEpoch: 2, leaderEpoch: 0 })
    expect(next.topicsById.get(FOO)?.partitions.get(1)).toBe(image.topicsById.get(FOO)?.partitions.get(1))
    expect(next.topicsById.get(BAR)?.partitions.get(0)?.elr).toEqual([])
    const one = apply(image, [{ type: 'ClearElrRecord', version: 0, topicName: 'bar' }])
    expect(one.topicsById.get(FOO)).toBe(image.topicsById.get(FOO))
    const gone = apply(image, [
      { type: 'RemoveTopicRecord', version: 0, topicId: FOO },
      { type: 'ClearElrRecord', version: 0, topicName: '' },
    ])
    expect([...gone.topicsById.keys()]).toEqual([BAR])
  })
})

class Node {
  readonly engine = new Engine('loader')
  readonly replays: Events['metadata.replay'][] = []
  readonly published: { image: MetadataImage; delta: MetadataDelta; manifest: LoaderManifest }[] = []
  readonly loader: MetadataLoader
  highWatermark = -1
  #next = 0

  constructor() {
    const env = {
      emit: (type: string, data: Events['metadata.replay']) =>
        type === 'metadata.replay' ? this.replays.push(data) : 0,
      soon: (fire: () => void) => this.engine.schedule(this.engine.now, fire, undefined),
      clock: { monotonicMs: () => this.engine.now / 1_000, wallMs: () => 0 },
    } as unknown as Env
    this.loader = new MetadataLoader(env, () => this.highWatermark)
    this.loader.install({
      name: 'test',
      onMetadataUpdate: (delta, image, manifest) => this.published.push({ image, delta, manifest }),
    })
    this.env = env
  }

  readonly env: Env

  batch(records: readonly MetadataRecord[], width = records.length): MetadataBatch {
    const baseOffset = this.#next
    this.#next += width
    return { baseOffset, lastOffset: this.#next - 1, epoch: 1, appendTimestamp: 77, records }
  }

  commit(...batches: MetadataBatch[]): void {
    this.highWatermark = Math.max(this.highWatermark, this.#next)
    this.loader.handleCommit(batches)
    this.engine.run(this.engine.now + 1_000)
  }
}

describe('the loader', () => {
  it('tells publishers nothing until it has caught up, then everything as if from nothing', () => {
    const node = new Node()
    const first = node.batch(CLUSTER)
    const second = node.batch([NO_OP_RECORD])
    node.highWatermark = 13
    node.loader.handleCommit([first])
    node.engine.run(1_000)
    expect(node.published).toEqual([])
    node.commit(second)
    expect(node.published).toHaveLength(1)
    expect(node.published[0]?.image.offset).toBe(12)
    expect(node.published[0]?.delta.changedTopics.get('foo')?.partitionChanges.size).toBe(2)
    expect(node.published[0]?.delta.image).toBe(EMPTY_IMAGE)
  })

  it('gives one delta for each commit, over all its batches', () => {
    const node = new Node()
    node.commit(node.batch(CLUSTER))
    node.commit(node.batch([topicRecord('bar', BAR)]), node.batch([partition(BAR, 0, [1])]))
    expect(node.published).toHaveLength(2)
    const { delta, image } = node.published[1] as { delta: MetadataDelta; image: MetadataImage }
    expect(delta.image).toBe(node.published[0]?.image)
    expect([...delta.changedTopics.keys()]).toEqual(['bar'])
    expect(image.topicsByName.get('bar')?.partitions.size).toBe(1)
  })

  it('shares images with other nodes that replay the same records, control batches between them or not', () => {
    const [a, b] = [new Node(), new Node()]
    for (const records of [CLUSTER, [], [NO_OP_RECORD], [], [topicRecord('bar', BAR), partition(BAR, 0, [1])]]) {
      for (const node of [a, b])
        node.commit(node.batch(records.length === 0 ? [] : records, Math.max(1, records.length)))
    }
    expect(a.loader.image).toBe(b.loader.image)
    expect(a.replays.map((each) => each.digest)).toEqual(b.replays.map((each) => each.digest))
  })

  it('reports every batch, control batches too, without gaps', () => {
    const node = new Node()
    node.commit(node.batch(CLUSTER), node.batch([], 1), node.batch([NO_OP_RECORD]))
    expect(node.replays.map(({ baseOffset, lastOffset, epoch }) => [baseOffset, lastOffset, epoch])).toEqual([
      [0, 11, 1],
      [12, 12, 1],
      [13, 13, 1],
    ])
    expect(node.loader.image.offset).toBe(13)
  })

  it('publishes a transaction at its end, with what came before it published first', () => {
    const node = new Node()
    node.commit(node.batch(CLUSTER))
    const begin: MetadataRecord = { type: 'BeginTransactionRecord', version: 0, name: null }
    node.commit(node.batch([configRecord(2, 'foo', 'a', '1'), begin, topicRecord('bar', BAR)]))
    expect(node.loader.image.offset).toBe(12)
    expect(node.loader.image.configs.get('topic:foo')?.get('a')).toBe('1')
    expect(node.loader.image.topicsByName.has('bar')).toBe(false)
    node.commit(node.batch([partition(BAR, 0, [1])]))
    expect(node.published).toHaveLength(2)
    node.commit(node.batch([{ type: 'EndTransactionRecord', version: 0 }]))
    expect(node.published).toHaveLength(3)
    expect(node.loader.image.topicsByName.get('bar')?.partitions.size).toBe(1)
    expect(node.loader.image.offset).toBe(16)
  })

  it('forgets what an aborted transaction did', () => {
    const node = new Node()
    node.commit(node.batch(CLUSTER))
    node.commit(node.batch([{ type: 'BeginTransactionRecord', version: 0, name: null }, topicRecord('bar', BAR)]))
    node.commit(node.batch([{ type: 'AbortTransactionRecord', version: 0, reason: null }]))
    expect(node.loader.image.topicsByName.has('bar')).toBe(false)
    expect(node.loader.image.offset).toBe(14)
    node.commit(node.batch([configRecord(2, 'foo', 'a', '1')]))
    expect(node.loader.image.configs.get('topic:foo')?.get('a')).toBe('1')
  })

  it('takes a snapshot for what it says, and nothing else', () => {
    const node = new Node()
    node.commit(node.batch(CLUSTER))
    const records = [featureLevelRecord('metadata.version', 27), topicRecord('bar', BAR), partition(BAR, 0, [1])]
    node.highWatermark = 100
    node.loader.handleLoadSnapshot({ endOffset: 100, epoch: 3, records, lastContainedLogTimestamp: 9 })
    expect(node.loader.image).toMatchObject({ offset: 99, epoch: 3 })
    expect([...node.loader.image.topicsByName.keys()]).toEqual(['bar'])
    const { delta, manifest } = node.published[1] as { delta: MetadataDelta; manifest: LoaderManifest }
    expect([...delta.deletedTopicIds]).toEqual([FOO])
    expect(manifest).toMatchObject({ type: 'snapshot', timestamp: 9 })
  })
})

describe('the snapshot generator', () => {
  function generator(maxBytes: number, maxIntervalMs: number): { node: Node; written: [number, number][] } {
    const node = new Node()
    const written: [number, number][] = []
    node.loader.install(
      new SnapshotGenerator(node.env, {
        maxBytes,
        maxIntervalMs,
        write: (image, at) => written.push([image.offset, at]),
      }),
    )
    node.commit(node.batch(CLUSTER))
    return { node, written }
  }

  it('writes after so many bytes of log, and counts anew', () => {
    const { node, written } = generator(200, 0)
    // A batch of one no-op record is 61 + 11 bytes.
    for (let i = 0; i < 6; i++) node.commit(node.batch([NO_OP_RECORD]))
    expect(written).toEqual([
      [14, 77],
      [17, 77],
    ])
  })

  it('writes after so much time, at the next commit', () => {
    const { node, written } = generator(1_000_000, 1_000)
    node.engine.run(999_000)
    node.commit(node.batch([NO_OP_RECORD]))
    expect(written).toEqual([])
    node.engine.run(2_500_000)
    expect(written).toEqual([])
    node.commit(node.batch([NO_OP_RECORD]))
    expect(written).toEqual([[13, 77]])
  })
})

/**
 * The group coordinator of one broker with its real handlers and runtime, over one partition of `__consumer_offsets` that is a list of batches.
 *
 * The test says when appends fail, when the high watermark follows, and when another broker takes over with nothing but the bytes of the log.
 */

import type { ApiContext } from '../../../sim/broker/api-context.js'
import { groupHandlers } from '../../../sim/broker/api-groups.js'
import { transactionHandlers } from '../../../sim/broker/api-transactions.js'
import { GroupCoordinator } from '../../../sim/broker/group/group-coordinator.js'
import { GROUP_RECORD_CODEC, type GroupRecord } from '../../../sim/broker/group/group-records.js'
import { type GroupConfig, GROUP_SETTINGS } from '../../../sim/broker/group/group-settings.js'
import type { Partition, PartitionListener } from '../../../sim/broker/partition.js'
import type { ReplicaManager } from '../../../sim/broker/replica-manager.js'
import type { ProduceEntry } from '../../../sim/broker/replica-produce.js'
import { GROUP_METADATA_TOPIC } from '../../../sim/broker/topic-names.js'
import { parseConfig } from '../../../sim/kernel/config-def.js'
import type { Env } from '../../../sim/kernel/env.js'
import type { TraceEvent } from '../../../sim/kernel/events.js'
import type { MetadataImage } from '../../../sim/kraft/metadata/image.js'
import type { MetadataDelta } from '../../../sim/kraft/metadata/metadata-delta.js'
import { GROUP_FEATURE } from '../../../sim/kraft/metadata/metadata-version.js'
import { RequestAuthorizer } from '../../../sim/kraft/metadata/request-authorizer.js'
import type { ApiName, Apis } from '../../../sim/wire/apis.js'
import { endTransactionMarkerBatch } from '../../../sim/wire/control-record.js'
import { type ErrorCode, Errors } from '../../../sim/wire/errors.js'
import { RecordBatch } from '../../../sim/wire/record-batch.js'
import type { IncomingRequestOf } from '../../../sim/wire/request-server.js'
import { FakeNode } from '../shell/fake-env.js'
import { imageOf } from './consumer/assignment-text.js'

/** As in Kafka's own tests: any session is long enough. */
const LOOSE = {
  'group.min.session.timeout.ms': 1,
  'group.consumer.min.session.timeout.ms': 1,
  'group.consumer.min.heartbeat.interval.ms': 1,
}

/** A record as it went into the log; undefined: the marker of a transaction. */
export interface Written {
  readonly offset: number
  readonly record: GroupRecord | undefined
  readonly batch: RecordBatch
}

class FakeLog {
  batches: RecordBatch[] = []
  readonly logStartOffset = 0
  highWatermark = 0
  holds = false
  readonly listeners = new Set<PartitionListener>()

  get logEndOffset(): number {
    return this.batches.at(-1)?.nextOffset ?? 0
  }

  read(from: number): { batches: readonly RecordBatch[] } {
    return { batches: this.batches.filter(({ nextOffset }) => nextOffset > from) }
  }

  /** As if every transaction were verified already. */
  startTransactionVerification(): undefined {
    return undefined
  }

  append(batch: RecordBatch): number {
    const baseOffset = this.logEndOffset
    this.batches.push(batch.withOffsets(baseOffset, 0))
    if (!this.holds) this.highWatermark = this.logEndOffset
    return baseOffset
  }

  release(): void {
    this.holds = false
    this.highWatermark = this.logEndOffset
    for (const listener of this.listeners) listener.onHighWatermarkUpdated?.(this.highWatermark)
  }
}

/** Lets everybody do everything but see some topics. */
class Blinkers extends RequestAuthorizer {
  readonly #hidden: ReadonlySet<string>

  constructor(env: Env, hidden: ReadonlySet<string>) {
    super(env, undefined)
    this.#hidden = hidden
  }

  override topics(_request: unknown, _operation: unknown, names: readonly string[]): Set<string> {
    return new Set(names.filter((name) => !this.#hidden.has(name)))
  }
}

export class CoordinatorLab {
  readonly node: FakeNode
  config: GroupConfig
  readonly log = new FakeLog()
  image: MetadataImage
  /** What comes of the next appends; NONE when it is empty. */
  readonly fates: ErrorCode[] = []
  /** Topics that clients may not see. */
  readonly hidden = new Set<string>()
  onWritten: (written: Written) => void = () => undefined
  onEvent: (event: TraceEvent) => void = () => undefined
  #epoch = 0
  #coordinator: GroupCoordinator | undefined
  #handlers: ReturnType<typeof groupHandlers> = {}
  readonly #env: Env
  /** What waits for the disk, while it is slow. */
  #held: (() => void)[] | undefined

  constructor(given: Record<string, unknown> = {}, topics = 'foo:6 bar:3') {
    this.config = parseConfig(GROUP_SETTINGS, { ...LOOSE, ...given }, [])
    this.node = new FakeNode()
    this.node.engine.trace.watch('all', (event) => this.onEvent(event))
    this.#env = Object.create(this.node.env, {
      disk: { value: { access: (run: () => void) => (this.#held === undefined ? run() : this.#held.push(run)) } },
    }) as Env
    this.image = this.#imageOf(topics)
  }

  get nowMs(): number {
    return this.node.nowMs
  }

  run(ms: number): void {
    this.node.run(ms)
  }

  /** From now on, the disk answers to `release` only. */
  holdDisk(): void {
    this.#held = []
  }

  // ── the broker ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A broker takes the partition up; it knows what is in the log, and no more. */
  boot(): void {
    const partition = {
      leaderLog: this.log,
      isUnderMinIsr: false,
      addListener: (l: PartitionListener) => this.#listen(l),
    }
    const replicas = {
      partition: (topic: string, index: number) =>
        topic === GROUP_METADATA_TOPIC && index === 0 ? (partition as unknown as Partition) : undefined,
      append: ([entry]: [ProduceEntry]) => this.#append(entry),
    } as unknown as ReplicaManager
    const coordinator = new GroupCoordinator(this.#env, {
      brokerId: 1,
      replicas,
      metadata: () => this.image,
      config: () => this.config,
    })
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the image changes
    const lab = this
    const context = {
      env: this.#env,
      groups: coordinator,
      replicas,
      auth: new Blinkers(this.#env, this.hidden),
      config: { current: this.config },
      metadata: {
        get image() {
          return lab.image
        },
      },
    } as unknown as ApiContext
    this.#handlers = { ...groupHandlers(context), ...transactionHandlers(context) }
    this.#coordinator = coordinator
    this.log.listeners.clear()
    coordinator.onElection(GROUP_METADATA_TOPIC, 0, ++this.#epoch)
  }

  /** The broker leads the partition no more. */
  resign(): void {
    this.#coordinator?.onResignation(GROUP_METADATA_TOPIC, 0)
  }

  /** What a coordinator of an older version wrote. */
  inject(records: readonly GroupRecord[]): void {
    const nowMs = this.#env.clock.wallMs()
    this.log.append(
      RecordBatch.build(
        {},
        records.map((record) => GROUP_RECORD_CODEC.encode(record, nowMs)),
      ),
    )
  }

  /** The bytes of the log, as another broker has them. */
  copyLog(): void {
    this.log.batches = this.log.batches.map((batch) => {
      const copy = RecordBatch.parse(batch.toBytes())
      if (copy === undefined) throw new Error('a batch that cannot be read')
      return copy
    })
  }

  /** Other topics from now on. */
  setTopics(topics: string): void {
    const before = this.image
    const after = this.#imageOf(topics)
    this.image = after
    const changed = [...after.topicsByName].filter(([name, { partitions }]) => {
      return before.topicsByName.get(name)?.partitions.size !== partitions.size
    })
    const delta = {
      image: before,
      changedTopics: new Map(changed),
      deletedTopicIds: new Set([...before.topicsById.keys()].filter((id) => !after.topicsById.has(id))),
      localChanges: () => ({ electedLeaders: [], followers: [], deletes: [] }),
    }
    this.#coordinator?.onMetadata(delta as unknown as MetadataDelta)
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

  ask<A extends ApiName>(
    api: A,
    body: Apis[A]['request'],
    respond: (response: Apis[A]['response']) => void,
    { version = 10, clientId = 'client' }: { readonly version?: number; readonly clientId?: string } = {},
  ): void {
    const handler = this.#handlers[api] as ((request: IncomingRequestOf<A>) => void) | undefined
    if (handler === undefined) throw new Error(`no handler of ${api}`)
    const request = { api, version, clientId, from: 'g1', principal: 'User:ANONYMOUS', body, respond, connected: true }
    handler(request as unknown as IncomingRequestOf<A>)
    this.run(0)
  }

  endTransaction(producerId: number, commit: boolean, done: (error: ErrorCode) => void): void {
    const timestamp = this.#env.clock.wallMs()
    const batch = endTransactionMarkerBatch({ timestamp, producerId, producerEpoch: 0, coordinatorEpoch: 0, commit })
    this.#coordinator?.writeMarker(0, batch, commit, done)
    this.run(0)
  }

  #imageOf(topics: string): MetadataImage {
    const offset = (this.image as MetadataImage | undefined)?.offset ?? 0
    const image = imageOf(`${topics} ${GROUP_METADATA_TOPIC}:1`, offset + 1)
    return { ...image, features: new Map([[GROUP_FEATURE, 1]]) }
  }

  #listen(listener: PartitionListener): boolean {
    this.log.listeners.add(listener)
    return true
  }

  #append(entry: ProduceEntry): void {
    const fate = this.fates.shift() ?? Errors.NONE
    entry.error = fate
    const [batch] = entry.records
    if (fate !== Errors.NONE || batch === undefined) return
    entry.baseOffset = this.log.append(batch)
    for (const record of batch.records()) {
      const decoded = batch.isControl ? undefined : GROUP_RECORD_CODEC.decode(record)
      this.onWritten({ offset: entry.baseOffset + record.offsetDelta, record: decoded, batch })
    }
  }
}

/**
 * The raft client of a controller (voter) or a broker (observer): Kafka's KafkaRaftClient with its driver (KIP-595).
 *
 * Owns the metadata log, the quorum state and one raft thread, on which everything happens. Wherever Kafka's thread blocks on
 * the disk, this one does, and everything else waits in order.
 *
 *   raft-thread.ts      the thread, that may block    elections.ts             Vote, BeginQuorumEpoch, EndQuorumEpoch
 *   raft-loop.ts        what it does in a turn        leader-replication.ts    Fetch, FetchSnapshot, DescribeQuorum requests
 *   raft-core.ts        shared state, transitions     follower-replication.ts  Fetch, FetchSnapshot responses
 *   quorum-state.ts     states and their table        leader-discovery.ts      what every message tells of the leader
 *   raft-log.ts         log and snapshots             raft-listener.ts         delivery to state machines
 *
 * Calls from outside (scheduleAppend, resign, register, shutdown) take effect in the thread's next turn, by a later event.
 */

import type { Env } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { NodeName } from '../kernel/names.js'
import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import type { RequestClient } from '../wire/request-client.js'
import type { RecordCodec } from './batch-accumulator.js'
import type { MetadataRecord } from './metadata/records.js'
import type { QuorumConfig } from './quorum-config.js'
import type { OffsetAndEpoch } from './quorum-state.js'
import { NO_HIGH_WATERMARK, NO_LEADER_ID } from './quorum-state.js'
import type { RaftMessage } from './raft-core.js'
import { RaftCore } from './raft-core.js'
import { RaftFault } from './raft-fault.js'
import type { LeaderAndEpoch, RaftListener } from './raft-listener.js'
import { RaftLog } from './raft-log.js'
import type { ShutdownOutcome } from './raft-loop.js'
import { RaftLoop } from './raft-loop.js'
import type { RaftRequest } from './raft-messages.js'
import { RaftThread } from './raft-thread.js'
import { encodeSnapshot, writeSnapshot } from './snapshot-file.js'
import type { Voter } from './voter-set.js'
import { VoterSet } from './voter-set.js'

/** The epoch given is not, or no longer, led by this node. */
export const NOT_LEADER = 'not-leader'

export interface RaftClientOptions<T> {
  readonly nodeId: NodeId
  readonly directoryId: string
  readonly clusterId: string
  readonly voters: readonly Voter[]
  readonly config: QuorumConfig
  readonly codec: RecordCodec<T>
  /** Kafka's raft channel: one request in flight per connection, reconnect backoff 50 to 500 ms. */
  readonly requests: RequestClient
  /** For requests to bootstrap servers, as Kafka keeps their connections apart. Default: `requests`. */
  readonly bootstrapRequests?: RequestClient
  /** Whom to ask for the leader. Default: the voters. */
  readonly bootstrapServers?: readonly NodeName[]
  /** Flush what an observer appends: for controllers, which may become voters. Default: for voters' nodes only. */
  readonly alwaysFlush?: boolean
}

export class RaftClient<T = MetadataRecord> {
  readonly #env: Env
  readonly #options: RaftClientOptions<T>
  readonly #thread: RaftThread<RaftMessage>
  /** From `start` on. */
  #core: RaftCore<T> | undefined
  #loop: RaftLoop<T> | undefined
  /** Registered before the start. */
  #early: RaftListener<T>[] = []
  #isShuttingDown = false

  constructor(env: Env, options: RaftClientOptions<T>) {
    this.#env = env
    this.#options = options
    this.#thread = new RaftThread<RaftMessage>(env)
  }

  /** Opens the log, takes up the stored state and begins. Halts the process when the disk holds nonsense. @throws DiskError */
  start(): void {
    assert(this.#core === undefined, 'raft client: started twice')
    const { nodeId, directoryId, clusterId, voters, config, codec, requests } = this.#options
    const log = this.#openLog()
    const core = new RaftCore<T>({
      env: this.#env,
      local: { id: nodeId, directoryId },
      clusterId,
      voters: new VoterSet(voters),
      bootstrapServers: this.#options.bootstrapServers ?? voters.map((voter) => voter.node),
      config,
      codec,
      requests,
      bootstrapRequests: this.#options.bootstrapRequests ?? requests,
      alwaysFlush: this.#options.alwaysFlush ?? false,
      log,
      thread: this.#thread,
    })
    this.#core = core
    this.#loop = new RaftLoop(core)
    for (const listener of this.#early) this.#loop.register(listener)
    this.#thread.start(core.initialize(), this.#loop)
  }

  #openLog(): RaftLog {
    try {
      return RaftLog.open(this.#env, this.#options.config)
    } catch (fault) {
      if (fault instanceof RaftFault) this.#env.halt(`raft: ${fault.message}`)
      throw fault
    }
  }

  /** The listener's calls begin with the thread's next turn. */
  register(listener: RaftListener<T>): void {
    if (this.#loop === undefined) this.#early.push(listener)
    else this.#loop.register(listener)
    this.#thread.wakeup()
  }

  /** Leader (-1 for none) and epoch as this node knows them; epoch 0 before it has started. */
  get leader(): LeaderAndEpoch {
    return this.#core?.isStarted === true ? this.#core.leader : { leaderId: NO_LEADER_ID, epoch: 0 }
  }

  /** -1 when unknown. */
  get highWatermark(): Offset {
    return this.#core?.isStarted === true ? this.#core.highWatermark : NO_HIGH_WATERMARK
  }

  get isVoter(): boolean {
    return (
      this.#core?.isVoter ??
      new VoterSet(this.#options.voters).has({ id: this.#options.nodeId, directoryId: this.#options.directoryId })
    )
  }

  get isLeader(): boolean {
    return this.#core?.isStarted === true && this.#core.state.name === 'leader'
  }

  /** The metadata log and its snapshots; undefined before the start. */
  get log(): RaftLog | undefined {
    return this.#core?.log
  }

  get logEndOffset(): Offset {
    return this.#core?.log.endOffset ?? 0
  }

  get latestSnapshotId(): OffsetAndEpoch | undefined {
    return this.#core?.log.latestSnapshotId
  }

  /** Host of a voter; undefined when there is no such voter. */
  voterNode(id: NodeId): NodeName | undefined {
    return this.#options.voters.find((voter) => voter.id === id)?.node
  }

  /**
   * Appends `records` as one batch, all committed or none, after the linger time. Returns the offset that the last will have;
   * NOT_LEADER when this node does not lead `epoch`. They are lost when it stops to lead before they are committed.
   */
  scheduleAppend(epoch: Epoch, records: readonly T[]): Offset | typeof NOT_LEADER {
    const accumulator = this.#core?.accumulator
    if (this.#core === undefined || accumulator === undefined || epoch < accumulator.epoch) return NOT_LEADER
    assert(epoch === accumulator.epoch, 'append: epoch of the future', { epoch, current: accumulator.epoch })
    const wasEmpty = accumulator.isEmpty
    const lastOffset = accumulator.append(records)
    if (wasEmpty || accumulator.untilDrain(this.#core.nowMs()) <= 0) this.#thread.wakeup()
    return lastOffset
  }

  /** Gives up the leadership of `epoch`; nothing happens when that is over already. */
  resign(epoch: Epoch): void {
    const state = this.#core?.isStarted === true ? this.#core.state : undefined
    assert(epoch <= (state?.epoch ?? 0), 'resign: epoch of the future', { epoch })
    if (state?.name !== 'leader' || state.epoch !== epoch) return
    state.leadership.resignRequested = true
    this.#thread.wakeup()
  }

  /**
   * Writes a snapshot of `records`: what the log says before `id.offset`. False when there is one already, or the log
   * starts later. It counts once it is durable; `done` comes then. The raft thread is not blocked.
   * @throws DiskError
   */
  createSnapshot(
    snapshot: OffsetAndEpoch & { readonly lastContainedLogTimestamp: Millis },
    records: readonly T[],
    done?: () => void,
  ): boolean {
    const core = this.#core
    assert(core !== undefined, 'snapshot: not started')
    const id: OffsetAndEpoch = { offset: snapshot.offset, epoch: snapshot.epoch }
    const wrong = core.log.checkNewSnapshot(id)
    if (wrong === undefined) return false
    assert(wrong === '', wrong)
    const { lastContainedLogTimestamp } = snapshot
    const options = { id, lastContainedLogTimestamp, voters: core.voters, codec: core.codec, nowMs: core.nowMs() }
    writeSnapshot(this.#env.disk, id, encodeSnapshot(options, records), (error) => {
      if (error !== undefined) throw error
      core.log.addSnapshot(id)
      this.#env.emit('quorum.snapshot', { endOffset: id.offset, epoch: id.epoch, how: 'written' })
      done?.()
    })
    return true
  }

  /**
   * Ends in order: a leader resigns and waits until another is elected, for five seconds at most. The thread has stopped when
   * `done` comes; the log is flushed.
   */
  shutdown(done: (outcome: ShutdownOutcome) => void): void {
    assert(!this.#isShuttingDown, 'raft client: shut down twice')
    this.#isShuttingDown = true
    if (this.#loop === undefined || this.#thread.isStopped) return this.#env.soon(() => done('in-order'))
    this.#loop.shutdown(done)
    this.#thread.wakeup()
  }

  /** Answers when its turn has come; not at all once the thread has stopped. */
  handle(request: RaftRequest): void {
    this.#thread.add({ kind: 'request', request })
  }
}

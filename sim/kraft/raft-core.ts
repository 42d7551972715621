/**
 * What the parts of the raft client share: the state of this replica, its log, its connections and its listeners, and the
 * transitions with everything that belongs to them (Kafka's KafkaRaftClient, its transitionTo… and onBecome… methods).
 *
 * A transition is durable before anybody hears of it: the thread blocks on `quorum-state`, then takes the new state, tells
 * the listeners, and forgets the requests in flight. A request handler that returns after a transition may therefore
 * answer at once. Everything here runs on the raft thread.
 */

import type { Env } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { NodeName } from '../kernel/names.js'
import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import { Errors } from '../wire/errors.js'
import type { RequestClient, RpcResult, SendOptions } from '../wire/request-client.js'
import type { CompletedBatch, RecordCodec } from './batch-accumulator.js'
import { BatchAccumulator } from './batch-accumulator.js'
import { startOfEpochRecords } from './control-records.js'
import { FetchPurgatory } from './fetch-purgatory.js'
import { LeaderState } from './leader-state.js'
import type { QuorumConfig } from './quorum-config.js'
import type { CandidateState, EpochState, QuorumContext } from './quorum-state.js'
import {
  electionOf,
  highWatermarkOf,
  initialState,
  NO_LEADER_ID,
  toCandidate,
  toFollower,
  toLeader,
  toProspective,
  toResigned,
  toUnattached,
  withVote,
} from './quorum-state.js'
import { readQuorumState, writeQuorumState } from './quorum-state-store.js'
import { RaftFault } from './raft-fault.js'
import type { LeaderAndEpoch, ListenerContext } from './raft-listener.js'
import { committedBatch, STARTING_OFFSET } from './raft-listener.js'
import type { RaftLog } from './raft-log.js'
import type { KnownLeader, RaftRequest } from './raft-messages.js'
import type { Blocking, RaftThread } from './raft-thread.js'
import type { Peer } from './request-manager.js'
import { RequestManager } from './request-manager.js'
import type { ReplicaKey, VoterSet } from './voter-set.js'

/** The requests that the raft thread sends. */
export type RaftApi = 'Vote' | 'BeginQuorumEpoch' | 'EndQuorumEpoch' | 'Fetch' | 'FetchSnapshot'

export type RaftResponse = {
  [A in RaftApi]: {
    readonly kind: 'response'
    readonly api: A
    readonly peer: Peer
    readonly correlation: number
    readonly result: RpcResult<A>
  }
}[RaftApi]

export type RaftMessage = { readonly kind: 'request'; readonly request: RaftRequest } | RaftResponse

export interface RaftCoreOptions<T> {
  readonly env: Env
  readonly local: ReplicaKey
  readonly clusterId: string
  readonly voters: VoterSet
  readonly bootstrapServers: readonly NodeName[]
  readonly config: QuorumConfig
  readonly codec: RecordCodec<T>
  readonly requests: RequestClient
  readonly bootstrapRequests: RequestClient
  readonly alwaysFlush: boolean
  readonly log: RaftLog
  /** The thread that all this runs on. */
  readonly thread: RaftThread<RaftMessage>
}

/** A batch of the leader that waits to be committed. */
interface UncommittedBatch<T> {
  readonly endOffset: Offset
  readonly completed: CompletedBatch<T>
}

export class RaftCore<T> implements QuorumContext {
  readonly env: Env
  readonly local: ReplicaKey
  readonly clusterId: string
  readonly voters: VoterSet
  readonly config: QuorumConfig
  readonly codec: RecordCodec<T>
  readonly log: RaftLog
  readonly isVoter: boolean
  readonly fetchTimeoutMs: Millis
  readonly alwaysFlush: boolean
  readonly manager: RequestManager
  readonly fetches: FetchPurgatory
  readonly listeners: ListenerContext<T>[] = []
  /** Set while leader. */
  accumulator: BatchAccumulator<T> | undefined
  isShuttingDown = false
  readonly #requests: RequestClient
  readonly #bootstrapRequests: RequestClient
  readonly #thread: RaftThread<RaftMessage>
  #state: EpochState | undefined
  // Of the present state; made once, as every message asks for them.
  #leader: LeaderAndEpoch = { leaderId: NO_LEADER_ID, epoch: 0 }
  #knownLeader: KnownLeader = { leaderId: NO_LEADER_ID, epoch: 0, node: undefined }
  #uncommitted: UncommittedBatch<T>[] = []
  #correlation = 0
  readonly #sendOptions: SendOptions

  constructor(options: RaftCoreOptions<T>) {
    this.env = options.env
    this.local = options.local
    this.clusterId = options.clusterId
    this.voters = options.voters
    this.config = options.config
    this.codec = options.codec
    this.log = options.log
    this.isVoter = options.voters.has(options.local)
    this.fetchTimeoutMs = options.config['controller.quorum.fetch.timeout.ms']
    this.alwaysFlush = options.alwaysFlush
    this.manager = new RequestManager(
      options.bootstrapServers,
      options.config['controller.quorum.retry.backoff.ms'],
      options.config['controller.quorum.request.timeout.ms'],
      options.env.random.fork('raft/bootstrap'),
    )
    this.fetches = new FetchPurgatory(options.env)
    this.#requests = options.requests
    this.#bootstrapRequests = options.bootstrapRequests
    this.#thread = options.thread
    // The client's timeout comes after the raft thread's own, as in Kafka (its network client asks for more than the timeout).
    this.#sendOptions = { timeoutMs: options.config['controller.quorum.request.timeout.ms'] + 1 }
  }

  // ── what is known ─────────────────────────────────────────────────────────────────────────────────────────────────

  get state(): EpochState {
    assert(this.#state !== undefined, 'raft: not started')
    return this.#state
  }

  get isStarted(): boolean {
    return this.#state !== undefined
  }

  get epoch(): Epoch {
    return this.state.epoch
  }

  /** -1 for none. */
  get leaderId(): NodeId {
    return this.#leader.leaderId
  }

  get leader(): LeaderAndEpoch {
    return this.#leader
  }

  get highWatermark(): Offset {
    return highWatermarkOf(this.state)
  }

  /** The leader as responses name it. */
  get knownLeader(): KnownLeader {
    return this.#knownLeader
  }

  nowMs(): Millis {
    return this.env.clock.wallMs()
  }

  randomElectionTimeoutMs(): Millis {
    const timeoutMs = this.config['controller.quorum.election.timeout.ms']
    return timeoutMs === 0 ? 0 : timeoutMs + this.env.random.int(timeoutMs)
  }

  /** The connection to a voter. @throws RaftFault when there is no such voter */
  voterPeer(id: NodeId): Peer {
    const voter = this.voters.byId(id)
    if (voter === undefined) throw new RaftFault(`no address of ${id}, which is no voter`)
    return voter
  }

  wakeup(): void {
    this.#thread.wakeup()
  }

  // ── transitions ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes up the state that the disk tells of. */
  *initialize(): Blocking {
    const state = initialState(this, readQuorumState(this.env.disk), this.log.lastOffsetAndEpoch())
    yield* this.#take(state, 'start', true)
    const only = this.voters.isOnlyVoter(this.local)
    if (only && (state.name === 'unattached' || state.name === 'follower' || state.name === 'resigned')) {
      yield* this.becomeProspective('only-voter')
    } else if (state.name === 'candidate') {
      yield* this.#leadOrAsk(state)
    } else if (state.name === 'follower') {
      this.#onBecomeFollower()
    }
  }

  *becomeUnattached(epoch: Epoch, leaderId: NodeId, reason: string): Blocking {
    yield* this.#take(toUnattached(this, this.state, epoch, leaderId), reason, true)
    this.tellListeners()
    this.manager.resetAll()
  }

  *becomeProspective(reason: string): Blocking {
    const state = toProspective(this, this.state)
    yield* this.#take(state, reason, false)
    if (state.election.isGranted) yield* this.becomeCandidate('only-voter')
    else this.manager.resetAll()
  }

  *becomeCandidate(reason: string): Blocking {
    const state = toCandidate(this, this.state)
    yield* this.#take(state, reason, true)
    this.env.emit('quorum.vote', {
      epoch: state.epoch,
      candidate: this.local.id,
      granted: true,
      preVote: false,
      reason: 'self',
    })
    this.tellListeners()
    yield* this.#leadOrAsk(state)
  }

  *#leadOrAsk(state: CandidateState): Blocking {
    if (state.election.isGranted) yield* this.becomeLeader(state)
    else this.manager.resetAll()
  }

  *becomeLeader(candidate: CandidateState): Blocking {
    const nowMs = this.nowMs()
    const epochStartOffset = this.log.endOffset
    const accumulator = new BatchAccumulator({
      epoch: candidate.epoch,
      baseOffset: epochStartOffset,
      lingerMs: this.config['controller.quorum.append.linger.ms'],
      codec: this.codec,
      wallMs: () => this.nowMs(),
    })
    const leadership = new LeaderState({
      local: this.local,
      epoch: candidate.epoch,
      epochStartOffset,
      voters: this.voters,
      grantingVoters: candidate.election.granting(),
      fetchTimeoutMs: this.fetchTimeoutMs,
      nowMs,
    })
    yield* this.#take(toLeader(this, candidate, leadership), 'elected', true)
    this.accumulator = accumulator
    this.log.initializeLeaderEpoch(candidate.epoch)
    // Nothing is committed before a record of this epoch is; so one is written at once.
    const writeVoters = this.log.votersOffset === -1
    accumulator.appendControl(startOfEpochRecords(leadership, this.local.id, this.voters, writeVoters, nowMs))
    this.manager.resetAll()
  }

  *becomeFollower(epoch: Epoch, leaderId: NodeId, reason: string): Blocking {
    if (this.voters.byId(leaderId) === undefined) throw new RaftFault(`no address of leader ${leaderId}`)
    yield* this.#take(toFollower(this, this.state, epoch, leaderId), reason, true)
    this.tellListeners()
    this.#onBecomeFollower()
  }

  #onBecomeFollower(): void {
    this.manager.resetAll()
    this.fetches.failAll(Errors.NOT_LEADER_OR_FOLLOWER)
    this.#uncommitted = []
  }

  *becomeResigned(successors: readonly ReplicaKey[], reason: string): Blocking {
    const { state } = this
    assert(state.name === 'leader', 'resign: not leader', { state: state.name })
    this.fetches.failAll(Errors.NOT_LEADER_OR_FOLLOWER)
    yield* this.#take(toResigned(this, state, successors), reason, false)
    this.manager.resetAll()
  }

  /** Gives a binding vote. */
  *giveVote(key: ReplicaKey): Blocking {
    const { state } = this
    assert(state.name === 'unattached' || state.name === 'prospective', 'vote: state', { state: state.name })
    yield* this.#take(withVote(this, state, key), 'voted', true)
  }

  *#take(to: EpochState, reason: string, durable: boolean): Blocking {
    const from = this.#state
    if (durable) yield* writeQuorumState(this.env.disk, electionOf(to, this.local))
    if (from?.name === 'leader') this.accumulator = undefined
    const { epoch, leaderId } = electionOf(to, this.local)
    this.#state = to
    this.#leader = { leaderId, epoch }
    const node = to.name === 'unattached' || to.name === 'candidate' ? undefined : this.voters.byId(leaderId)?.node
    this.#knownLeader = { leaderId, epoch, node }
    this.env.emit('quorum.state', { from: from?.name ?? 'none', to: to.name, epoch, leader: leaderId, reason })
  }

  // ── commits ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The leader appended a batch; its records are kept for the listeners until it is committed. */
  awaitCommit(endOffset: Offset, completed: CompletedBatch<T>): void {
    this.#uncommitted.push({ endOffset, completed })
  }

  /** The leader's end offset moved. */
  onLeaderEndOffset(leadership: LeaderState): void {
    const { endOffset } = this.log
    const before = leadership.highWatermark
    if (leadership.updateLocal(endOffset)) this.onLeaderHighWatermark(leadership, before)
    this.fetches.completeUpTo(endOffset)
  }

  onLeaderHighWatermark(leadership: LeaderState, before: Offset): void {
    const { highWatermark } = leadership
    this.#emitHighWatermark(before, highWatermark, 'leader')
    this.log.updateHighWatermark(highWatermark)
    this.#commitFromMemory(highWatermark)
    // All of them: each was parked at a lower high watermark.
    this.fetches.completeAll()
    this.updateListeners(highWatermark)
  }

  /** A leader's high watermark as its follower takes it: never beyond its own log. @throws RaftFault when it fell */
  updateFollowerHighWatermark(leaderHighWatermark: Offset): void {
    const { state } = this
    assert(state.name === 'follower', 'follower high watermark: state', { state: state.name })
    if (leaderHighWatermark < 0) return
    const before = state.highWatermark
    const highWatermark = Math.min(this.log.endOffset, leaderHighWatermark)
    if (highWatermark === before) return
    if (highWatermark < before) throw new RaftFault(`high watermark fell from ${before} to ${highWatermark}`)
    state.highWatermark = highWatermark
    this.#emitHighWatermark(before, highWatermark, 'follower')
    this.log.updateHighWatermark(highWatermark)
    this.updateListeners(highWatermark)
  }

  #emitHighWatermark(from: Offset, to: Offset, role: 'leader' | 'follower'): void {
    this.env.emit('quorum.hw', { from, to, epoch: this.epoch, role })
  }

  /** Hands over what this node itself appended without reading it back. */
  #commitFromMemory(highWatermark: Offset): void {
    let count = 0
    for (const { endOffset, completed } of this.#uncommitted) {
      if (endOffset > highWatermark) break
      count++
      const { batch, records } = completed
      if (records === undefined) continue
      for (const context of this.listeners) {
        if (context.nextOffset !== batch.baseOffset) continue
        const { baseOffset, lastOffset, maxTimestamp: appendTimestamp } = batch
        context.commit([{ baseOffset, lastOffset, epoch: batch.partitionLeaderEpoch, appendTimestamp, records }])
      }
    }
    if (count > 0) this.#uncommitted = this.#uncommitted.slice(count)
  }

  /** Hands every listener what it lacks below the high watermark, as much as one read gives. */
  updateListeners(highWatermark: Offset): void {
    for (const context of this.listeners) {
      if (context.nextOffset < highWatermark) this.#updateListener(context, highWatermark)
    }
  }

  #updateListener(context: ListenerContext<T>, highWatermark: Offset): void {
    const behindLog = context.nextOffset < this.log.startOffset
    if (context.nextOffset === STARTING_OFFSET || behindLog) {
      const snapshot = this.log.latestSnapshot(this.codec)
      if (snapshot !== undefined) {
        const { endOffset, epoch } = snapshot
        this.env.emit('quorum.snapshot', { endOffset, epoch, how: 'loaded' })
        context.load(snapshot)
      } else if (context.nextOffset === STARTING_OFFSET) context.nextOffset = 0
      else
        throw new RaftFault(
          `no snapshot for a listener at ${context.nextOffset}, log starts at ${this.log.startOffset}`,
        )
    }
    if (context.nextOffset >= highWatermark) return
    const batches = this.log.readCommitted(context.nextOffset).map((batch) => committedBatch(batch, this.codec))
    context.commit(batches)
    if (batches.length > 0 && context.nextOffset < highWatermark) this.wakeup()
  }

  /** Tells listeners of leader and epoch, of its own leadership only those that are past its epoch's start. */
  tellListeners(): void {
    if (this.listeners.length === 0) return
    const { state } = this
    const epochStartOffset = state.name === 'leader' ? state.leadership.epochStartOffset : undefined
    const { leader } = this
    for (const context of this.listeners) context.tellLeader(leader, epochStartOffset)
  }

  // ── requests out ──────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Sends unless a request to `peer` is in flight or the peer backs off.
   * Returns how long to wait before trying again (ms).
   */
  send<A extends RaftApi>(nowMs: Millis, peer: Peer, api: A, body: () => Apis[A]['request']): Millis {
    if (this.manager.isBackingOff(peer, nowMs)) return this.manager.remainingBackoffMs(peer, nowMs)
    if (this.manager.isReady(peer, nowMs)) {
      const correlation = ++this.#correlation
      this.manager.onSent(peer, correlation, nowMs)
      const client = peer.id < NO_LEADER_ID ? this.#bootstrapRequests : this.#requests
      client.send(
        peer.node,
        api,
        body(),
        (result) => this.#thread.add({ kind: 'response', api, peer, correlation, result } as RaftResponse),
        this.#sendOptions,
      )
    }
    return this.manager.remainingRequestMs(peer, nowMs)
  }
}

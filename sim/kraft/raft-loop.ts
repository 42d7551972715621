/**
 * What the raft thread does, turn by turn (Kafka's KafkaRaftClient.poll).
 *
 *   1. finish a shutdown: at once for an observer, the only voter, or when another node leads; after five seconds for all
 *   2. act by the present state, which says how long it can wait
 *   3. clean the log, once a minute
 *   4. wait for one message, and handle it: a request, or the response to a request that is still waited for
 *   5. take up new listeners, and bring all of them up to date
 */

import type { Millis } from '../kernel/units.js'
import { LONG_MAX } from '../kernel/units.js'
import {
  handleBeginQuorumEpochRequest,
  handleBeginQuorumEpochResponse,
  handleEndQuorumEpochRequest,
  handleEndQuorumEpochResponse,
  handleVoteRequest,
  handleVoteResponse,
  pollCandidate,
  pollProspective,
  pollResigned,
  pollUnattached,
} from './elections.js'
import { handleFetchResponse, handleFetchSnapshotResponse, pollFollower } from './follower-replication.js'
import type { Handled } from './leader-discovery.js'
import {
  handleDescribeQuorumRequest,
  handleFetchRequest,
  handleFetchSnapshotRequest,
  pollLeader,
} from './leader-replication.js'
import { QUORUM_CONSTANTS } from './quorum-config.js'
import type { RaftCore, RaftMessage, RaftResponse } from './raft-core.js'
import { RaftFault } from './raft-fault.js'
import type { RaftListener } from './raft-listener.js'
import { ListenerContext } from './raft-listener.js'
import type { RaftRequest } from './raft-messages.js'
import type { Blocking, RaftProgram, Step } from './raft-thread.js'
import { WallTimer } from './wall-timer.js'

/** How a shutdown ended: `timed-out` when no other leader was found in time. */
export type ShutdownOutcome = 'in-order' | 'timed-out'

interface Shutdown {
  readonly timer: WallTimer
  readonly done: (outcome: ShutdownOutcome) => void
}

export class RaftLoop<T> implements RaftProgram<RaftMessage> {
  readonly #core: RaftCore<T>
  readonly #cleaning: WallTimer
  #registrations: RaftListener<T>[] = []
  #shutdown: Shutdown | undefined

  constructor(core: RaftCore<T>) {
    this.#core = core
    this.#cleaning = new WallTimer(core.nowMs(), QUORUM_CONSTANTS.cleaningIntervalMs)
  }

  register(listener: RaftListener<T>): void {
    this.#registrations.push(listener)
  }

  shutdown(done: (outcome: ShutdownOutcome) => void): void {
    const core = this.#core
    for (const context of core.listeners) context.listener.beginShutdown()
    core.isShuttingDown = true
    this.#shutdown = { timer: new WallTimer(core.nowMs(), QUORUM_CONSTANTS.shutdownTimeoutMs), done }
  }

  poll(): Step<Millis | 'stop'> {
    const core = this.#core
    const nowMs = core.nowMs()
    const shutdown = this.#shutdown
    const step = shutdown === undefined ? pollState(core, nowMs) : this.#pollShutdown(shutdown, nowMs)
    return typeof step === 'object' ? this.#finishPoll(step, nowMs) : this.#timeout(step, nowMs)
  }

  *#pollShutdown(shutdown: Shutdown, nowMs: Millis): Blocking<Millis | 'stop'> {
    if (yield* this.#maybeFinishShutdown(shutdown, nowMs)) return 'stop'
    const step = pollState(this.#core, nowMs)
    return typeof step === 'object' ? yield* step : step
  }

  *#finishPoll(step: Blocking<Millis | 'stop'>, nowMs: Millis): Blocking<Millis | 'stop'> {
    const untilStateMs = yield* step
    return untilStateMs === 'stop' ? 'stop' : this.#timeout(untilStateMs, nowMs)
  }

  #timeout(untilStateMs: Millis, nowMs: Millis): Millis {
    const untilShutdownMs = this.#shutdown?.timer.remainingMs(nowMs) ?? LONG_MAX
    return Math.min(untilStateMs, untilShutdownMs, this.#clean(nowMs))
  }

  handleMessage(message: RaftMessage): Blocking | undefined {
    const core = this.#core
    if (message.kind === 'request') return handleRequest(core, message.request)
    if (!core.manager.isExpected(message.peer, message.correlation)) return undefined
    const nowMs = core.nowMs()
    const step = handleResponse(core, message, nowMs)
    if (typeof step === 'object') return this.#finishResponse(message, step, nowMs)
    core.manager.onResult(message.peer, message.correlation, step === 'ready', nowMs)
    return undefined
  }

  *#finishResponse(message: RaftResponse, step: Blocking<Handled>, nowMs: Millis): Blocking {
    const handled = yield* step
    this.#core.manager.onResult(message.peer, message.correlation, handled === 'ready', nowMs)
  }

  finish(): void {
    const core = this.#core
    if (this.#registrations.length > 0) this.#takeRegistrations()
    if (core.highWatermark >= 0) core.updateListeners(core.highWatermark)
    // A resigned leader neither leads nor knows where its epoch began.
    if (core.state.name !== 'resigned') core.tellListeners()
  }

  #takeRegistrations(): void {
    const { listeners } = this.#core
    for (const listener of this.#registrations) {
      if (!listeners.some((context) => context.listener === listener)) listeners.push(new ListenerContext(listener))
    }
    this.#registrations = []
  }

  *#maybeFinishShutdown(shutdown: Shutdown, nowMs: Millis): Blocking<boolean> {
    const core = this.#core
    const timedOut = shutdown.timer.isExpired(nowMs)
    const hasRemoteLeader = core.leaderId >= 0 && core.leaderId !== core.local.id
    if (!timedOut && core.isVoter && core.voters.size > 1 && !hasRemoteLeader) return false
    yield* core.log.flush()
    shutdown.done(timedOut ? 'timed-out' : 'in-order')
    return true
  }

  #clean(nowMs: Millis): Millis {
    if (this.#cleaning.isExpired(nowMs)) {
      try {
        this.#core.log.clean(nowMs)
      } catch (fault) {
        // A failure to clean is no reason to stop.
        if (!(fault instanceof RaftFault)) throw fault
      }
      this.#cleaning.reset(nowMs, QUORUM_CONSTANTS.cleaningIntervalMs)
    }
    return this.#cleaning.remainingMs(nowMs)
  }
}

function pollState<T>(core: RaftCore<T>, nowMs: Millis): Step<Millis> {
  const { state } = core
  switch (state.name) {
    case 'leader':
      return pollLeader(core, state, nowMs)
    case 'candidate':
      return pollCandidate(core, state, nowMs)
    case 'prospective':
      return pollProspective(core, state, nowMs)
    case 'follower':
      return pollFollower(core, state, nowMs)
    case 'unattached':
      return pollUnattached(core, state, nowMs)
    case 'resigned':
      return pollResigned(core, state, nowMs)
  }
}

function handleRequest<T>(core: RaftCore<T>, request: RaftRequest): Blocking | undefined {
  switch (request.api) {
    case 'Vote':
      return answer(request, handleVoteRequest(core, request.body))
    case 'BeginQuorumEpoch':
      return answer(request, handleBeginQuorumEpochRequest(core, request.body))
    case 'EndQuorumEpoch':
      return answer(request, handleEndQuorumEpochRequest(core, request.body))
    case 'Fetch':
      handleFetchRequest(core, request)
      return undefined
    case 'FetchSnapshot':
      request.respond(handleFetchSnapshotRequest(core, request.body))
      return undefined
    case 'DescribeQuorum':
      request.respond(handleDescribeQuorumRequest(core, request.body))
      return undefined
  }
}

function* answer<R>(request: { respond(response: R): void }, response: Blocking<R>): Blocking {
  request.respond(yield* response)
}

function handleResponse<T>(core: RaftCore<T>, message: RaftResponse, nowMs: Millis): Step<Handled> {
  // A failed request is as good as BROKER_NOT_AVAILABLE.
  if (!message.result.ok) return 'backoff'
  switch (message.api) {
    case 'Vote':
      return handleVoteResponse(core, message.peer, message.result.response)
    case 'BeginQuorumEpoch':
      return handleBeginQuorumEpochResponse(core, message.peer, message.result.response)
    case 'EndQuorumEpoch':
      return handleEndQuorumEpochResponse(core, message.peer, message.result.response)
    case 'Fetch':
      return handleFetchResponse(core, message.result.response, nowMs)
    case 'FetchSnapshot':
      return handleFetchSnapshotResponse(core, message.result.response, nowMs)
  }
}

/**
 * A consumer in a group (Kafka's `ClassicKafkaConsumer` after `subscribe`).
 *
 * The group decides what is assigned; positions begin at what the group committed, or where the reset policy says. Everything that the
 * application can see happens while it polls: partitions are taken away and given, and offsets are committed, by the interval of
 * enable.auto.commit, before partitions are given up, and at the end. A poll that would hand over records waits while a listener of
 * the application works.
 */

import type { Env, EnvTimer } from '../../kernel/env.js'
import { assert, UsageError } from '../../kernel/errors.js'
import { type NodeName, parsePartition } from '../../kernel/names.js'
import type { Epoch, Millis, Offset } from '../../kernel/units.js'
import { type ErrorCode, errorName } from '../../wire/errors.js'
import type { WireMode } from '../../wire/frame.js'
import { Consumer, type ConsumerOptions, type Polled } from '../consumer.js'
import { byCodeUnit } from './consumer-protocol.js'
import { CoordinatorClient } from './coordinator-client.js'
import type { GroupConsumerConfig } from './group-config.js'
import { Membership, type MembershipHost } from './membership.js'
import { type CommitHow, type GroupMetadata, OffsetCommits, type Offsets } from './offset-commits.js'

/** What the application does when partitions come and go. All within its polls. */
export interface RebalanceListener {
  onAssigned?(partitions: readonly string[]): void
  /** The poll goes on once `done` is called. */
  onRevoked?(partitions: readonly string[], done: () => void): void
  /** They are somebody else's already. */
  onLost?(partitions: readonly string[]): void
}

export interface GroupConsumerOptions extends Pick<ConsumerOptions, 'idOf'> {
  readonly wire?: WireMode
}

interface Poll {
  readonly done: (polled: Polled) => void
  readonly deadlineMs: Millis
}

const GROUP_COORDINATOR = 0
const CLOSE_TIMEOUT_MS = 30_000

export class GroupConsumer {
  readonly #env: Env
  readonly #config: GroupConsumerConfig
  readonly #bootstrap: readonly NodeName[]
  readonly #consumer: Consumer
  readonly #coordinator: CoordinatorClient
  readonly #membership: Membership
  readonly #commits: OffsetCommits
  #topics: readonly string[] = []
  #listener: RebalanceListener = {}
  /** What the group gave; the consumer below has those of it whose position is known. */
  #owned: readonly string[] = []
  /** Counts assignments: what was asked for an older one is not wanted any more. */
  #assignment = 0
  #poll: Poll | undefined
  #isFetching = false
  #timer: EnvTimer | undefined
  #nextAutoCommitMs: Millis
  #isAutoCommitting = false
  #fatal: ErrorCode | undefined
  #isClosed = false

  constructor(
    env: Env,
    config: GroupConsumerConfig,
    bootstrap: readonly NodeName[],
    options: GroupConsumerOptions = {},
  ) {
    this.#env = env
    this.#config = config
    this.#bootstrap = bootstrap
    const { wire, idOf } = options
    const wired = wire === undefined ? {} : { wire }
    this.#consumer = new Consumer(env, config, bootstrap, {
      ...wired,
      ...(idOf !== undefined && { idOf }),
      isManaged: true,
      onWake: () => this.#wake(),
    })
    this.#coordinator = new CoordinatorClient(env, config, {
      ...wired,
      keyType: GROUP_COORDINATOR,
      key: config['group.id'],
      brokers: () => this.#brokers(),
      onChange: () => this.#wake(),
      onFatal: (error) => this.#failed(error),
    })
    this.#membership = new Membership(env, config, this.#coordinator, this.#makeHost())
    this.#commits = new OffsetCommits(
      env,
      config['group.id'],
      this.#coordinator,
      {
        identity: () => this.#membership.identity,
        onRefused: (error, identity) => this.#membership.refused(error, identity),
      },
      config['retry.backoff.ms'],
    )
    this.#nextAutoCommitMs = this.#nowMs() + config['auto.commit.interval.ms']
  }

  // ── the application ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes part in the group for these topics; the place in it comes with the polls that follow. */
  subscribe(topics: readonly string[], listener: RebalanceListener = {}): void {
    if (topics.length === 0) throw new UsageError('subscribe: no topics')
    this.#topics = [...topics]
    this.#listener = listener
    this.#consumer.watch(this.#topics)
    this.#wake()
  }

  /** Partitions that the group has given. */
  assignment(): readonly string[] {
    return this.#owned
  }

  groupMetadata(): GroupMetadata {
    return this.#membership.metadata
  }

  position(partition: string): Offset | undefined {
    return this.#consumer.assignment().includes(partition) ? this.#consumer.position(partition) : undefined
  }

  seek(partition: string, offset: Offset, leaderEpoch: Epoch = -1): void {
    this.#consumer.seek(partition, offset, leaderEpoch)
  }

  pause(partitions: readonly string[]): void {
    this.#consumer.pause(partitions)
  }

  resume(partitions: readonly string[]): void {
    this.#consumer.resume(partitions)
  }

  /** Asks for records, and does what the group asks for meanwhile. One poll at a time. */
  poll(done: (polled: Polled) => void, timeoutMs: Millis): void {
    assert(this.#poll === undefined, 'group consumer: poll within a poll')
    if (this.#isClosed) throw new UsageError('poll: the consumer is closed')
    if (this.#topics.length === 0) throw new UsageError('poll: nothing is subscribed')
    this.#poll = { done, deadlineMs: this.#nowMs() + timeoutMs }
    this.#env.soon(() => this.#advance(true))
  }

  /** Commits positions, or what is given; tries until it works or the time is up. */
  commitSync(offsets: Offsets | undefined, done: (error: string | undefined) => void, timeoutMs?: Millis): void {
    const deadlineMs = this.#nowMs() + (timeoutMs ?? this.#config['default.api.timeout.ms'])
    this.#commits.commit(offsets ?? this.#positions(), 'sync', done, deadlineMs)
  }

  /** Commits once, without waiting. */
  commitAsync(offsets?: Offsets, done: (error: string | undefined) => void = () => undefined): void {
    this.#commits.commit(offsets ?? this.#positions(), 'async', done)
  }

  /** Commits if it is to, leaves the group and closes the connections. A poll under way is not answered any more. */
  close(done: () => void, timeoutMs: Millis = CLOSE_TIMEOUT_MS): void {
    if (this.#isClosed) {
      this.#env.soon(done)
      return
    }
    this.#isClosed = true
    this.#poll = undefined
    this.#timer?.cancel()
    this.#consumer.cancelPoll()
    let isEnded = false
    const end = (): void => {
      if (isEnded) return
      isEnded = true
      timer.cancel()
      this.#membership.close()
      this.#coordinator.close()
      this.#consumer.close(done, timeoutMs)
    }
    const timer = this.#env.after(timeoutMs, end)
    const leave = (): void => this.#membership.leave('the consumer is being closed', end)
    const isStatic = this.#config['group.instance.id'] !== ''
    const revoke = (): void => {
      if (isStatic || this.#owned.length === 0) leave()
      else this.#revoke(this.#owned, leave)
    }
    if (this.#config['enable.auto.commit'] && this.#membership.identity !== undefined) {
      this.#commits.commit(this.#positions(), 'auto', revoke, this.#nowMs() + timeoutMs)
    } else revoke()
  }

  // ── polling ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Something changed: a poll under way looks again, by an event of its own. */
  #wake(): void {
    if (this.#poll !== undefined) this.#env.soon(() => this.#advance(false))
  }

  #advance(isNewPoll: boolean): void {
    const poll = this.#poll
    if (poll === undefined) return
    if (this.#fatal !== undefined) {
      const error = errorName(this.#fatal)
      this.#finish(poll, { records: [], error: { partition: '', error } as Polled['error'] & object })
      return
    }
    if (!this.#membership.poll(isNewPoll)) return this.#stopFetching()
    this.#autoCommit()
    if (!this.#isFetching) {
      this.#isFetching = true
      this.#consumer.poll(
        (polled) => {
          this.#isFetching = false
          if (this.#poll === poll) this.#finish(poll, polled)
        },
        Math.max(0, poll.deadlineMs - this.#nowMs()),
      )
    }
    const retryMs = this.#membership.retryDelayMs
    this.#timer?.cancel()
    if (retryMs === Infinity) this.#timer = undefined
    else this.#timer = this.#env.after(retryMs, () => this.#advance(false))
  }

  /** Nothing is handed over while partitions change hands. */
  #stopFetching(): void {
    if (!this.#isFetching) return
    this.#isFetching = false
    this.#consumer.cancelPoll()
  }

  #finish(poll: Poll, polled: Polled): void {
    this.#poll = undefined
    this.#timer?.cancel()
    this.#timer = undefined
    poll.done(polled)
  }

  #failed(error: ErrorCode): void {
    this.#fatal = error
    this.#env.emit('consume.failed', { partition: '', error: errorName(error) })
    this.#wake()
  }

  // ── assignment ────────────────────────────────────────────────────────────────────────────────────────────────────

  #makeHost(): MembershipHost {
    const topics = (): readonly string[] => this.#topics
    const owned = (): readonly string[] => this.#owned
    return {
      prepareJoin: (isLost, isCooperative, done) => this.#prepareJoin(isLost, isCooperative, done),
      assigned: (partitions, isCooperative, done) => this.#assigned(partitions, isCooperative, done),
      partitionCount: (topic) => this.#consumer.partitionCount(topic),
      wake: () => this.#wake(),
      failed: (error) => this.#failed(error),
      get topics() {
        return topics()
      },
      get owned() {
        return owned()
      },
    }
  }

  #prepareJoin(isLost: boolean, isCooperative: boolean, done: () => void): void {
    this.#stopFetching()
    if (isLost) {
      const lost = this.#owned
      if (lost.length > 0) {
        this.#emitRevoked(lost, 'lost')
        this.#own([])
        this.#listener.onLost?.(lost)
      }
      return done()
    }
    const revoke = (): void => {
      const leaving = isCooperative ? this.#owned.filter((name) => !this.#topics.includes(topicOf(name))) : this.#owned
      if (leaving.length === 0) done()
      else this.#revoke(leaving, done)
    }
    if (!this.#config['enable.auto.commit']) return revoke()
    // What fails is not tried for ever: the group waits.
    const deadlineMs = this.#nowMs() + this.#config['request.timeout.ms']
    this.#commits.commit(this.#positions(), 'auto', revoke, deadlineMs)
  }

  #assigned(partitions: readonly string[], isCooperative: boolean, done: (rejoins: boolean) => void): void {
    const given = [...partitions].sort(byCodeUnit)
    const revoked = isCooperative ? this.#owned.filter((name) => !given.includes(name)) : []
    const added = given.filter((name) => !this.#owned.includes(name))
    const take = (): void => {
      const { groupId, memberId, generation } = this.groupMetadata()
      this.#own(given)
      this.#env.emit('consumer.assigned', {
        group: groupId,
        member: memberId,
        generation,
        partitions: added,
        owned: given,
      })
      this.#nextAutoCommitMs = this.#nowMs() + this.#config['auto.commit.interval.ms']
      this.#listener.onAssigned?.(added)
      done(revoked.length > 0)
    }
    this.#stopFetching()
    if (revoked.length === 0) take()
    else this.#revoke(revoked, take)
  }

  #revoke(partitions: readonly string[], done: () => void): void {
    const finish = (): void => {
      this.#emitRevoked(partitions, 'revoked')
      this.#own(this.#owned.filter((name) => !partitions.includes(name)))
      done()
    }
    if (this.#listener.onRevoked === undefined) finish()
    else this.#listener.onRevoked(partitions, finish)
  }

  #emitRevoked(partitions: readonly string[], how: 'revoked' | 'lost'): void {
    const { groupId, memberId, generation } = this.groupMetadata()
    this.#env.emit('consumer.revoked', { group: groupId, member: memberId, generation, partitions, how })
  }

  /** Takes over an assignment: what stays goes on, what is new begins where the group has got to. */
  #own(partitions: readonly string[]): void {
    this.#owned = partitions
    const assignment = ++this.#assignment
    const kept = this.#consumer.assignment().filter((name) => partitions.includes(name))
    this.#consumer.assign(kept.map(partitionOf))
    const added = partitions.filter((name) => !kept.includes(name))
    if (added.length === 0) return
    this.#commits.fetch(
      added,
      () => this.#assignment === assignment && !this.#isClosed,
      (offsets) => {
        const begun = this.#consumer.assignment().map(partitionOf)
        const begins = added.map((name) => ({
          ...partitionOf(name),
          ...(offsets.get(name) !== undefined && {
            offset: offsets.get(name)?.offset as Offset,
            leaderEpoch: offsets.get(name)?.leaderEpoch ?? -1,
          }),
        }))
        this.#consumer.assign([...begun, ...begins])
      },
      (error) => this.#failed(error),
    )
  }

  // ── commits ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #autoCommit(): void {
    if (!this.#config['enable.auto.commit'] || this.#isAutoCommitting || this.#nowMs() < this.#nextAutoCommitMs) return
    if (this.#membership.identity === undefined) return
    this.#nextAutoCommitMs = this.#nowMs() + this.#config['auto.commit.interval.ms']
    this.#commit('auto')
  }

  #commit(how: CommitHow): void {
    this.#isAutoCommitting = true
    this.#commits.commit(this.#positions(), how, (error) => {
      this.#isAutoCommitting = false
      if (error === undefined) return
      this.#nextAutoCommitMs = Math.min(this.#nextAutoCommitMs, this.#nowMs() + this.#config['retry.backoff.ms'])
    })
  }

  /** Positions of all that is consumed: what the polls so far have handed over lies before them. */
  #positions(): Offsets {
    const offsets = new Map<string, { offset: Offset; leaderEpoch: Epoch }>()
    for (const name of this.#consumer.assignment()) {
      const offset = this.#consumer.position(name)
      if (offset !== undefined) offsets.set(name, { offset, leaderEpoch: this.#consumer.positionEpoch(name) })
    }
    return offsets
  }

  #brokers(): readonly NodeName[] {
    const known = this.#consumer.brokers()
    return known.length > 0 ? known : this.#bootstrap
  }

  #nowMs(): Millis {
    return this.#env.clock.monotonicMs()
  }
}

function partitionOf(name: string): { topic: string; index: number } {
  const parsed = parsePartition(name)
  assert(parsed !== undefined, 'group consumer: partition', { name })
  return parsed
}

function topicOf(name: string): string {
  return parsePartition(name)?.topic ?? name
}

/**
 * A random run of a quorum under faults, with the invariants of Kafka's RaftEventSimulationTest watched over the whole run.
 *
 *   single leader      an epoch has one leader, whoever speaks of it
 *   monotonic epoch    no node goes back, restarts and power losses included
 *   single vote        no node votes for two in one epoch, restarts included
 *   log matching       (offset, epoch) names one batch on all nodes
 *   committed data     what a listener was given at an offset, all listeners are given; the high watermark of a leader is above
 *                      that of all leaders before it
 *   progress           once everything is whole again, a leader is found and everybody catches up
 *   no halt            honest disks give the raft client no reason to stop, but for those that Kafka has as well
 */

import { InvariantError } from '../../sim/kernel/errors.js'
import type { TraceEvent } from '../../sim/kernel/events.js'
import { METADATA_PARTITION } from '../../sim/kraft/quorum-config.js'
import { NOT_LEADER } from '../../sim/kraft/raft-client.js'
import type { WireMode } from '../../sim/wire/request-client.js'
import type { FaultHandle } from '../../sim/world/fault-rule.js'
import { RaftCluster } from './raft-cluster.js'

export interface SimulationOptions {
  readonly seed: string
  readonly voters: number
  readonly observers: number
  /** How many faults, about one a second. */
  readonly steps: number
  readonly wire?: WireMode
}

export interface SimulationResult {
  readonly hash: string
  readonly epochs: number
  readonly leaders: number
  readonly committed: number
  readonly truncations: number
  readonly snapshotsFetched: number
  readonly powerLosses: number
  readonly knownHalts: number
}

/**
 * Where Kafka 4.1 stops as well, on honest disks:
 * - The log's start is not stored, but the epochs before it are forgotten. A node that restarts after cleaning and must then
 *   truncate exactly to its snapshot's end is left without an epoch (KafkaMetadataLog.lastFetchedEpoch). Its next start mends it.
 * - A follower that had voted for itself in this very epoch restarts as its candidate (QuorumState.initialize looks at the vote before
 *   the leader). A voter that knows no leader of the epoch answers its request INVALID_REQUEST.
 */
const KNOWN_HALTS = ['raft: no epoch in a log of', 'raft: a request was answered INVALID_REQUEST']

const FAULTS = [
  [3, 'kill'],
  [3, 'power-loss'],
  [2, 'stop'],
  [4, 'start'],
  [2, 'start-all'],
  [3, 'isolate'],
  [2, 'split'],
  [2, 'one-way'],
  [4, 'heal'],
  [1, 'pause'],
  [2, 'resume'],
  [1, 'slow-disk'],
  [1, 'loss'],
  [1, 'clock'],
  [2, 'snapshot'],
  [2, 'clean'],
  [1, 'resign'],
  [6, 'nothing'],
] as const

const WATCHED = [
  'quorum.state',
  'quorum.vote',
  'quorum.hw',
  'quorum.snapshot',
  'log.append',
  'log.truncate',
  'disk.power-loss',
  'node.down',
] as const

export class Invariants {
  readonly #leaders = new Map<number, number>()
  readonly #epochs = new Map<string, number>()
  readonly #votes = new Map<string, number>()
  readonly #batches = new Map<string, number>()
  /** Of each epoch's leader: lowest and highest that it told of. */
  readonly #highWatermarks = new Map<number, { first: number; last: number }>()
  readonly #committed = new Map<number, string>()
  truncations = 0
  snapshotsFetched = 0
  powerLosses = 0
  knownHalts = 0

  constructor(cluster: RaftCluster, honest = true) {
    cluster.engine.trace.watch(WATCHED, (event) => this.#see(event, honest))
  }

  get leaders(): number {
    return this.#leaders.size
  }

  get lastEpoch(): number {
    return Math.max(0, ...this.#epochs.values())
  }

  get committed(): number {
    return this.#committed.size
  }

  #see(event: TraceEvent, honest: boolean): void {
    const { node } = event
    switch (event.type) {
      case 'quorum.state': {
        const { epoch, leader } = event.data
        if (leader >= 0) this.#same(this.#leaders, epoch, leader, 'two leaders of an epoch', event)
        if (epoch < (this.#epochs.get(node) ?? 0)) this.#fail('epoch went back', event)
        this.#epochs.set(node, epoch)
        return
      }
      case 'quorum.vote': {
        const { granted, preVote, epoch, candidate } = event.data
        if (granted && !preVote) this.#same(this.#votes, `${node}/${epoch}`, candidate, 'two votes in an epoch', event)
        return
      }
      case 'quorum.hw':
        return this.#seeHighWatermark(event.data.epoch, event.data.to, event.data.role, event)
      case 'quorum.snapshot':
        if (event.data.how === 'fetched') this.snapshotsFetched++
        return
      case 'log.append': {
        const { partition, baseOffset, leaderEpoch, crc } = event.data
        if (partition !== METADATA_PARTITION) return
        return this.#same(
          this.#batches,
          `${baseOffset}/${leaderEpoch}`,
          crc,
          'two batches at one offset and epoch',
          event,
        )
      }
      case 'log.truncate':
        this.truncations++
        return
      case 'disk.power-loss':
        this.powerLosses++
        return
      case 'node.down':
        if (event.data.how === 'halt') this.#seeHalt(event, event.data.reason, honest)
        return
      default:
    }
  }

  #seeHalt(event: TraceEvent, reason: string, honest: boolean): void {
    if (KNOWN_HALTS.some((known) => reason.startsWith(known))) this.knownHalts++
    else if (honest) this.#fail('halted', event)
  }

  #seeHighWatermark(epoch: number, to: number, role: string, event: TraceEvent): void {
    if (role !== 'leader') return
    const known = this.#highWatermarks.get(epoch)
    if (known !== undefined && to <= known.last) this.#fail('high watermark of a leader fell', event)
    this.#highWatermarks.set(epoch, { first: known?.first ?? to, last: to })
    for (const [other, { first, last }] of this.#highWatermarks) {
      const wrong = other < epoch ? last >= (known?.first ?? to) : other > epoch && to >= first
      if (wrong) this.#fail(`high watermark against epoch ${other}`, event)
    }
  }

  /** What every machine was given so far agrees. */
  checkCommitted(cluster: RaftCluster): void {
    for (const [name, { machine }] of cluster.running) {
      for (const [offset, value] of machine.values) {
        const known = this.#committed.get(offset)
        if (known === undefined) this.#committed.set(offset, value)
        else if (known !== value) throw new InvariantError('committed data differs', { name, offset, known, value })
      }
    }
  }

  #same<K, V>(map: Map<K, V>, key: K, value: V, what: string, event: TraceEvent): void {
    const known = map.get(key)
    if (known === undefined) map.set(key, value)
    else if (known !== value) this.#fail(what, event)
  }

  #fail(what: string, event: TraceEvent): never {
    throw new InvariantError(what, { time: event.time, node: event.node, type: event.type, data: summary(event.data) })
  }
}

function summary(data: object): object {
  const { batch: _batch, body: _body, ...rest } = data as Record<string, unknown>
  return rest
}

export function runSimulation(options: SimulationOptions): SimulationResult {
  const { seed, voters, observers, steps } = options
  const cluster = new RaftCluster({
    voters,
    observers,
    seed,
    config: { 'metadata.max.retention.bytes': 2_000 },
    wire: options.wire ?? 'reference',
  })
  const invariants = new Invariants(cluster)
  const random = cluster.engine.random.fork('simulation')
  const faults: FaultHandle[] = []
  cluster.startAll()
  let sequence = 0
  for (let step = 0; step < steps; step++) {
    for (let i = 0; i < 4; i++) {
      cluster.run(random.between(50, 450))
      sequence = append(cluster, sequence, random.between(1, 3))
    }
    invariants.checkCommitted(cluster)
    strike(cluster, random.weighted(FAULTS), faults)
  }
  for (const fault of faults) fault.remove()
  for (const name of cluster.names) {
    cluster.world.resume(name)
    cluster.world.start(name)
  }
  heal(cluster, invariants, sequence)
  return {
    hash: cluster.engine.trace.hash,
    epochs: invariants.lastEpoch,
    leaders: invariants.leaders,
    committed: invariants.committed,
    truncations: invariants.truncations,
    snapshotsFetched: invariants.snapshotsFetched,
    powerLosses: invariants.powerLosses,
    knownHalts: invariants.knownHalts,
  }
}

/** Whoever believes to lead appends: also a leader that is none any more. */
function append(cluster: RaftCluster, sequence: number, count: number): number {
  for (const [name, { client, machine }] of cluster.running) {
    if (!client.isLeader || !machine.isWritable || cluster.world.node(name).state !== 'running') continue
    const records = Array.from({ length: count }, () => `v${++sequence}`)
    client.scheduleAppend(client.leader.epoch, records)
  }
  return sequence
}

function heal(cluster: RaftCluster, invariants: Invariants, sequence: number): void {
  const isWhole = (): boolean => {
    for (const name of cluster.names) if (!cluster.running.has(name)) cluster.world.start(name)
    return cluster.names.every((name) => cluster.world.node(name).state === 'running') && cluster.hasConsistentLeader
  }
  if (!cluster.runUntil(isWhole, 60_000, 20)) {
    throw new InvariantError('no leader after healing', { states: describeAll(cluster) })
  }
  // A record that goes with its leader's leadership is appended again by the next one.
  let target = -1
  let epoch = -1
  const reached = cluster.runUntil(
    () => {
      const { leader } = cluster
      if (leader === undefined || !cluster.machine(leader).isWritable) return false
      if (cluster.client(leader).leader.epoch !== epoch) {
        const last = cluster.append(leader, `v${++sequence}`)
        if (last === NOT_LEADER) return false
        target = last + 1
        epoch = cluster.client(leader).leader.epoch
      }
      return cluster.allReached(target)
    },
    60_000,
    20,
  )
  if (!reached) throw new InvariantError('no progress after healing', { states: describeAll(cluster) })
  cluster.run(600)
  invariants.checkCommitted(cluster)
}

function strike(cluster: RaftCluster, fault: (typeof FAULTS)[number][1], faults: FaultHandle[]): void {
  const { world } = cluster
  const random = cluster.engine.random.fork(`strike/${cluster.engine.now}`)
  const name = random.pick(cluster.names)
  const node = world.node(name)
  switch (fault) {
    case 'kill':
      world.kill(name)
      return
    case 'power-loss':
      world.powerLoss(name)
      return
    case 'stop':
      world.stop(name)
      return
    case 'start':
      world.start(name)
      return
    case 'start-all':
      for (const each of cluster.names) world.start(each)
      return
    case 'isolate': {
      const others = cluster.names.filter((other) => other !== name)
      faults.push(world.network.partition([[name], others]))
      return
    }
    case 'split': {
      const shuffled = random.shuffle(cluster.names)
      const at = random.between(1, shuffled.length - 1)
      faults.push(world.network.partition([shuffled.slice(0, at), shuffled.slice(at)]))
      return
    }
    case 'one-way':
      faults.push(
        world.network.oneWay([name], random.sample(cluster.names, random.between(1, cluster.names.length - 1))),
      )
      return
    case 'heal':
      for (const handle of faults.splice(0)) handle.remove()
      return
    case 'pause':
      world.pause(name)
      return
    case 'resume':
      for (const each of cluster.names) world.resume(each)
      return
    case 'slow-disk':
      faults.push(node.disk.slow({ addedMicros: random.between(10_000, 1_500_000) }))
      return
    case 'loss':
      faults.push(world.network.loss(0.2))
      return
    case 'clock':
      node.clock.jump(random.between(-5_000, 5_000))
      return
    case 'snapshot':
      snapshot(cluster, name)
      return
    case 'clean':
      if (node.state === 'running') cluster.running.get(name)?.client.log?.clean(node.clock.wallMs())
      return
    case 'resign': {
      const { leader } = cluster
      if (leader !== undefined) cluster.client(leader).resign(cluster.client(leader).leader.epoch)
      return
    }
    case 'nothing':
  }
}

function snapshot(cluster: RaftCluster, name: string): void {
  const running = cluster.running.get(name)
  if (running === undefined || cluster.world.node(name).state !== 'running') return
  const { client, machine } = running
  if (machine.nextOffset === 0) return
  client.createSnapshot(
    { offset: machine.nextOffset, epoch: machine.epoch, lastContainedLogTimestamp: 0 },
    machine.image(),
  )
}

function describeAll(cluster: RaftCluster): unknown {
  return [...cluster.running].map(([name, { client }]) => ({
    name,
    leader: client.leader,
    highWatermark: client.highWatermark,
    logEnd: client.logEndOffset,
    state: cluster.world.node(name).state,
  }))
}

/**
 * A tiny cluster that replicates one partition by Kafka's rules, correct by construction, and emits what real nodes would.
 *
 * There is no network and no time: every step is drawn at random among those that the rules allow, so that interleavings come up which no
 * scenario would think of: a deposed leader that goes on for a while, acknowledgements that come late, a replica that loses
 * power twice, an unclean election next to a clean one. Followers copy batches from the leader whose epoch they know;
 * a leader's high watermark is the least log end of what it takes for the ISR; the controller elects from ISR and ELR.
 */

import type { BatchView } from '../../sim/kernel/events.js'
import { Random } from '../../sim/kernel/random.js'
import { P, batchOf, story, type Story } from './story.js'

const BROKERS = ['b1', 'b2', 'b3'] as const
type Broker = (typeof BROKERS)[number]

interface Replica {
  readonly name: Broker
  up: boolean
  /** Its process registered and was unfenced: it may lead and follow. */
  running: boolean
  batches: BatchView[]
  /** Batches that a power loss leaves. */
  synced: number
  highWatermark: number
  role: 'leader' | 'follower'
  epoch: number
  /** As leader: the ISR that it knows, and the log ends that followers told it in this epoch. */
  isr: readonly Broker[]
  ends: Map<Broker, number>
}

interface Ack {
  readonly id: string
  readonly offset: number
  readonly batch: BatchView
}

interface Waiting {
  readonly ack: Ack
  readonly leader: Broker
  readonly epoch: number
}

export interface ModelOptions {
  readonly minIsr: number
  readonly unclean: boolean
  readonly powerLosses: boolean
  readonly elr: boolean
}

export class ModelCluster {
  readonly story: Story
  readonly #random: Random
  readonly #options: ModelOptions
  readonly #replicas: readonly Replica[]
  #leader: Broker | 'nobody' = 'b1'
  #epoch = 0
  #partitionEpoch = 0
  #isr: readonly Broker[] = BROKERS
  #elr: readonly Broker[] = []
  #lastLeader: Broker = 'b1'
  #next = 0
  #producer = 1
  /** Written, and under way to the client. */
  readonly #answers: Ack[] = []
  readonly #waiting: Waiting[] = []
  #position = 0

  constructor(seed: number, options: ModelOptions) {
    this.#random = new Random(`model/${seed}`)
    this.#options = options
    this.story = story({ topic: { minInsyncReplicas: options.minIsr, uncleanLeaderElection: options.unclean } })
    this.#replicas = BROKERS.map((name) => ({
      name,
      up: true,
      running: true,
      batches: [],
      synced: 0,
      highWatermark: 0,
      role: name === 'b1' ? 'leader' : 'follower',
      epoch: 0,
      isr: BROKERS,
      ends: new Map<Broker, number>(BROKERS.map((broker) => [broker, 0])),
    }))
    for (const broker of BROKERS) this.story.serves(broker)
    this.story.created().ready()
  }

  run(steps: number): Story {
    for (let step = 1; step <= steps; step++) {
      this.story.at(step / 1_000)
      this.#step()
    }
    return this.story
  }

  #step(): void {
    const replica = this.#random.pick(this.#replicas)
    const { powerLosses } = this.#options
    const kind = this.#random.weighted<string>([
      [8, 'append'],
      [14, 'fetch'],
      [4, 'answer'],
      [4, 'deliver'],
      [3, 'read'],
      [2, 'sync'],
      [3, 'learn'],
      [1, 'shrink'],
      [2, 'expand'],
      [1, 'kill'],
      [powerLosses ? 1 : 0, 'power'],
      [4, 'start'],
      [2, 'fence'],
      [3, 'elect'],
    ])
    if (kind === 'append') this.#append(replica)
    else if (kind === 'fetch') this.#fetch(replica)
    else if (kind === 'answer') this.#answer()
    else if (kind === 'deliver') this.#deliver()
    else if (kind === 'read') this.#read(replica)
    else if (kind === 'sync') replica.synced = replica.batches.length
    else if (kind === 'learn') this.#learn(replica)
    else if (kind === 'shrink') this.#shrink(replica)
    else if (kind === 'expand') this.#expand(replica)
    else if (kind === 'kill') this.#die(replica, false)
    else if (kind === 'power') this.#die(replica, true)
    else if (kind === 'start') this.#start(replica)
    else if (kind === 'fence') this.#fence(replica)
    else this.#elect()
  }

  // ── replication ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #leads(replica: Replica): boolean {
    return replica.running && replica.role === 'leader'
  }

  #append(leader: Replica): void {
    if (!this.#leads(leader) || leader.isr.length < this.#options.minIsr) return
    const ids = Array.from({ length: this.#random.between(1, 3) }, () => `p${this.#producer}/${this.#next++}`)
    const batch = batchOf(ids, endOf(leader), leader.epoch, this.#producer, false)
    this.#write(leader, batch, 'leader')
    ids.forEach((id, i) => {
      const ack = { id, offset: batch.baseOffset + i, batch }
      this.#waiting.push({ ack, leader: leader.name, epoch: leader.epoch })
    })
    this.#advance(leader)
  }

  #write(replica: Replica, batch: BatchView, role: 'leader' | 'follower'): void {
    replica.batches.push(batch)
    const { baseOffset, lastOffset, partitionLeaderEpoch: leaderEpoch, crc } = batch
    this.story.emit(replica.name, 'log.append', { partition: P, baseOffset, lastOffset, leaderEpoch, crc, role, batch })
  }

  /** A follower fetches from the leader of the epoch that it knows: first it truncates, then it tells its end and copies. */
  #fetch(follower: Replica): void {
    if (!follower.running || follower.role !== 'follower') return
    const leader = this.#replicas.find((each) => this.#leads(each) && each.epoch === follower.epoch)
    if (leader === undefined) return
    let same = 0
    while (same < follower.batches.length && follower.batches[same] === leader.batches[same]) same++
    if (same < follower.batches.length) this.#truncate(follower, same)
    leader.ends.set(follower.name, endOf(follower))
    this.#advance(leader)
    const batch = leader.batches[same]
    if (batch !== undefined) this.#write(follower, batch, 'follower')
    const to = Math.min(leader.highWatermark, endOf(follower))
    if (to > follower.highWatermark) this.#move(follower, to)
    else if (to < follower.highWatermark) {
      this.story.emit(follower.name, 'hw.set', { partition: P, from: follower.highWatermark, to, reason: 'leader' })
      follower.highWatermark = to
    }
  }

  #truncate(replica: Replica, keep: number): void {
    const from = endOf(replica)
    replica.batches.length = keep
    replica.synced = Math.min(replica.synced, keep)
    this.story.emit(replica.name, 'log.truncate', { partition: P, from, to: endOf(replica), reason: 'diverging' })
    if (replica.highWatermark <= endOf(replica)) return
    const to = endOf(replica)
    this.story.emit(replica.name, 'hw.set', { partition: P, from: replica.highWatermark, to, reason: 'truncate' })
    replica.highWatermark = to
  }

  #advance(leader: Replica): void {
    if (leader.isr.length < this.#options.minIsr) return
    const ends = leader.isr.map((name) => (name === leader.name ? endOf(leader) : (leader.ends.get(name) ?? 0)))
    const to = Math.min(...ends)
    if (to > leader.highWatermark) this.#move(leader, to)
  }

  #move(replica: Replica, to: number): void {
    const { name, highWatermark: from, epoch: leaderEpoch, role } = replica
    replica.highWatermark = to
    this.story.emit(name, 'hw.advance', { partition: P, from, to, role, leaderEpoch })
  }

  // ── clients ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The leader answers what its high watermark has passed, while it leads in the epoch in which it appended. */
  #answer(): void {
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const { ack, leader, epoch } = this.#waiting[i] as Waiting
      const replica = this.#replica(leader)
      if (!this.#leads(replica) || replica.epoch !== epoch) this.#waiting.splice(i, 1)
      else if (replica.highWatermark > ack.offset)
        this.#answers.push(...this.#waiting.splice(i, 1).map((each) => each.ack))
    }
  }

  /** Answers arrive late and in any order. */
  #deliver(): void {
    if (this.#answers.length === 0) return
    const [ack] = this.#answers.splice(this.#random.int(this.#answers.length), 1)
    if (ack === undefined) return
    const { id, offset, batch } = ack
    this.story.emit('p1', 'produce.acked', { id, partition: P, offset, crc: batch.crc, acks: -1 })
  }

  #read(replica: Replica): void {
    if (!this.#leads(replica)) return
    const at = replica.batches.findIndex((each) => each.lastOffset >= this.#position)
    const batch = replica.batches[at]
    // As the client's epoch validation would find: its position is beyond what this leader has.
    if (this.#position > endOf(replica)) {
      const to = endOf(replica)
      this.story.emit('r1', 'consume.position', { partition: P, from: this.#position, to, reason: 'truncated' })
      this.#position = to
      return
    }
    if (batch === undefined || batch.lastOffset >= replica.highWatermark) return
    this.story.answersFetch(replica.name, this.#position, batch.lastOffset + 1, replica.highWatermark)
    const decoder = new TextDecoder()
    const records = batch.records().filter(({ offsetDelta }) => batch.baseOffset + offsetDelta >= this.#position)
    const offsets = records.map(({ offsetDelta }) => batch.baseOffset + offsetDelta)
    const ids = records.map(({ value }) => decoder.decode(value ?? new Uint8Array()))
    this.story.polls(offsets, ids, batch.partitionLeaderEpoch)
    this.#position = batch.lastOffset + 1
  }

  // ── the ISR ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #shrink(leader: Replica): void {
    if (!this.#isActing(leader) || leader.isr.length === 1) return
    const gone = this.#random.pick(leader.isr.filter((name) => name !== leader.name))
    this.#decideIsr(
      leader,
      this.#isr.filter((name) => name !== gone),
    )
  }

  #expand(leader: Replica): void {
    if (!this.#isActing(leader)) return
    const joins = this.#replicas.find(
      ({ name, running }) =>
        running && !this.#isr.includes(name) && (leader.ends.get(name) ?? -1) >= leader.highWatermark,
    )
    // What it told may be older than a crash; the broker epoch would show that.
    if (joins === undefined || endOf(joins) < leader.highWatermark || !isPrefix(joins, leader)) return
    leader.ends.set(joins.name, endOf(joins))
    this.#decideIsr(leader, [...this.#isr, joins.name])
  }

  /** The controller's leader, and it knows the ISR of the moment: its requests are taken. */
  #isActing(leader: Replica): boolean {
    return this.#leads(leader) && this.#leader === leader.name && leader.epoch === this.#epoch
  }

  #decideIsr(leader: Replica, isr: readonly Broker[]): void {
    this.#setIsr(isr)
    this.#decide()
    leader.isr = isr
    this.story.isr(leader.name, isr, leader.epoch, this.#partitionEpoch)
    this.#advance(leader)
  }

  #setIsr(isr: readonly Broker[]): void {
    const eligible = [...this.#isr, ...this.#elr].filter(
      (name, i, all) => !isr.includes(name) && all.indexOf(name) === i,
    )
    this.#isr = isr
    this.#elr = !this.#options.elr || isr.length >= this.#options.minIsr ? [] : eligible
  }

  // ── processes and elections ─────────────────────────────────────────────────────────────────────────────────────────

  #die(replica: Replica, power: boolean): void {
    if (!replica.up) return
    replica.up = false
    replica.running = false
    const lost = power && replica.synced < replica.batches.length
    if (lost) replica.batches.length = this.#random.between(replica.synced, replica.batches.length - 1)
    this.story.dies(replica.name, power ? 'power-loss' : 'kill', lost ? 100 : 0)
    if (power) replica.synced = replica.batches.length
  }

  /** Registers once its old session has ended; an unclean shutdown takes it out of ISR and ELR (KIP-966). */
  #start(replica: Replica): void {
    if (replica.up) return
    this.#fence(replica)
    replica.up = true
    replica.highWatermark = Math.min(replica.highWatermark, endOf(replica))
    this.story.reopens(replica.name, endOf(replica))
    this.story.emit(replica.name, 'hw.set', { partition: P, from: 0, to: replica.highWatermark, reason: 'open' })
    replica.role = 'follower'
    replica.epoch = -1
    if (this.#options.elr && [...this.#isr, ...this.#elr].includes(replica.name)) {
      this.#isr = this.#isr.filter((name) => name !== replica.name)
      this.#elr = this.#elr.filter((name) => name !== replica.name)
      this.#decide()
    }
    replica.running = true
    this.story.running(replica.name)
  }

  /** The session of a dead broker ends. */
  #fence(replica: Replica): void {
    if (replica.up) return
    const isr = this.#isr.filter((name) => name !== replica.name)
    const isLast = isr.length === 0
    if (isr.length === this.#isr.length || (isLast && !this.#options.elr)) {
      if (this.#leader !== replica.name) return
    } else this.#setIsr(isr)
    if (this.#leader === replica.name) this.#noLeader()
    this.#decide()
  }

  #noLeader(): void {
    this.#lastLeader = this.#leader === 'nobody' ? this.#lastLeader : this.#leader
    this.#leader = 'nobody'
    this.#epoch++
  }

  #elect(): void {
    if (this.#leader !== 'nobody') return
    const live = this.#replicas.filter(({ running }) => running).map(({ name }) => name)
    const eligible = [...this.#isr, ...this.#elr]
    const clean = eligible.find((name) => live.includes(name))
    const lastKnown = eligible.length === 0 && live.includes(this.#lastLeader) ? this.#lastLeader : undefined
    const winner = clean ?? lastKnown ?? (this.#options.unclean ? live[0] : undefined)
    if (winner === undefined) return
    this.#leader = winner
    this.#lastLeader = winner
    this.#epoch++
    if (!this.#isr.includes(winner)) {
      const others = this.#elr.filter((name) => name !== winner)
      this.#isr = [winner]
      this.#elr = clean !== undefined && this.#isr.length < this.#options.minIsr ? others : []
    }
    this.#decide()
  }

  #decide(): void {
    const { story: it } = this
    it.decides(this.#leader, this.#epoch, ++this.#partitionEpoch, this.#isr, { elr: this.#elr })
  }

  /** Brokers hear of decisions when it suits them; a deposed leader goes on until then. */
  #learn(replica: Replica): void {
    if (!replica.running || replica.epoch >= this.#epoch) return
    replica.epoch = this.#epoch
    if (this.#leader === replica.name) {
      replica.role = 'leader'
      replica.isr = this.#isr
      replica.ends = new Map()
      this.story.leads(replica.name, this.#epoch, this.#isr, this.#partitionEpoch)
      return
    }
    replica.role = 'follower'
    this.story.follows(replica.name, this.#epoch, this.#leader === 'nobody' ? 'b1' : this.#leader)
  }

  #replica(name: Broker): Replica {
    return this.#replicas[BROKERS.indexOf(name)] as Replica
  }
}

function endOf(replica: Replica): number {
  const last = replica.batches[replica.batches.length - 1]
  return last === undefined ? 0 : last.lastOffset + 1
}

/** Everything that `replica` holds, `leader` holds too. */
function isPrefix(replica: Replica, leader: Replica): boolean {
  return replica.batches.every((batch, i) => leader.batches[i] === batch)
}

/**
 * A host with a disk and a process for tests of the log: the real engine and world, one node `b1`.
 *
 * `boot` starts the process (again); `kill`, `powerLoss` and `stop` end it. Events of the logs are collected as they
 * come.
 */

import { Engine } from '../../sim/kernel/engine.js'
import type { Disk, Env } from '../../sim/kernel/env.js'
import type { EventOf, EventType, TraceEvent } from '../../sim/kernel/events.js'
import { millis, type Epoch, type Millis, type Offset } from '../../sim/kernel/units.js'
import { isRefused, type Appended, type AppendRefusal, type AppendResult } from '../../sim/log/append-result.js'
import { LOG_SETTINGS, logConfig, type LogConfig } from '../../sim/log/log-config.js'
import type { ReadFound } from '../../sim/log/log-segment.js'
import { PartitionLog } from '../../sim/log/partition-log.js'
import type { PartitionLogOptions } from '../../sim/log/partition-log-options.js'
import { defaultsOf } from '../../sim/kernel/config-def.js'
import type { DiskOptions, SimDisk } from '../../sim/world/disk.js'
import { World, type SimNode } from '../../sim/world/world.js'
import { endTransactionMarkerBatch } from '../../sim/wire/control-record.js'
import { RecordBatch, type BatchOptions, type NewRecord } from '../../sim/wire/record-batch.js'

export const TP = 'orders-0'
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function config(overrides: Record<string, unknown> = {}): LogConfig {
  const problems: { message: string }[] = []
  const made = logConfig(defaultsOf(LOG_SETTINGS), overrides, problems)
  if (problems.length > 0) throw new Error(problems.map((problem) => problem.message).join('; '))
  return made
}

export class LogHost {
  readonly engine: Engine
  readonly world: World
  readonly node: SimNode
  readonly events: TraceEvent[] = []
  #env: Env | undefined

  constructor(seed = 'log', disk: DiskOptions = {}) {
    this.engine = new Engine(seed)
    this.world = new World(this.engine, { disk })
    this.node = this.world.addNode('b1', (env) => {
      this.#env = env
      return { stop: (done) => done() }
    })
    this.engine.trace.watch('all', (event) => void this.events.push(event))
    this.world.start('b1')
  }

  get env(): Env {
    return this.#env as Env
  }

  get disk(): Disk {
    return this.node.mount()
  }

  get simDisk(): SimDisk {
    return this.node.disk
  }

  get wallMs(): Millis {
    return this.node.clock.wallMs()
  }

  /** Lets `ms` of virtual time pass. */
  run(ms: Millis = 1_000): void {
    this.engine.run(this.engine.now + millis(ms))
  }

  reboot(how: 'kill' | 'power-loss' = 'kill'): void {
    if (how === 'kill') this.world.kill('b1')
    else this.world.powerLoss('b1')
    this.world.start('b1')
  }

  open(options: Partial<PartitionLogOptions> = {}): PartitionLog {
    return PartitionLog.open(this.env, { partition: TP, config: config(), clean: true, ...options })
  }

  eventsOf<K extends EventType>(type: K): Readonly<EventOf<K>['data']>[] {
    return this.events.filter((event) => event.type === type).map((event) => event.data as EventOf<K>['data'])
  }

  /** Hex of a file; undefined when there is none. */
  hex(path: string): string | undefined {
    const bytes = this.disk.readFile(path)
    return bytes === undefined ? undefined : Buffer.from(bytes).toString('hex')
  }

  text(path: string): string {
    return decoder.decode(this.disk.readFile(path))
  }

  files(prefix = `${TP}/`): string[] {
    return this.disk.list(prefix).map((path) => path.slice(prefix.length))
  }

  write(path: string, bytes: Uint8Array | string): void {
    const { disk } = this
    if (disk.exists(path)) disk.remove(path)
    disk.open(path).append(typeof bytes === 'string' ? encoder.encode(bytes) : bytes)
  }
}

export function record(value: string | Uint8Array, timestamp: Millis = -1, key: string | null = null): NewRecord {
  return {
    timestamp,
    key: key === null ? null : encoder.encode(key),
    value: typeof value === 'string' ? encoder.encode(value) : value,
  }
}

/** A batch of records with these values, or of `count` records that say little. */
export function batch(
  values: readonly string[] | number = 1,
  options: BatchOptions = {},
  timestamp: Millis = -1,
): RecordBatch {
  const list = typeof values === 'number' ? Array.from({ length: values }, (_, i) => `value-${i}`) : values
  return RecordBatch.build(
    options,
    list.map((value) => record(value, timestamp)),
  )
}

/** A batch of exactly `size` bytes with one record. */
export function sized(size: number, options: BatchOptions = {}, timestamp: Millis = -1): RecordBatch {
  let length = size - 61 - 8
  for (;;) {
    const made = RecordBatch.build(options, [record(new Uint8Array(length).fill(7), timestamp)])
    if (made.sizeInBytes === size) return made
    if (made.sizeInBytes < size) length++
    else length--
  }
}

/** An idempotent batch of `count` records. */
export function sequenced(
  producerId: number,
  producerEpoch: number,
  baseSequence: number,
  count = 1,
  options: BatchOptions = {},
  timestamp: Millis = -1,
): RecordBatch {
  return batch(count, { producerId, producerEpoch, baseSequence, ...options }, timestamp)
}

export function marker(
  producerId: number,
  producerEpoch: number,
  commit: boolean,
  coordinatorEpoch = 0,
  timestamp = 1,
): RecordBatch {
  return endTransactionMarkerBatch({ timestamp, producerId, producerEpoch, coordinatorEpoch, commit })
}

export function appended(result: AppendResult): Appended {
  if (isRefused(result)) throw new Error(`append refused: ${result.error} ${result.message}`)
  return result
}

export function refusal(result: AppendResult): AppendRefusal {
  if (!isRefused(result)) throw new Error(`append of ${result.firstOffset}..${result.lastOffset} was not refused`)
  return result
}

/** Appends one batch as leader and gives its first and last offset. */
export function append(log: PartitionLog, given: RecordBatch, epoch: Epoch = 0): [Offset, Offset] {
  const { firstOffset, lastOffset } = appended(log.appendAsLeader([given], epoch))
  return [firstOffset, lastOffset]
}

/** Appends a batch as it would come from a leader, at `offset`. */
export function replicate(
  log: PartitionLog,
  offset: Offset,
  given: RecordBatch,
  epoch: Epoch = 0,
  replicaEpoch = epoch,
): AppendResult {
  return log.appendAsFollower([given.withOffsets(offset, epoch)], replicaEpoch)
}

export function found(
  log: PartitionLog,
  from: Offset,
  maxBytes = 1_048_576,
  upTo = log.logEndOffset,
  minOne = true,
): ReadFound {
  const result = log.read(from, maxBytes, upTo, minOne)
  if (isRefused(result)) throw new Error(`read refused: ${result.error} ${result.message}`)
  return result
}

/** Every record from the log start to the end: `offset=value`. */
export function contents(log: PartitionLog): string[] {
  return batches(log).flatMap((each) =>
    each.records().map((entry) => `${each.baseOffset + entry.offsetDelta}=${decoder.decode(entry.value ?? undefined)}`),
  )
}

export function batches(log: PartitionLog): RecordBatch[] {
  const all: RecordBatch[] = []
  for (let from = log.logStartOffset; from < log.logEndOffset;) {
    const { batches: some } = found(log, from)
    const last = some[some.length - 1]
    if (last === undefined) break
    all.push(...some)
    from = last.nextOffset
  }
  return all
}

/** `epoch:start` of every entry. */
export function epochsOf(log: PartitionLog): string {
  return log.epochs.entries.map((entry) => `${entry.epoch}:${entry.startOffset}`).join(' ')
}

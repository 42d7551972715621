/**
 * All logs of a broker, under its one log directory.
 *
 * `startup` opens every log that the disk holds, with recovery unless the clean-shutdown marker is there, takes the
 * marker away, and starts Kafka's periodic tasks:
 *
 *     retention                    log.retention.check.interval.ms               old segments, except of compacted logs
 *     flusher                      log.flush.scheduler.interval.ms               logs not flushed for flush.ms
 *     recovery-point checkpoint    log.flush.offset.checkpoint.interval.ms
 *     log-start checkpoint         log.flush.start.offset.checkpoint.interval.ms
 *
 * first after `log.initial.task.delay.ms`. A checkpoint that would say nothing new is not written. A log that is
 * deleted is renamed at once and removed after `log.segment.delete.delay.ms`. Compacted logs have their cleaner
 * (log-cleaner.ts), which is stopped for a log while that is cut or deleted. `shutdown` ends the cleaner, flushes and closes every log,
 * writes the checkpoints and then the marker. The metadata log is not among them. Source: Kafka's LogManager.
 */

import type { Disk, DiskError, Env } from '../kernel/env.js'
import { parsePartition, partitionName } from '../kernel/names.js'
import type { Random } from '../kernel/random.js'
import { LONG_MAX, type Millis, type Offset } from '../kernel/units.js'
import { Errors } from '../wire/errors.js'
import type { Refusal } from './append-result.js'
import { encodeCleanShutdown, OffsetCheckpoint, parseCleanShutdown } from './checkpoint-file.js'
import { LogCleaner } from './log-cleaner.js'
import { isCompacted, logConfig, topicDefaults, type LogBrokerConfig, type LogConfig } from './log-config.js'
import {
  CLEAN_SHUTDOWN_FILE,
  DELETE_DIR_SUFFIX,
  filesIn,
  HIGH_WATERMARK_FILE,
  LOG_START_OFFSET_FILE,
  RECOVERY_POINT_FILE,
  renamedDir,
  STRAY_DIR_SUFFIX,
} from './log-files.js'
import { PartitionLog } from './partition-log.js'
import type { ProducerStateConfig } from './producer-state-manager.js'

const METADATA_TOPIC = '__cluster_metadata'

export interface LogManagerOptions {
  readonly config: LogBrokerConfig
  /** A topic's own settings, as the metadata has them. */
  readonly topicConfig?: (topic: string) => Readonly<Record<string, unknown>>
  /** Called once, when a DiskError took the log directory offline. Kafka halts then, as it has no other. */
  readonly onDirFailure?: (error: DiskError) => void
}

/** The broker epoch in the clean-shutdown marker; undefined after an unclean end. To be asked before `startup`. */
export function readCleanShutdownEpoch(disk: Disk): number | undefined {
  const bytes = disk.readFile(CLEAN_SHUTDOWN_FILE)
  return bytes === undefined ? undefined : parseCleanShutdown(bytes)
}

export class LogManager {
  readonly #env: Env
  readonly #options: LogManagerOptions
  readonly #random: Random
  /** Shared with every log, so that dynamic settings reach them. */
  readonly #producers: { -readonly [K in keyof ProducerStateConfig]: ProducerStateConfig[K] }
  readonly #logs = new Map<string, PartitionLog>()
  readonly #recoveryPoints: OffsetCheckpoint
  readonly #logStarts: OffsetCheckpoint
  readonly #highWatermarks: OffsetCheckpoint
  #config: LogBrokerConfig
  #defaults: LogConfig
  #cleaner: LogCleaner | undefined
  #started = false
  #stopped = false
  #failed = false

  constructor(env: Env, options: LogManagerOptions) {
    const { config } = options
    this.#env = env
    this.#options = options
    this.#random = env.random.fork('log-manager')
    this.#config = config
    this.#defaults = topicDefaults(config)
    this.#producers = producerConfig(config)
    this.#recoveryPoints = new OffsetCheckpoint(env.disk, RECOVERY_POINT_FILE)
    this.#logStarts = new OffsetCheckpoint(env.disk, LOG_START_OFFSET_FILE)
    this.#highWatermarks = new OffsetCheckpoint(env.disk, HIGH_WATERMARK_FILE)
  }

  /** In the order in which they came. */
  get logs(): Iterable<PartitionLog> {
    return this.#logs.values()
  }

  get(partition: string): PartitionLog | undefined {
    return this.#logs.get(partition)
  }

  /** Undefined before `startup`, and without `log.cleaner.enable`. */
  get cleaner(): LogCleaner | undefined {
    return this.#cleaner
  }

  // ── opening ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Opens all logs and starts the periodic tasks. Logs that `isStray` names (the metadata does not place them here) are
   * set aside in directories of their own. @throws DiskError
   */
  startup(isStray: (log: PartitionLog) => boolean = () => false): void {
    const { disk } = this.#env
    const clean = disk.exists(CLEAN_SHUTDOWN_FILE)
    if (clean) disk.remove(CLEAN_SHUTDOWN_FILE)
    // As Kafka: a checkpoint that can't be read counts for nothing, and everything is recovered.
    const recoveryPoints = this.#recoveryPoints.read() ?? new Map<string, Offset>()
    const logStarts = this.#logStarts.read() ?? new Map<string, Offset>()
    for (const dir of this.#directories()) {
      if (dir.endsWith(DELETE_DIR_SUFFIX)) this.#removeLater(dir)
      const name = parsePartition(dir)
      if (name === undefined || name.topic === METADATA_TOPIC) continue
      const log = PartitionLog.open(this.#env, {
        partition: dir,
        config: this.#configOf(name.topic),
        logStartOffset: logStarts.get(dir) ?? 0,
        recoveryPoint: recoveryPoints.get(dir) ?? 0,
        clean,
        producers: this.#producers,
        onOffline: (error) => this.#dirFailed(error),
      })
      if (isStray(log)) log.renameForRemoval(renamedDir(dir, this.#uniqueId(), STRAY_DIR_SUFFIX))
      else this.#logs.set(dir, log)
    }
    this.#started = true
    this.#startTasks()
    if (!this.#config['log.cleaner.enable']) return
    this.#cleaner = new LogCleaner(this.#env, this.#config, this.#logs, (error) => this.#dirFailed(error))
    this.#cleaner.startup()
  }

  /**
   * The log of a partition, created when there is none. KAFKA_STORAGE_ERROR once the directory failed,
   * INCONSISTENT_TOPIC_ID when the log is that of an earlier topic of the same name. @throws DiskError
   */
  getOrCreate(topic: string, index: number, topicId: string | undefined): PartitionLog | Refusal {
    const partition = partitionName(topic, index)
    if (this.#failed)
      return { error: Errors.KAFKA_STORAGE_ERROR, message: `can't create ${partition}: the log directory is offline` }
    const known = this.#logs.get(partition)
    if (known !== undefined) {
      if (topicId === undefined || known.topicId === undefined || known.topicId === topicId) return known
      return {
        error: Errors.INCONSISTENT_TOPIC_ID,
        message: `${partition} is of topic id ${known.topicId}, not ${topicId}`,
      }
    }
    const log = PartitionLog.open(this.#env, {
      partition,
      config: this.#configOf(topic),
      ...(topicId !== undefined && { topicId }),
      clean: true,
      producers: this.#producers,
      onOffline: (error) => this.#dirFailed(error),
    })
    this.#logs.set(partition, log)
    if (isCompacted(log.config)) this.#cleaner?.wake()
    return log
  }

  // ── configuration ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** A topic's settings changed. */
  topicConfigChanged(topic: string): void {
    const config = this.#configOf(topic)
    for (const log of this.#logs.values()) if (parsePartition(log.partition)?.topic === topic) this.#update(log, config)
    this.#cleaner?.wake()
  }

  /** The broker's settings changed: every log gets its configuration anew. */
  updateBrokerConfig(config: LogBrokerConfig): void {
    this.#config = config
    this.#defaults = topicDefaults(config)
    Object.assign(this.#producers, producerConfig(config))
    for (const log of this.#logs.values()) {
      this.#update(log, this.#configOf(parsePartition(log.partition)?.topic ?? ''))
    }
    this.#cleaner?.reconfigure(config)
    this.#cleaner?.wake()
  }

  #update(log: PartitionLog, config: LogConfig): void {
    const wasCompacted = isCompacted(log.config)
    log.updateConfig(config)
    if (wasCompacted && !isCompacted(config)) this.#cleaner?.abort(log.partition)
  }

  #configOf(topic: string): LogConfig {
    const overrides = this.#options.topicConfig?.(topic)
    return overrides === undefined ? this.#defaults : logConfig(this.#defaults, overrides)
  }

  // ── truncating and deleting ───────────────────────────────────────────────────────────────────────────────────────

  /** Truncates a log, and writes the recovery points when that removed something. @throws DiskError */
  truncateTo(partition: string, offset: Offset, reason: string): void {
    const log = this.#logs.get(partition)
    if (log === undefined) return
    const reachesClosed = offset < (log.segments[log.segments.length - 1]?.baseOffset ?? 0)
    const truncate = (): boolean => log.truncateTo(offset, reason)
    if (reachesClosed ? this.#withoutCleaning(log, truncate) : truncate()) this.checkpointRecoveryPoints()
  }

  /** Empties a log, which begins at `offset` then. @throws DiskError */
  truncateFullyAndStartAt(partition: string, offset: Offset, reason: string, logStartOffset?: Offset): void {
    const log = this.#logs.get(partition)
    if (log === undefined) return
    this.#withoutCleaning(log, () => log.truncateFullyAndStartAt(offset, reason, logStartOffset))
    this.checkpointRecoveryPoints()
  }

  /** Cuts a log while no cleaner is at it; what was clean ends with the log's closed segments. */
  #withoutCleaning<T>(log: PartitionLog, truncate: () => T): T {
    const cleaner = this.#cleaner
    if (cleaner === undefined) return truncate()
    cleaner.abortAndPause(log.partition)
    try {
      const result = truncate()
      cleaner.manager.truncateCheckpoint(log, log.cleanable.activeSegment.baseOffset)
      return result
    } finally {
      cleaner.manager.resume(log.partition)
    }
  }

  /** Takes logs out of service at once; their files are removed later. @throws DiskError */
  asyncDelete(partitions: readonly string[]): void {
    let count = 0
    for (const partition of partitions) {
      const log = this.#logs.get(partition)
      if (log === undefined) continue
      this.#logs.delete(partition)
      this.#cleaner?.abort(partition)
      this.#cleaner?.manager.forget(partition)
      const dir = renamedDir(partition, this.#uniqueId(), DELETE_DIR_SUFFIX)
      log.renameForRemoval(dir)
      this.#removeLater(dir)
      count++
    }
    if (count === 0) return
    this.checkpointRecoveryPoints()
    this.checkpointLogStartOffsets()
  }

  #removeLater(dir: string): void {
    this.#env.after(this.#defaults['file.delete.delay.ms'], () => {
      for (const path of filesIn(this.#env.disk, dir)) this.#env.disk.remove(path)
    })
  }

  // ── checkpoints ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws DiskError */
  checkpointRecoveryPoints(done?: (error?: DiskError) => void): void {
    const offsets = new Map<string, Offset>()
    for (const log of this.#logs.values()) offsets.set(log.partition, log.recoveryPoint)
    this.#checkpoint(this.#recoveryPoints, offsets, done)
  }

  /** Only starts that the segments themselves do not tell. @throws DiskError */
  checkpointLogStartOffsets(done?: (error?: DiskError) => void): void {
    const offsets = new Map<string, Offset>()
    for (const log of this.#logs.values()) {
      if (log.logStartOffset > (log.segments[0]?.baseOffset ?? 0)) offsets.set(log.partition, log.logStartOffset)
    }
    this.#checkpoint(this.#logStarts, offsets, done)
  }

  /** `replication-offset-checkpoint`: the replica manager's, every 5 s. @throws DiskError */
  checkpointHighWatermarks(offsets: ReadonlyMap<string, Offset>, done?: (error?: DiskError) => void): void {
    this.#checkpoint(this.#highWatermarks, offsets, done)
  }

  /** High watermarks as last checkpointed; undefined when the file can't be read. @throws DiskError */
  readHighWatermarks(): Map<string, Offset> | undefined {
    return this.#highWatermarks.read()
  }

  #checkpoint(file: OffsetCheckpoint, offsets: ReadonlyMap<string, Offset>, done?: (error?: DiskError) => void): void {
    file.write(offsets, (error) => {
      if (error !== undefined) this.#dirFailed(error)
      done?.(error)
    })
  }

  // ── periodic tasks ────────────────────────────────────────────────────────────────────────────────────────────────

  #startTasks(): void {
    const config = this.#config
    this.#every(config['log.retention.check.interval.ms'], () => this.deleteOldSegments())
    this.#every(config['log.flush.scheduler.interval.ms'], () => this.flushDirtyLogs())
    this.#every(config['log.flush.offset.checkpoint.interval.ms'], () => this.checkpointRecoveryPoints())
    this.#every(config['log.flush.start.offset.checkpoint.interval.ms'], () => this.checkpointLogStartOffsets())
  }

  #every(intervalMs: Millis, task: () => void): void {
    const run = (): void => {
      if (this.#stopped || this.#failed) return
      task()
      if (intervalMs < LONG_MAX) this.#env.after(Math.max(1, intervalMs), run)
    }
    this.#env.after(this.#config['log.initial.task.delay.ms'], run)
  }

  /** Retention, for the logs that are not compacted; the others have it from their cleaner. @throws DiskError */
  deleteOldSegments(): void {
    for (const log of this.#logs.values()) if (!isCompacted(log.config)) log.deleteOldSegments()
  }

  /** Flushes the logs whose last flush is `flush.ms` ago. */
  flushDirtyLogs(): void {
    const nowMs = this.#env.clock.wallMs()
    for (const log of this.#logs.values()) if (nowMs - log.lastFlushMs >= log.config['flush.ms']) log.flush()
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Flushes and closes all logs, writes the checkpoints and the marker. `done` comes also when some of it failed. */
  shutdown(brokerEpoch: number, done: () => void): void {
    const logs = [...this.#logs.values()]
    let left = logs.length
    let failed = false
    const closed = (error?: DiskError): void => {
      failed ||= error !== undefined
      left--
      if (left > 0) return
      if (failed || !this.#started) done()
      else this.#writeMarker(brokerEpoch, done)
    }
    this.#stopped = true
    this.#cleaner?.shutdown()
    if (logs.length === 0) {
      left = 1
      closed()
    }
    for (const log of logs) {
      if (log.isOffline) closed()
      else log.flushAll((error) => (error === undefined ? log.close(closed) : closed(error)))
    }
  }

  #writeMarker(brokerEpoch: number, done: () => void): void {
    this.checkpointRecoveryPoints((error) => {
      if (error !== undefined) return done()
      this.checkpointLogStartOffsets((error) => {
        if (error !== undefined) return done()
        this.#env.disk.replaceFile(CLEAN_SHUTDOWN_FILE, encodeCleanShutdown(brokerEpoch), () => done())
      })
    })
  }

  #dirFailed(error: DiskError): void {
    if (this.#failed) return
    this.#failed = true
    this.#cleaner?.shutdown()
    this.#options.onDirFailure?.(error)
  }

  // ── directories ───────────────────────────────────────────────────────────────────────────────────────────────────

  #directories(): Iterable<string> {
    const found = new Set<string>()
    for (const path of this.#env.disk.list('')) {
      const slash = path.indexOf('/')
      if (slash > 0) found.add(path.slice(0, slash))
    }
    return found
  }

  #uniqueId(): string {
    let id = ''
    for (let i = 0; i < 8; i++) id += this.#random.int(0x10000).toString(16).padStart(4, '0')
    return id
  }
}

function producerConfig(config: LogBrokerConfig): ProducerStateConfig {
  return {
    expirationMs: config['producer.id.expiration.ms'],
    expirationCheckIntervalMs: config['producer.id.expiration.check.interval.ms'],
    maxTransactionTimeoutMs: config['transaction.max.timeout.ms'],
    transactionVerification: config['transaction.partition.verification.enable'],
  }
}

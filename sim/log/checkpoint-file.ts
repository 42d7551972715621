/**
 * Kafka's checkpoint files: text, replaced as a whole.
 *
 *     0                  version
 *     2                  number of entries
 *     orders 0 4711      one entry a line
 *     orders 1 12
 *
 * Offsets by partition are "topic partition offset" (`replication-offset-checkpoint`,
 * `recovery-point-offset-checkpoint`, `log-start-offset-checkpoint`); leader epochs are "epoch startOffset".
 * `.kafka_cleanshutdown` is JSON, `partition.metadata` is two lines of text. Source: CheckpointFile,
 * OffsetCheckpointFile, CleanShutdownFileHandler, PartitionMetadata.
 */

import type { Disk, DiskError } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import { parsePartition, partitionName } from '../kernel/names.js'
import type { Offset } from '../kernel/units.js'

const VERSION = 0
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function encodeCheckpoint(lines: readonly string[]): Uint8Array {
  return encoder.encode(`${VERSION}\n${lines.length}\n${lines.map((line) => `${line}\n`).join('')}`)
}

/** The fields of each line, or undefined when the file is malformed. An empty file has no entries. */
export function parseCheckpoint(bytes: Uint8Array, fields: number): string[][] | undefined {
  const lines = decoder.decode(bytes).split('\n')
  if (lines[lines.length - 1] === '') lines.pop()
  if (lines.length < 2) return lines.length === 0 || lines[0] === String(VERSION) ? [] : undefined
  if (lines[0] !== String(VERSION) || lines[1] !== String(lines.length - 2)) return undefined
  const entries = lines.slice(2).map((line) => line.split(/\s+/))
  const whole = entries.every((entry) => entry.length === fields && entry.slice(-1).every((text) => /^\d+$/.test(text)))
  return whole ? entries : undefined
}

/** Offsets by partition, kept in a file. It is not written again while nothing changes. */
export class OffsetCheckpoint {
  readonly #disk: Disk
  readonly #path: string
  #written: string | undefined

  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
  }

  /** Offset by `orders-0`, in the file's order; undefined when the file is malformed. @throws DiskError */
  read(): Map<string, Offset> | undefined {
    const bytes = this.#disk.readFile(this.#path)
    const entries = bytes === undefined ? [] : parseCheckpoint(bytes, 3)
    if (entries === undefined) return undefined
    const offsets = new Map<string, Offset>()
    for (const [topic, index, offset] of entries)
      offsets.set(partitionName(topic as string, Number(index)), Number(offset))
    return offsets
  }

  /** Writes `offsets` in their order. `done` comes when they will last. @throws DiskError */
  write(offsets: ReadonlyMap<string, Offset>, done?: (error?: DiskError) => void): void {
    const lines: string[] = []
    for (const [partition, offset] of offsets) {
      const parsed = parsePartition(partition)
      assert(parsed !== undefined, 'checkpoint: partition name', { partition })
      lines.push(`${parsed.topic} ${parsed.index} ${offset}`)
    }
    const content = lines.join('\n')
    if (content === this.#written && this.#disk.exists(this.#path)) return done?.()
    this.#disk.replaceFile(this.#path, encodeCheckpoint(lines), (error) => {
      if (error !== undefined) this.#written = undefined
      done?.(error)
    })
    this.#written = content
  }
}

export function encodeCleanShutdown(brokerEpoch: number): Uint8Array {
  return encoder.encode(JSON.stringify({ version: VERSION, brokerEpoch }))
}

/** The broker epoch in a clean-shutdown marker; undefined when it cannot be read. */
export function parseCleanShutdown(bytes: Uint8Array): number | undefined {
  try {
    const content = JSON.parse(decoder.decode(bytes)) as { brokerEpoch?: unknown } | null
    return typeof content?.brokerEpoch === 'number' ? content.brokerEpoch : undefined
  } catch {
    return undefined
  }
}

export function encodePartitionMetadata(topicId: string): Uint8Array {
  return encoder.encode(`version: ${VERSION}\ntopic_id: ${topicId}`)
}

/** The topic id in a `partition.metadata`; undefined when it cannot be read. */
export function parsePartitionMetadata(bytes: Uint8Array): string | undefined {
  return /^version: 0\ntopic_id: (\S{22})\s*$/.exec(decoder.decode(bytes))?.[1]
}

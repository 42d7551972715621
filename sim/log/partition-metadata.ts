/**
 * `partition.metadata`: the topic id of a log, written once.
 *
 * An id that is assigned is written by a later event, or before the next append if that comes first. Source:
 * PartitionMetadataFile.
 */

import type { DiskError, Env } from '../kernel/env.js'
import { Errors, type ErrorCode } from '../wire/errors.js'
import { encodePartitionMetadata, parsePartitionMetadata } from './checkpoint-file.js'
import { PARTITION_METADATA_FILE } from './log-files.js'

export class PartitionMetadata {
  readonly #env: Env
  readonly #path: string
  readonly #onDiskError: (error: DiskError) => void
  #topicId: string | undefined
  #dirty = false

  /** @throws DiskError */
  constructor(env: Env, dir: string, onDiskError: (error: DiskError) => void) {
    this.#env = env
    this.#path = `${dir}/${PARTITION_METADATA_FILE}`
    this.#onDiskError = onDiskError
    const bytes = env.disk.readFile(this.#path)
    if (bytes !== undefined) this.#topicId = parsePartitionMetadata(bytes)
  }

  /** Undefined until it is assigned. */
  get topicId(): string | undefined {
    return this.#topicId
  }

  /** The id is not in the file yet. */
  get dirty(): boolean {
    return this.#dirty
  }

  /** INCONSISTENT_TOPIC_ID when another one is known. */
  assign(topicId: string): ErrorCode {
    if (this.#topicId === undefined) {
      this.#topicId = topicId
      this.#dirty = true
    }
    return this.#topicId === topicId ? Errors.NONE : Errors.INCONSISTENT_TOPIC_ID
  }

  /** @throws DiskError */
  flush(): void {
    if (!this.#dirty || this.#topicId === undefined) return
    this.#dirty = false
    this.#env.disk.replaceFile(this.#path, encodePartitionMetadata(this.#topicId), (error) => {
      if (error !== undefined) this.#onDiskError(error)
    })
  }
}

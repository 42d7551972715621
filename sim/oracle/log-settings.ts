/**
 * How long logs are to be kept, by the weakest of the settings that ever held: what was configured, and what the controller was told
 * since (a broker acts on that some time later).
 */

import type { Events } from '../kernel/events.js'
import { parsePartition } from '../kernel/names.js'
import type { LogPromises, Promises } from './oracle.js'

const UNKNOWN: LogPromises = {
  policy: ['delete', 'compact'],
  retentionMs: 0,
  retentionBytes: 0,
  deleteRetentionMs: 0,
}

export class LogSettings {
  readonly #promises: Promises
  /** Topic → what was configured while the run went on, over what was promised. */
  readonly #topics = new Map<string, LogPromises>()
  #defaults: LogPromises

  constructor(promises: Promises) {
    this.#promises = promises
    this.#defaults = promises.logDefaults ?? UNKNOWN
  }

  of(partition: string): LogPromises {
    const topic = parsePartition(partition)?.topic ?? partition
    return this.#topics.get(topic) ?? this.#promises.topics.get(topic)?.log ?? this.#ofUnknown(topic)
  }

  mayCompact(partition: string): boolean {
    return this.of(partition).policy.includes('compact')
  }

  mayDelete(partition: string): boolean {
    return this.of(partition).policy.includes('delete')
  }

  forget(topic: string): void {
    this.#topics.delete(topic)
  }

  configured({ resource, name, value }: Events['controller.config']): void {
    if (resource.startsWith('topic:')) {
      const topic = resource.slice('topic:'.length)
      this.#topics.set(topic, weakened(this.of(`${topic}-0`), name, value, this.#defaults))
    } else {
      const topicName = BROKER_NAMES[name]
      if (topicName === undefined) return
      const factor = name.endsWith('.minutes') ? 60_000 : name.endsWith('.hours') ? 3_600_000 : 1
      const text = value === null || factor === 1 ? value : String(Number(value) * factor)
      this.#defaults = weakened(this.#defaults, topicName, text, this.#defaults)
      for (const topic of new Set([...this.#promises.topics.keys(), ...this.#topics.keys()])) {
        this.#topics.set(topic, weakened(this.of(`${topic}-0`), topicName, text, this.#defaults))
      }
    }
  }

  /** Kafka's own topics are compacted. */
  #ofUnknown(topic: string): LogPromises {
    return topic.startsWith('__') ? { ...this.#defaults, policy: ['compact'] } : this.#defaults
  }
}

const BROKER_NAMES: Readonly<Record<string, string>> = {
  'log.retention.ms': 'retention.ms',
  'log.retention.minutes': 'retention.ms',
  'log.retention.hours': 'retention.ms',
  'log.retention.bytes': 'retention.bytes',
  'log.cleanup.policy': 'cleanup.policy',
  'log.cleaner.delete.retention.ms': 'delete.retention.ms',
}

function weakened(before: LogPromises, name: string, value: string | null, defaults: LogPromises): LogPromises {
  switch (name) {
    case 'retention.ms':
      return { ...before, retentionMs: weaker(before.retentionMs, value, defaults.retentionMs) }
    case 'retention.bytes':
      return { ...before, retentionBytes: weaker(before.retentionBytes, value, defaults.retentionBytes) }
    case 'delete.retention.ms':
      return { ...before, deleteRetentionMs: weaker(before.deleteRetentionMs, value, defaults.deleteRetentionMs) }
    case 'cleanup.policy': {
      const policies = value === null ? defaults.policy : value.split(',').map((policy) => policy.trim())
      return { ...before, policy: [...new Set([...before.policy, ...policies])] }
    }
    default:
      return before
  }
}

/** The smaller limit; below 0 is none. */
function weaker(before: number, value: string | null, unset: number): number {
  const now = value === null ? unset : Number(value)
  if (before < 0) return now
  return now < 0 ? before : Math.min(before, now)
}

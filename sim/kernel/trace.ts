/**
 * The stream of everything that happened, and its rolling hash.
 *
 * `emit` numbers an event, folds it into a 64-bit hash and hands it to whoever watches its type. Unwatched, an event
 * costs a few integers: no object is built and nothing is kept. Watching never changes the hash, the numbering or the run.
 *
 * Every event carries its cause: the sequence of the event being handled when it was emitted. The engine restores the
 * cause with every scheduled call, so a walk along causes passes through timers, queues and the network.
 */

import type { EventData, Events, EventType, TraceEvent } from './events.js'
import { HASHED_FIELDS } from './events.js'
import type { NodeName } from './names.js'
import type { Micros } from './units.js'

/** Sees events in order, as they happen. It must not emit. */
export type TraceReader = (event: TraceEvent) => void

/** What an event of one type needs. */
interface Kind {
  readonly hash: number
  readonly fields: readonly string[]
  readonly readers: TraceReader[]
}

export class Trace {
  /** Sequence of the event being handled; 0 at the root. */
  cause = 0
  #sequence = 0
  #high = 0x2f0b4c47 | 0
  #low = 0x6a09e667 | 0
  readonly #now: () => Micros
  readonly #kinds = new Map<EventType, Kind>()
  readonly #everything: TraceReader[] = []

  constructor(now: () => Micros) {
    this.#now = now
    for (const [type, fields] of Object.entries(HASHED_FIELDS)) {
      this.#kinds.set(type as EventType, { hash: textHash(type), fields, readers: [] })
    }
  }

  /** Sequence of the latest event. */
  get sequence(): number {
    return this.#sequence
  }

  /** Emits an event of `node` and returns its sequence (from 1). */
  emit<K extends EventType>(node: NodeName, type: K, data: Events[K]): number {
    const seq = ++this.#sequence
    const time = this.#now()
    const { hash, fields, readers } = this.#kinds.get(type) as Kind
    this.#fold(hash)
    this.#fold(textHash(node))
    this.#foldNumber(time)
    this.#fold(this.cause)
    for (let i = 0; i < fields.length; i++) this.#foldValue(data[fields[i] as keyof Events[K]] as EventData)
    if (readers.length > 0 || this.#everything.length > 0) {
      this.#deliver(readers, { seq, time, node, cause: this.cause, type, data } as unknown as TraceEvent)
    }
    return seq
  }

  /** Calls `reader` with every event of `types`, or of every type. Returns a function that ends it. */
  watch(types: readonly EventType[] | 'all', reader: TraceReader): () => void {
    if (types === 'all') {
      this.#everything.push(reader)
      return () => remove(this.#everything, reader)
    }
    for (const type of types) this.#readersOf(type).push(reader)
    return () => {
      for (const type of types) remove(this.#readersOf(type), reader)
    }
  }

  /** True when somebody would see an event of this type: worth building what is costly to describe (never hashed). */
  watched(type: EventType): boolean {
    return this.#everything.length > 0 || this.#readersOf(type).length > 0
  }

  /** The hash of all events so far: 16 hexadecimal digits. */
  get hash(): string {
    return hex(this.#high) + hex(this.#low)
  }

  #readersOf(type: EventType): TraceReader[] {
    return (this.#kinds.get(type) as Kind).readers
  }

  #deliver(readers: readonly TraceReader[], event: TraceEvent): void {
    for (let i = 0; i < readers.length; i++) (readers[i] as TraceReader)(event)
    for (let i = 0; i < this.#everything.length; i++) (this.#everything[i] as TraceReader)(event)
  }

  #foldValue(value: EventData): void {
    if (typeof value === 'number') this.#foldNumber(value)
    else if (typeof value === 'string') this.#fold(textHash(value))
    else if (typeof value === 'boolean') this.#fold(value ? 0x5bd1e995 : 0x1b873593)
    else if (value === undefined || value === null) this.#fold(0x7ed55d16)
    else {
      this.#fold(value.length)
      for (let i = 0; i < value.length; i++) this.#foldValue(value[i] as EventData)
    }
  }

  /** Integers up to 2^53 of either sign, exactly. */
  #foldNumber(value: number): void {
    this.#fold(value | 0)
    if (value > 0x7fffffff || value < -0x80000000) this.#fold(Math.floor(value / 0x1_0000_0000) | 0)
  }

  /** Two lanes of a multiply-rotate hash; each sees the other, so order matters. */
  #fold(word: number): void {
    const high = Math.imul(this.#high ^ word, 0x85ebca6b)
    const low = Math.imul(this.#low + word, 0xc2b2ae35)
    this.#high = ((high << 13) | (high >>> 19)) + low
    this.#low = ((low << 17) | (low >>> 15)) ^ high
  }
}

function remove(readers: TraceReader[], reader: TraceReader): void {
  const at = readers.indexOf(reader)
  if (at >= 0) readers.splice(at, 1)
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0')
}

/** Up to this length a text is hashed sooner than its hash is looked up. */
const SHORT_TEXT = 10
/** The hashes of longer texts are remembered, as the same come back millions of times. Bounded, as values may be unique. */
const TEXT_HASHES_MAX = 50_000
let textHashes = new Map<string, number>()

function textHash(text: string): number {
  if (text.length <= SHORT_TEXT) return fnv1a(text)
  const known = textHashes.get(text)
  if (known !== undefined) return known
  const hash = fnv1a(text)
  if (textHashes.size >= TEXT_HASHES_MAX) textHashes = new Map()
  textHashes.set(text, hash)
  return hash
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5 | 0
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

/**
 * A map that remembers what it held at earlier offsets of the log that it is made from (Kafka's `TimelineHashMap`).
 *
 * A coordinator changes its state as soon as records are appended, and shows to others only what is committed. Every change carries the
 * offset of its record; reads are as of an offset. What nobody can ask for any more is forgotten by `forgetBelow`.
 */

import type { Offset } from '../../kernel/units.js'

interface Version<V> {
  /** Of the record that made it: it counts for reads from `offset + 1` on. */
  readonly offset: Offset
  /** Undefined: removed. */
  readonly value: V | undefined
}

export class TimelineMap<V> {
  /** Versions of each key, oldest first. */
  readonly #versions = new Map<string, Version<V>[]>()
  /** Keys with more than the one version that everybody sees. */
  readonly #unsettled = new Set<string>()

  set(key: string, value: V, offset: Offset): void {
    this.#push(key, { offset, value })
  }

  delete(key: string, offset: Offset): void {
    if (this.#versions.has(key)) this.#push(key, { offset, value: undefined })
  }

  /** The newest value, committed or not. */
  get(key: string): V | undefined {
    return this.#versions.get(key)?.at(-1)?.value
  }

  /** The value as of `end`: records at offsets below it have taken effect. */
  getAt(key: string, end: Offset): V | undefined {
    return this.#versions.get(key)?.findLast((version) => version.offset < end)?.value
  }

  /** Keys in the order in which they were first set; some may hold nothing any more. */
  keys(): IterableIterator<string> {
    return this.#versions.keys()
  }

  /** Number of keys that hold something now. */
  get size(): number {
    let size = 0
    for (const versions of this.#versions.values()) if (versions.at(-1)?.value !== undefined) size++
    return size
  }

  /** From now on nobody asks for states before `end`. */
  forgetBelow(end: Offset): void {
    for (const key of this.#unsettled) {
      const versions = this.#versions.get(key) as Version<V>[]
      const base = versions.findLastIndex(({ offset }) => offset < end)
      if (base > 0) versions.splice(0, base)
      if (versions.length > 1) continue
      const [only] = versions
      if (only !== undefined && only.offset >= end) continue
      this.#unsettled.delete(key)
      if (only?.value === undefined) this.#versions.delete(key)
    }
  }

  #push(key: string, version: Version<V>): void {
    const versions = this.#versions.get(key)
    if (versions === undefined) this.#versions.set(key, [version])
    else versions.push(version)
    this.#unsettled.add(key)
  }
}

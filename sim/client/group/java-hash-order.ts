/**
 * The order in which Java's HashMap and HashSet hand out their elements, for it decides some of the sticky assignors' ties.
 *
 * A table of n buckets (16, doubled whenever more than three quarters of it would be in use, never made smaller) is walked from
 * bucket 0; an element lies in bucket (h ^ h >>> 16) & (n - 1), in the order in which elements came. Buckets that would become
 * trees (eight elements and more) are not modelled.
 */

const INITIAL_BUCKETS = 16

/** String.hashCode. */
export function javaHash(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}

/** TopicPartition.hashCode. */
export function javaPartitionHash(topic: string, index: number): number {
  return (Math.imul(31 + index, 31) + javaHash(topic)) | 0
}

/** Keys of a HashMap into which they were put in the order given. */
export function inJavaHashOrder(keys: Iterable<string>): string[] {
  const unique = [...new Set(keys)]
  const buckets = bucketsFor(unique.length, INITIAL_BUCKETS)
  return unique
    .map((key, at) => ({ key, at, bucket: bucketOf(javaHash(key), buckets) }))
    .sort((a, b) => a.bucket - b.bucket || a.at - b.at)
    .map(({ key }) => key)
}

/** A HashSet of which only the first element is asked for. */
export class JavaHashSet<T> {
  readonly #hashOf: (element: T) => number
  /** In the order in which they came. */
  readonly #elements = new Set<T>()
  #buckets = INITIAL_BUCKETS

  constructor(hashOf: (element: T) => number) {
    this.#hashOf = hashOf
  }

  get isEmpty(): boolean {
    return this.#elements.size === 0
  }

  add(element: T): void {
    this.#elements.add(element)
    this.#buckets = bucketsFor(this.#elements.size, this.#buckets)
  }

  delete(element: T): void {
    this.#elements.delete(element)
  }

  first(): T | undefined {
    let first: T | undefined
    let lowest = Infinity
    for (const element of this.#elements) {
      const bucket = bucketOf(this.#hashOf(element), this.#buckets)
      if (bucket >= lowest) continue
      lowest = bucket
      first = element
    }
    return first
  }
}

function bucketsFor(size: number, buckets: number): number {
  while (size > buckets * 0.75) buckets *= 2
  return buckets
}

function bucketOf(hash: number, buckets: number): number {
  return (hash ^ (hash >>> 16)) & (buckets - 1)
}

/**
 * The order in which Java's HashMap and HashSet hand out their elements, for it decides the ties of the server's assignors
 * and the order of what the coordinator writes.
 *
 * A table of n buckets is walked from bucket 0; an element lies in bucket (h ^ h >>> 16) & (n - 1), in the order in which elements came. A table
 * that grows as elements come has 16 buckets, doubled whenever more than three quarters of it would be in use; one made from another collection has
 * room for all of it from the start. Buckets that would become trees (eight elements and more) are not modelled.
 */

import { writeUuid } from '../../../wire/uuid.js'
import { javaHash } from '../../coordinator/internal-topics.js'

const SMALLEST_TABLE = 16
const LOAD_FACTOR = 0.75

/** Strings of a HashMap or HashSet into which they were put one by one. */
export function inStringOrder(keys: Iterable<string>): string[] {
  return inHashOrder([...new Set(keys)], javaHash, grown)
}

/** Strings of a HashSet made from this collection. */
export function inCopiedStringOrder(keys: readonly string[]): string[] {
  return inHashOrder([...new Set(keys)], javaHash, () => copied(keys.length))
}

/** Uuids of a HashMap or HashSet into which they were put one by one. */
export function inUuidOrder(keys: Iterable<string>): string[] {
  return inHashOrder([...new Set(keys)], uuidHash, grown)
}

/** Uuids of a HashSet made from a collection that says to have `size` elements. */
export function inCopiedUuidOrder(keys: Iterable<string>, size: number): string[] {
  return inHashOrder([...new Set(keys)], uuidHash, () => copied(size))
}

/** Whole numbers of a HashSet made from a collection of them. */
export function inIntOrder(keys: Iterable<number>): number[] {
  return inHashOrder([...new Set(keys)], (key) => key | 0, copied)
}

/** Kafka's Uuid.hashCode. */
export function uuidHash(uuid: string): number {
  const [a, b, c, d] = words(uuid)
  return a ^ b ^ c ^ d
}

/** Kafka's Uuid.compareTo: two signed longs. */
export function compareUuids(left: string, right: string): number {
  const a = words(left)
  const b = words(right)
  return a[0] - b[0] || (a[1] >>> 0) - (b[1] >>> 0) || a[2] - b[2] || (a[3] >>> 0) - (b[3] >>> 0)
}

/** The most significant long first, its high word first. */
function words(uuid: string): readonly [number, number, number, number] {
  const bytes = new Uint8Array(16)
  writeUuid(uuid, bytes, 0)
  const view = new DataView(bytes.buffer)
  return [view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12)]
}

function inHashOrder<T>(keys: readonly T[], hashOf: (key: T) => number, bucketsFor: (size: number) => number): T[] {
  const buckets = bucketsFor(keys.length)
  return keys
    .map((key, at) => {
      const hash = hashOf(key)
      return { key, at, bucket: (hash ^ (hash >>> 16)) & (buckets - 1) }
    })
    .sort((a, b) => a.bucket - b.bucket || a.at - b.at)
    .map(({ key }) => key)
}

function grown(size: number): number {
  let buckets = SMALLEST_TABLE
  while (size > buckets * LOAD_FACTOR) buckets *= 2
  return buckets
}

/** HashSet(Collection): room for size / 0.75 + 1 elements, 16 at least. */
function copied(size: number): number {
  const capacity = Math.max(Math.floor(size / LOAD_FACTOR) + 1, SMALLEST_TABLE)
  let buckets = 1
  while (buckets < capacity) buckets *= 2
  return buckets
}

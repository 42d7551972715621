/**
 * murmur2 as Kafka's `Utils.murmur2` computes it: the hash by which a producer picks the partition of a keyed record.
 *
 * 32 bits, seed 0x9747b28c; the result is a signed number, as in Java. Every client that shares topics with the Java
 * producer must agree on it.
 */

const SEED = 0x9747b28c
const MIX = 0x5bd1e995
const ROTATE = 24

/** The signed 32-bit hash of a record's key. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length
  let hash = (SEED ^ length) | 0
  const words = length >> 2
  for (let i = 0; i < words; i++) {
    const at = i << 2
    let word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    word = Math.imul(word, MIX)
    word ^= word >>> ROTATE
    hash = Math.imul(hash, MIX) ^ Math.imul(word, MIX)
  }
  const tail = words << 2
  const left = length - tail
  if (left > 0) {
    if (left === 3) hash ^= (bytes[tail + 2] as number) << 16
    if (left >= 2) hash ^= (bytes[tail + 1] as number) << 8
    hash = Math.imul(hash ^ (bytes[tail] as number), MIX)
  }
  hash = Math.imul(hash ^ (hash >>> 13), MIX)
  return (hash ^ (hash >>> 15)) | 0
}

/** The partition that Kafka's built-in partitioner gives a key: the hash without its sign, modulo the partitions. */
export function partitionForKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

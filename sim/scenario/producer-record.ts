/**
 * The records of a producing application: number n of client p1 is `p1/n`, with a key in turn and, now and then, no value.
 *
 * A record without a value (a tombstone: on a compacted topic it deletes its key) carries its id in a header.
 */

import type { ProducerRecord } from '../client/producer.js'
import { encode, ID_HEADER } from '../client/workload-record.js'
import type { ProducerSpec } from './scenario.js'

/** The keys of a client: `k0`, `k1`, …. */
export function keysOf({ keys }: ProducerSpec): readonly Uint8Array[] {
  return Array.from({ length: keys }, (_, i) => encode(`k${i}`))
}

export function producerRecord(
  name: string,
  spec: ProducerSpec,
  keys: readonly Uint8Array[],
  number: number,
): ProducerRecord {
  const { topic, partition, bytes, tombstoneEvery } = spec
  const id = `${name}/${number}`
  const isTombstone = tombstoneEvery !== undefined && (number + 1) % tombstoneEvery === 0
  return {
    topic,
    id,
    ...(isTombstone ? { value: null, headers: [{ key: ID_HEADER, value: encode(id) }] } : { value: encode(id, bytes) }),
    ...(keys.length > 0 && { key: keys[number % keys.length] as Uint8Array }),
    ...(partition !== undefined && { partition }),
  }
}

/**
 * Transaction ids: the leader's epoch in the upper 32 bits, a counter within the epoch in the lower 32.
 *
 * Held as one number, which is exact below epoch 2^21. `(epoch, 0)` belongs to no transaction: it is where a new leader begins.
 * Source: ZooKeeper's `ZxidUtils`.
 */

import type { Epoch } from '../kernel/units.js'
import type { Zxid } from './api.js'

const COUNTERS = 0x1_0000_0000

/** The last counter of an epoch: who reaches it has to be elected anew. */
export const LAST_COUNTER = COUNTERS - 1

export function makeZxid(epoch: Epoch, counter: number): Zxid {
  return epoch * COUNTERS + counter
}

export function epochOf(zxid: Zxid): Epoch {
  return Math.floor(zxid / COUNTERS)
}

export function counterOf(zxid: Zxid): number {
  return zxid % COUNTERS
}

/** As ZooKeeper writes it in logs and file names: hexadecimal, no prefix. */
export function zxidHex(zxid: Zxid): string {
  return zxid.toString(16)
}

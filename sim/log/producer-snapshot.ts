/**
 * The `.snapshot` file: the producer state of a log up to the offset in its name.
 *
 *     0 version i16 = 1 · 2 crc u32 (CRC-32C of what follows) · 6 count i32 · entries of 46 bytes:
 *       producerId i64 · epoch i16 · lastSequence i32 · lastOffset i64 · offsetDelta i32 · timestamp i64 ·
 *       coordinatorEpoch i32 · currentTxnFirstOffset i64 (-1 none)
 *
 * Only the last batch of each producer is kept, so of the five batches remembered one survives a reload. A file that
 * does not check is ignored by whoever reads it. Entries are in the order of producer ids. Source:
 * ProducerStateManager, ProducerSnapshot.
 */

import { crc32c } from '../wire/crc32c.js'
import { ProducerStateEntry } from './producer-state.js'

const VERSION = 1
const CRC_AT = 2
const COUNT_AT = 6
const ENTRIES_AT = 10
const ENTRY_BYTES = 46

export function encodeSnapshot(producers: Iterable<ProducerStateEntry>): Uint8Array {
  const entries = [...producers].sort((a, b) => a.producerId - b.producerId)
  const bytes = new Uint8Array(ENTRIES_AT + entries.length * ENTRY_BYTES)
  const view = new DataView(bytes.buffer)
  view.setInt16(0, VERSION)
  view.setInt32(COUNT_AT, entries.length)
  let at = ENTRIES_AT
  for (const entry of entries) {
    view.setBigInt64(at, BigInt(entry.producerId))
    view.setInt16(at + 8, entry.producerEpoch)
    view.setInt32(at + 10, entry.lastSequence)
    view.setBigInt64(at + 14, BigInt(entry.lastDataOffset))
    view.setInt32(at + 22, entry.lastOffsetDelta)
    view.setBigInt64(at + 26, BigInt(entry.lastTimestamp))
    view.setInt32(at + 34, entry.coordinatorEpoch)
    view.setBigInt64(at + 38, BigInt(entry.currentTxnFirstOffset))
    at += ENTRY_BYTES
  }
  view.setUint32(CRC_AT, crc32c(bytes, COUNT_AT))
  return bytes
}

/** The producers in a snapshot; undefined when it is corrupt. */
export function parseSnapshot(bytes: Uint8Array): ProducerStateEntry[] | undefined {
  if (bytes.length < ENTRIES_AT) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const count = view.getInt32(COUNT_AT)
  if (view.getInt16(0) !== VERSION || count < 0 || bytes.length < ENTRIES_AT + count * ENTRY_BYTES) return undefined
  if (view.getUint32(CRC_AT) !== crc32c(bytes, COUNT_AT)) return undefined
  const entries: ProducerStateEntry[] = []
  for (let at = ENTRIES_AT; entries.length < count; at += ENTRY_BYTES) {
    const timestamp = Number(view.getBigInt64(at + 26))
    const lastOffset = Number(view.getBigInt64(at + 14))
    const batch =
      lastOffset < 0
        ? undefined
        : { lastSequence: view.getInt32(at + 10), lastOffset, offsetDelta: view.getInt32(at + 22), timestamp }
    entries.push(
      new ProducerStateEntry(
        Number(view.getBigInt64(at)),
        view.getInt16(at + 8),
        view.getInt32(at + 34),
        timestamp,
        Math.max(-1, Number(view.getBigInt64(at + 38))),
        batch,
      ),
    )
  }
  return entries
}

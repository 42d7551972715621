/**
 * How a workload's record carries its identity.
 *
 * The value is the id as text, `p1/41`; to reach a wanted size a space and dots follow. What was made of another record names that one behind
 * its own id, `t1/7 <p1/41`. A record without a value has its id in the header `id`. Producer and consumer share this file and nothing
 * else. What is written by anybody else has no id.
 */

import type { RecordId } from '../kernel/events.js'
import type { Bytes } from '../kernel/units.js'

const SPACE = 0x20
const DOT = 0x2e

/** The value of record `id`, of `sizeBytes` bytes; never shorter than the id, and the id of its source if there is one. */
export function encode(id: RecordId, sizeBytes: Bytes = 0, source?: RecordId): Uint8Array {
  const text = source === undefined ? id : `${id} <${source}`
  const value = new Uint8Array(Math.max(sizeBytes, text.length))
  for (let i = 0; i < text.length; i++) value[i] = text.charCodeAt(i)
  if (value.length > text.length) {
    value[text.length] = SPACE
    value.fill(DOT, text.length + 1)
  }
  return value
}

/** Where a record without a value carries its id. */
export const ID_HEADER = 'id'

/** The id that a record carries, or the empty text. */
export function idOfRecord(record: {
  readonly value: Uint8Array | null
  readonly headers?: readonly { readonly key: string; readonly value: Uint8Array | null }[]
}): RecordId {
  if (record.value !== null) return idOf(record.value)
  const header = record.headers?.find(({ key }) => key === ID_HEADER)
  return header === undefined ? '' : idOf(header.value)
}

/** The id that a value carries, or the empty text. */
export function idOf(value: Uint8Array | null): RecordId {
  if (value === null) return ''
  let id = ''
  let slash = -1
  for (let i = 0; i < value.length; i++) {
    const byte = value[i] as number
    if (byte === SPACE) break
    if (byte < 0x21 || byte > 0x7e || i >= MAX_ID_LENGTH) return ''
    if (byte === 0x2f) slash = i
    else if (slash >= 0 && (byte < 0x30 || byte > 0x39)) return ''
    id += String.fromCharCode(byte)
  }
  return slash > 0 && slash < id.length - 1 ? id : ''
}

const MAX_ID_LENGTH = 200

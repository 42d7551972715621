/**
 * Kafka's `Uuid`: 16 bytes on the wire, 22 characters of unpadded base64url in the simulation and in files.
 *
 * A uuid is its text everywhere (it is a map key and is shown to people); only the codecs turn it into bytes.
 */

import { assert } from '../kernel/errors.js'

/** All zero: no id. */
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA'
/** The topic id of `__cluster_metadata` (Uuid.METADATA_TOPIC_ID). */
export const METADATA_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'

export const UUID_BYTES = 16

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const SEXTETS = makeSextets()

/** Writes the 16 bytes of `uuid` at `position`. */
export function writeUuid(uuid: string, bytes: Uint8Array, position: number): void {
  assert(uuid.length === 22, 'uuid: length', { uuid })
  let bits = 0
  let held = 0
  for (let i = 0; i < 22; i++) {
    const sextet = SEXTETS[uuid.charCodeAt(i)] ?? -1
    assert(sextet >= 0, 'uuid: character', { uuid })
    bits = ((bits << 6) | sextet) & 0x3fff
    held += 6
    if (held >= 8) {
      held -= 8
      bytes[position++] = bits >> held
    }
  }
  assert((bits & 0xf) === 0, 'uuid: last character', { uuid })
}

/** The text of the 16 bytes at `position`. */
export function readUuid(bytes: Uint8Array, position: number): string {
  let text = ''
  let bits = 0
  let held = 0
  for (let i = 0; i < UUID_BYTES; i++) {
    bits = ((bits << 8) | (bytes[position + i] as number)) & 0x3fff
    held += 8
    while (held >= 6) {
      held -= 6
      text += ALPHABET[(bits >> held) & 0x3f]
    }
  }
  return text + ALPHABET[(bits << 4) & 0x3f]
}

/** True for 22 characters that stand for 16 bytes. */
export function isUuid(text: string): boolean {
  return /^[A-Za-z0-9_-]{21}[AQgw]$/.test(text)
}

function makeSextets(): Int8Array {
  const sextets = new Int8Array(128).fill(-1)
  for (let i = 0; i < ALPHABET.length; i++) sextets[ALPHABET.charCodeAt(i)] = i
  return sextets
}

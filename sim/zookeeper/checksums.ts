/**
 * Adler-32 (RFC 1950), which guards ZooKeeper's log entries and snapshots; SHA-1 (RFC 3174) and Base64, of which digest identities are made.
 */

import { assert } from '../kernel/errors.js'

const ADLER_BASE = 65_521
/** As many bytes as can be summed before 32 bits overflow. */
const ADLER_RUN = 5_552

/** Continues from `from`; unsigned. */
export function adler32(bytes: Uint8Array, from = 1): number {
  let a = from & 0xffff
  let b = from >>> 16
  for (let start = 0; start < bytes.length; start += ADLER_RUN) {
    const end = Math.min(start + ADLER_RUN, bytes.length)
    for (let i = start; i < end; i++) {
      a += bytes[i] as number
      b += a
    }
    a %= ADLER_BASE
    b %= ADLER_BASE
  }
  return (b * 0x1_0000 + a) >>> 0
}

export function sha1(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64)
  padded.set(bytes)
  padded[bytes.length] = 0x80
  assert(bytes.length < 0x1000_0000, 'sha1: length')
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 4, bytes.length * 8)
  const hash = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]
  const words = new Int32Array(80)
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 16; i++) words[i] = view.getInt32(block + i * 4)
    for (let i = 16; i < 80; i++) {
      words[i] = rotate(at(words, i - 3) ^ at(words, i - 8) ^ at(words, i - 14) ^ at(words, i - 16), 1)
    }
    let [a, b, c, d, e] = hash as [number, number, number, number, number]
    for (let i = 0; i < 80; i++) {
      const [f, k] =
        i < 20
          ? [(b & c) | (~b & d), 0x5a827999]
          : i < 40
            ? [b ^ c ^ d, 0x6ed9eba1]
            : i < 60
              ? [(b & c) | (b & d) | (c & d), 0x8f1bbcdc]
              : [b ^ c ^ d, 0xca62c1d6]
      const next = (rotate(a, 5) + f + e + k + at(words, i)) | 0
      e = d
      d = c
      c = rotate(b, 30)
      b = a
      a = next
    }
    const sums = [a, b, c, d, e]
    for (let i = 0; i < 5; i++) hash[i] = ((hash[i] as number) + (sums[i] as number)) | 0
  }
  const digest = new Uint8Array(20)
  const out = new DataView(digest.buffer)
  hash.forEach((word, i) => out.setInt32(i * 4, word))
  return digest
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

export function base64(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const word = ((bytes[i] as number) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    for (let j = 0; j < 4; j++) text += i + j > bytes.length ? '=' : (BASE64[(word >>> (18 - 6 * j)) & 63] as string)
  }
  return text
}

function at(words: Int32Array, index: number): number {
  return words[index] as number
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by))
}

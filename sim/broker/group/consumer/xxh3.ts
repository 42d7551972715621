/**
 * XXH3 with 64 bits and seed 0, as the group coordinator hashes the metadata of topics with it (xxHash's specification; Kafka uses it through
 * `Hashing.xxh3_64` since 4.1).
 *
 *     1–3, 4–8, 9–16 bytes   a few multiplications of the whole input
 *     17–128, 129–240        a sum over blocks of 16 bytes, each mixed with its part of the secret
 *     more                   eight lanes over stripes of 64 bytes, scrambled after every 1,024 bytes
 */

const MASK = 0xffffffffffffffffn
const PRIME_32_1 = 0x9e3779b1n
const PRIME_32_2 = 0x85ebca77n
const PRIME_32_3 = 0xc2b2ae3dn
const PRIME_64_1 = 0x9e3779b185ebca87n
const PRIME_64_2 = 0xc2b2ae3d27d4eb4fn
const PRIME_64_3 = 0x165667b19e3779f9n
const PRIME_64_4 = 0x85ebca77c2b2ae63n
const PRIME_64_5 = 0x27d4eb2f165667c5n
const PRIME_MX1 = 0x165667919e3779f9n
const PRIME_MX2 = 0x9fb21c651e98df25n

const STRIPE = 64
const SECRET_STEP = 8
const BLOCK_16 = 16
const LAST_STRIPE_SECRET = 121
const MERGE_SECRET = 11
const MID_SIZE_START = 3
const MID_SIZE_LAST = 119

const SECRET = secret(
  'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c' +
    '3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364ea' +
    'c5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
)

/** The hash as a signed 64-bit number. */
export function xxh3(input: Uint8Array): bigint {
  return BigInt.asIntN(64, hash(new DataView(input.buffer, input.byteOffset, input.byteLength)))
}

function hash(data: DataView): bigint {
  const length = data.byteLength
  if (length === 0) return avalanche64(word(SECRET, 56) ^ word(SECRET, 64))
  if (length <= 3) return upTo3(data, length)
  if (length <= 8) return upTo8(data, length)
  if (length <= 16) return upTo16(data, length)
  if (length <= 128) return upTo128(data, length)
  if (length <= 240) return upTo240(data, length)
  return long(data, length)
}

function upTo3(data: DataView, length: number): bigint {
  const first = data.getUint8(0)
  const middle = data.getUint8(length >> 1)
  const last = data.getUint8(length - 1)
  const combined = BigInt(((first << 16) | (middle << 24) | last | (length << 8)) >>> 0)
  return avalanche64(combined ^ BigInt((SECRET.getUint32(0, true) ^ SECRET.getUint32(4, true)) >>> 0))
}

function upTo8(data: DataView, length: number): bigint {
  const head = BigInt(data.getUint32(0, true))
  const tail = BigInt(data.getUint32(length - 4, true))
  let mixed = (tail + (head << 32n)) ^ (word(SECRET, 8) ^ word(SECRET, 16))
  mixed ^= rotate(mixed, 49n) ^ rotate(mixed, 24n)
  mixed = (mixed * PRIME_MX2) & MASK
  mixed ^= (mixed >> 35n) + BigInt(length)
  mixed = (mixed * PRIME_MX2) & MASK
  return mixed ^ (mixed >> 28n)
}

function upTo16(data: DataView, length: number): bigint {
  const low = word(data, 0) ^ (word(SECRET, 24) ^ word(SECRET, 32))
  const high = word(data, length - 8) ^ (word(SECRET, 40) ^ word(SECRET, 48))
  return avalanche((BigInt(length) + swapBytes(low) + high + fold(low, high)) & MASK)
}

function upTo128(data: DataView, length: number): bigint {
  let sum = BigInt(length) * PRIME_64_1
  for (let i = (length - 1) >> 5; i >= 0; i--) {
    sum += mix16(data, BLOCK_16 * i, 32 * i)
    sum += mix16(data, length - BLOCK_16 * (i + 1), 32 * i + BLOCK_16)
  }
  return avalanche(sum & MASK)
}

function upTo240(data: DataView, length: number): bigint {
  let sum = BigInt(length) * PRIME_64_1
  const rounds = length >> 4
  for (let i = 0; i < 8; i++) sum += mix16(data, BLOCK_16 * i, BLOCK_16 * i)
  sum = avalanche(sum & MASK)
  for (let i = 8; i < rounds; i++) sum += mix16(data, BLOCK_16 * i, BLOCK_16 * (i - 8) + MID_SIZE_START)
  sum += mix16(data, length - BLOCK_16, MID_SIZE_LAST)
  return avalanche(sum & MASK)
}

function long(data: DataView, length: number): bigint {
  const lanes = [PRIME_32_3, PRIME_64_1, PRIME_64_2, PRIME_64_3, PRIME_64_4, PRIME_32_2, PRIME_64_5, PRIME_32_1]
  const stripesPerBlock = (SECRET.byteLength - STRIPE) / SECRET_STEP
  const block = STRIPE * stripesPerBlock
  const blocks = Math.floor((length - 1) / block)
  for (let at = 0; at < blocks; at++) {
    for (let i = 0; i < stripesPerBlock; i++) accumulate(lanes, data, at * block + i * STRIPE, i * SECRET_STEP)
    scramble(lanes)
  }
  const stripes = Math.floor((length - 1 - block * blocks) / STRIPE)
  for (let i = 0; i < stripes; i++) accumulate(lanes, data, blocks * block + i * STRIPE, i * SECRET_STEP)
  accumulate(lanes, data, length - STRIPE, LAST_STRIPE_SECRET)
  let sum = BigInt(length) * PRIME_64_1
  for (let i = 0; i < 4; i++) {
    const left = (lanes[2 * i] as bigint) ^ word(SECRET, MERGE_SECRET + BLOCK_16 * i)
    sum += fold(left, (lanes[2 * i + 1] as bigint) ^ word(SECRET, MERGE_SECRET + BLOCK_16 * i + 8))
  }
  return avalanche(sum & MASK)
}

function accumulate(lanes: bigint[], data: DataView, at: number, secretAt: number): void {
  for (let i = 0; i < 8; i++) {
    const value = word(data, at + 8 * i)
    const keyed = value ^ word(SECRET, secretAt + 8 * i)
    lanes[i ^ 1] = ((lanes[i ^ 1] as bigint) + value) & MASK
    lanes[i] = ((lanes[i] as bigint) + (keyed & 0xffffffffn) * (keyed >> 32n)) & MASK
  }
}

function scramble(lanes: bigint[]): void {
  for (let i = 0; i < 8; i++) {
    const lane = lanes[i] as bigint
    lanes[i] = ((lane ^ (lane >> 47n) ^ word(SECRET, SECRET.byteLength - STRIPE + 8 * i)) * PRIME_32_1) & MASK
  }
}

function mix16(data: DataView, at: number, secretAt: number): bigint {
  return fold(word(data, at) ^ word(SECRET, secretAt), word(data, at + 8) ^ word(SECRET, secretAt + 8))
}

/** The two halves of the 128-bit product, one over the other. */
function fold(a: bigint, b: bigint): bigint {
  const product = a * b
  return (product & MASK) ^ (product >> 64n)
}

function avalanche(value: bigint): bigint {
  const mixed = ((value ^ (value >> 37n)) * PRIME_MX1) & MASK
  return mixed ^ (mixed >> 32n)
}

/** The last step of XXH64. */
function avalanche64(value: bigint): bigint {
  let mixed = ((value ^ (value >> 33n)) * PRIME_64_2) & MASK
  mixed = ((mixed ^ (mixed >> 29n)) * PRIME_64_3) & MASK
  return mixed ^ (mixed >> 32n)
}

function rotate(value: bigint, by: bigint): bigint {
  return ((value << by) | (value >> (64n - by))) & MASK
}

function swapBytes(value: bigint): bigint {
  const view = new DataView(new ArrayBuffer(8))
  view.setBigUint64(0, value)
  return view.getBigUint64(0, true)
}

function word(data: DataView, at: number): bigint {
  return data.getBigUint64(at, true)
}

function secret(hex: string): DataView {
  const bytes = new Uint8Array(hex.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)
  return new DataView(bytes.buffer)
}

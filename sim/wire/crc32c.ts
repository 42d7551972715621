/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), the checksum of record batches and producer snapshots.
 *
 * Slicing-by-8: eight table look-ups advance the register by eight bytes. Batches are mostly small, where plain JavaScript
 * beats a call into native code. Tables are made when the module loads (2,048 words).
 */

const POLYNOMIAL = 0x82f63b78
const TABLES = makeTables()

/** The CRC-32C of `bytes[start, end)`, as an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  const tables = TABLES
  let crc = -1
  let at = start
  const lastBlock = end - 8
  while (at <= lastBlock) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24))
    crc =
      (tables[1792 + (low & 0xff)] as number) ^
      (tables[1536 + ((low >>> 8) & 0xff)] as number) ^
      (tables[1280 + ((low >>> 16) & 0xff)] as number) ^
      (tables[1024 + (low >>> 24)] as number) ^
      (tables[768 + (bytes[at + 4] as number)] as number) ^
      (tables[512 + (bytes[at + 5] as number)] as number) ^
      (tables[256 + (bytes[at + 6] as number)] as number) ^
      (tables[bytes[at + 7] as number] as number)
    at += 8
  }
  while (at < end) crc = (crc >>> 8) ^ (tables[(crc ^ (bytes[at++] as number)) & 0xff] as number)
  return ~crc >>> 0
}

/** Table k (words [256 k, 256 k + 256)) carries a byte k places further than table 0 does. */
function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    tables[byte] = crc
  }
  for (let at = 256; at < tables.length; at++) {
    const previous = tables[at - 256] as number
    tables[at] = (previous >>> 8) ^ (tables[previous & 0xff] as number)
  }
  return tables
}

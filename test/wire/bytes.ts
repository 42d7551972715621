/** Bytes as hexadecimal text, for vectors. Blanks may part the fields. */

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

export function unhex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

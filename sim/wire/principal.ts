/**
 * Who a forwarded request comes from, as an Envelope carries them (KIP-590; Kafka's `DefaultKafkaPrincipalBuilder`).
 *
 *     Principal => version i16 = 0 · type compact string · name compact string · tokenAuthenticated bool · tagged fields
 *
 * As text a principal is its type, a colon and its name: `User:alice`. Hosts have names and no addresses here, so the name is the address.
 */

import type { NodeName } from '../kernel/names.js'
import { ByteReader, ByteWriter, MalformedBytes } from './primitives.js'

export function encodePrincipal(principal: string): Uint8Array {
  const colon = principal.indexOf(':')
  const writer = new ByteWriter(32)
  writer.int16(0)
  writer.compactString(principal.slice(0, colon))
  writer.compactString(principal.slice(colon + 1))
  writer.bool(false)
  writer.uvarint(0)
  return writer.finish().slice()
}

/** @throws MalformedBytes when these are no bytes of a principal */
export function decodePrincipal(bytes: Uint8Array): string {
  const reader = new ByteReader(bytes)
  const version = reader.int16()
  if (version !== 0) throw new MalformedBytes(`principal version ${version}`)
  const type = reader.compactString()
  return `${type}:${reader.compactString()}`
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** `clientHostAddress` of an Envelope. */
export function encodeAddress(host: NodeName): Uint8Array {
  return encoder.encode(host)
}

export function decodeAddress(bytes: Uint8Array): NodeName {
  return decoder.decode(bytes)
}

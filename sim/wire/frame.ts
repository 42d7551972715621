/**
 * What travels on a connection: one request or response.
 *
 *     request:  size i32 · apiKey i16 · apiVersion i16 · correlationId i32 · clientId nullable string · [tags] · message
 *     response: size i32 · correlationId i32 · [tags] · message
 *
 * Tags (an empty section, one byte) stand in the headers of flexible versions, except for the ApiVersions response, whose header a
 * client must be able to read before it knows any version (KIP-482, KIP-511). The client id is never compact.
 *
 * In mode `reference` a frame carries the message itself, which nobody may change. In mode `bytes` it carries what Kafka would
 * send, without the leading size. `byteSize` is the same in both, and is worked out only when asked for.
 */

import type { Frame } from '../kernel/env.js'
import type { Bytes } from '../kernel/units.js'
import { apiByKey, apiOf, type ApiName } from './apis.js'
import { ByteReader, ByteWriter, MalformedBytes, utf8Size } from './primitives.js'

export type WireMode = 'reference' | 'bytes'

/** Bytes of the size that precedes a frame on the wire. */
const SIZE_PREFIX = 4

export class RequestFrame implements Frame {
  readonly api: ApiName
  readonly version: number
  readonly correlationId: number
  readonly clientId: string
  readonly message: unknown

  constructor(api: ApiName, version: number, correlationId: number, clientId: string, message: unknown) {
    this.api = api
    this.version = version
    this.correlationId = correlationId
    this.clientId = clientId
    this.message = message
  }

  /** The frame is its own body: receivers take this object. */
  get body(): RequestFrame {
    return this
  }

  byteSize(): Bytes {
    return SIZE_PREFIX + this.#headerSize() + apiOf(this.api).request.size(this.version, this.message as never)
  }

  encode(): Uint8Array {
    const api = apiOf(this.api)
    const writer = new ByteWriter(this.byteSize() - SIZE_PREFIX)
    writer.int16(api.key)
    writer.int16(this.version)
    writer.int32(this.correlationId)
    writer.string(this.clientId)
    if (api.request.isFlexible(this.version)) writer.uvarint(0)
    api.request.write(writer, this.version, this.message as never)
    return writer.finish()
  }

  #headerSize(): Bytes {
    return 10 + utf8Size(this.clientId) + (apiOf(this.api).request.isFlexible(this.version) ? 1 : 0)
  }
}

export class ResponseFrame implements Frame {
  readonly api: ApiName
  readonly version: number
  readonly correlationId: number
  readonly message: unknown
  /** Name of the first error in the message; '' when there is none. */
  readonly error: string

  constructor(api: ApiName, version: number, correlationId: number, message: unknown, error: string) {
    this.api = api
    this.version = version
    this.correlationId = correlationId
    this.message = message
    this.error = error
  }

  /** The frame is its own body: receivers take this object. */
  get body(): ResponseFrame {
    return this
  }

  byteSize(): Bytes {
    const header = hasResponseTags(this.api, this.version) ? 5 : 4
    return SIZE_PREFIX + header + apiOf(this.api).response.size(this.version, this.message as never)
  }

  encode(): Uint8Array {
    const writer = new ByteWriter(this.byteSize() - SIZE_PREFIX)
    writer.int32(this.correlationId)
    if (hasResponseTags(this.api, this.version)) writer.uvarint(0)
    apiOf(this.api).response.write(writer, this.version, this.message as never)
    return writer.finish()
  }
}

/** A frame as Kafka's bytes. What it was made of stays known, for faults that pick messages. */
export class BytesFrame implements Frame {
  readonly body: Uint8Array
  readonly of: RequestFrame | ResponseFrame | undefined

  constructor(body: Uint8Array, of?: RequestFrame | ResponseFrame) {
    this.body = body
    this.of = of
  }

  byteSize(): Bytes {
    return SIZE_PREFIX + this.body.length
  }
}

/** The frame as it is sent in `mode`. */
export function inMode(frame: RequestFrame | ResponseFrame, mode: WireMode): Frame {
  return mode === 'bytes' ? new BytesFrame(frame.encode(), frame) : frame
}

/** @throws MalformedBytes when the frame holds bytes that are no request known here */
export function openRequest(frame: Frame): RequestFrame {
  const body = frame.body
  if (!(body instanceof Uint8Array)) return body as RequestFrame
  const reader = new ByteReader(body)
  const key = reader.int16()
  const version = reader.int16()
  const correlationId = reader.int32()
  const clientId = reader.nullableString() ?? ''
  const name = apiByKey(key)
  if (name === undefined) throw new MalformedBytes(`api key ${key}`)
  const api = apiOf(name)
  if (version < api.minVersion || version > api.maxVersion) throw new MalformedBytes(`${name} version ${version}`)
  if (api.request.isFlexible(version)) skipTags(reader)
  return new RequestFrame(name, version, correlationId, clientId, whole(reader, api.request.read(reader, version)))
}

/**
 * The response in a frame, to a request of `api` in `version`. From bytes its `error` is left empty.
 * @throws MalformedBytes
 */
export function openResponse(frame: Frame, api: ApiName, version: number): ResponseFrame {
  const body = frame.body
  if (!(body instanceof Uint8Array)) return body as ResponseFrame
  const reader = new ByteReader(body)
  const correlationId = reader.int32()
  if (hasResponseTags(api, version)) skipTags(reader)
  return new ResponseFrame(api, version, correlationId, whole(reader, apiOf(api).response.read(reader, version)), '')
}

/** Correlation ids wrap here, so that an exchange's id stays exact for 2^27 connections. */
export const CORRELATION_LIMIT = 0x400_0000

/** The id of an exchange: unique in the run, the same on both sides. */
export function exchangeId(connectionId: number, correlationId: number): number {
  return connectionId * CORRELATION_LIMIT + (correlationId & (CORRELATION_LIMIT - 1))
}

function hasResponseTags(api: ApiName, version: number): boolean {
  return api !== 'ApiVersions' && apiOf(api).response.isFlexible(version)
}

function skipTags(reader: ByteReader): void {
  for (let left = reader.uvarint(); left > 0; left--) {
    reader.uvarint()
    reader.take(reader.uvarint())
  }
}

function whole<T>(reader: ByteReader, message: T): T {
  if (reader.remaining > 0) throw new MalformedBytes(`${reader.remaining} bytes after the message`)
  return message
}

/**
 * What an API is: its key, the versions spoken here, the codecs of request and response.
 *
 * `defineApi` is all that a file of messages/ calls. Codecs are compiled on first use, so defining costs nothing.
 */

import { MessageCodec } from './codec.js'
import { parseVersions } from './schema.js'

export interface ApiDefinition<Request, Response> {
  readonly name: string
  /** Kafka's api key. */
  readonly key: number
  readonly minVersion: number
  readonly maxVersion: number
  readonly request: MessageCodec<Request>
  readonly response: MessageCodec<Response>
}

export interface ApiSource {
  readonly name: string
  readonly key: number
  /** Versions spoken: `0-13`. */
  readonly versions: string
  /** Versions with compact types and tagged fields (KIP-482): `9+`; undefined when there are none. */
  readonly flexible?: string
  /** Declarations in the grammar of schema.ts. */
  readonly request: string
  readonly response: string
}

export function defineApi<Request, Response>(source: ApiSource): ApiDefinition<Request, Response> {
  const versions = parseVersions(source.versions)
  const flexible = source.flexible === undefined ? undefined : parseVersions(source.flexible)
  return {
    name: source.name,
    key: source.key,
    minVersion: versions.from,
    maxVersion: versions.to,
    request: new MessageCodec(`${source.name}Request`, versions, flexible, source.request),
    response: new MessageCodec(`${source.name}Response`, versions, flexible, source.response),
  }
}

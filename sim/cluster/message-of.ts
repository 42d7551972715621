/**
 * What API a frame on the network belongs to, for faults that pick messages.
 */

import { API_TABLE, type ApiName } from '../wire/apis.js'
import { RequestFrame, ResponseFrame } from '../wire/frame.js'

/** The APIs that faults can name. */
export const API_NAMES: readonly string[] = Object.keys(API_TABLE)

export interface MessageKind {
  readonly api: ApiName
  readonly isRequest: boolean
}

/** The kind of a frame's body; undefined for what is no Kafka message. */
export function messageOf(body: unknown): MessageKind | undefined {
  if (body instanceof RequestFrame) return { api: body.api, isRequest: true }
  if (body instanceof ResponseFrame) return { api: body.api, isRequest: false }
  return undefined
}

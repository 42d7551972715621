/**
 * What API a frame on the network belongs to, for faults that pick messages.
 */

import { API_TABLE, type ApiName } from '../wire/apis.js'
import type { Frame } from '../kernel/env.js'
import { BytesFrame, RequestFrame, ResponseFrame } from '../wire/frame.js'

/** The APIs that faults can name. */
export const API_NAMES: readonly string[] = Object.keys(API_TABLE)

export interface MessageKind {
  readonly api: ApiName
  readonly isRequest: boolean
}

/** The kind of message in a frame; undefined for what is no Kafka message. */
export function messageOf(frame: Frame): MessageKind | undefined {
  const message = frame instanceof BytesFrame ? frame.of : frame
  if (message instanceof RequestFrame) return { api: message.api, isRequest: true }
  if (message instanceof ResponseFrame) return { api: message.api, isRequest: false }
  return undefined
}

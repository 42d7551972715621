/**
 * Settings that every client has: connections, metadata and retries (Kafka's CommonClientConfigs).
 */

import { int, long, oneOf, text } from '../kernel/config-def.js'
import type { Problem } from '../kernel/errors.js'

export const CONNECTION_CONFIG = {
  'client.id': text('', 'name sent with every request; the node name when empty'),
  'request.timeout.ms': int(30_000, 'how long a request waits for its response before the connection is dropped'),
  'reconnect.backoff.ms': long(50, 'first wait before connecting again to a node that could not be reached'),
  'reconnect.backoff.max.ms': long(1_000, 'longest such wait'),
  'retry.backoff.ms': long(100, 'first wait before a failed request is sent again'),
  'retry.backoff.max.ms': long(1_000, 'longest such wait'),
  'metadata.max.age.ms': long(300_000, 'metadata older than this is fetched again'),
  'metadata.recovery.strategy': oneOf(
    'rebootstrap',
    ['none', 'rebootstrap'],
    'what to do when no known broker can be reached: go back to the bootstrap servers, or not (KIP-899)',
  ),
  'metadata.recovery.rebootstrap.trigger.ms': long(
    300_000,
    'go back to the bootstrap servers after this long without metadata',
  ),
  'socket.connection.setup.timeout.ms': long(10_000, 'how long a connection may take to be established'),
  'socket.connection.setup.timeout.max.ms': long(30_000, 'longest such time after repeated failures'),
} as const

/** The part of a parsed configuration that ClusterClient reads. */
export interface ConnectionConfig {
  readonly 'client.id': string
  readonly 'request.timeout.ms': number
  readonly 'reconnect.backoff.ms': number
  readonly 'reconnect.backoff.max.ms': number
  readonly 'retry.backoff.ms': number
  readonly 'retry.backoff.max.ms': number
  readonly 'metadata.max.age.ms': number
  readonly 'metadata.recovery.strategy': string
  readonly 'metadata.recovery.rebootstrap.trigger.ms': number
  readonly 'socket.connection.setup.timeout.ms': number
  readonly 'socket.connection.setup.timeout.max.ms': number
}

/** A reconnect backoff given alone is also its maximum (CommonClientConfigs.postProcessReconnectBackoffConfigs). */
export function withReconnectBackoff<C extends ConnectionConfig>(
  config: C,
  given: Readonly<Record<string, unknown>>,
): C {
  if (given['reconnect.backoff.ms'] === undefined || given['reconnect.backoff.max.ms'] !== undefined) return config
  return { ...config, 'reconnect.backoff.max.ms': config['reconnect.backoff.ms'] }
}

/** One mistake of the user, with its mend. */
export function conflict(problems: Problem[], message: string, mend: string): void {
  problems.push({ message, mend })
}

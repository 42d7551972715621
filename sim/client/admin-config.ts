/**
 * Settings of an admin client, under Kafka's names and with Kafka's defaults (AdminClientConfig of 4.x).
 */

import { int, parseConfig, type ConfigOf } from '../kernel/config-def.js'
import { UsageError, type Problem } from '../kernel/errors.js'
import { INT_MAX } from '../kernel/units.js'
import { conflict, CONNECTION_CONFIG, withReconnectBackoff } from './connection-config.js'

export const ADMIN_CONFIG = {
  ...CONNECTION_CONFIG,
  'default.api.timeout.ms': int(60_000, 'how long an operation may take, retries included'),
  retries: int(INT_MAX, 'how often a failed call is sent again'),
} as const

export type AdminConfig = ConfigOf<typeof ADMIN_CONFIG>

/** Values under Kafka's names → the resolved configuration. @throws UsageError with every mistake */
export function parseAdminConfig(given: Readonly<Record<string, unknown>> = {}): AdminConfig {
  const problems: Problem[] = []
  const config = parseConfig(ADMIN_CONFIG, given, problems)
  const timeout = resolveApiTimeout(config, given, problems)
  if (problems.length > 0) throw new UsageError(problems)
  return { ...withReconnectBackoff(config, given), 'default.api.timeout.ms': timeout }
}

/** KafkaAdminClient.configureDefaultApiTimeoutMs: an unset API timeout is never below the request timeout. */
function resolveApiTimeout(config: AdminConfig, given: Readonly<Record<string, unknown>>, problems: Problem[]): number {
  const api = config['default.api.timeout.ms']
  const request = config['request.timeout.ms']
  if (api >= request) return api
  if (given['default.api.timeout.ms'] === undefined) return request
  conflict(
    problems,
    'default.api.timeout.ms must be at least request.timeout.ms',
    'raise default.api.timeout.ms or lower request.timeout.ms',
  )
  return api
}

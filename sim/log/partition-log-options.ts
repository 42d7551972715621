/**
 * How a partition log is opened, and how a leader appends to it.
 */

import type { DiskError } from '../kernel/env.js'
import type { Offset } from '../kernel/units.js'
import type { LogConfig } from './log-config.js'
import type { VerificationState } from './producer-state.js'
import type { ProducerStateConfig } from './producer-state-manager.js'

export interface PartitionLogOptions {
  /** `orders-0`; also the directory. */
  readonly partition: string
  readonly config: LogConfig
  /** Written to `partition.metadata` when the log has none yet. */
  readonly topicId?: string
  /** As checkpointed; 0 when nothing was. */
  readonly logStartOffset?: Offset
  readonly recoveryPoint?: Offset
  /** The clean-shutdown marker was found, or the log is new: nothing needs recovery. */
  readonly clean: boolean
  readonly role?: 'replica' | 'quorum'
  readonly producers?: ProducerStateConfig
  /** Called once, when a DiskError takes the log offline. */
  readonly onOffline?: (error: DiskError) => void
}

export interface LeaderAppendOptions {
  readonly origin: 'client' | 'coordinator' | 'raft-leader'
  /** What `startTransactionVerification` gave, once the coordinator has agreed. */
  readonly verification?: VerificationState | undefined
}

/** Kafka's defaults. */
export const DEFAULT_PRODUCER_STATE: ProducerStateConfig = {
  expirationMs: 86_400_000,
  expirationCheckIntervalMs: 600_000,
  maxTransactionTimeoutMs: 900_000,
  transactionVerification: true,
}

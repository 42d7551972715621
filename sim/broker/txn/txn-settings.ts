/** Settings of a broker about transactions, with the names and defaults of Kafka 4.1 (`TransactionLogConfig`, `TransactionStateManagerConfig`). */

import { type ConfigOf, int, type Settings } from '../../kernel/config-def.js'

export const TXN_SETTINGS = {
  'transaction.state.log.num.partitions': int(50, 'Partitions of __transaction_state', 1),
  'transaction.state.log.replication.factor': int(3, 'Replicas of __transaction_state', 1),
  'transaction.state.log.min.isr': int(2, 'min.insync.replicas of __transaction_state', 1),
  'transaction.state.log.segment.bytes': int(104_857_600, 'Segment size of __transaction_state', 1),
  'transaction.state.log.load.buffer.size': int(5_242_880, 'Bytes read at once when a coordinator loads', 1),
  'transactional.id.expiration.ms': int(604_800_000, 'How long an unused transactional id is kept', 1),
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': int(10_000, 'How often timeouts are looked for', 1),
  'transaction.remove.expired.transaction.cleanup.interval.ms': int(3_600_000, 'How often expired ids are removed', 1),
  'add.partitions.to.txn.retry.backoff.ms': int(20, 'Pause before a partition is added to a transaction again', 1),
  'add.partitions.to.txn.retry.backoff.max.ms': int(100, 'How long a broker tries to add a partition by itself', 0),
} satisfies Settings

/** `transaction.max.timeout.ms` stands with the settings of the log, which needs it too. */
export type TxnConfig = ConfigOf<typeof TXN_SETTINGS> & {
  readonly 'transaction.max.timeout.ms': number
  readonly 'request.timeout.ms': number
}

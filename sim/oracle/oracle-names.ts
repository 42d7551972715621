/** Every promise that is judged, in order of importance, with what it says. */

export const ORACLES = {
  'acked-records-survive': 'what a producer was told is written stays in the log of every later leader',
  'log-matching': 'replicas agree on every record below the high watermark',
  'one-leader-per-epoch': 'a partition has one leader in an epoch',
  'one-quorum-leader-per-epoch': 'the metadata quorum has one leader in an epoch',
  'metadata-consistent': 'committed metadata is never lost, and the same everywhere',
  'reads-below-high-watermark': 'nobody reads what is not committed by the in-sync replicas',
  'offsets-consistent': 'an offset is one record, for whoever wrote or read it',
  'no-duplicates': 'an idempotent producer writes a record once',
  'no-reordering': "a producer's records are in the order of its sends",
  'offsets-dense': 'offsets have no gaps',
  'isr-has-committed': 'every in-sync replica has everything committed',
  'high-watermark-monotonic': 'the high watermark does not go back',
  'epochs-monotonic': 'leader and partition epochs do not go back',
  'elections-as-configured': 'leaders come from ISR and ELR, unless unclean ones are allowed',
  'positions-consistent': 'a consumer neither skips nor goes back, within a poll and between polls',
  'compaction-keeps-last': 'the last value of every key stays, and tombstones for their time',
  'retention-not-early': 'nothing is deleted before its time, or while there is room',
  'one-owner-per-generation': 'a partition belongs to one member of a group',
  'committed-offsets-hold': 'committed offsets do not go back by themselves',
  'at-least-once': 'every record below a committed offset was worked on',
  'groups-settle': 'after the faults every group is stable, with an owner for each partition',
  'read-committed': 'no record of an aborted or open transaction is read with isolation.level=read_committed',
  'transactions-atomic': 'all records of a transaction can be seen, or none',
  'transactions-end': 'every transaction ends, and consumers do not wait behind it for ever',
  'exactly-once': 'of each record that a pipeline has committed there is one output',
  'access-as-granted': 'nobody without permission reads or writes, and nobody who has it is refused',
  'zookeeper-total-order': 'every ZooKeeper server applies the committed transactions, each once, in one order',
  'zookeeper-commits-survive': 'a transaction is committed once a quorum has it on disk, and no later leader lacks it',
  'one-zookeeper-leader-per-epoch': 'an epoch of the ensemble has one leader, and only that one proposes in it',
  'ephemerals-follow-sessions': 'an ephemeral znode goes with its session at the latest, and with no other',
  'watches-fire-once': 'a watch fires once at most, and clients are told in the order of the transactions',
  'sessions-live-out': 'a session is given up no sooner than its timeout after it was known to be alive',
  recovers: 'after the faults every partition has its leader, its whole ISR, and takes writes',
} as const

export const ORACLE_NAMES: readonly string[] = Object.keys(ORACLES)

/** What Jepsen's Kafka tests call the same anomalies; expectations take either name. */
export const JEPSEN_NAMES: Readonly<Record<string, keyof typeof ORACLES>> = {
  'lost-write': 'acked-records-survive',
  duplicate: 'no-duplicates',
  'inconsistent-offsets': 'offsets-consistent',
  'nonmonotonic-send': 'no-reordering',
  'poll-skip': 'positions-consistent',
  'nonmonotonic-poll': 'positions-consistent',
  'int-poll-skip': 'positions-consistent',
  'int-nonmonotonic-poll': 'positions-consistent',
  unseen: 'at-least-once',
  G1a: 'read-committed',
  'precommitted-read': 'read-committed',
}

/**
 * The settings of the metadata quorum and its log, under Kafka's names and with Kafka's defaults.
 *
 * `controller.quorum.*` time the elections and the replication (QuorumConfig); `metadata.*` bound the metadata log and
 * its snapshots (MetadataLogConfig). `QUORUM_CONSTANTS` are Kafka's fixed numbers, not configurable there either.
 */

import type { ConfigOf } from '../kernel/config-def.js'
import { int, long } from '../kernel/config-def.js'

export const QUORUM_SETTINGS = {
  'controller.quorum.election.timeout.ms': int(
    1_000,
    'How long a voter without a leader waits, plus a random part as long, before it asks for votes.',
  ),
  'controller.quorum.fetch.timeout.ms': int(
    2_000,
    'How long a voter goes without a successful fetch from its leader before it asks for votes.',
  ),
  'controller.quorum.election.backoff.max.ms': int(
    1_000,
    'The longest wait of a successor that a resigning leader named.',
  ),
  'controller.quorum.append.linger.ms': int(25, 'How long the leader gathers records before it writes them.'),
  'controller.quorum.request.timeout.ms': int(2_000, 'How long a request to another node of the quorum may take.'),
  'controller.quorum.retry.backoff.ms': int(20, 'The wait after a failed request.'),
  'metadata.log.max.record.bytes.between.snapshots': long(
    20 * 1024 * 1024,
    'Bytes committed since the latest snapshot that call for the next.',
    1,
  ),
  'metadata.log.max.snapshot.interval.ms': long(
    3_600_000,
    'The longest time between snapshots while there are new records; 0 for never.',
  ),
  'metadata.log.segment.bytes': int(1024 * 1024 * 1024, 'The largest segment of the metadata log.', 1),
  'metadata.log.segment.ms': long(
    604_800_000,
    'The oldest that a segment of the metadata log gets before a new one starts.',
  ),
  'metadata.max.retention.bytes': long(100 * 1024 * 1024, 'Size of log and snapshots above which the oldest go.', -1),
  'metadata.max.retention.ms': long(604_800_000, 'Age above which snapshots and the log before them go.', -1),
  'metadata.max.idle.interval.ms': int(500, 'How often the active controller writes a no-op record; 0 for never.'),
} as const

export type QuorumConfig = ConfigOf<typeof QUORUM_SETTINGS>

export const QUORUM_CONSTANTS = {
  /** How long a fetch waits at the leader for something new (ms). */
  fetchMaxWaitMs: 500,
  /** The largest batch that the leader writes, and the most that one fetch returns (bytes). */
  maxBatchBytes: 8 * 1024 * 1024,
  /** Completed batches that may wait for the raft thread. */
  maxBatches: 10,
  /** The leader resigns after this many fetch timeouts without a majority. */
  checkQuorumFactor: 1.5,
  /** An observer that did not fetch for so long is forgotten (ms). */
  observerSessionTimeoutMs: 300_000,
  /** Between two looks for snapshots and segments to delete (ms). */
  cleaningIntervalMs: 60_000,
  /** A removed snapshot's file stays for so long (ms). */
  fileDeleteDelayMs: 60_000,
  /** How long a graceful shutdown may take (ms). */
  shutdownTimeoutMs: 5_000,
} as const

/** The topic partition of the metadata log, its name and its id. */
export const METADATA_TOPIC = '__cluster_metadata'
export const METADATA_PARTITION = '__cluster_metadata-0'
export const METADATA_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'
/** Port of the controllers' listener; in messages only, as routing goes by host. */
export const CONTROLLER_PORT = 9093
export const CONTROLLER_LISTENER = 'CONTROLLER'

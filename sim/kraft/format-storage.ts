/**
 * What `kafka-storage format` leaves on a disk (Kafka's Formatter, MetaProperties, BootstrapDirectory; KIP-853).
 *
 *   meta.properties        version=1, cluster.id, node.id, directory.id
 *   bootstrap.checkpoint   the feature levels that the first active controller writes to the log; a snapshot's format
 *   __cluster_metadata-0/00000000000000000000-0000000000.checkpoint
 *                          the bootstrap snapshot: no records, only who the first voters are. Controllers only
 */

import type { Disk } from '../kernel/env.js'
import type { Millis, NodeId } from '../kernel/units.js'
import { METADATA_VERSION_FEATURE } from './metadata/metadata-version.js'
import { METADATA_RECORD_CODEC } from './metadata/record-codec.js'
import type { MetadataRecord } from './metadata/records.js'
import { featureLevelRecord } from './metadata/records.js'
import { BOOTSTRAP_SNAPSHOT, decodeSnapshot, encodeSnapshot, snapshotPath } from './snapshot-file.js'
import type { Voter } from './voter-set.js'
import { VoterSet } from './voter-set.js'

export const META_PROPERTIES_PATH = 'meta.properties'
export const BOOTSTRAP_PATH = 'bootstrap.checkpoint'

export interface MetaProperties {
  readonly clusterId: string
  readonly nodeId: NodeId
  readonly directoryId: string
}

export interface FormatOptions extends MetaProperties {
  /** The first voters, for controllers; undefined for brokers. */
  readonly initialControllers: readonly Voter[] | undefined
  /** Feature levels by name, `metadata.version` among them; levels of 0 are not written. */
  readonly features: ReadonlyMap<string, number>
  /** When it was formatted. */
  readonly nowMs: Millis
}

/** Prepares an empty disk; whoever prepares it makes it durable. @throws DiskError */
export function formatStorage(disk: Disk, options: FormatOptions): void {
  const { clusterId, nodeId, directoryId, nowMs } = options
  const id = BOOTSTRAP_SNAPSHOT
  const codec = METADATA_RECORD_CODEC
  const file = { id, lastContainedLogTimestamp: 0, voters: undefined, codec, nowMs }
  disk.replaceFile(BOOTSTRAP_PATH, encodeSnapshot(file, bootstrapRecords(options.features)))
  if (options.initialControllers !== undefined) {
    const voters = new VoterSet(options.initialControllers)
    const snapshot = { id, lastContainedLogTimestamp: nowMs, voters, codec, nowMs }
    disk.replaceFile(snapshotPath(id), encodeSnapshot(snapshot, []))
  }
  const properties = ['version=1', `cluster.id=${clusterId}`, `node.id=${nodeId}`, `directory.id=${directoryId}`]
  disk.replaceFile(META_PROPERTIES_PATH, new TextEncoder().encode(`#\n${properties.join('\n')}\n`))
}

/** Undefined when the disk was not formatted, or the file says too little. @throws DiskError */
export function readMetaProperties(disk: Disk): MetaProperties | undefined {
  const bytes = disk.readFile(META_PROPERTIES_PATH)
  if (bytes === undefined) return undefined
  const values = new Map<string, string>()
  for (const line of new TextDecoder().decode(bytes).split('\n')) {
    const at = line.indexOf('=')
    if (at > 0 && !line.startsWith('#')) values.set(line.slice(0, at), line.slice(at + 1))
  }
  const clusterId = values.get('cluster.id')
  const nodeId = Number(values.get('node.id') ?? NaN)
  const directoryId = values.get('directory.id')
  if (clusterId === undefined || directoryId === undefined || !Number.isInteger(nodeId)) return undefined
  return { clusterId, nodeId, directoryId }
}

/** What the first active controller writes to an empty log; undefined when there is no such file. @throws DiskError RaftFault */
export function readBootstrapRecords(disk: Disk): readonly MetadataRecord[] | undefined {
  const bytes = disk.readFile(BOOTSTRAP_PATH)
  return bytes && decodeSnapshot(BOOTSTRAP_SNAPSHOT, bytes, METADATA_RECORD_CODEC).records
}

/** metadata.version first, the others by name. */
function bootstrapRecords(features: ReadonlyMap<string, number>): readonly MetadataRecord[] {
  const names = [...features.keys()]
    .filter((name) => name !== METADATA_VERSION_FEATURE && name !== 'kraft.version')
    .sort()
  return [METADATA_VERSION_FEATURE, ...names]
    .filter((name) => (features.get(name) ?? 0) > 0)
    .map((name) => featureLevelRecord(name, features.get(name) ?? 0))
}

/**
 * The control records that the metadata quorum writes: at the start of an epoch and around a snapshot.
 *
 *   epoch     LEADER_CHANGE (leader, voters, who voted for it); the first leader of all adds KRAFT_VERSION and KRAFT_VOTERS
 *   snapshot  first batch SNAPSHOT_HEADER, KRAFT_VERSION, KRAFT_VOTERS; last batch SNAPSHOT_FOOTER
 *
 * KRaft version 1 (KIP-853): voters are known by id and directory. Versions of the records are those Kafka 4.1 writes, all 0.
 */

import type { Millis, NodeId } from '../kernel/units.js'
import type { ControlRecord } from '../wire/control-record.js'
import { controlRecord, parseControlRecord } from '../wire/control-record.js'
import type { NewRecord, RecordBatch } from '../wire/record-batch.js'
import type { LeaderState } from './leader-state.js'
import { CONTROLLER_LISTENER, CONTROLLER_PORT } from './quorum-config.js'
import type { VoterSet } from './voter-set.js'
import { NO_DIRECTORY_ID } from './voter-set.js'

export const KRAFT_VERSION = 1

/** `writeVoters`: no log has them yet. */
export function startOfEpochRecords(
  leadership: LeaderState,
  leaderId: NodeId,
  voters: VoterSet,
  writeVoters: boolean,
  timestamp: Millis,
): readonly NewRecord[] {
  const leaderChange: ControlRecord = {
    type: 'LEADER_CHANGE',
    version: 0,
    leaderId,
    voters: voters.voters.map((voter) => ({ voterId: voter.id, voterDirectoryId: NO_DIRECTORY_ID })),
    grantingVoters: leadership.grantingVoters.map((id) => ({ voterId: id, voterDirectoryId: NO_DIRECTORY_ID })),
  }
  const records = writeVoters ? [leaderChange, kraftVersion(), votersRecord(voters)] : [leaderChange]
  return records.map((record) => controlRecord(timestamp, record))
}

export function snapshotHeaderRecords(
  voters: VoterSet | undefined,
  lastContainedLogTimestamp: Millis,
  timestamp: Millis,
): readonly NewRecord[] {
  const header: ControlRecord = { type: 'SNAPSHOT_HEADER', version: 0, lastContainedLogTimestamp }
  const records = voters === undefined ? [header] : [header, kraftVersion(), votersRecord(voters)]
  return records.map((record) => controlRecord(timestamp, record))
}

export function snapshotFooterRecords(timestamp: Millis): readonly NewRecord[] {
  return [controlRecord(timestamp, { type: 'SNAPSHOT_FOOTER', version: 0 })]
}

/** True when a batch read from a log holds the voters. */
export function holdsVoters(batch: RecordBatch): boolean {
  return batch.isControl && batch.records().some((record) => parseControlRecord(record)?.type === 'KRAFT_VOTERS')
}

/** The timestamp in a snapshot's first batch; undefined when it is no snapshot header. */
export function snapshotTimestamp(batch: RecordBatch | undefined): Millis | undefined {
  const first = batch?.isControl === true ? batch.records()[0] : undefined
  const header = first && parseControlRecord(first)
  return header?.type === 'SNAPSHOT_HEADER' ? header.lastContainedLogTimestamp : undefined
}

function kraftVersion(): ControlRecord {
  return { type: 'KRAFT_VERSION', version: 0, kRaftVersion: KRAFT_VERSION }
}

function votersRecord(voters: VoterSet): ControlRecord {
  return {
    type: 'KRAFT_VOTERS',
    version: 0,
    voters: voters.voters.map((voter) => ({
      voterId: voter.id,
      voterDirectoryId: voter.directoryId,
      endpoints: [{ name: CONTROLLER_LISTENER, host: voter.node, port: CONTROLLER_PORT }],
      kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: KRAFT_VERSION },
    })),
  }
}

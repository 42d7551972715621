/**
 * The file `quorum-state`: one line of JSON, version 1 of Kafka's QuorumStateData (FileQuorumStateStore).
 *
 *   {"leaderId":-1,"leaderEpoch":2,"votedId":3001,"votedDirectoryId":"J8aAPcfLQt2bqs1JT_rMgQ","data_version":1}
 *
 * -1 is no leader and no vote; the directory of no vote is the zero Uuid. A write is durable, and the whole of it, when its
 * wait ends; after a crash before that, the file holds the old state or the new one.
 */

import type { Disk } from '../kernel/env.js'
import { METADATA_PARTITION } from './quorum-config.js'
import type { ElectionState } from './quorum-state.js'
import { NO_LEADER_ID } from './quorum-state.js'
import { RaftFault } from './raft-fault.js'
import type { Blocking } from './raft-thread.js'
import { NO_DIRECTORY_ID } from './voter-set.js'

export const QUORUM_STATE_PATH = `${METADATA_PARTITION}/quorum-state`
const VERSION = 1

interface QuorumStateData {
  leaderId: number
  leaderEpoch: number
  votedId: number
  votedDirectoryId: string
  data_version: number
}

/** The stored state; undefined when there is no file. @throws RaftFault when it cannot be read. */
export function readQuorumState(disk: Disk): ElectionState | undefined {
  const bytes = disk.readFile(QUORUM_STATE_PATH)
  if (bytes === undefined) return undefined
  const data = parse(new TextDecoder().decode(bytes))
  if (data === undefined) throw new RaftFault(`cannot read ${QUORUM_STATE_PATH}`)
  const votedKey = data.votedId < 0 ? null : { id: data.votedId, directoryId: data.votedDirectoryId }
  return { epoch: data.leaderEpoch, leaderId: data.leaderId, votedKey }
}

/** Writes the state and blocks until it is durable. */
export function* writeQuorumState(disk: Disk, state: ElectionState): Blocking {
  const bytes = new TextEncoder().encode(format(state))
  yield (done) => disk.replaceFile(QUORUM_STATE_PATH, bytes, done)
}

function format(state: ElectionState): string {
  const data: QuorumStateData = {
    leaderId: state.leaderId,
    leaderEpoch: state.epoch,
    votedId: state.votedKey?.id ?? NO_LEADER_ID,
    votedDirectoryId: state.votedKey?.directoryId ?? NO_DIRECTORY_ID,
    data_version: VERSION,
  }
  return JSON.stringify(data)
}

function parse(text: string): QuorumStateData | undefined {
  let data: Partial<QuorumStateData>
  try {
    data = JSON.parse(text) as Partial<QuorumStateData>
  } catch {
    return undefined
  }
  const whole =
    data.data_version === VERSION &&
    Number.isInteger(data.leaderId) &&
    Number.isInteger(data.leaderEpoch) &&
    Number.isInteger(data.votedId) &&
    typeof data.votedDirectoryId === 'string'
  return whole ? (data as QuorumStateData) : undefined
}

/** What a quorum answers to requests, right and wrong ones. Cases of Kafka's KafkaRaftClientTest, -FetchTest, -SnapshotTest, -PreVoteTest. */

import { beforeAll, describe, expect, it } from 'vitest'
import type { Env } from '../../sim/kernel/env.js'
import { assert } from '../../sim/kernel/errors.js'
import { METADATA_TOPIC_ID } from '../../sim/kraft/quorum-config.js'
import { successorBackoffMs } from '../../sim/kraft/elections.js'
import {
  beginQuorumEpochRequest,
  endQuorumEpochRequest,
  fetchRequest,
  fetchSnapshotRequest,
  voteRequest,
} from '../../sim/kraft/raft-messages.js'
import type { ReplicaKey } from '../../sim/kraft/voter-set.js'
import { NO_DIRECTORY_ID } from '../../sim/kraft/voter-set.js'
import type { ApiName, Apis } from '../../sim/wire/apis.js'
import { errorName } from '../../sim/wire/errors.js'
import { RequestClient } from '../../sim/wire/request-client.js'
import { CLUSTER_ID, RaftCluster } from './raft-cluster.js'

/** A quorum of three with a leader, and somebody to ask it. */
class Lab {
  readonly cluster = new RaftCluster({ voters: 3, seed: 'requests', config: { 'metadata.max.retention.bytes': 0 } })
  #client: RequestClient | undefined

  constructor() {
    this.cluster.world.addNode('probe', (env: Env) => {
      this.#client = new RequestClient(env, { clientId: 'probe', requestTimeoutMs: 5_000 })
      return { stop: (done) => done() }
    })
    this.cluster.world.start('probe')
    this.cluster.startAll()
    assert(
      this.cluster.runUntil(() => this.cluster.hasConsistentLeader && this.cluster.allReached(3)),
      'no leader',
    )
  }

  get leader(): string {
    return this.cluster.leader ?? 'none'
  }

  get follower(): string {
    return this.cluster.voters.map((voter) => voter.node).find((node) => node !== this.leader) ?? 'none'
  }

  get epoch(): number {
    return this.cluster.client(this.leader).leader.epoch
  }

  key(node: string): ReplicaKey {
    const voter = this.cluster.voters.find((each) => each.node === node)
    assert(voter !== undefined, 'no voter', { node })
    return voter
  }

  ask<A extends ApiName>(to: string, api: A, body: Apis[A]['request'], ms = 50): Apis[A]['response'] | undefined {
    let answer: Apis[A]['response'] | undefined
    this.#client?.send(to, api, body, (result) => {
      answer = result.ok ? result.response : undefined
    })
    this.cluster.run(ms)
    return answer
  }

  vote(
    to: string,
    change: {
      epoch?: number
      offset?: number
      lastEpoch?: number
      preVote?: boolean
      voter?: ReplicaKey
      cluster?: string
    },
  ): {
    error: string
    top: string
    granted: boolean
    leader: number
    epoch: number
    host: string | undefined
  } {
    const candidate = { id: 3002, directoryId: this.key('c2').directoryId }
    const end = { offset: change.offset ?? 100, epoch: change.lastEpoch ?? this.epoch }
    const epoch = change.epoch ?? this.epoch + 1
    const request = voteRequest(
      change.cluster ?? CLUSTER_ID,
      epoch,
      candidate,
      change.voter ?? this.key(to),
      end,
      change.preVote ?? false,
    )
    const response = this.ask(to, 'Vote', request)
    const partition = response?.topics[0]?.partitions[0]
    return {
      error: errorName(partition?.errorCode ?? 0),
      top: errorName(response?.errorCode ?? 0),
      granted: partition?.voteGranted ?? false,
      leader: partition?.leaderId ?? -1,
      epoch: partition?.leaderEpoch ?? -1,
      host: response?.nodeEndpoints[0]?.host,
    }
  }

  fetch(
    to: string,
    change: {
      epoch?: number
      offset?: number
      lastEpoch?: number
      waitMs?: number
      hw?: number
      cluster?: string
      topic?: string
      ms?: number
    },
  ): unknown {
    const position = {
      currentLeaderEpoch: change.epoch ?? this.epoch,
      fetchOffset: change.offset ?? 3,
      lastFetchedEpoch: change.lastEpoch ?? 1,
      highWatermark: change.hw ?? 1e9,
    }
    const base = fetchRequest(change.cluster ?? CLUSTER_ID, { id: 77, directoryId: NO_DIRECTORY_ID }, position)
    const topics = base.topics.map((topic) => ({ ...topic, topicId: change.topic ?? METADATA_TOPIC_ID }))
    const response = this.ask(to, 'Fetch', { ...base, topics, maxWaitMs: change.waitMs ?? 0 }, change.ms)
    const partition = response?.responses[0]?.partitions[0]
    if (response === undefined || partition === undefined) return errorName(response?.errorCode ?? 0)
    const { divergingEpoch, snapshotId, records } = partition
    if (partition.errorCode !== 0) return errorName(partition.errorCode)
    if (divergingEpoch.epoch >= 0) return { diverging: [divergingEpoch.endOffset, divergingEpoch.epoch] }
    if (snapshotId.epoch >= 0) return { snapshot: [snapshotId.endOffset, snapshotId.epoch] }
    return { from: records?.[0]?.baseOffset ?? null, highWatermark: partition.highWatermark }
  }
}

let lab: Lab

beforeAll(() => {
  lab = new Lab()
})

describe('a vote request', () => {
  it('of another cluster is refused whole', () => {
    expect(lab.vote(lab.follower, { cluster: 'another' })).toMatchObject({
      top: 'INCONSISTENT_CLUSTER_ID',
      granted: false,
    })
  })

  it('that does not speak of the metadata partition is invalid', () => {
    expect(lab.ask(lab.follower, 'Vote', { clusterId: CLUSTER_ID, voterId: -1, topics: [] })?.errorCode).toBe(42)
  })

  it('of an older epoch is fenced and told of the leader', () => {
    const { leader, epoch } = lab
    const answer = lab.vote(lab.follower, { epoch: epoch - 1, lastEpoch: 0, preVote: true })
    expect(answer).toMatchObject({ error: 'FENCED_LEADER_EPOCH', granted: false, epoch, host: leader })
  })

  it('with a log of its own epoch or beyond is invalid, a pre-vote beyond its epoch as well', () => {
    expect(lab.vote(lab.follower, { lastEpoch: lab.epoch + 1 })).toMatchObject({ error: 'INVALID_REQUEST' })
    expect(lab.vote(lab.follower, { offset: -1 })).toMatchObject({ error: 'INVALID_REQUEST' })
    expect(lab.vote(lab.follower, { preVote: true, epoch: lab.epoch, lastEpoch: lab.epoch + 1 })).toMatchObject({
      error: 'INVALID_REQUEST',
    })
    expect(lab.vote(lab.follower, { preVote: true, epoch: lab.epoch })).toMatchObject({ error: 'NONE' })
  })

  it('for a pre-vote of this epoch changes nothing and is denied by who fetches from the leader', () => {
    expect(lab.vote(lab.follower, { preVote: true, epoch: lab.epoch })).toMatchObject({
      granted: false,
      host: lab.leader,
    })
    expect(lab.vote(lab.leader, { preVote: true, epoch: lab.epoch })).toMatchObject({
      granted: false,
      host: lab.leader,
    })
  })

  it('meant for another replica of this id is INVALID_VOTER_KEY', () => {
    const other = new Lab()
    const wrong = { id: other.key(other.follower).id, directoryId: 'J8aAPcfLQt2bqs1JT_rMgQ' }
    expect(other.vote(other.follower, { voter: wrong, preVote: true, epoch: other.epoch })).toMatchObject({
      error: 'INVALID_VOTER_KEY',
      granted: false,
    })
    expect(
      other.vote(other.follower, {
        voter: { id: 3009, directoryId: NO_DIRECTORY_ID },
        epoch: other.epoch,
        lastEpoch: 0,
      }),
    ).toMatchObject({
      error: 'INVALID_VOTER_KEY',
    })
  })

  it('of a larger epoch makes even the leader give up, and is granted to an up-to-date log only', () => {
    const other = new Lab()
    const { leader, epoch } = other
    expect(other.vote(leader, { epoch: epoch + 1, offset: 0, lastEpoch: 0 })).toMatchObject({
      granted: false,
      epoch: epoch + 1,
      leader: -1,
    })
    expect(other.cluster.client(leader).isLeader).toBe(false)
  })
})

describe('BeginQuorumEpoch', () => {
  it('of an older epoch is fenced; of this epoch by another leader stops the node', () => {
    const other = new Lab()
    const to = other.follower
    const begin = (epoch: number, leaderId: number): string => {
      const response = other.ask(
        to,
        'BeginQuorumEpoch',
        beginQuorumEpochRequest(CLUSTER_ID, epoch, leaderId, 'x', other.key(to)),
      )
      return errorName(response?.topics[0]?.partitions[0]?.errorCode ?? 0)
    }
    const leaderId = other.key(other.leader).id
    expect(begin(other.epoch - 1, leaderId)).toBe('FENCED_LEADER_EPOCH')
    expect(begin(other.epoch, leaderId)).toBe('NONE')
    begin(other.epoch, other.key(to).id)
    expect(other.cluster.world.node(to).state).toBe('down')
  })
})

describe('EndQuorumEpoch', () => {
  it('makes the first successor elect at once and the next ones wait', () => {
    // Kafka's strict exponential backoff, with 1000 ms at most.
    expect([0, 1, 2, 3].map((at) => successorBackoffMs(at, 4, 1_000))).toEqual([0, 125, 250, 500])
    expect(successorBackoffMs(1, 2, 1_000)).toBe(500)
    expect(successorBackoffMs(4, 4, 1_000)).toBe(1_000)
    expect(successorBackoffMs(0, 0, 1_000)).toBe(0)
  })

  it('is answered, and followed by an election of the preferred successor', () => {
    const other = new Lab()
    const { leader, epoch } = other
    const successor = other.follower
    const last = other.cluster.voters.find(({ node }) => node !== leader && node !== successor)?.node ?? 'none'
    const request = endQuorumEpochRequest(CLUSTER_ID, epoch, other.key(leader).id, [
      other.key(successor),
      other.key(last),
    ])
    other.cluster.world.kill(leader)
    expect(other.ask(last, 'EndQuorumEpoch', request, 5)?.topics[0]?.partitions[0]?.errorCode).toBe(0)
    other.cluster.run(100)
    expect(other.cluster.client(last).leader).toMatchObject({ epoch, leaderId: other.key(leader).id })
    other.ask(successor, 'EndQuorumEpoch', request)
    expect(other.cluster.runUntil(() => other.cluster.leader !== undefined, 600)).toBe(true)
  })
})

describe('a fetch', () => {
  it('of another cluster or topic is refused whole', () => {
    expect(lab.fetch(lab.leader, { cluster: 'another' })).toBe('INCONSISTENT_CLUSTER_ID')
    expect(lab.fetch(lab.leader, { topic: NO_DIRECTORY_ID })).toBe('INVALID_REQUEST')
  })

  it('that makes no sense is invalid', () => {
    expect(lab.fetch(lab.leader, { offset: -1 })).toBe('INVALID_REQUEST')
    expect(lab.fetch(lab.leader, { lastEpoch: -1 })).toBe('INVALID_REQUEST')
    expect(lab.fetch(lab.leader, { lastEpoch: lab.epoch + 1 })).toBe('INVALID_REQUEST')
    expect(lab.fetch(lab.leader, { waitMs: -1 })).toBe('INVALID_REQUEST')
  })

  it('is fenced by a larger epoch, unknown at a smaller one, and answered by the leader only', () => {
    expect(lab.fetch(lab.leader, { epoch: lab.epoch - 1, lastEpoch: 0 })).toBe('FENCED_LEADER_EPOCH')
    expect(lab.fetch(lab.leader, { epoch: lab.epoch + 1 })).toBe('UNKNOWN_LEADER_EPOCH')
    expect(lab.fetch(lab.follower, {})).toBe('NOT_LEADER_OR_FOLLOWER')
  })

  it('gets records, or where the logs part', () => {
    expect(lab.fetch(lab.leader, { offset: 0, lastEpoch: 0 })).toEqual({ from: 0, highWatermark: 3 })
    expect(lab.fetch(lab.leader, { offset: 4 })).toEqual({ diverging: [3, 1] })
    expect(lab.fetch(lab.leader, { offset: 3, lastEpoch: 0 })).toMatchObject({ diverging: [0, 0] })
  })

  it('of what is not there waits for it, but not when the high watermark is news', () => {
    const other = new Lab()
    expect(other.fetch(other.leader, { waitMs: 500, ms: 400 })).toBe('NONE')
    expect(other.fetch(other.leader, { waitMs: 500, hw: 2, ms: 200 })).toMatchObject({ highWatermark: 3 })
    other.cluster.append(other.leader, 'news')
    expect(other.fetch(other.leader, { waitMs: 500, ms: 40 })).toMatchObject({ from: 3 })
  })

  it('at 0 gets the latest snapshot when there is one, before its end as well once the log is cut', () => {
    const other = new Lab()
    const { leader } = other
    other.cluster.append(leader, 'a', 'b')
    other.cluster.run(100)
    const machine = other.cluster.machine(leader)
    const client = other.cluster.client(leader)
    client.createSnapshot({ offset: 5, epoch: 1, lastContainedLogTimestamp: 0 }, machine.image())
    other.cluster.run(50)
    expect(other.fetch(leader, { offset: 0, lastEpoch: 0 })).toEqual({ snapshot: [5, 1] })
    expect(other.fetch(leader, { offset: 3 })).toMatchObject({ from: 3 })
    client.log?.clean(0)
    expect(other.fetch(leader, { offset: 3 })).toEqual({ snapshot: [5, 1] })
  })
})

describe('a snapshot fetch', () => {
  it('gets pieces of the file at a position, and says what is wrong', () => {
    const other = new Lab()
    const { leader, epoch } = other
    other.cluster.append(leader, 'a', 'b')
    other.cluster.run(100)
    other.cluster.client(leader).createSnapshot({ offset: 5, epoch, lastContainedLogTimestamp: 0 }, ['3@a'])
    other.cluster.run(50)
    const ask = (id: { offset: number; epoch: number }, position: number, at = epoch, maxBytes = 100): unknown => {
      const request = {
        ...fetchSnapshotRequest(CLUSTER_ID, { id: 77, directoryId: NO_DIRECTORY_ID }, at, id, position),
        maxBytes,
      }
      const partition = other.ask(leader, 'FetchSnapshot', request)?.topics[0]?.partitions[0]
      if (partition === undefined) return undefined
      return partition.errorCode !== 0
        ? errorName(partition.errorCode)
        : [partition.position, partition.unalignedRecords.length, partition.size]
    }
    const id = { offset: 5, epoch }
    const [, , size] = ask(id, 0) as number[]
    expect(ask(id, 0)).toEqual([0, 100, size])
    expect(ask(id, (size ?? 0) - 10)).toEqual([(size ?? 0) - 10, 10, size])
    expect(ask(id, size ?? 0)).toBe('POSITION_OUT_OF_RANGE')
    expect(ask(id, -1)).toBe('POSITION_OUT_OF_RANGE')
    expect(ask({ offset: 4, epoch }, 0)).toBe('SNAPSHOT_NOT_FOUND')
    expect(ask({ offset: 0, epoch: 0 }, 0)).toBe('SNAPSHOT_NOT_FOUND')
    expect(ask(id, 0, epoch - 1)).toBe('FENCED_LEADER_EPOCH')
    expect(ask(id, 0, epoch + 1)).toBe('UNKNOWN_LEADER_EPOCH')
  })
})

describe('DescribeQuorum', () => {
  const request = { topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }] }

  it('tells of leader, voters and observers, by the leader only', () => {
    const other = new Lab()
    other.fetch(other.leader, { waitMs: 0 })
    const answer = other.ask(other.leader, 'DescribeQuorum', request)?.topics[0]?.partitions[0]
    expect(answer).toMatchObject({
      errorCode: 0,
      leaderId: other.key(other.leader).id,
      leaderEpoch: 1,
      highWatermark: 3,
    })
    expect(answer?.currentVoters.map((voter) => [voter.replicaId, voter.logEndOffset])).toEqual([
      [3001, 3],
      [3002, 3],
      [3003, 3],
    ])
    expect(answer?.observers.map((observer) => [observer.replicaId, observer.logEndOffset])).toEqual([[77, 3]])
    const refused = other.ask(other.follower, 'DescribeQuorum', request)?.topics[0]?.partitions[0]
    expect(errorName(refused?.errorCode ?? 0)).toBe('NOT_LEADER_OR_FOLLOWER')
  })

  it('of another topic is unknown', () => {
    const other = { topics: [{ topicName: 'orders', partitions: [{ partitionIndex: 3 }] }] }
    const answer = lab.ask(lab.leader, 'DescribeQuorum', other)?.topics[0]?.partitions[0]
    expect([answer?.partitionIndex, errorName(answer?.errorCode ?? 0)]).toEqual([3, 'UNKNOWN_TOPIC_OR_PARTITION'])
  })
})

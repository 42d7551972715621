/** Election, ELR, epochs and reassignment of one partition. Cases of Kafka's PartitionChangeBuilderTest and of the election vectors. */

import { describe, expect, it } from 'vitest'
import type { PartitionImage } from '../../sim/kraft/metadata/image.js'
import { mergePartition } from '../../sim/kraft/metadata/image.js'
import { LATEST_METADATA_VERSION, parseMetadataVersion } from '../../sim/kraft/metadata/metadata-version.js'
import type { PartitionChangeRecord } from '../../sim/kraft/metadata/records.js'
import { MIGRATING_DIRECTORY, NO_LEADER_CHANGE } from '../../sim/kraft/metadata/records.js'
import type { PartitionChange } from '../../sim/controller/partition-change-builder.js'
import { buildPartitionChange, isNoOp, PartitionChangeBuilder } from '../../sim/controller/partition-change-builder.js'
import { completeReassignment, planReassignment, revertReassignment } from '../../sim/controller/reassignment.js'
import { partitionChange } from '../../sim/kraft/metadata/records.js'

const FOO_ID = 'FbrrdcfiR-KC2CPSTHaJrg'

function partition(fields: Partial<PartitionImage>): PartitionImage {
  const replicas = fields.replicas ?? [2, 1, 3]
  return {
    replicas,
    isr: replicas,
    elr: [],
    lastKnownElr: [],
    removingReplicas: [],
    addingReplicas: [],
    leader: 1,
    leaderEpoch: 100,
    partitionEpoch: 200,
    leaderRecoveryState: 0,
    directories: replicas.map(() => MIGRATING_DIRECTORY),
    ...fields,
  }
}

function change(fields: Partial<PartitionChange>): PartitionChange {
  return {
    topicId: FOO_ID,
    partitionId: 0,
    isAcceptableLeader: (broker) => broker !== 3,
    metadataVersion: LATEST_METADATA_VERSION,
    minIsr: 2,
    elrEnabled: true,
    defaultDirectory: () => MIGRATING_DIRECTORY,
    ...fields,
  }
}

function elect(of: PartitionImage, fields: Partial<PartitionChange>): string {
  const { leader, unclean } = new PartitionChangeBuilder(of, change(fields)).electLeader()
  return `${leader < 0 ? 'none' : leader}${unclean ? ' unclean' : ''}`
}

/** The fields that a record sets. */
function fieldsOf(record: PartitionChangeRecord | undefined): Record<string, unknown> | undefined {
  if (record === undefined) return undefined
  const nothing = partitionChange(record.topicId, record.partitionId, record.version, {})
  return Object.fromEntries(
    Object.entries(record).filter(([key, value]) => value !== nothing[key as keyof PartitionChangeRecord]),
  )
}

function build(of: PartitionImage, fields: Partial<PartitionChange>): Record<string, unknown> | undefined {
  return fieldsOf(buildPartitionChange(of, change(fields)))
}

const FOO = partition({})

describe('an election among replicas 2,1,3 led by 1, with 3 unacceptable', () => {
  it('gives the lead to the first replica when it is asked to prefer it', () => {
    expect(elect(FOO, { election: 'PREFERRED' })).toBe('2')
    expect(elect(FOO, { election: 'PREFERRED', isr: [2, 1] })).toBe('2')
    expect(elect(FOO, { election: 'PREFERRED', isr: [1, 3] })).toBe('1')
    expect(elect(FOO, { election: 'PREFERRED', isr: [2] })).toBe('2')
  })

  it('keeps a valid leader otherwise', () => {
    expect(elect(FOO, { election: 'ONLINE' })).toBe('1')
    expect(elect(FOO, { election: 'UNCLEAN' })).toBe('1')
    expect(elect(FOO, { election: 'ONLINE', isr: [2, 3] })).toBe('2')
    expect(elect(FOO, { election: 'UNCLEAN', isr: [2, 3] })).toBe('2')
  })

  it('ends without a leader when only an unacceptable one is in sync', () => {
    expect(elect(FOO, { election: 'PREFERRED', isr: [3] })).toBe('none')
    expect(elect(FOO, { election: 'ONLINE', isr: [3] })).toBe('none')
  })

  it('goes outside the ISR, in replica order, only when unclean', () => {
    expect(elect(FOO, { election: 'UNCLEAN', isr: [3] })).toBe('2 unclean')
    expect(elect(partition({ replicas: [1, 2, 3], leader: 3 }), { election: 'UNCLEAN', isr: [3] })).toBe('1 unclean')
  })

  it('takes an ELR member when the ISR is empty, before any unclean choice', () => {
    const of = partition({ replicas: [1, 2, 4], isr: [1, 2, 4], elr: [4], leader: -1 })
    expect(elect(of, { election: 'ONLINE', isr: [] })).toBe('4')
    expect(elect(of, { election: 'UNCLEAN', isr: [] })).toBe('4')
  })

  it('ignores the ELR while somebody is in sync', () => {
    const of = partition({ replicas: [1, 2, 3], isr: [3], elr: [1], leader: -1 })
    expect(elect(of, { election: 'ONLINE' })).toBe('none')
  })

  it('takes the last known leader when both ISR and ELR are empty', () => {
    const of = partition({ isr: [], lastKnownElr: [1], leader: -1 })
    expect(elect(of, { election: 'ONLINE' })).toBe('1 unclean')
    expect(elect(of, { election: 'PREFERRED' })).toBe('1 unclean')
    expect(elect(of, { election: 'ONLINE', useLastKnownLeader: false })).toBe('none')
    expect(elect(of, { election: 'ONLINE', elrEnabled: false })).toBe('none')
  })

  it('does not take the last known leader when it is not alive or one of several', () => {
    expect(elect(partition({ isr: [], lastKnownElr: [3], leader: -1 }), { election: 'ONLINE' })).toBe('none')
    expect(elect(partition({ isr: [], lastKnownElr: [1, 2], leader: -1 }), { election: 'ONLINE' })).toBe('none')
  })
})

describe('a partition change', () => {
  it('gives no record when nothing changes', () => {
    expect(build(FOO, {})).toBeUndefined()
    expect(build(FOO, { isr: [2, 1, 3] })).toBeUndefined()
    expect(isNoOp(partitionChange(FOO_ID, 0, 2, {}))).toBe(true)
    expect(isNoOp(partitionChange(FOO_ID, 0, 2, { removingReplicas: [] }))).toBe(false)
  })

  it('writes a shrunk ISR without touching leader or leader epoch since metadata version 3.6', () => {
    expect(build(FOO, { isr: [2, 1] })).toEqual({ isr: [2, 1] })
  })

  it.each(['3.3', '3.4', '3.5'])(
    'names the leader again when the ISR shrinks in %s, which bumps the leader epoch',
    (name) => {
      const metadataVersion = parseMetadataVersion(name)
      const record = buildPartitionChange(FOO, change({ isr: [2, 1], metadataVersion, elrEnabled: false }))
      expect(fieldsOf(record)).toEqual({ isr: [2, 1], leader: 1 })
      expect(mergePartition(FOO, record as PartitionChangeRecord)).toMatchObject({
        leader: 1,
        leaderEpoch: 101,
        partitionEpoch: 201,
      })
    },
  )

  it('never bumps the leader epoch for an ISR that grows', () => {
    const of = partition({ isr: [1] })
    const metadataVersion = parseMetadataVersion('3.5')
    expect(build(of, { isr: [1, 2], metadataVersion, elrEnabled: false })).toEqual({ isr: [1, 2] })
  })

  it('bumps the leader epoch when a replica is removed, whoever leads', () => {
    expect(build(FOO, { replicas: [2, 1], isr: [2, 1] })).toMatchObject({ leader: 1, replicas: [2, 1] })
    expect(build(FOO, { replicas: [2, 1, 3, 4] })).not.toHaveProperty('leader')
  })

  it('marks an unclean winner as recovering and as the whole ISR', () => {
    const record = build(FOO, { isr: [3], election: 'UNCLEAN', elrEnabled: false })
    expect(record).toEqual({ leader: 2, isr: [2], leaderRecoveryState: 1 })
  })

  it('does not mark again what is recovering already', () => {
    const of = partition({ leaderRecoveryState: 1 })
    expect(build(of, { isr: [3], election: 'UNCLEAN', elrEnabled: false })).toEqual({ leader: 2, isr: [2] })
  })

  it('keeps the last in-sync replica in the ISR when the partition goes offline without ELR', () => {
    const of = partition({ replicas: [3, 1], isr: [3], leader: 3 })
    expect(build(of, { isr: [], elrEnabled: false })).toEqual({ leader: -1 })
  })

  it('counts on the leader epoch only when a record names a leader', () => {
    const record = partitionChange(FOO_ID, 0, 2, { isr: [1, 2] })
    expect(record.leader).toBe(NO_LEADER_CHANGE)
    expect(mergePartition(FOO, record)).toMatchObject({ leaderEpoch: 100, partitionEpoch: 201 })
    expect(mergePartition(FOO, { ...record, leader: 1 })).toMatchObject({ leaderEpoch: 101, partitionEpoch: 201 })
  })
})

describe('eligible leader replicas', () => {
  const of = partition({ replicas: [1, 2, 3, 4], isr: [1, 2, 3, 4] })
  const minIsr = 3

  it('are those who left an ISR that is now below min.insync.replicas', () => {
    expect(build(of, { isr: [1, 4], minIsr, isAcceptableLeader: () => true })).toEqual({
      isr: [1, 4],
      eligibleLeaderReplicas: [2, 3],
    })
  })

  it('do not include replicas that were shut down uncleanly', () => {
    const fields = { isr: [1, 4], minIsr, uncleanShutdownReplicas: [3], isAcceptableLeader: () => true }
    expect(build(of, fields)).toEqual({ isr: [1, 4], eligibleLeaderReplicas: [2] })
  })

  it('stay eligible while the ISR stays small, and are none once it is large enough', () => {
    const small = partition({ replicas: [1, 2, 3, 4], isr: [1], elr: [2, 3], leader: 1 })
    expect(build(small, { isr: [1, 4], minIsr })).toEqual({ isr: [1, 4] })
    expect(build(small, { isr: [1, 2, 4], minIsr })).toEqual({ isr: [1, 2, 4], eligibleLeaderReplicas: [] })
  })

  it('are not kept when the feature is off', () => {
    expect(build(of, { isr: [1, 4], minIsr, elrEnabled: false, isAcceptableLeader: () => true })).toEqual({
      isr: [1, 4],
    })
    const had = partition({ replicas: [1, 2, 3, 4], isr: [1], elr: [2, 3], lastKnownElr: [4], leader: 1 })
    expect(build(had, { isr: [1], elrEnabled: false })).toEqual({ eligibleLeaderReplicas: [] })
  })

  it('may be all there is: the ISR is empty then, and its last leader is remembered', () => {
    const last = partition({ replicas: [1, 2, 3, 4], isr: [1], elr: [2, 3], leader: 1 })
    expect(build(last, { isr: [], minIsr, isAcceptableLeader: () => false })).toEqual({
      isr: [],
      leader: -1,
      eligibleLeaderReplicas: [1, 2, 3],
      lastKnownElr: [1],
    })
  })

  it('give a leader who is then the ISR and no longer in the ELR', () => {
    const offline = partition({ replicas: [1, 2, 3, 4], isr: [], elr: [1, 2, 3], lastKnownElr: [1], leader: -1 })
    expect(build(offline, { minIsr, isAcceptableLeader: (broker) => broker === 3 })).toEqual({
      leader: 3,
      isr: [3],
      eligibleLeaderReplicas: [1, 2],
      lastKnownElr: [],
    })
  })

  it('are emptied by an unclean election', () => {
    const offline = partition({ replicas: [1, 2, 3, 4], isr: [], elr: [1, 2], leader: -1 })
    const fields = { minIsr, election: 'UNCLEAN' as const, isAcceptableLeader: (broker: number) => broker === 4 }
    expect(build(offline, fields)).toEqual({
      leader: 4,
      isr: [4],
      eligibleLeaderReplicas: [],
      leaderRecoveryState: 1,
    })
  })

  it('remember the last leader only the first time', () => {
    const offline = partition({ replicas: [1, 2, 3], isr: [], elr: [1], lastKnownElr: [2], leader: -1 })
    const fields = { isAcceptableLeader: () => false, uncleanShutdownReplicas: [1] }
    expect(build(offline, fields)).toEqual({ eligibleLeaderReplicas: [] })
  })

  it('hold the last known ELR instead where the last known leader is not used', () => {
    const fields = {
      isr: [1, 4],
      minIsr,
      uncleanShutdownReplicas: [3],
      useLastKnownLeader: false,
      isAcceptableLeader: () => true,
    }
    expect(build(of, fields)).toEqual({ isr: [1, 4], eligibleLeaderReplicas: [2], lastKnownElr: [3] })
  })
})

describe('a reassignment', () => {
  it('has the target first, then what it removes', () => {
    expect(planReassignment([3, 2, 1, 0], [7, 3, 1, 9])).toEqual({
      removing: [0, 2],
      adding: [7, 9],
      replicas: [7, 3, 1, 9, 0, 2],
    })
    expect(planReassignment([3, 2, 1, 0], [3, 1])).toEqual({ removing: [0, 2], adding: [], replicas: [3, 1, 0, 2] })
    expect(planReassignment([3, 2, 1], [3, 6, 2, 1, 5])).toEqual({
      removing: [],
      adding: [5, 6],
      replicas: [3, 6, 2, 1, 5],
    })
    expect(planReassignment([3, 2, 1, 0], [0, 1, 3, 2])).toEqual({ removing: [], adding: [], replicas: [0, 1, 3, 2] })
  })

  it('is complete when the ISR holds every target replica', () => {
    const all = planReassignment([0, 1, 2], [3, 4, 5])
    expect(completeReassignment(all, [0, 1, 2, 3, 4])).toBeUndefined()
    expect(completeReassignment(all, [0, 1, 2, 3, 4, 5])).toEqual({ replicas: [3, 4, 5], isr: [3, 4, 5] })
    const some = planReassignment([0, 1, 2], [0, 1, 3])
    expect(completeReassignment(some, [0, 1, 2, 3])).toEqual({ replicas: [0, 1, 3], isr: [0, 1, 3] })
    expect(completeReassignment(some, [3])).toBeUndefined()
    expect(completeReassignment({ removing: [], adding: [], replicas: [0, 1, 2] }, [0, 1, 2])).toBeUndefined()
  })

  it('goes back to the original replicas, uncleanly when only new ones are in sync', () => {
    const of = partition({
      replicas: [3, 2, 1, 4, 5],
      isr: [1, 2, 4, 5],
      addingReplicas: [4, 5],
      removingReplicas: [1, 2],
    })
    expect(revertReassignment(of)).toEqual({ replicas: [3, 2, 1], isr: [1, 2], unclean: false })
    const gone = partition({ replicas: [4, 5, 3, 2, 1], isr: [4, 5], addingReplicas: [4, 5] })
    expect(revertReassignment(gone)).toEqual({ replicas: [3, 2, 1], isr: [3], unclean: true })
  })

  it('that only rearranges replicas is done at once', () => {
    expect(build(FOO, { replicas: [3, 2, 1] })).toEqual({ replicas: [3, 2, 1] })
  })

  it('completes with the ISR change that brings in its last replica', () => {
    const of = partition({
      replicas: [1, 2, 4, 3],
      isr: [1, 2, 3],
      leader: 1,
      addingReplicas: [4],
      removingReplicas: [3],
    })
    const record = build(of, { isr: [1, 2, 3, 4], isAcceptableLeader: () => true })
    expect(record).toEqual({
      isr: [1, 2, 4],
      leader: 1,
      replicas: [1, 2, 4],
      directories: [MIGRATING_DIRECTORY, MIGRATING_DIRECTORY, MIGRATING_DIRECTORY],
      removingReplicas: [],
      addingReplicas: [],
    })
  })

  it('elects another leader when the one that leads is removed', () => {
    const of = partition({ replicas: [1, 2, 3], isr: [1, 2, 3], leader: 3, removingReplicas: [3] })
    const record = build(of, { isr: [1, 2, 3], isAcceptableLeader: () => true })
    expect(record).toMatchObject({ leader: 1, isr: [1, 2], replicas: [1, 2], removingReplicas: [] })
  })
})

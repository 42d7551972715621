/**
 * Decides how a partition changes: who leads, who is in sync, who stays eligible (Kafka's `PartitionChangeBuilder`).
 *
 * Pure: takes the registered partition and targets, gives one PartitionChangeRecord or undefined when nothing would
 * change. The order of steps matters and is Kafka's: complete a reassignment, recompute the ELR, elect, bump the leader
 * epoch where replicas left (or, before metadata version 3.6, where the ISR shrank), then write down what differs.
 *
 *   election   first choice                  then                                        then            then
 *   PREFERRED  replicas[0] if valid          the leader if valid, first valid replica    last known      none
 *   ONLINE     the leader if valid           first valid replica                         last known      none
 *   UNCLEAN    the leader if valid           first valid replica                         last known      first acceptable replica
 *
 * Valid: acceptable (active, directory online) and in the target ISR, or in the ELR when that ISR is empty. The last known
 * leader (KIP-966) is elected when ISR and ELR are both empty. It and an UNCLEAN choice become the whole ISR, RECOVERING.
 */

import type { NodeId } from '../kernel/units.js'
import type { PartitionImage } from '../kraft/metadata/image.js'
import { sameItems } from '../kraft/metadata/image.js'
import type { MetadataVersion } from '../kraft/metadata/metadata-version.js'
import type { LeaderRecoveryState, PartitionChangeRecord, Uuid } from '../kraft/metadata/records.js'
import { NO_LEADER, NO_LEADER_CHANGE, NO_RECOVERY_CHANGE, RECOVERING } from '../kraft/metadata/records.js'
import { completeReassignment } from './reassignment.js'

export type Election = 'PREFERRED' | 'ONLINE' | 'UNCLEAN'

export interface PartitionChange {
  readonly topicId: Uuid
  readonly partitionId: number
  /** Live, and its replica's directory online. */
  readonly isAcceptableLeader: (broker: NodeId) => boolean
  readonly metadataVersion: MetadataVersion
  /** min(min.insync.replicas, replication factor). */
  readonly minIsr: number
  readonly elrEnabled: boolean
  /** The directory of a new replica on this broker. */
  readonly defaultDirectory: (broker: NodeId) => Uuid
  /** ONLINE unless given. */
  readonly election?: Election
  /** Targets; as registered unless given. */
  readonly isr?: readonly NodeId[]
  readonly replicas?: readonly NodeId[]
  readonly removing?: readonly NodeId[]
  readonly adding?: readonly NodeId[]
  readonly leaderRecoveryState?: LeaderRecoveryState
  /** Never in the new ELR. */
  readonly uncleanShutdownReplicas?: readonly NodeId[]
  /** A replica's directory as its broker reports it. */
  readonly directory?: { readonly broker: NodeId; readonly id: Uuid }
  /** false: `lastKnownElr` holds the last known ELR and is never elected. true unless given. */
  readonly useLastKnownLeader?: boolean
}

type Draft = { -readonly [K in keyof PartitionChangeRecord]: PartitionChangeRecord[K] }

/** The record that brings `partition` to what `change` asks; undefined when nothing changes. */
export function buildPartitionChange(
  partition: PartitionImage,
  change: PartitionChange,
): PartitionChangeRecord | undefined {
  return new PartitionChangeBuilder(partition, change).build()
}

export class PartitionChangeBuilder {
  readonly #partition: PartitionImage
  readonly #change: PartitionChange
  readonly #useLastKnownLeader: boolean
  #isr: readonly NodeId[]
  #replicas: readonly NodeId[]
  #removing: readonly NodeId[]
  #adding: readonly NodeId[]
  #elr: readonly NodeId[]
  #lastKnownElr: readonly NodeId[]

  constructor(partition: PartitionImage, change: PartitionChange) {
    this.#partition = partition
    this.#change = change
    this.#useLastKnownLeader = change.useLastKnownLeader ?? true
    this.#isr = change.isr ?? partition.isr
    this.#replicas = change.replicas ?? partition.replicas
    this.#removing = change.removing ?? partition.removingReplicas
    this.#adding = change.adding ?? partition.addingReplicas
    this.#elr = partition.elr
    this.#lastKnownElr = partition.lastKnownElr
  }

  build(): PartitionChangeRecord | undefined {
    const partition = this.#partition
    const record = this.#emptyRecord()
    this.#completeReassignment()
    this.#populateElr()
    this.#elect(record)
    if (record.leader === NO_LEADER_CHANGE && !containsAll(this.#replicas, partition.replicas)) {
      record.leader = partition.leader
    }
    this.#writeElr(record)
    if (
      record.isr === null &&
      (this.#isr.length > 0 || this.#change.elrEnabled) &&
      !sameItems(this.#isr, partition.isr)
    ) {
      record.isr = this.#isr
    }
    if (
      this.#change.metadataVersion.leaderEpochBumpOnIsrShrink &&
      record.leader === NO_LEADER_CHANGE &&
      record.isr !== null &&
      !containsAll(record.isr, partition.isr)
    ) {
      record.leader = partition.leader
    }
    this.#writeLastKnownLeader(record)
    this.#writeAssignment(record)
    const recovery = this.#change.leaderRecoveryState ?? partition.leaderRecoveryState
    if (recovery !== partition.leaderRecoveryState) record.leaderRecoveryState = recovery
    return isNoOp(record) ? undefined : record
  }

  /** The winner under the chosen election. Kafka's -1 is nobody; `unclean` when it is outside ISR and ELR. */
  electLeader(): { readonly leader: NodeId; readonly unclean: boolean } {
    const current = this.#partition.leader
    const election = this.#change.election ?? 'ONLINE'
    if (election === 'PREFERRED') {
      const preferred = this.#replicas[0] ?? NO_LEADER
      if (this.#isValid(preferred)) return { leader: preferred, unclean: false }
    }
    if (this.#isValid(current)) return { leader: current, unclean: false }
    for (const replica of this.#replicas) {
      if (this.#isValid(replica)) return { leader: replica, unclean: false }
    }
    const lastKnown = this.#electableLastKnownLeader()
    if (lastKnown !== undefined) return { leader: lastKnown, unclean: true }
    if (election === 'UNCLEAN') {
      for (const replica of this.#replicas) {
        if (this.#change.isAcceptableLeader(replica)) return { leader: replica, unclean: true }
      }
    }
    return { leader: NO_LEADER, unclean: false }
  }

  #emptyRecord(): Draft {
    return {
      type: 'PartitionChangeRecord',
      version: this.#change.metadataVersion.partitionChangeRecordVersion,
      partitionId: this.#change.partitionId,
      topicId: this.#change.topicId,
      isr: null,
      leader: NO_LEADER_CHANGE,
      replicas: null,
      removingReplicas: null,
      addingReplicas: null,
      leaderRecoveryState: NO_RECOVERY_CHANGE,
      directories: null,
      eligibleLeaderReplicas: null,
      lastKnownElr: null,
    }
  }

  #isValid(replica: NodeId): boolean {
    const member = this.#isr.includes(replica) || (this.#isr.length === 0 && this.#elr.includes(replica))
    return member && this.#change.isAcceptableLeader(replica)
  }

  /** `lastKnownElr` names a leader only while it has one member; with more it holds the last known ELR. */
  #electableLastKnownLeader(): NodeId | undefined {
    if (!this.#change.elrEnabled || !this.#useLastKnownLeader) return undefined
    if (this.#elr.length > 0 || this.#isr.length > 0) return undefined
    const known = this.#partition.lastKnownElr
    if (known.length !== 1) return undefined
    const leader = known[0] as NodeId
    return this.#change.isAcceptableLeader(leader) ? leader : undefined
  }

  #completeReassignment(): void {
    const done = completeReassignment(
      { removing: this.#removing, adding: this.#adding, replicas: this.#replicas },
      this.#isr,
    )
    if (done === undefined) return
    this.#isr = done.isr
    this.#replicas = done.replicas
    this.#removing = []
    this.#adding = []
  }

  /** ELR = (old ISR ∪ ELR) − new ISR − uncleanly shut down; nobody once the ISR is large enough. */
  #populateElr(): void {
    if (!this.#change.elrEnabled) return
    if (this.#isr.length >= this.#change.minIsr) {
      this.#elr = []
      this.#lastKnownElr = []
      return
    }
    const unclean = this.#change.uncleanShutdownReplicas
    const candidates = new Set([...this.#elr, ...this.#partition.isr])
    this.#elr = [...candidates]
      .filter((replica) => !this.#isr.includes(replica) && !unclean?.includes(replica))
      .sort(ascending)
    for (const replica of this.#lastKnownElr) candidates.add(replica)
    this.#lastKnownElr = [...candidates]
      .filter((replica) => !this.#isr.includes(replica) && !this.#elr.includes(replica))
      .sort(ascending)
  }

  #elect(record: Draft): void {
    const { leader, unclean } = this.electLeader()
    if (leader === this.#partition.leader) return
    if (this.#elr.includes(leader)) {
      this.#isr = [leader]
      this.#elr = this.#elr.filter((replica) => replica !== leader)
    }
    record.leader = leader
    if (!unclean) return
    record.isr = [leader]
    if (this.#partition.leaderRecoveryState !== RECOVERING) record.leaderRecoveryState = RECOVERING
  }

  #writeElr(record: Draft): void {
    const partition = this.#partition
    // Only an unclean election has set the ISR at this point.
    if (record.isr !== null || !this.#change.elrEnabled) {
      this.#elr = []
      this.#lastKnownElr = []
    }
    if (!sameItems(this.#elr, partition.elr)) record.eligibleLeaderReplicas = this.#elr
    if (this.#useLastKnownLeader) return
    if (!sameItems(this.#lastKnownElr, partition.lastKnownElr)) record.lastKnownElr = this.#lastKnownElr
  }

  #writeLastKnownLeader(record: Draft): void {
    if (!this.#useLastKnownLeader || !this.#change.elrEnabled) return
    const { leader, lastKnownElr } = this.#partition
    const loses = record.isr !== null && record.isr.length === 0
    if (loses && (lastKnownElr.length !== 1 || lastKnownElr[0] !== leader)) {
      record.lastKnownElr = [leader]
    } else if (
      (record.leader >= 0 || (leader !== NO_LEADER && record.leader !== NO_LEADER)) &&
      lastKnownElr.length > 0
    ) {
      record.lastKnownElr = []
    }
  }

  #writeAssignment(record: Draft): void {
    const partition = this.#partition
    if (this.#replicas.length > 0) {
      if (this.#change.metadataVersion.directoryAssignment) {
        const directories = this.#replicas.map((replica) => this.#directory(replica))
        if (!sameItems(directories, partition.directories)) record.directories = directories
      }
      if (!sameItems(this.#replicas, partition.replicas)) record.replicas = this.#replicas
    }
    if (!sameItems(this.#removing, partition.removingReplicas)) record.removingReplicas = this.#removing
    if (!sameItems(this.#adding, partition.addingReplicas)) record.addingReplicas = this.#adding
  }

  #directory(replica: NodeId): Uuid {
    const reported = this.#change.directory
    if (reported?.broker === replica) return reported.id
    const at = this.#partition.replicas.indexOf(replica)
    return at >= 0 ? (this.#partition.directories[at] as Uuid) : this.#change.defaultDirectory(replica)
  }
}

export function isNoOp(record: PartitionChangeRecord): boolean {
  return (
    record.isr === null &&
    record.eligibleLeaderReplicas === null &&
    record.lastKnownElr === null &&
    record.leader === NO_LEADER_CHANGE &&
    record.replicas === null &&
    record.removingReplicas === null &&
    record.addingReplicas === null &&
    record.leaderRecoveryState === NO_RECOVERY_CHANGE &&
    record.directories === null
  )
}

function containsAll(items: readonly NodeId[], wanted: readonly NodeId[]): boolean {
  return wanted.every((item) => items.includes(item))
}

function ascending(a: NodeId, b: NodeId): number {
  return a - b
}

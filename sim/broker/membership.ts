/**
 * What ties a broker to its cluster: the one interface behind which it does not know which mode it lives in.
 *
 *   quorum/      KRaft: an observer of the metadata log, registration and heartbeats, everything forwarded to the active controller
 *   zookeeper/   ZooKeeper: an ephemeral znode, a controller in one of the brokers that tells the others what to do, and perhaps in this one
 *
 * Both give the broker one image of the cluster (brokers, topics, partitions, settings) to answer from, tell its replicas what they are, and carry
 * its wishes (another ISR, producer ids, what administrators ask) to whoever decides.
 */

import type { Epoch, NodeId, Offset } from '../kernel/units.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
import type { LocalPartition, MetadataDelta } from '../kraft/metadata/metadata-delta.js'
import type { Apis, ForwardableApi } from '../wire/apis.js'
import type { IsrChanges } from './alter-partition-manager.js'
import type { ApiHandlers } from './api-context.js'
import type { BrokerState, ShutdownReason } from './broker-lifecycle.js'
import type { ControllerSender } from './controller-channel.js'
import type { RequestOrigin } from './forwarding.js'

/** Where requests go that this broker does not decide. */
export interface ClusterAdministration {
  /** `body` is the client's, or what the broker made of it. `done` comes once, by a later event; undefined: close the connection. */
  forward<A extends ForwardableApi>(
    api: A,
    body: Apis[A]['request'],
    origin: RequestOrigin,
    done: (response: Apis[A]['response'] | undefined) => void,
  ): void
  /** Sends `body` in the broker's own name. `done` comes once, by a later event. */
  send<A extends ForwardableApi>(api: A, body: Apis[A]['request'], done: () => void): void
}

export interface Membership {
  readonly state: BrokerState
  /** Of the present registration; -1 before the first. */
  readonly brokerEpoch: number
  /** Of this run of the broker; empty where the mode has none. */
  readonly incarnationId: string
  /** Offset of the newest metadata that is applied; -1 for none. */
  readonly metadataOffset: Offset
  readonly administration: ClusterAdministration
  /** Who may do what: ACLs are kept where the mode keeps its metadata. */
  readonly auth: RequestAuthorizer
  readonly isrChanges: IsrChanges
  /** To the active controller, for producer ids. */
  readonly controller: ControllerSender
  /** What brokers of this mode answer beside all others. */
  readonly handlers: ApiHandlers
  /** The finalised level of kraft.version; 0 without a quorum. */
  readonly kraftVersion: number
  /** The broker that clients are told to be the controller; undefined: any, since clients do not talk to the real one. */
  readonly controllerId: (() => NodeId) | undefined
  start(): void
  /** Hands leadership over, then `onShuttingDown`. */
  beginControlledShutdown(): void
  /** `onShuttingDown`, at once. */
  beginShutdown(): void
  /** From now on nothing of the cluster is applied: the broker stops serving. */
  detach(): void
  /** The last thing: the broker's logs are closed. */
  close(done: () => void): void
}

/** A replica as this broker has it. */
export type Hosted =
  | { readonly kind: 'none' }
  | { readonly kind: 'offline' }
  | { readonly kind: 'online'; readonly topicId: string; readonly leaderEpoch: Epoch }

export interface ReplicaToStop {
  readonly topic: string
  readonly index: number
  /** Its log goes too. */
  readonly isDeleted: boolean
}

/** The broker as its membership drives it. */
export interface MembershipHost {
  /** From now on questions are answered from this image. */
  setImage(image: MetadataImage): void

  // ── KRaft: roles come from the metadata log ───────────────────────────────────────────────────────────────────────
  /** What changed, all at once, as the metadata log says it. */
  applyDelta(delta: MetadataDelta, image: MetadataImage): void

  // ── ZooKeeper: the controller tells them ──────────────────────────────────────────────────────────────────────────
  hosted(topic: string, index: number): Hosted
  /** Partitions with a new leader epoch become led or followed here; names of those whose log directory failed. */
  changeRoles(
    leaders: readonly LocalPartition[],
    followers: readonly LocalPartition[],
    image: MetadataImage,
  ): ReadonlySet<string>
  stopReplicas(replicas: readonly ReplicaToStop[]): void
  onTopicsDeleted(topics: ReadonlySet<string>): void
  /** Settings of this topic changed in the image. */
  onTopicConfigChanged(topic: string): void

  // ── life, each at most once ───────────────────────────────────────────────────────────────────────────────────────
  /** Opens the logs, starts what works on them, then calls `done`. `isStray`: logs that metadata does not place here are set aside. */
  startManagers(image: MetadataImage, findStrays: boolean, done: () => void): void
  /** Clients may connect. */
  startServing(): void
  onShuttingDown(reason: ShutdownReason): void
}

/**
 * Brokers and controllers of the cluster (Kafka's `ClusterControlManager`): who is registered, fenced or shutting down.
 *
 * Registration, in Kafka's order: cluster id → INCONSISTENT_CLUSTER_ID · another incarnation with a live session →
 * DUPLICATE_BROKER_REGISTRATION · log directories → INVALID_REGISTRATION · finalised features → UNSUPPORTED_VERSION. A new
 * incarnation gets the next write offset as its broker epoch, starts fenced, and first leaves every ISR (and ELR, when its
 * previous run did not end cleanly, KIP-966). The same incarnation keeps its epoch and its state.
 */

import type { Clock } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { Millis, NodeId, Offset } from '../kernel/units.js'
import type { BrokerImage, ControllerImage, MetadataImage } from '../kraft/metadata/image.js'
import { brokerFromRecord, controllerFromRecord, isActive, mergeBroker } from '../kraft/metadata/image.js'
import { METADATA_VERSION_FEATURE, KRAFT_FEATURE } from '../kraft/metadata/metadata-version.js'
import type {
  BrokerRegistrationChangeRecord,
  FenceBrokerRecord,
  MetadataRecord,
  RegisterBrokerRecord,
  RegisterControllerRecord,
  UnfenceBrokerRecord,
  UnregisterBrokerRecord,
  Uuid,
} from '../kraft/metadata/records.js'
import { LOST_DIRECTORY, MIGRATING_DIRECTORY, UNASSIGNED_DIRECTORY } from '../kraft/metadata/records.js'
import type { ApiError } from '../wire/error-response.js'
import { Errors } from '../wire/errors.js'
import type { BrokerRegistrationRequest } from '../wire/messages/broker-registration.js'
import type { ControllerRegistrationRequest } from '../wire/messages/controller-registration.js'
import { BrokerHeartbeats } from './broker-heartbeats.js'
import type { Decision } from './controller-result.js'
import { apiError, decided, refused } from './controller-result.js'
import type { FeatureControl } from './feature-control.js'
import type { UsableBroker } from './replica-placer.js'

/** Adds the records by which a broker that comes back leaves its partitions. */
export type BrokerShutdownHandler = (broker: NodeId, cleanShutdown: boolean, records: MetadataRecord[]) => void

export class ClusterControl {
  readonly #clusterId: string
  readonly #clock: Clock
  readonly #sessionTimeoutMs: Millis
  readonly #features: FeatureControl
  readonly #brokers = new Map<NodeId, BrokerImage>()
  readonly #controllers = new Map<NodeId, ControllerImage>()
  /** Where each broker's registration stands in the log, or a later offset. */
  readonly #registrationOffsets = new Map<NodeId, { readonly epoch: number; readonly offset: Offset }>()
  readonly #directoryToBroker = new Map<Uuid, NodeId>()
  #heartbeats: BrokerHeartbeats | undefined

  constructor(clusterId: string, clock: Clock, sessionTimeoutMs: Millis, features: FeatureControl) {
    this.#clusterId = clusterId
    this.#clock = clock
    this.#sessionTimeoutMs = sessionTimeoutMs
    this.#features = features
  }

  get clusterId(): string {
    return this.#clusterId
  }

  get brokers(): ReadonlyMap<NodeId, BrokerImage> {
    return this.#brokers
  }

  get controllers(): ReadonlyMap<NodeId, ControllerImage> {
    return this.#controllers
  }

  /** Only on the active controller. */
  get heartbeats(): BrokerHeartbeats {
    assert(this.#heartbeats, 'cluster control: not active')
    return this.#heartbeats
  }

  activate(): void {
    const heartbeats = (this.#heartbeats = new BrokerHeartbeats(this.#clock, this.#sessionTimeoutMs))
    for (const broker of this.#brokers.values()) {
      heartbeats.register(broker.id, broker.fenced)
      if (!broker.fenced) heartbeats.contact(broker.id, broker.epoch)
    }
  }

  deactivate(): void {
    this.#heartbeats = undefined
  }

  /** A heartbeat came in; false on a standby controller. */
  trackHeartbeat(broker: NodeId, epoch: number): boolean {
    this.#heartbeats?.contact(broker, epoch)
    return this.#heartbeats !== undefined
  }

  isActive(broker: NodeId): boolean {
    const registration = this.#brokers.get(broker)
    return registration !== undefined && isActive(registration)
  }

  /** -1 when the broker is not registered. */
  registrationOffset(broker: NodeId): Offset {
    return this.#registrationOffsets.get(broker)?.offset ?? -1
  }

  /** Undefined when the broker is registered with this epoch, else STALE_BROKER_EPOCH. */
  checkBrokerEpoch(broker: NodeId, epoch: number): ApiError | undefined {
    const registration = this.#brokers.get(broker)
    if (registration === undefined) {
      return apiError(Errors.STALE_BROKER_EPOCH, `broker ${broker} is not registered`)
    }
    if (registration.epoch === epoch) return undefined
    return apiError(Errors.STALE_BROKER_EPOCH, `broker ${broker} has epoch ${registration.epoch}, not ${epoch}`)
  }

  *usableBrokers(): Generator<UsableBroker> {
    for (const { id, fenced } of this.heartbeats.usable()) {
      yield { id, fenced, rack: this.#brokers.get(id)?.rack ?? null }
    }
  }

  /** A replica's directory is online: named by the broker, or not (yet) assigned to one. */
  hasOnlineDirectory(broker: NodeId, directory: Uuid): boolean {
    const registration = this.#brokers.get(broker)
    if (registration === undefined) return false
    if (directory === UNASSIGNED_DIRECTORY || directory === MIGRATING_DIRECTORY) return true
    if (directory === LOST_DIRECTORY) return false
    // Without any directory the broker registered before they were known; it would have stopped had it lost them all.
    return registration.logDirs.length === 0 || registration.logDirs.includes(directory)
  }

  /** Where a new replica on this broker goes. */
  defaultDirectory(broker: NodeId): Uuid {
    const registration = this.#brokers.get(broker)
    if (registration === undefined) return UNASSIGNED_DIRECTORY
    if (registration.logDirs.length === 0) return MIGRATING_DIRECTORY
    return registration.logDirs.length === 1 ? (registration.logDirs[0] as Uuid) : UNASSIGNED_DIRECTORY
  }

  // ── decisions ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @param newBrokerEpoch the offset that the next record gets. The response is the broker's epoch. */
  registerBroker(
    request: BrokerRegistrationRequest,
    newBrokerEpoch: Offset,
    detectsCleanShutdown: boolean,
    onShutdown: BrokerShutdownHandler,
  ): Decision<number> {
    const id = request.brokerId
    if (request.clusterId !== this.#clusterId) {
      return refused(Errors.INCONSISTENT_CLUSTER_ID, `this is cluster ${this.#clusterId}, not ${request.clusterId}`)
    }
    const existing = this.#brokers.get(id)
    const isNewIncarnation = existing?.incarnationId !== request.incarnationId
    if (existing !== undefined && isNewIncarnation && this.heartbeats.hasValidSession(id, existing.epoch)) {
      return refused(Errors.DUPLICATE_BROKER_REGISTRATION, `broker ${id} has a live session of another run`)
    }
    if (request.isMigratingZkBroker) {
      return refused(Errors.BROKER_ID_NOT_REGISTERED, 'brokers of a ZooKeeper cluster cannot register')
    }
    const invalid = this.#checkDirectories(request) ?? this.#checkFeatures(request)
    if (invalid !== undefined) return { refused: invalid }
    const records: MetadataRecord[] = []
    // A broker that was never registered has no epoch that the request could name.
    const clean = detectsCleanShutdown && existing?.epoch === request.previousBrokerEpoch
    if (isNewIncarnation) onShutdown(id, clean, records)
    const record = this.#registrationRecord(request, isNewIncarnation ? undefined : existing, newBrokerEpoch)
    records.push(record)
    if (isNewIncarnation) this.heartbeats.remove(id)
    this.heartbeats.register(id, record.fenced)
    const reason =
      existing === undefined ? 'new' : !isNewIncarnation ? 'amended' : clean ? 'clean-restart' : 'unclean-restart'
    return decided(reason, records, record.brokerEpoch)
  }

  registerController(request: ControllerRegistrationRequest): Decision<null> {
    if (!this.#features.metadataVersion.controllerRegistration) {
      return refused(Errors.UNSUPPORTED_VERSION, 'this metadata version has no controller registrations')
    }
    const record: RegisterControllerRecord = {
      type: 'RegisterControllerRecord',
      version: 0,
      controllerId: request.controllerId,
      incarnationId: request.incarnationId,
      zkMigrationReady: false,
      endPoints: request.listeners.map((listener) => ({ ...listener })),
      features: request.features.map((feature) => ({ ...feature })),
    }
    return decided('registered', [record], null, true)
  }

  // ── replay ────────────────────────────────────────────────────────────────────────────────────────────────────────

  replayRegisterBroker(record: RegisterBrokerRecord, offset: Offset): void {
    const id = record.brokerId
    const before = this.#brokers.get(id)
    this.#registrationOffsets.set(id, { epoch: record.brokerEpoch, offset })
    this.#brokers.set(id, brokerFromRecord(record))
    this.#updateDirectories(id, before?.logDirs ?? [], record.logDirs)
    if (this.#heartbeats === undefined) return
    if (before !== undefined) this.#heartbeats.remove(id)
    this.#heartbeats.register(id, record.fenced)
  }

  replayUnregisterBroker(record: UnregisterBrokerRecord): void {
    const id = record.brokerId
    const before = this.#brokers.get(id)
    assert(before?.epoch === record.brokerEpoch, 'cluster control: removal of an unknown broker', { record })
    this.#registrationOffsets.delete(id)
    this.#heartbeats?.remove(id)
    this.#updateDirectories(id, before.logDirs, [])
    this.#brokers.delete(id)
  }

  replayFenceBroker(record: FenceBrokerRecord): void {
    this.#change(record.id, record.epoch, { fenced: 1, inControlledShutdown: 0, logDirs: [] })
  }

  replayUnfenceBroker(record: UnfenceBrokerRecord): void {
    this.#change(record.id, record.epoch, { fenced: -1, inControlledShutdown: 0, logDirs: [] })
  }

  /** Returns the broker before and after; the same object when the record says what was so already. */
  replayRegistrationChange(record: BrokerRegistrationChangeRecord): { before: BrokerImage; after: BrokerImage } {
    return this.#change(record.brokerId, record.brokerEpoch, record)
  }

  replayRegisterController(record: RegisterControllerRecord): void {
    this.#controllers.set(record.controllerId, controllerFromRecord(record))
  }

  /** Everything as in `image`. A registration whose offset is not known counts as made at the image's. */
  reset(image: MetadataImage): void {
    const known = new Map(this.#registrationOffsets)
    this.#brokers.clear()
    this.#controllers.clear()
    this.#registrationOffsets.clear()
    this.#directoryToBroker.clear()
    for (const broker of image.brokers.values()) {
      this.#brokers.set(broker.id, broker)
      const before = known.get(broker.id)
      const stands = before !== undefined && before.epoch === broker.epoch && before.offset <= image.offset
      this.#registrationOffsets.set(broker.id, stands ? before : { epoch: broker.epoch, offset: image.offset })
      this.#updateDirectories(broker.id, [], broker.logDirs)
    }
    for (const controller of image.controllers.values()) this.#controllers.set(controller.id, controller)
  }

  #change(
    id: NodeId,
    epoch: number,
    change: Pick<BrokerRegistrationChangeRecord, 'fenced' | 'inControlledShutdown' | 'logDirs'>,
  ): { before: BrokerImage; after: BrokerImage } {
    const before = this.#brokers.get(id)
    assert(before?.epoch === epoch, 'cluster control: change of an unknown broker', { id, epoch })
    const after = mergeBroker(before, change)
    if (after !== before) {
      this.#brokers.set(id, after)
      this.#updateDirectories(id, before.logDirs, after.logDirs)
    }
    this.#heartbeats?.register(id, after.fenced)
    return { before, after }
  }

  #updateDirectories(broker: NodeId, before: readonly Uuid[], after: readonly Uuid[]): void {
    for (const directory of before) this.#directoryToBroker.delete(directory)
    for (const directory of after) this.#directoryToBroker.set(directory, broker)
  }

  #checkDirectories(request: BrokerRegistrationRequest): ApiError | undefined {
    if (!this.#features.metadataVersion.directoryAssignment) return undefined
    const { logDirs, brokerId } = request
    const invalid = (message: string): ApiError => apiError(Errors.INVALID_REGISTRATION, message)
    if (logDirs.length === 0) return invalid('no log directory')
    if (logDirs.some(isReservedDirectory)) {
      return invalid('a log directory with a reserved id')
    }
    if (new Set(logDirs).size !== logDirs.length) return invalid('a log directory twice')
    for (const directory of logDirs) {
      const owner = this.#directoryToBroker.get(directory)
      if (owner !== undefined && owner !== brokerId) {
        return invalid(`log directory ${directory} belongs to broker ${owner}`)
      }
    }
    return undefined
  }

  #checkFeatures(request: BrokerRegistrationRequest): ApiError | undefined {
    const finalized = new Map(this.#features.levels)
    finalized.set(KRAFT_FEATURE, this.#features.kraftVersion)
    for (const feature of request.features) {
      const level = finalized.get(feature.name) ?? 0
      if (level < feature.minSupportedVersion || level > feature.maxSupportedVersion) {
        return unsupportedFeature(feature.name, level, feature.minSupportedVersion, feature.maxSupportedVersion)
      }
      finalized.delete(feature.name)
    }
    if (!request.features.some((feature) => feature.name === METADATA_VERSION_FEATURE)) {
      return apiError(
        Errors.INVALID_REGISTRATION,
        `the broker does not say which ${METADATA_VERSION_FEATURE} it supports`,
      )
    }
    for (const [name, level] of finalized) if (level !== 0) return unsupportedFeature(name, level, 0, 0)
    return undefined
  }

  #registrationRecord(
    request: BrokerRegistrationRequest,
    same: BrokerImage | undefined,
    newBrokerEpoch: Offset,
  ): RegisterBrokerRecord {
    const version = this.#features.metadataVersion
    return {
      type: 'RegisterBrokerRecord',
      version: version.registerBrokerRecordVersion,
      brokerId: request.brokerId,
      isMigratingZkBroker: false,
      incarnationId: request.incarnationId,
      brokerEpoch: same?.epoch ?? newBrokerEpoch,
      endPoints: request.listeners.map(({ name, host, port, securityProtocol }) => ({
        name,
        host,
        port,
        securityProtocol,
      })),
      features: request.features.map(({ name, minSupportedVersion, maxSupportedVersion }) => ({
        name,
        minSupportedVersion,
        maxSupportedVersion,
      })),
      rack: request.rack,
      fenced: same?.fenced ?? true,
      inControlledShutdown: same?.inControlledShutdown ?? false,
      logDirs: version.directoryAssignment ? request.logDirs : [],
    }
  }
}

/** Kafka keeps the first hundred ids for itself: only the last byte is not zero, and below 100. */
function isReservedDirectory(directory: Uuid): boolean {
  return directory.startsWith('A'.repeat(20)) && directory.charAt(20) >= 'A' && directory.charAt(20) <= 'Y'
}

function unsupportedFeature(name: string, level: number, min: number, max: number): ApiError {
  return apiError(Errors.UNSUPPORTED_VERSION, `${name} is finalised at ${level}, the broker supports ${min} to ${max}`)
}

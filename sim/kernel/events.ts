/**
 * The vocabulary of a run: every type of event that a trace can hold, with its data.
 *
 * Nodes emit these; the hash, the oracles, the timeline, the reports and the explorer read them and nothing else.
 * Ids of brokers and controllers are Kafka's numeric `node.id`; partitions are written `orders-0`.
 * HASHED_FIELDS lists what enters the hash. Fields left out there are references for readers (message bodies, batches) and
 * must be a function of what is hashed. Numbers are integers.
 */

import type { NodeName } from './names.js'
import { ZOOKEEPER_HASHED_FIELDS, type ZooKeeperEvents } from './zookeeper-events.js'
import type { Bytes, Epoch, Micros, Millis, NodeId, Offset } from './units.js'

/** What an event's hashed field may be. */
export type EventData = number | string | boolean | null | undefined | readonly EventData[]

/** Why a replica, quorum or process did something; short, for people: `lag`, `leader-change`, `power-loss`. */
type Reason = string

/** `p1/41`: the 41st record (from 0) that workload client p1 handed to its producer; empty for records of no workload. */
export type RecordId = string

/** What readers may look at in a record batch without sharing the code that wrote it. */
export interface BatchView {
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  readonly partitionLeaderEpoch: Epoch
  readonly crc: number
  readonly producerId: number
  readonly producerEpoch: number
  /** -1 without idempotence. */
  readonly baseSequence: number
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly count: number
  readonly sizeInBytes: Bytes
  readonly maxTimestamp: Millis
  /** When its tombstones and markers may go; undefined when compaction has not said so yet. */
  readonly deleteHorizonMs?: Millis | undefined
  /** Decoded when first asked for. */
  records(): readonly {
    readonly offsetDelta: number
    readonly timestamp: Millis
    readonly key: Uint8Array | null
    readonly value: Uint8Array | null
    readonly headers?: readonly { readonly key: string; readonly value: Uint8Array | null }[]
  }[]
}

export interface Events extends ZooKeeperEvents {
  // ── run ───────────────────────────────────────────────────────────────────────────────────────────────────────────
  'run.start': { scenario: string; seed: string }
  /** The cluster is up: every topic of the scenario is led and its ISR is full. Times for people count from here. */
  'run.ready': Record<never, never>
  'run.end': { reason: 'until' | 'settled' | 'stopped' }

  // ── processes and clocks (world) ──────────────────────────────────────────────────────────────────────────────────
  /** A process begins; `incarnation` counts from 1 for each node. */
  'node.start': { incarnation: number }
  /** A process ended: `kill`, `power-loss`, `stop` (by itself, in order), `halt` (by itself, in need). */
  'node.down': { how: 'kill' | 'power-loss' | 'stop' | 'halt'; reason: Reason }
  'node.pause': Record<never, never>
  'node.resume': Record<never, never>
  /** Controlled shutdown was asked for; `node.down` follows when the node is done. */
  'node.stopping': Record<never, never>
  'node.wiped': { files: number }
  /** The wall clock was moved by `byMs`, or its rate set to `partsPerMillion` off true time. */
  'clock.change': { byMs: Millis; partsPerMillion: number }

  // ── network (world) ───────────────────────────────────────────────────────────────────────────────────────────────
  'net.connect': { connection: number; to: NodeName }
  'net.open': { connection: number; to: NodeName }
  /** One side learned that the connection ended. */
  'net.close': { connection: number; peer: NodeName; reason: 'refused' | 'reset' | 'closed' | 'timeout' }
  /** A frame was held back: `partition`, `loss` (retransmission), or dropped with its connection. */
  'net.held': { connection: number; to: NodeName; reason: Reason }

  // ── disk (world) ──────────────────────────────────────────────────────────────────────────────────────────────────
  'disk.error': { path: string; kind: 'full' | 'io' }
  'disk.synced': { path: string; bytes: Bytes; micros: Micros }
  /** What a power loss took: unsynced bytes lost and pages torn or kept out of order, over `files` files. */
  'disk.power-loss': { files: number; lostBytes: Bytes; tornPages: number }
  'disk.corrupted': { path: string; position: Bytes; bytes: Bytes }

  // ── requests (wire) ───────────────────────────────────────────────────────────────────────────────────────────────
  /** `id` is unique in the run and shared by the four events of one exchange. `body` is read-only. */
  'request.send': { id: number; api: string; version: number; to: NodeName; correlation: number; body: unknown }
  'request.receive': { id: number; api: string; version: number; from: NodeName; correlation: number; body: unknown }
  'response.send': { id: number; api: string; to: NodeName; correlation: number; error: string; body: unknown }
  'response.receive': { id: number; api: string; from: NodeName; correlation: number; error: string; body: unknown }
  /** The sender gave up: the connection ended or the request timed out. */
  'request.failed': { id: number; api: string; to: NodeName; correlation: number; reason: 'disconnected' | 'timeout' }

  // ── logs (log) ────────────────────────────────────────────────────────────────────────────────────────────────────
  /** A log was opened (after recovery, if any): what it holds now. `clean` when the clean-shutdown marker was found. */
  'log.open': {
    partition: string
    logStart: Offset
    logEnd: Offset
    recoveryPoint: Offset
    clean: boolean
    /** [epoch, start offset] pairs, flattened. */
    epochs: readonly number[]
  }
  'log.append': {
    partition: string
    baseOffset: Offset
    lastOffset: Offset
    leaderEpoch: Epoch
    crc: number
    role: 'leader' | 'follower' | 'quorum'
    batch: BatchView
  }
  /** Records in [to, from) are gone from this replica. */
  'log.truncate': { partition: string; from: Offset; to: Offset; reason: Reason }
  'log.start-offset': { partition: string; from: Offset; to: Offset; reason: Reason }
  'log.roll': { partition: string; baseOffset: Offset }
  'log.flush': { partition: string; upTo: Offset }
  /** A batch that did not check: found in `recovery`, `fetch` or `append`. */
  'log.corrupt': { partition: string; offset: Offset; position: Bytes; found: Reason }
  'log.deleted': { partition: string }
  /** A whole segment went away by retention; records in [baseOffset, nextOffset). */
  'log.segment-deleted': {
    partition: string
    baseOffset: Offset
    nextOffset: Offset
    largestTimestamp: Millis
    bytes: Bytes
    /** What the broker's clock showed. */
    wallMs: Millis
    reason: 'retention-time' | 'retention-size' | 'log-start'
  }
  /**
   * The cleaner compacted [from, to): `batches` is all that the segments of that range hold now. Keys were looked for below
   * `bound`; `wallMs` is what the broker's clock showed when it began.
   */
  'log.cleaned': {
    partition: string
    from: Offset
    to: Offset
    bound: Offset
    bytesBefore: Bytes
    bytesAfter: Bytes
    wallMs: Millis
    batches: readonly BatchView[]
  }

  /** The cleaner met what it can't read, and leaves this log alone until the broker starts again. */
  'log.uncleanable': { partition: string; reason: Reason }

  // ── replicas (broker) ─────────────────────────────────────────────────────────────────────────────────────────────
  'replica.leader': {
    partition: string
    leaderEpoch: Epoch
    partitionEpoch: Epoch
    startOffset: Offset
    isr: readonly NodeId[]
    replicas: readonly NodeId[]
    minIsr: number
  }
  'replica.follower': { partition: string; leaderEpoch: Epoch; partitionEpoch: Epoch; leader: NodeId; logEnd: Offset }
  'replica.stopped': { partition: string; deleted: boolean }
  'replica.offline': { partition: string; reason: Reason }
  'hw.advance': { partition: string; from: Offset; to: Offset; role: 'leader' | 'follower'; leaderEpoch: Epoch }
  /** The high watermark was set by something else than replication: `open`, `truncate`, `become-follower`. */
  'hw.set': { partition: string; from: Offset; to: Offset; reason: Reason }
  /** The leader asks for another ISR (pending until `isr.committed` or `isr.rejected`). */
  'isr.proposed': {
    partition: string
    leaderEpoch: Epoch
    partitionEpoch: Epoch
    from: readonly NodeId[]
    to: readonly NodeId[]
    reason: Reason
  }
  /** The leader took an ISR as committed by the controller. */
  'isr.committed': { partition: string; leaderEpoch: Epoch; partitionEpoch: Epoch; isr: readonly NodeId[] }
  'isr.rejected': { partition: string; leaderEpoch: Epoch; error: string }
  /** A leader told a follower where their logs part, or a follower found out. */
  'fetch.diverging': { partition: string; epoch: Epoch; endOffset: Offset; leader: NodeId }
  /** A follower gives a partition up until it hears of another leader epoch (Kafka's failed partitions). */
  'fetch.stopped': { partition: string; leader: NodeId; leaderEpoch: Epoch; reason: Reason }
  /** A broker answered a client's read: `upTo` is exclusive; `bound` is the high watermark (or LSO) that limited it. */
  'fetch.served': {
    partition: string
    to: NodeName
    from: Offset
    upTo: Offset
    bound: Offset
    isolation: 'uncommitted' | 'committed'
    leaderEpoch: Epoch
  }

  /** The last stable offset: below it no transaction is open. */
  'lso.advance': { partition: string; from: Offset; to: Offset }

  // ── groups (broker/group) ─────────────────────────────────────────────────────────────────────────────────────────
  /** A coordinator took over a partition of `__consumer_offsets` and has loaded it, or gave it up. */
  'group.loaded': { partition: string; groups: number; offsets: number }
  'group.unloaded': { partition: string }
  /** `from` and `to` are Kafka's names of the group's states; `generation` is the group's epoch under KIP-848. */
  'group.state': {
    group: string
    protocol: 'classic' | 'consumer'
    from: string
    to: string
    generation: number
    members: number
    reason: Reason
  }
  'group.member': {
    group: string
    member: string
    /** group.instance.id, or empty. */
    instance: string
    /** `loaded`: a member of a KIP-848 group that a new coordinator found in the log; told before the group. */
    change: 'joined' | 'left' | 'expired' | 'replaced' | 'fenced' | 'loaded'
    generation: number
  }
  /** An offset was committed: its record is below the high watermark. `producerId` -1 outside transactions. */
  'group.offset': {
    group: string
    partition: string
    offset: Offset
    leaderEpoch: Epoch
    member: string
    generation: number
    producerId: number
  }
  'group.offset-removed': {
    group: string
    partition: string
    offset: Offset
    reason: 'expired' | 'deleted' | 'topic-deleted'
  }

  // ── transactions (broker/txn) ─────────────────────────────────────────────────────────────────────────────────────
  'txn.loaded': { partition: string; transactions: number }
  'txn.unloaded': { partition: string }
  /** The coordinator's state is committed to `__transaction_state`. States are Kafka's: `Empty`, `Ongoing`, `PrepareCommit`, … */
  'txn.state': {
    transactionalId: string
    producerId: number
    producerEpoch: number
    from: string
    to: string
    partitions: readonly string[]
    reason: Reason
  }
  /** A leader wrote the marker of a transaction at `offset`. */
  'txn.marker': {
    partition: string
    producerId: number
    producerEpoch: number
    coordinatorEpoch: Epoch
    committed: boolean
    offset: Offset
  }

  // ── authorisation (broker) ────────────────────────────────────────────────────────────────────────────────────────
  /** A node refused `operation` (`read`) on `resource` (`topic orders`) to the principal whose request came from client `from`. */
  'acl.denied': { principal: string; operation: string; resource: string; api: string; from: NodeName }
  /** In ZooKeeper mode: from now on a broker decides about a resource by these ACLs, of its znode's `version` (-2: there is none). Codes are Kafka's. */
  'acl.known': {
    resourceType: number
    resourceName: string
    patternType: number
    version: number
    acls: readonly { principal: string; host: string; operation: number; permissionType: number }[]
  }

  // ── brokers (broker) ──────────────────────────────────────────────────────────────────────────────────────────────
  /** A broker's lifecycle, under Kafka's names of `BrokerState`; `brokerEpoch` is -1 before the first registration. */
  'broker.state': { from: string; to: string; brokerEpoch: number; reason: Reason }

  // ── quorum (kraft) ────────────────────────────────────────────────────────────────────────────────────────────────
  'quorum.state': {
    from: string
    to: 'unattached' | 'prospective' | 'candidate' | 'leader' | 'follower' | 'resigned'
    epoch: Epoch
    leader: NodeId
    reason: Reason
  }
  'quorum.vote': { epoch: Epoch; candidate: NodeId; granted: boolean; preVote: boolean; reason: Reason }
  'quorum.hw': { from: Offset; to: Offset; epoch: Epoch; role: 'leader' | 'follower' }
  'quorum.snapshot': { endOffset: Offset; epoch: Epoch; how: 'written' | 'fetched' | 'loaded' }

  // ── metadata (controller, and every node that replays it) ─────────────────────────────────────────────────────────
  /** A node replayed committed metadata up to and including `lastOffset`; `digest` covers the records replayed. */
  'metadata.replay': {
    baseOffset: Offset
    lastOffset: Offset
    epoch: Epoch
    digest: number
    records: readonly unknown[]
  }
  'controller.active': { epoch: Epoch }
  'controller.resigned': { epoch: Epoch; reason: Reason }
  'controller.topic': {
    topic: string
    id: string
    change: 'created' | 'deleted' | 'partitions'
    partitions: number
    replicationFactor: number
  }
  /** The active controller's committed decision on a partition. Kafka's -1 is no leader. */
  'controller.partition': {
    partition: string
    leader: NodeId
    leaderEpoch: Epoch
    partitionEpoch: Epoch
    isr: readonly NodeId[]
    elr: readonly NodeId[]
    replicas: readonly NodeId[]
    adding: readonly NodeId[]
    removing: readonly NodeId[]
    /** The leader came from outside ISR and ELR. */
    unclean: boolean
    reason: Reason
  }
  'controller.broker': {
    broker: NodeId
    brokerEpoch: number
    change: 'registered' | 'unfenced' | 'fenced' | 'shutting-down' | 'unregistered'
    reason: Reason
  }
  'controller.config': { resource: string; name: string; value: string | null }

  // ── ZooKeeper mode (controller, broker) ───────────────────────────────────────────────────────────────────────────
  /** A broker won the election for the controller: the transaction `zxid` created its znode and took `epoch`. */
  'zk-controller.elected': { epoch: Epoch; zkVersion: number; zxid: number }
  /** A write that checked the epoch of the controller took effect as transaction `zxid`. */
  'zk-controller.write': { path: string; op: string; epoch: Epoch; zxid: number }
  /** An event of the controller failed, or was given up because another controller was elected. */
  'zk-controller.failed': { event: string; reason: Reason }
  /** A broker refused a request of a controller: its epoch, the broker's own, or that of the partition's leader is old. */
  'zk-control.refused': { api: string; controller: NodeId; controllerEpoch: Epoch; error: string }

  // ── clients ───────────────────────────────────────────────────────────────────────────────────────────────────────
  /** The application handed record `id` to its producer. The node of all client events is the client's name. */
  'produce.invoked': { id: RecordId; topic: string; acks: number; idempotent: boolean }
  /** The producer put the record into a batch for this partition; order of these is the order of sends. */
  'produce.assigned': { id: RecordId; partition: string; producerId: number; producerEpoch: number; sequence: number }
  /** The application was told that the record is written. With acks=0 the offset is -1. */
  'produce.acked': { id: RecordId; partition: string; offset: Offset; crc: number; acks: number }
  /** The application was told that it is not; it may be written all the same when `certain` is false. */
  'produce.failed': { id: RecordId; partition: string; error: string; certain: boolean }
  'producer.identity': { producerId: number; producerEpoch: number; reason: Reason }
  /** The consumer handed records to the application: parallel arrays. */
  'consume.polled': {
    partition: string
    offsets: readonly Offset[]
    ids: readonly RecordId[]
    leaderEpochs: readonly Epoch[]
  }
  /** The position was set by the application, a reset policy or a truncation found by the consumer. */
  'consume.position': {
    partition: string
    from: Offset
    to: Offset
    reason: 'assigned' | 'seek' | 'reset' | 'truncated'
  }
  'consume.failed': { partition: string; error: string }
  /** The consumer's place in its group: `generation` is the member epoch under KIP-848. */
  'consumer.member': { group: string; member: string; from: string; to: string; generation: number; reason: Reason }
  /** The group gave these partitions; `owned` is all that the consumer owns from now on. Sorted. */
  'consumer.assigned': {
    group: string
    member: string
    generation: number
    partitions: readonly string[]
    owned: readonly string[]
  }
  /** Taken away in order (`revoked`) or found to be somebody else's already (`lost`). Sorted. */
  'consumer.revoked': {
    group: string
    member: string
    generation: number
    partitions: readonly string[]
    how: 'revoked' | 'lost'
  }
  /** One commit of offsets was asked for, and answered; `partitions` and `offsets` are parallel. `id` counts a client's commits. */
  'consumer.commit': {
    id: number
    group: string
    how: 'auto' | 'sync' | 'async'
    partitions: readonly string[]
    offsets: readonly Offset[]
  }
  'consumer.committed': { id: number; group: string; outcome: string }
  /** The application is done with records that a poll gave it: their effect is made. Parallel arrays. */
  'consume.processed': { partition: string; offsets: readonly Offset[]; ids: readonly RecordId[] }
  /** `txn` counts a producer's transactions; records invoked until the transaction ends are part of it. */
  'txn.begin': { transactionalId: string; txn: number }
  /** Offsets were handed to the transaction; parallel arrays. */
  'txn.offsets': {
    transactionalId: string
    txn: number
    group: string
    partitions: readonly string[]
    offsets: readonly Offset[]
  }
  'txn.ending': { transactionalId: string; txn: number; commit: boolean }
  /** `outcome` is `committed`, `aborted` or Kafka's error name; not `certain`: it may have been committed all the same. */
  'txn.ended': { transactionalId: string; txn: number; outcome: string; certain: boolean }
  /** An operation of an admin client: `create-topic orders`, with its outcome `ok` or Kafka's error name. */
  'admin.invoked': { id: number; operation: string }
  'admin.completed': { id: number; operation: string; outcome: string }

  // ── faults, operations, expectations (scenario) ───────────────────────────────────────────────────────────────────
  'fault.start': { step: number; kind: string; targets: readonly NodeName[]; text: string }
  'fault.end': { step: number; kind: string; targets: readonly NodeName[]; text: string }
  /** A step was due but its target did not exist or was not in the state that it needs. */
  'fault.skipped': { step: number; kind: string; reason: Reason }
  'operation.start': { step: number; kind: string; text: string }
  'operation.end': { step: number; kind: string; outcome: string }
}

export type EventType = keyof Events

export interface EventHeader {
  /** From 1, without gaps. */
  readonly seq: number
  readonly time: Micros
  readonly node: NodeName
  /** Sequence of the event that led to this one; 0 at the root. */
  readonly cause: number
}

/** One event, discriminated by `type`. */
export type TraceEvent = {
  [K in EventType]: EventHeader & { readonly type: K; readonly data: Readonly<Events[K]> }
}[EventType]

/** The event of one type. */
export type EventOf<K extends EventType> = EventHeader & { readonly type: K; readonly data: Readonly<Events[K]> }

type Hashed = { readonly [K in EventType]: readonly (keyof Events[K])[] }

export const HASHED_FIELDS: Hashed = {
  'run.start': ['scenario', 'seed'],
  'run.ready': [],
  'run.end': ['reason'],
  'node.start': ['incarnation'],
  'node.down': ['how', 'reason'],
  'node.pause': [],
  'node.resume': [],
  'node.stopping': [],
  'node.wiped': ['files'],
  'clock.change': ['byMs', 'partsPerMillion'],
  'net.connect': ['connection', 'to'],
  'net.open': ['connection', 'to'],
  'net.close': ['connection', 'peer', 'reason'],
  'net.held': ['connection', 'to', 'reason'],
  'disk.error': ['path', 'kind'],
  'disk.synced': ['path', 'bytes', 'micros'],
  'disk.power-loss': ['files', 'lostBytes', 'tornPages'],
  'disk.corrupted': ['path', 'position', 'bytes'],
  'request.send': ['id', 'api', 'version', 'to'],
  'request.receive': ['id', 'api'],
  'response.send': ['id', 'api', 'error'],
  'response.receive': ['id', 'api'],
  'request.failed': ['id', 'api', 'reason'],
  'log.open': ['partition', 'logStart', 'logEnd', 'recoveryPoint', 'clean', 'epochs'],
  'log.append': ['partition', 'baseOffset', 'lastOffset', 'leaderEpoch', 'crc', 'role'],
  'log.truncate': ['partition', 'from', 'to', 'reason'],
  'log.start-offset': ['partition', 'from', 'to', 'reason'],
  'log.roll': ['partition', 'baseOffset'],
  'log.flush': ['partition', 'upTo'],
  'log.corrupt': ['partition', 'offset', 'position', 'found'],
  'log.deleted': ['partition'],
  'log.segment-deleted': ['partition', 'baseOffset', 'nextOffset', 'largestTimestamp', 'wallMs', 'reason'],
  'log.cleaned': ['partition', 'from', 'to', 'bound', 'bytesBefore', 'bytesAfter', 'wallMs'],
  'log.uncleanable': ['partition', 'reason'],
  'replica.leader': ['partition', 'leaderEpoch', 'partitionEpoch', 'startOffset', 'isr', 'replicas', 'minIsr'],
  'replica.follower': ['partition', 'leaderEpoch', 'partitionEpoch', 'leader', 'logEnd'],
  'replica.stopped': ['partition', 'deleted'],
  'replica.offline': ['partition', 'reason'],
  'hw.advance': ['partition', 'from', 'to', 'role', 'leaderEpoch'],
  'hw.set': ['partition', 'from', 'to', 'reason'],
  'isr.proposed': ['partition', 'leaderEpoch', 'partitionEpoch', 'from', 'to', 'reason'],
  'isr.committed': ['partition', 'leaderEpoch', 'partitionEpoch', 'isr'],
  'isr.rejected': ['partition', 'leaderEpoch', 'error'],
  'fetch.diverging': ['partition', 'epoch', 'endOffset', 'leader'],
  'fetch.stopped': ['partition', 'leader', 'leaderEpoch', 'reason'],
  'fetch.served': ['partition', 'to', 'from', 'upTo', 'bound', 'isolation', 'leaderEpoch'],
  'lso.advance': ['partition', 'from', 'to'],
  'group.loaded': ['partition', 'groups', 'offsets'],
  'group.unloaded': ['partition'],
  'group.state': ['group', 'protocol', 'from', 'to', 'generation', 'members', 'reason'],
  'group.member': ['group', 'member', 'instance', 'change', 'generation'],
  'group.offset': ['group', 'partition', 'offset', 'leaderEpoch', 'member', 'generation', 'producerId'],
  'group.offset-removed': ['group', 'partition', 'offset', 'reason'],
  'txn.loaded': ['partition', 'transactions'],
  'txn.unloaded': ['partition'],
  'txn.state': ['transactionalId', 'producerId', 'producerEpoch', 'from', 'to', 'partitions', 'reason'],
  'txn.marker': ['partition', 'producerId', 'producerEpoch', 'coordinatorEpoch', 'committed', 'offset'],
  'acl.denied': ['principal', 'operation', 'resource', 'api', 'from'],
  'acl.known': ['resourceType', 'resourceName', 'patternType', 'version'],
  'broker.state': ['from', 'to', 'brokerEpoch', 'reason'],
  'quorum.state': ['from', 'to', 'epoch', 'leader', 'reason'],
  'quorum.vote': ['epoch', 'candidate', 'granted', 'preVote', 'reason'],
  'quorum.hw': ['from', 'to', 'epoch', 'role'],
  'quorum.snapshot': ['endOffset', 'epoch', 'how'],
  'metadata.replay': ['baseOffset', 'lastOffset', 'epoch', 'digest'],
  'controller.active': ['epoch'],
  'controller.resigned': ['epoch', 'reason'],
  'controller.topic': ['topic', 'id', 'change', 'partitions', 'replicationFactor'],
  'controller.partition': [
    'partition',
    'leader',
    'leaderEpoch',
    'partitionEpoch',
    'isr',
    'elr',
    'replicas',
    'adding',
    'removing',
    'unclean',
    'reason',
  ],
  'controller.broker': ['broker', 'brokerEpoch', 'change', 'reason'],
  'controller.config': ['resource', 'name', 'value'],
  'zk-controller.elected': ['epoch', 'zkVersion', 'zxid'],
  'zk-controller.write': ['path', 'op', 'epoch', 'zxid'],
  'zk-controller.failed': ['event', 'reason'],
  'zk-control.refused': ['api', 'controller', 'controllerEpoch', 'error'],
  ...ZOOKEEPER_HASHED_FIELDS,
  'produce.invoked': ['id', 'topic', 'acks', 'idempotent'],
  'produce.assigned': ['id', 'partition', 'producerId', 'producerEpoch', 'sequence'],
  'produce.acked': ['id', 'partition', 'offset', 'crc', 'acks'],
  'produce.failed': ['id', 'partition', 'error', 'certain'],
  'producer.identity': ['producerId', 'producerEpoch', 'reason'],
  'consume.polled': ['partition', 'offsets', 'ids', 'leaderEpochs'],
  'consume.position': ['partition', 'from', 'to', 'reason'],
  'consume.failed': ['partition', 'error'],
  'consumer.member': ['group', 'member', 'from', 'to', 'generation', 'reason'],
  'consumer.assigned': ['group', 'member', 'generation', 'partitions', 'owned'],
  'consumer.revoked': ['group', 'member', 'generation', 'partitions', 'how'],
  'consumer.commit': ['id', 'group', 'how', 'partitions', 'offsets'],
  'consumer.committed': ['id', 'group', 'outcome'],
  'consume.processed': ['partition', 'offsets', 'ids'],
  'txn.begin': ['transactionalId', 'txn'],
  'txn.offsets': ['transactionalId', 'txn', 'group', 'partitions', 'offsets'],
  'txn.ending': ['transactionalId', 'txn', 'commit'],
  'txn.ended': ['transactionalId', 'txn', 'outcome', 'certain'],
  'admin.invoked': ['id', 'operation'],
  'admin.completed': ['id', 'operation', 'outcome'],
  'fault.start': ['step', 'kind', 'targets', 'text'],
  'fault.end': ['step', 'kind', 'targets', 'text'],
  'fault.skipped': ['step', 'kind', 'reason'],
  'operation.start': ['step', 'kind', 'text'],
  'operation.end': ['step', 'kind', 'outcome'],
}

/**
 * Everything that travels between ZooKeeper servers and their clients, by reference, with the size that jute would give it.
 *
 * A server has three ports (clients, quorum, election) and one address here: the first message of a connection tells which was meant
 * (`connect`; `FOLLOWERINFO` or `OBSERVERINFO`; `hello`). Sizes include the length prefix of a frame on the client port; quorum packets have none:
 * type i32, zxid i64, data (buffer), authinfo (vector). Source: zookeeper.jute, `Leader` (packet types), `QuorumCnxManager`.
 */

import { unreachable } from '../kernel/errors.js'
import type { Frame } from '../kernel/env.js'
import type { Bytes, Epoch, Millis } from '../kernel/units.js'
import type { Acl, CreateMode, Data, ErrorName, Op, OpResult, SessionId, Stat, WatchEvent, Zxid } from './api.js'
import { aclSize, dataSize, STAT_SIZE, textSize } from './jute.js'
import type { TxnEntry } from './storage/txn.js'
import type { Identities } from './tree/acl.js'

/** A server's number: N of zN, and its `myid`. */
export type ServerId = number

// ── election ────────────────────────────────────────────────────────────────────────────────────────────────────────

export type PeerState = 'looking' | 'following' | 'leading' | 'observing'

export interface Notification {
  readonly type: 'notification'
  readonly state: PeerState
  readonly leader: ServerId
  readonly zxid: Zxid
  /** The round of the election in which this vote is cast. */
  readonly electionEpoch: number
  /** currentEpoch of the proposed leader. */
  readonly peerEpoch: Epoch
}

export type ElectionMessage = { readonly type: 'hello'; readonly sid: ServerId } | Notification

// ── quorum ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Sessions and their timeouts. */
export type Touched = readonly (readonly [session: SessionId, timeoutMs: Millis])[]

export type QuorumPacket =
  | { readonly type: 'FOLLOWERINFO' | 'OBSERVERINFO'; readonly zxid: Zxid; readonly sid: ServerId }
  | { readonly type: 'LEADERINFO'; readonly zxid: Zxid }
  /** `epoch` is the learner's currentEpoch, -1 when it had accepted this epoch before. */
  | { readonly type: 'ACKEPOCH'; readonly zxid: Zxid; readonly epoch: Epoch }
  | { readonly type: 'DIFF' | 'TRUNC' | 'NEWLEADER' | 'COMMIT' | 'ACK'; readonly zxid: Zxid }
  | { readonly type: 'SNAP'; readonly zxid: Zxid; readonly image: Uint8Array }
  | { readonly type: 'PROPOSAL' | 'INFORM'; readonly entry: TxnEntry }
  | { readonly type: 'UPTODATE' | 'SYNC' }
  | { readonly type: 'PING'; readonly zxid: Zxid; readonly touched: Touched }
  | {
      readonly type: 'REVALIDATE'
      readonly session: SessionId
      readonly timeoutMs: Millis
      /** In the answer. */
      readonly valid: boolean
    }
  | {
      readonly type: 'REQUEST'
      readonly session: SessionId
      readonly cxid: number
      readonly operation: Operation
      readonly identities: Identities
    }

// ── clients ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What is asked of a server: by a client, or for the life of its session. */
export type Operation =
  | {
      readonly type: 'create'
      readonly path: string
      readonly data: Data
      readonly acl: readonly Acl[]
      readonly mode: CreateMode
    }
  | { readonly type: 'delete' | 'check'; readonly path: string; readonly version: number }
  | { readonly type: 'setData'; readonly path: string; readonly data: Data; readonly version: number }
  | { readonly type: 'setAcl'; readonly path: string; readonly acl: readonly Acl[]; readonly version: number }
  | { readonly type: 'multi'; readonly ops: readonly Op[] }
  | { readonly type: 'exists' | 'getData' | 'getChildren'; readonly path: string; readonly watch: boolean }
  | { readonly type: 'getAcl'; readonly path: string }
  | { readonly type: 'sync'; readonly path: string }
  | {
      readonly type: 'setWatches'
      /** The last transaction that the client has seen. */
      readonly relativeZxid: Zxid
      readonly data: readonly string[]
      readonly exist: readonly string[]
      readonly child: readonly string[]
    }
  | { readonly type: 'auth'; readonly user: string; readonly password: string }
  | { readonly type: 'createSession'; readonly timeoutMs: Millis }
  | { readonly type: 'closeSession' | 'ping' }

/** What an answer holds besides its header. */
export interface Answer {
  readonly path?: string
  readonly stat?: Stat
  readonly data?: Data
  readonly children?: readonly string[]
  readonly acl?: readonly Acl[]
  readonly results?: readonly OpResult[]
}

export type ClientMessage =
  | { readonly type: 'connect'; readonly lastZxidSeen: Zxid; readonly timeoutMs: Millis; readonly session: SessionId }
  /** A timeout of 0: the session has expired. */
  | { readonly type: 'connected'; readonly timeoutMs: Millis; readonly session: SessionId }
  | { readonly type: 'request'; readonly xid: number; readonly operation: Operation }
  | {
      readonly type: 'reply'
      readonly xid: number
      readonly zxid: Zxid
      readonly error: ErrorName
      readonly answer: Answer
    }
  | { readonly type: 'event'; readonly event: WatchEvent }

export const PING_XID = -2
export const AUTH_XID = -4
export const SET_WATCHES_XID = -8

export type Message = ElectionMessage | QuorumPacket | ClientMessage

export class ZooKeeperFrame implements Frame {
  readonly body: Message

  constructor(body: Message) {
    this.body = body
  }

  byteSize(): Bytes {
    return sizeOf(this.body)
  }
}

// ── sizes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const QUORUM_HEADER: Bytes = 20
const REPLY_HEADER: Bytes = 20
const REQUEST_HEADER: Bytes = 12
const PASSWORD: Bytes = 16

function sizeOf(message: Message): Bytes {
  switch (message.type) {
    case 'hello':
      return 8 + 8 + textSize('z1:3888')
    case 'notification':
      return 4 + 44 + 8
    case 'FOLLOWERINFO':
    case 'OBSERVERINFO':
      return QUORUM_HEADER + 20
    case 'LEADERINFO':
    case 'ACKEPOCH':
      return QUORUM_HEADER + 4
    case 'SNAP':
      return QUORUM_HEADER + message.image.length + textSize('BenWasHere')
    case 'PROPOSAL':
    case 'INFORM':
      return QUORUM_HEADER + message.entry.entrySize
    case 'PING':
      return QUORUM_HEADER + message.touched.length * 12
    case 'REVALIDATE':
      return QUORUM_HEADER + 13
    case 'REQUEST':
      return QUORUM_HEADER + 16 + operationSize(message.operation)
    case 'DIFF':
    case 'TRUNC':
    case 'NEWLEADER':
    case 'COMMIT':
    case 'ACK':
    case 'UPTODATE':
    case 'SYNC':
      return QUORUM_HEADER
    case 'connect':
      return 4 + 24 + 4 + PASSWORD + 1
    case 'connected':
      return 4 + 16 + 4 + PASSWORD + 1
    case 'request':
      return REQUEST_HEADER + operationSize(message.operation)
    case 'reply':
      return REPLY_HEADER + answerSize(message.answer)
    case 'event':
      return REPLY_HEADER + 8 + textSize(message.event.path)
    default:
      return unreachable(message, 'size')
  }
}

function operationSize(operation: Operation): Bytes {
  switch (operation.type) {
    case 'create':
      return textSize(operation.path) + dataSize(operation.data) + aclSize(operation.acl) + 4
    case 'delete':
    case 'check':
      return textSize(operation.path) + 4
    case 'setData':
      return textSize(operation.path) + dataSize(operation.data) + 4
    case 'setAcl':
      return textSize(operation.path) + aclSize(operation.acl) + 4
    case 'multi':
      return operation.ops.reduce((size, op) => size + 9 + opSize(op), 9)
    case 'exists':
    case 'getData':
    case 'getChildren':
      return textSize(operation.path) + 1
    case 'getAcl':
    case 'sync':
      return textSize(operation.path)
    case 'setWatches':
      return 8 + textsSize(operation.data) + textsSize(operation.exist) + textsSize(operation.child)
    case 'auth':
      return 4 + textSize('digest') + textSize(`${operation.user}:${operation.password}`)
    case 'createSession':
      return 4
    case 'closeSession':
    case 'ping':
      return 0
    default:
      return unreachable(operation, 'operation size')
  }
}

function opSize(op: Op): Bytes {
  const size = textSize(op.path) + 4
  switch (op.op) {
    case 'create':
      return size + dataSize(op.data) + (op.acl === undefined ? 4 : aclSize(op.acl))
    case 'setData':
      return size + dataSize(op.data)
    case 'delete':
    case 'check':
      return size
    default:
      return unreachable(op, 'op size')
  }
}

function answerSize({ path, stat, data, children, acl, results }: Answer): Bytes {
  let size = 0
  if (path !== undefined) size += textSize(path)
  if (stat !== undefined) size += STAT_SIZE
  if (data !== undefined) size += dataSize(data)
  if (children !== undefined) size += textsSize(children)
  if (acl !== undefined) size += aclSize(acl)
  if (results !== undefined) for (const result of results) size += 9 + resultSize(result)
  return size
}

function resultSize(result: OpResult): Bytes {
  switch (result.op) {
    case 'create':
      return textSize(result.path) + STAT_SIZE
    case 'setData':
      return STAT_SIZE
    case 'error':
      return 4
    case 'delete':
    case 'check':
      return 0
    default:
      return unreachable(result, 'result size')
  }
}

function textsSize(texts: readonly string[]): Bytes {
  let size = 4
  for (const text of texts) size += textSize(text)
  return size
}

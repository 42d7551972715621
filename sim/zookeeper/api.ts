/**
 * What an application sees of ZooKeeper: znodes, errors, operations, events, and the session client.
 *
 * The session client is one session, as Java's `ZooKeeper` handle: it connects to one server of the ensemble after another until its
 * session expires or is closed; then it is done, and whoever needs another session makes another client. Requests are sent in the order of
 * the calls and answered in that order. Every call answers exactly once through its `done`, by a later event; nothing comes after the
 * death of the process. A lost connection fails everything that was in flight on it with CONNECTIONLOSS (it may have taken effect all the
 * same); what is asked while there is no connection waits for the next one, and fails with CONNECTIONLOSS when a connection attempt
 * fails. After expiry everything fails with SESSIONEXPIRED. Watches are one-shot, fire before any later answer shows the change, and are
 * set again by the client after a reconnect.
 *
 * Source: ZooKeeper 3.8, `KeeperException.Code`, `ClientCnxn`, zookeeper.jute (Stat, ACL, Op).
 */

import type { NodeName } from '../kernel/names.js'
import type { Millis } from '../kernel/units.js'

/** `epoch × 2^32 + counter`: the order of all transactions. Exact below epoch 2^21. */
export type Zxid = number

/** Sixteen hexadecimal digits after 0x; NO_SESSION for none (the owner of a persistent znode). */
export type SessionId = string
export const NO_SESSION: SessionId = '0x0000000000000000'

/** Names of `KeeperException.Code`, with their numbers on the wire. */
export const ZOOKEEPER_ERRORS = {
  OK: 0,
  SYSTEMERROR: -1,
  RUNTIMEINCONSISTENCY: -2,
  DATAINCONSISTENCY: -3,
  CONNECTIONLOSS: -4,
  MARSHALLINGERROR: -5,
  UNIMPLEMENTED: -6,
  OPERATIONTIMEOUT: -7,
  BADARGUMENTS: -8,
  APIERROR: -100,
  NONODE: -101,
  NOAUTH: -102,
  BADVERSION: -103,
  NOCHILDRENFOREPHEMERALS: -108,
  NODEEXISTS: -110,
  NOTEMPTY: -111,
  SESSIONEXPIRED: -112,
  INVALIDCALLBACK: -113,
  INVALIDACL: -114,
  AUTHFAILED: -115,
  SESSIONMOVED: -118,
  NOTREADONLY: -119,
} as const

export type ErrorName = keyof typeof ZOOKEEPER_ERRORS
/** What can go wrong. */
export type ZooKeeperError = Exclude<ErrorName, 'OK'>

/** A znode's facts. Times are the leader's wall clock. */
export interface Stat {
  readonly czxid: Zxid
  readonly mzxid: Zxid
  readonly ctime: Millis
  readonly mtime: Millis
  readonly version: number
  readonly cversion: number
  readonly aversion: number
  readonly ephemeralOwner: SessionId
  readonly dataLength: number
  readonly numChildren: number
  readonly pzxid: Zxid
}

export type CreateMode = 'PERSISTENT' | 'EPHEMERAL' | 'PERSISTENT_SEQUENTIAL' | 'EPHEMERAL_SEQUENTIAL'

/** Permission bits of an ACL. */
export const PERMS = { READ: 1, WRITE: 2, CREATE: 4, DELETE: 8, ADMIN: 16, ALL: 31 } as const

/** `world` with id `anyone`; `digest` with id `user:base64(sha1(user:password))`; `auth` stands for what the session has shown. */
export interface Acl {
  readonly perms: number
  readonly scheme: 'world' | 'digest' | 'auth'
  readonly id: string
}

/** Everybody may do everything (`ZooDefs.Ids.OPEN_ACL_UNSAFE`). */
export const OPEN_ACL: readonly Acl[] = [{ perms: PERMS.ALL, scheme: 'world', id: 'anyone' }]

/** Any version. */
export const ANY_VERSION = -1

export type Data = Uint8Array | null

/** One operation of a `multi`. */
export type Op =
  | {
      readonly op: 'create'
      readonly path: string
      readonly data: Data
      readonly mode: CreateMode
      readonly acl?: readonly Acl[]
    }
  | { readonly op: 'delete'; readonly path: string; readonly version: number }
  | { readonly op: 'setData'; readonly path: string; readonly data: Data; readonly version: number }
  | { readonly op: 'check'; readonly path: string; readonly version: number }

/**
 * What became of one operation of a `multi`. When one failed, all are errors: OK before the one that failed, its own error
 * there, RUNTIMEINCONSISTENCY after it.
 */
export type OpResult =
  | { readonly op: 'create'; readonly path: string; readonly stat: Stat }
  | { readonly op: 'delete' }
  | { readonly op: 'setData'; readonly stat: Stat }
  | { readonly op: 'check' }
  | { readonly op: 'error'; readonly error: ErrorName }

/** `zxid`: the last transaction that the answering server had applied; 0 when no server answered. */
export type Failure = { readonly ok: false; readonly error: ZooKeeperError; readonly zxid: Zxid }
export type Result<T> = ({ readonly ok: true; readonly zxid: Zxid } & Readonly<T>) | Failure
export type Done<T> = (result: Result<T>) => void
/** `results` are there in both cases, except when the whole call failed (CONNECTIONLOSS, SESSIONEXPIRED, …): then they are empty. */
export type MultiDone = (
  result:
    | { readonly ok: true; readonly zxid: Zxid; readonly results: readonly OpResult[] }
    | (Failure & { readonly results: readonly OpResult[] }),
) => void

export type WatchEventType = 'NodeCreated' | 'NodeDeleted' | 'NodeDataChanged' | 'NodeChildrenChanged'

export interface WatchEvent {
  readonly type: WatchEventType
  readonly path: string
}

/** Each call comes as an event of its own, in order with the answers of requests. */
export interface SessionListener {
  /** A connection is established: for the first time, or again with the same session (watches are set again). */
  onConnected(): void
  /** The connection was lost. The session may live on. */
  onDisconnected(): void
  /** The ensemble said that the session is over. Final: make another client. */
  onExpired(): void
  onWatch(event: WatchEvent): void
}

export interface SessionOptions {
  /** Tried in an order shuffled from the process's random stream, round and round. */
  readonly servers: readonly NodeName[]
  /** As asked for; the leader bounds it (see `negotiatedTimeoutMs`). */
  readonly sessionTimeoutMs: Millis
}

/**
 * `CONNECTING`: no server has (re)established the session yet. `CONNECTED`: one has. `CLOSED`: expired or closed, for good.
 */
export type SessionState = 'CONNECTING' | 'CONNECTED' | 'CLOSED'

/**
 * The session client: `class ZooKeeperClient implements SessionClient` in `zookeeper/client/zookeeper-client.ts`,
 * made by `new ZooKeeperClient(env, options, listener)`.
 */
export interface SessionClient {
  /** NO_SESSION before the first connection. */
  readonly sessionId: SessionId
  readonly state: SessionState
  /** The session timeout that the ensemble granted; 0 before. */
  readonly negotiatedTimeoutMs: Millis

  /** Answers the real path (with its sequence number). NODEEXISTS, NONODE (of the parent), NOCHILDRENFOREPHEMERALS, NOAUTH, INVALIDACL. */
  create(
    path: string,
    data: Data,
    mode: CreateMode,
    done: Done<{ path: string; stat: Stat }>,
    acl?: readonly Acl[],
  ): void
  /** NONODE, BADVERSION, NOTEMPTY, NOAUTH. */
  delete(path: string, version: number, done: Done<unknown>): void
  /** NONODE, BADVERSION, NOAUTH. */
  setData(path: string, data: Data, version: number, done: Done<{ stat: Stat }>): void
  /** `watch` is set only when the znode exists. NONODE, NOAUTH. */
  getData(path: string, watch: boolean, done: Done<{ data: Data; stat: Stat }>): void
  /** NONODE when there is none: the watch is set all the same, and fires when it is created. */
  exists(path: string, watch: boolean, done: Done<{ stat: Stat }>): void
  /** Names of children (not paths), sorted. NONODE, NOAUTH. */
  getChildren(path: string, watch: boolean, done: Done<{ children: readonly string[]; stat: Stat }>): void
  /** All or nothing. */
  multi(ops: readonly Op[], done: MultiDone): void
  /** Answers once this server has applied all that the leader had committed when it was asked. */
  sync(path: string, done: Done<{ path: string }>): void
  getAcl(path: string, done: Done<{ acl: readonly Acl[]; stat: Stat }>): void
  /** `version` is the ACL's own (`aversion`). */
  setAcl(path: string, acl: readonly Acl[], version: number, done: Done<{ stat: Stat }>): void
  /** Shows who the session is: scheme `digest`, `user:password`. Shown again after each reconnect. */
  addAuth(user: string, password: string): void
  /** Ends the session in order: its ephemerals go at once. `done` when the ensemble knows, or the connection is gone. No listener call comes any more. */
  close(done: () => void): void
}

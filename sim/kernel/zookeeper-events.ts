/**
 * What ZooKeeper servers and session clients tell: their part of the vocabulary of a run (see events.ts).
 *
 * `zxid` is epoch × 2^32 + counter; servers are numbered as in zN; `checksum` is the identity of a transaction; sessions are written 0x and sixteen
 * hexadecimal digits, all zeros for none.
 */

import type { NodeName } from './names.js'
import type { Bytes, Epoch, Millis, NodeId } from './units.js'

export interface ZooKeeperEvents {
  /** `epoch` is the server's currentEpoch: that of the leader whose history it last took over. */
  'zk.state': {
    from: 'looking' | 'following' | 'leading' | 'observing'
    to: 'looking' | 'following' | 'leading' | 'observing'
    epoch: Epoch
    reason: string
  }
  /** An election ended for this server: whom it takes for the leader, with the vote that won in that round. */
  'zk.elected': { leader: NodeId; zxid: number; epoch: Epoch; round: number }
  /** An epoch was accepted (promised to its leader) or became current (the history is that of its leader). */
  'zk.epoch': { kind: 'accepted' | 'current'; epoch: Epoch }
  /** A quorum has the leader's history, up to `zxid`: all of it is committed, and the epoch is established. */
  'zk.leading': { epoch: Epoch; zxid: number; synced: readonly NodeId[] }
  /** A learner is up to date and serves clients. */
  'zk.serving': { epoch: Epoch; leader: NodeId; zxid: number }
  /** The leader brings a learner, whose history ends at `peer`, up to date. */
  'zk.sync': {
    server: NodeId
    mode: 'DIFF' | 'TRUNC' | 'SNAP'
    peer: number
    zxid: number
    entries: number
    epoch: Epoch
  }
  /** A server took over what its disk holds: from `snapshot` (or what it had applied) on, the log up to `zxid`, committed or not. */
  'zk.recovered': { snapshot: number; zxid: number; sessions: number; znodes: number }
  'zk.truncated': { from: number; to: number }
  'zk.snapshot': { zxid: number; how: 'taken' | 'received'; znodes: number }
  'zk.propose': { zxid: number; checksum: number; type: string }
  /** The transaction is durable on this server. */
  'zk.logged': { zxid: number; checksum: number }
  /** The leader counts a quorum of servers that have logged it. */
  'zk.commit': { zxid: number; acks: readonly NodeId[] }
  /** A committed transaction is applied here; events of what it changes follow. */
  'zk.apply': { zxid: number; checksum: number; type: string; session: string }
  'zk.znode': {
    change: 'created' | 'deleted' | 'data' | 'acl'
    path: string
    zxid: number
    version: number
    /** The session that an ephemeral belongs to; sixteen zeros for none. */
    owner: string
    dataBytes: Bytes
  }
  /** A session's beginning or end was applied. */
  'zk.session': { session: string; change: 'created' | 'closed'; zxid: number; timeout: Millis }
  /** The leader was told that the session lives: it will for `timeout` at least. */
  'zk.touched': { session: string; timeout: Millis }
  /** The leader gives a session up. */
  'zk.expired': { session: string; timeout: Millis }
  /** A session goes on at another connection, of server `server`. */
  'zk.moved': { session: string; server: NodeId }
  /** A server told a client that its session is established. */
  'zk.connected': { session: string; client: NodeName; timeout: Millis }
  'zk.watch-set': { session: string; kind: 'data' | 'child'; path: string }
  /** A watch fired, and its event was sent. */
  'zk.watch': { session: string; client: NodeName; type: string; path: string; zxid: number }
  /** What a session client tells its user; `session` is sixteen zeros before the first connection. */
  'zk.client': { session: string; to: 'connected' | 'disconnected' | 'expired' | 'closed'; server: NodeName }
  'zk.client-watch': { session: string; type: string; path: string }
}

/** What of each enters the hash: everything. */
export const ZOOKEEPER_HASHED_FIELDS: { readonly [K in keyof ZooKeeperEvents]: readonly (keyof ZooKeeperEvents[K])[] } =
  {
    'zk.state': ['from', 'to', 'epoch', 'reason'],
    'zk.elected': ['leader', 'zxid', 'epoch', 'round'],
    'zk.epoch': ['kind', 'epoch'],
    'zk.leading': ['epoch', 'zxid', 'synced'],
    'zk.serving': ['epoch', 'leader', 'zxid'],
    'zk.sync': ['server', 'mode', 'peer', 'zxid', 'entries', 'epoch'],
    'zk.recovered': ['snapshot', 'zxid', 'sessions', 'znodes'],
    'zk.truncated': ['from', 'to'],
    'zk.snapshot': ['zxid', 'how', 'znodes'],
    'zk.propose': ['zxid', 'checksum', 'type'],
    'zk.logged': ['zxid', 'checksum'],
    'zk.commit': ['zxid', 'acks'],
    'zk.apply': ['zxid', 'checksum', 'type', 'session'],
    'zk.znode': ['change', 'path', 'zxid', 'version', 'owner', 'dataBytes'],
    'zk.session': ['session', 'change', 'zxid', 'timeout'],
    'zk.touched': ['session', 'timeout'],
    'zk.expired': ['session', 'timeout'],
    'zk.moved': ['session', 'server'],
    'zk.connected': ['session', 'client', 'timeout'],
    'zk.watch-set': ['session', 'kind', 'path'],
    'zk.watch': ['session', 'client', 'type', 'path', 'zxid'],
    'zk.client': ['session', 'to', 'server'],
    'zk.client-watch': ['session', 'type', 'path'],
  }

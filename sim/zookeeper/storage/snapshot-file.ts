/**
 * Snapshots: `version-2/snapshot.<zxid>`, all sessions and znodes as of some moment at or after the transaction they are named by.
 *
 *   'ZKSN' · version i32 = 2 · database i64 = -1
 *   sessions: count i32, of (session i64, timeout i32)
 *   ACLs: count i32, of (number i64, ACL)
 *   znodes, parents first: path ("" for the root), data, ACL number i64, czxid i64, mzxid i64, ctime i64, mtime i64, version i32,
 *     cversion i32, aversion i32, owner i64, pzxid i64; then the path "/"
 *   seal: checksum i64 (Adler-32 of everything before) · text "/"
 *
 * A snapshot is written by a thread of its own while transactions go on, so it is fuzzy: later znodes may be in it, others of the same transaction
 * not. Replaying the log from its zxid mends that. One that is not sealed is ignored. Source: `FileSnap`, `SerializeUtils`, `DataTree.serialize`.
 */

import type { Disk, DiskError, DiskFile, Env } from '../../kernel/env.js'
import type { Bytes, Millis } from '../../kernel/units.js'
import type { SessionId, Zxid } from '../api.js'
import { adler32 } from '../checksums.js'
import { JuteError, JuteReader, JuteWriter } from '../jute.js'
import { childPaths, DataTree, ZNode } from '../tree/data-tree.js'
import { ROOT } from '../tree/path.js'
import { zxidHex } from '../zxid.js'
import { DATA_FOLDER } from './txn-log.js'

const PREFIX = `${DATA_FOLDER}snapshot.`
const MAGIC = 0x5a4b534e
const VERSION = 2
/** As many znodes are written in one go, then the next ones a millisecond later. */
const ZNODES_AT_ONCE = 256
/** So many snapshots are tried when the newest is damaged. */
const TRIED_MAX = 100

export type Sessions = Map<SessionId, Millis>

export interface Snapshot {
  readonly zxid: Zxid
  readonly tree: DataTree
  readonly sessions: Sessions
}

/** Writes the image of a tree piece by piece. */
class ImageWriter {
  readonly #tree: DataTree
  readonly #paths = [ROOT]
  #checksum = 1

  constructor(tree: DataTree) {
    this.#tree = tree
  }

  head(sessions: Sessions): Uint8Array {
    const writer = new JuteWriter().int(MAGIC).int(VERSION).long(-1).int(sessions.size)
    for (const [session, timeoutMs] of sessions) writer.session(session).int(timeoutMs)
    const { byId } = this.#tree.acls
    writer.int(byId.size)
    for (const [id, acl] of byId) writer.long(id).acl(acl)
    return this.#sum(writer)
  }

  /** The next znodes; undefined when all are written. */
  next(): Uint8Array | undefined {
    if (this.#paths.length === 0) return undefined
    const writer = new JuteWriter()
    for (let i = 0; i < ZNODES_AT_ONCE && this.#paths.length > 0; i++) this.#node(writer, this.#paths.pop() as string)
    return this.#sum(writer)
  }

  seal(): Uint8Array {
    this.#checksum = adler32(new JuteWriter().text(ROOT).bytes(), this.#checksum)
    return new JuteWriter().text(ROOT).long(this.#checksum).text(ROOT).bytes()
  }

  #node(writer: JuteWriter, path: string): void {
    const node = this.#tree.node(path)
    // Deleted since its parent was written.
    if (node === undefined) return
    writer
      .text(path === ROOT ? '' : path)
      .buffer(node.data)
      .long(node.aclId)
    writer.long(node.czxid).long(node.mzxid).long(node.ctime).long(node.mtime)
    writer.int(node.version).int(node.cversion).int(node.aversion).session(node.ephemeralOwner).long(node.pzxid)
    this.#paths.push(...childPaths(path, node).reverse())
  }

  #sum(writer: JuteWriter): Uint8Array {
    const bytes = writer.bytes()
    this.#checksum = adler32(bytes, this.#checksum)
    return bytes
  }
}

/** The image of a tree at this very moment. */
export function imageOf(tree: DataTree, sessions: Sessions): Uint8Array {
  const writer = new ImageWriter(tree)
  const whole = new JuteWriter().raw(writer.head(sessions))
  for (let part = writer.next(); part !== undefined; part = writer.next()) whole.raw(part)
  return whole.raw(writer.seal()).bytes()
}

/** The tree and sessions of an image; undefined when it is not whole. */
export function readImage(bytes: Uint8Array, zxid: Zxid): Snapshot | undefined {
  try {
    return parseImage(bytes, zxid)
  } catch (error) {
    if (error instanceof JuteError) return undefined
    throw error
  }
}

/** Writes a snapshot file in the background; `done` when all is written, and synced where asked for. */
export function writeSnapshot(
  env: Env,
  tree: DataTree,
  sessions: Sessions,
  sync: boolean,
  done: (error?: DiskError) => void,
): void {
  const writer = new ImageWriter(tree)
  const path = `${PREFIX}${zxidHex(tree.lastProcessedZxid)}`
  const { disk } = env
  if (sync) {
    disk.replaceFile(path, imageOf(tree, sessions), done)
    return
  }
  if (disk.exists(path)) {
    // A whole one of the same moment is as good, and may be durable already.
    const bytes = disk.readFile(path)
    if (bytes !== undefined && readImage(bytes, tree.lastProcessedZxid) !== undefined) return env.soon(done)
    disk.remove(path)
  }
  const file = disk.open(path)
  file.append(writer.head(sessions))
  writeRest(env, writer, file, done)
}

function writeRest(env: Env, writer: ImageWriter, file: DiskFile, done: (error?: DiskError) => void): void {
  env.after(1, () => {
    const part = writer.next()
    try {
      file.append(part ?? writer.seal())
    } catch (error) {
      done(error as DiskError)
      return
    }
    if (part === undefined) done()
    else writeRest(env, writer, file, done)
  })
}

/** The newest snapshot that is whole. `none`: there is no snapshot file at all; `damaged`: there are only broken ones. */
export function loadSnapshot(disk: Disk): Snapshot | 'none' | 'damaged' {
  const files = snapshotFiles(disk)
  if (files.length === 0) return 'none'
  for (const { path, zxid } of files.slice(-TRIED_MAX).reverse()) {
    const bytes = disk.readFile(path)
    const snapshot = bytes === undefined ? undefined : readImage(bytes, zxid)
    if (snapshot !== undefined) return snapshot
  }
  return 'damaged'
}

/** Removes snapshots of what was cut from the log. @throws DiskError */
export function removeSnapshotsAfter(disk: Disk, zxid: Zxid): void {
  for (const file of snapshotFiles(disk)) if (file.zxid > zxid) disk.remove(file.path)
}

/** Bytes of the newest snapshot; 0 without one. */
export function snapshotSize(disk: Disk): Bytes {
  const newest = snapshotFiles(disk).at(-1)
  return newest === undefined ? 0 : disk.open(newest.path).size
}

function snapshotFiles(disk: Disk): { zxid: Zxid; path: string }[] {
  return disk
    .list(PREFIX)
    .map((path) => ({ zxid: parseInt(path.slice(PREFIX.length), 16), path }))
    .sort((a, b) => a.zxid - b.zxid || (a.path < b.path ? -1 : 1))
}

function parseImage(bytes: Uint8Array, zxid: Zxid): Snapshot | undefined {
  const reader = new JuteReader(bytes)
  if (reader.int() !== MAGIC || reader.int() !== VERSION) return undefined
  reader.long()
  const sessions: Sessions = new Map(reader.vector(() => [reader.session(), reader.int()] as const))
  const tree = new DataTree()
  tree.nodes.clear()
  for (const [id, acl] of reader.vector(() => [reader.long(), reader.acl()] as const)) tree.acls.restore(id, acl)
  for (let path = reader.text(); path !== ROOT; path = reader.text()) {
    tree.restore(path === '' ? ROOT : path, readNode(reader))
  }
  const checksum = adler32(bytes.subarray(0, reader.position))
  if (reader.long() !== checksum || reader.text() !== ROOT) return undefined
  tree.lastProcessedZxid = zxid
  return { zxid, tree, sessions }
}

function readNode(reader: JuteReader): ZNode {
  const data = reader.buffer()
  const aclId = reader.long()
  const [czxid, mzxid, ctime, mtime] = [reader.long(), reader.long(), reader.long(), reader.long()]
  const [version, cversion, aversion] = [reader.int(), reader.int(), reader.int()]
  const node = new ZNode(data, aclId, czxid, ctime, reader.session())
  node.mzxid = mzxid
  node.mtime = mtime
  node.version = version
  node.cversion = cversion
  node.aversion = aversion
  node.pzxid = reader.long()
  return node
}

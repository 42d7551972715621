/**
 * Transactions: what the leader makes of a request, logs, proposes and applies.
 *
 * A transaction is idempotent: it says what will be, not what was asked for (the whole name of a sequential znode, the new
 * version). A write that was refused is a transaction too (`error`). In the log (and in a proposal, from the header on):
 *
 *   checksum i64 (Adler-32 of the entry) · length i32 · entry · 'B' (0x42)
 *   entry = header: session i64, cxid i32, zxid i64, time i64, type i32 · the record of that type
 *
 *   type  create 15 (create2): path, data, acl, ephemeral bool, parentCVersion i32 · delete 2: path · setData 5: path, data, version i32
 *         setAcl 7: path, acl, version i32 · check 13: path, version i32 · createSession -10: timeout i32 · closeSession -11: paths
 *         error -1: code i32 · multi 14: count i32, of (type i32, record as buffer)
 *
 * An entry is encoded once, by whoever made it; everybody else shares it. Source: zookeeper.jute (module txn), `SerializeUtils`, `FileTxnLog`.
 */

import { assert, unreachable } from '../../kernel/errors.js'
import type { Slice } from '../../kernel/env.js'
import type { Bytes, Millis } from '../../kernel/units.js'
import { ZOOKEEPER_ERRORS, type Acl, type Data, type ErrorName, type SessionId, type Zxid } from '../api.js'
import { adler32 } from '../checksums.js'
import { JuteError, JuteReader, JuteWriter } from '../jute.js'

export type Txn =
  | {
      readonly type: 'create'
      readonly path: string
      readonly data: Data
      readonly acl: readonly Acl[]
      readonly ephemeral: boolean
      /** The parent's cversion once the znode is there. */
      readonly parentCVersion: number
    }
  | { readonly type: 'delete'; readonly path: string }
  | { readonly type: 'setData'; readonly path: string; readonly data: Data; readonly version: number }
  | { readonly type: 'setAcl'; readonly path: string; readonly acl: readonly Acl[]; readonly version: number }
  | { readonly type: 'check'; readonly path: string; readonly version: number }
  | { readonly type: 'createSession'; readonly timeoutMs: Millis }
  | { readonly type: 'closeSession'; readonly paths: readonly string[] }
  | { readonly type: 'error'; readonly error: ErrorName }
  | { readonly type: 'multi'; readonly txns: readonly Txn[] }

export interface TxnHeader {
  readonly session: SessionId
  readonly cxid: number
  readonly zxid: Zxid
  /** The leader's wall clock. */
  readonly time: Millis
}

const TYPES: Readonly<Record<Txn['type'], number>> = {
  create: 15,
  delete: 2,
  setData: 5,
  setAcl: 7,
  check: 13,
  createSession: -10,
  closeSession: -11,
  error: -1,
  multi: 14,
}
const TYPE_NAMES = new Map(Object.entries(TYPES).map(([name, type]) => [type, name as Txn['type']]))
const ERROR_NAMES = new Map(Object.entries(ZOOKEEPER_ERRORS).map(([name, code]) => [code as number, name as ErrorName]))

const END_OF_RECORD = 0x42
/** Checksum and length before an entry, the end mark after it. */
const ENVELOPE: Bytes = 13

export class TxnEntry implements Slice {
  readonly header: TxnHeader
  readonly txn: Txn
  /** Adler-32 of the entry: the identity of the transaction. */
  readonly checksum: number
  readonly length: Bytes
  readonly #bytes: Uint8Array

  private constructor(header: TxnHeader, txn: Txn, checksum: number, bytes: Uint8Array) {
    this.header = header
    this.txn = txn
    this.checksum = checksum
    this.#bytes = bytes
    this.length = bytes.length
  }

  static of(header: TxnHeader, txn: Txn): TxnEntry {
    const writer = new JuteWriter()
    writer.session(header.session).int(header.cxid).long(header.zxid).long(header.time).int(TYPES[txn.type])
    writeTxn(writer, txn)
    const entry = writer.bytes()
    const checksum = adler32(entry)
    const bytes = new JuteWriter().long(checksum).buffer(entry).byte(END_OF_RECORD).bytes()
    return new TxnEntry(header, txn, checksum, bytes)
  }

  get zxid(): Zxid {
    return this.header.zxid
  }

  /** Bytes of the entry itself, as a proposal carries it. */
  get entrySize(): Bytes {
    return this.length - ENVELOPE
  }

  toBytes(): Uint8Array {
    return this.#bytes
  }

  /**
   * Reads one from a log. `end`: there is no whole entry (the end of the file, zeros, a torn last write); `corrupt`: there is one whose
   * checksum does not fit.
   */
  static read(bytes: Uint8Array, position: Bytes): { entry: TxnEntry; next: Bytes } | 'end' | 'corrupt' {
    const reader = new JuteReader(bytes, position)
    try {
      const checksum = reader.long()
      const body = reader.buffer()
      if (body === null || body.length === 0) return 'end'
      if (reader.byte() !== END_OF_RECORD) return 'end'
      if (adler32(body) !== checksum) return 'corrupt'
      const { header, txn } = readEntry(body)
      const whole = bytes.slice(position, reader.position)
      return { entry: new TxnEntry(header, txn, checksum, whole), next: reader.position }
    } catch (error) {
      if (error instanceof JuteError) return 'end'
      throw error
    }
  }
}

function readEntry(body: Uint8Array): { header: TxnHeader; txn: Txn } {
  const reader = new JuteReader(body)
  const header = { session: reader.session(), cxid: reader.int(), zxid: reader.long(), time: reader.long() }
  return { header, txn: readTxn(reader, reader.int()) }
}

function writeTxn(writer: JuteWriter, txn: Txn): void {
  switch (txn.type) {
    case 'create':
      writer.text(txn.path).buffer(txn.data).acl(txn.acl).bool(txn.ephemeral).int(txn.parentCVersion)
      return
    case 'delete':
      writer.text(txn.path)
      return
    case 'setData':
      writer.text(txn.path).buffer(txn.data).int(txn.version)
      return
    case 'setAcl':
      writer.text(txn.path).acl(txn.acl).int(txn.version)
      return
    case 'check':
      writer.text(txn.path).int(txn.version)
      return
    case 'createSession':
      writer.int(txn.timeoutMs)
      return
    case 'closeSession':
      writer.int(txn.paths.length)
      for (const path of txn.paths) writer.text(path)
      return
    case 'error':
      writer.int(ZOOKEEPER_ERRORS[txn.error])
      return
    case 'multi':
      writer.int(txn.txns.length)
      for (const each of txn.txns) {
        const inner = new JuteWriter()
        writeTxn(inner, each)
        writer.int(TYPES[each.type]).buffer(inner.bytes())
      }
      return
    default:
      unreachable(txn, 'txn')
  }
}

function readTxn(reader: JuteReader, code: number): Txn {
  const type = TYPE_NAMES.get(code)
  // The checksum fitted, so it was written like this.
  assert(type !== undefined, 'txn: type', { code })
  switch (type) {
    case 'create':
      return {
        type,
        path: reader.text(),
        data: reader.buffer(),
        acl: reader.acl(),
        ephemeral: reader.bool(),
        parentCVersion: reader.int(),
      }
    case 'delete':
      return { type, path: reader.text() }
    case 'setData':
      return { type, path: reader.text(), data: reader.buffer(), version: reader.int() }
    case 'setAcl':
      return { type, path: reader.text(), acl: reader.acl(), version: reader.int() }
    case 'check':
      return { type, path: reader.text(), version: reader.int() }
    case 'createSession':
      return { type, timeoutMs: reader.int() }
    case 'closeSession':
      return { type, paths: reader.vector(() => reader.text()) }
    case 'error':
      return { type, error: ERROR_NAMES.get(reader.int()) ?? 'SYSTEMERROR' }
    case 'multi':
      return {
        type,
        txns: reader.vector(() => {
          const inner = reader.int()
          return readTxn(new JuteReader(reader.buffer() ?? new Uint8Array(0)), inner)
        }),
      }
    default:
      return unreachable(type, 'txn type')
  }
}

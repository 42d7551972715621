/** ZooKeeper's own formats, and what is left of them after damage. */

import { describe, expect, it } from 'vitest'
import { OPEN_ACL } from '../../sim/zookeeper/api.js'
import { adler32, base64, sha1 } from '../../sim/zookeeper/checksums.js'
import { JuteReader, JuteWriter, textSize } from '../../sim/zookeeper/jute.js'
import { imageOf, readImage } from '../../sim/zookeeper/storage/snapshot-file.js'
import { TxnEntry, type Txn } from '../../sim/zookeeper/storage/txn.js'
import { allows, concealed, digestIdentity, resolveAcl } from '../../sim/zookeeper/tree/acl.js'
import { DataTree } from '../../sim/zookeeper/tree/data-tree.js'
import { isValidPath } from '../../sim/zookeeper/tree/path.js'
import { counterOf, epochOf, makeZxid } from '../../sim/zookeeper/zxid.js'
import { bytes } from './lab.js'

const HEADER = { session: '0x0100036ef4e00abc', cxid: 7, zxid: makeZxid(3, 41), time: 1_600_000_000_123 }

const TXNS: readonly Txn[] = [
  { type: 'create', path: '/a/ü', data: bytes('x'), acl: OPEN_ACL, ephemeral: true, parentCVersion: 3 },
  { type: 'create', path: '/b', data: null, acl: [], ephemeral: false, parentCVersion: 1 },
  { type: 'delete', path: '/a' },
  { type: 'setData', path: '/a', data: bytes(''), version: 2 },
  { type: 'setAcl', path: '/a', acl: [{ perms: 1, scheme: 'digest', id: 'u:h' }], version: 1 },
  { type: 'check', path: '/a', version: 5 },
  { type: 'createSession', timeoutMs: 18_000 },
  { type: 'closeSession', paths: ['/e', '/f'] },
  { type: 'error', error: 'BADVERSION' },
  {
    type: 'multi',
    txns: [
      { type: 'delete', path: '/a' },
      { type: 'error', error: 'RUNTIMEINCONSISTENCY' },
    ],
  },
]

describe('checksums', () => {
  it('are those of the standards', () => {
    expect(adler32(bytes('Wikipedia'))).toBe(0x11e60398)
    expect(Buffer.from(sha1(bytes('abc'))).toString('hex')).toBe('a9993e364706816aba3e25717850c26c9cd0d89d')
    expect(Buffer.from(sha1(bytes('x'.repeat(200)))).toString('hex')).toBe('94218caae9904e93a3d7bf578bf4791926fc5e82')
    expect(base64(bytes('ab'))).toBe('YWI=')
  })

  it('continue where they stopped', () => {
    const text = bytes('x'.repeat(20_000))
    expect(adler32(text.subarray(9_999), adler32(text.subarray(0, 9_999)))).toBe(adler32(text))
  })

  it("make ZooKeeper's digest identities", () => {
    // The example of ZooKeeper's documentation on the super user.
    expect(digestIdentity('super', 'admin')).toBe('super:xQJmxLMiHGwaqBvst5y6rkB6HQs=')
  })
})

describe('jute', () => {
  it('writes integers big-endian, longs exactly, and gives everything back', () => {
    const writer = new JuteWriter().int(-2).long(makeZxid(5, 0xffffffff)).long(-1).session(HEADER.session).text('/ä€😀')
    const reader = new JuteReader(writer.bytes())
    expect([...writer.bytes().subarray(0, 4)]).toEqual([255, 255, 255, 254])
    expect([reader.int(), reader.long(), reader.long()]).toEqual([-2, makeZxid(5, 0xffffffff), -1])
    expect([reader.session(), reader.text()]).toEqual([HEADER.session, '/ä€😀'])
  })

  it('knows the size of a text', () => {
    for (const text of ['', '/a', '/ä', '/€', '/😀']) expect(textSize(text)).toBe(new JuteWriter().text(text).length)
  })

  it('splits zxids', () => {
    expect([epochOf(makeZxid(9, 12)), counterOf(makeZxid(9, 12))]).toEqual([9, 12])
  })
})

describe('a log entry', () => {
  it.each(TXNS.map((txn) => [txn.type, txn] as const))('of %s comes back as it was', (_type, txn) => {
    const entry = TxnEntry.of(HEADER, txn)
    const read = TxnEntry.read(entry.toBytes(), 0)
    expect(read).toMatchObject({ next: entry.length, entry: { header: HEADER, checksum: entry.checksum } })
    expect(typeof read === 'object' && read.entry.txn).toEqual(txn)
  })

  it("has ZooKeeper's envelope: checksum, length, the entry, and B", () => {
    const all = TxnEntry.of(HEADER, { type: 'delete', path: '/a' }).toBytes()
    const reader = new JuteReader(all)
    const checksum = reader.long()
    const body = reader.buffer() as Uint8Array
    expect(checksum).toBe(adler32(body))
    expect(reader.byte()).toBe(0x42)
    expect(reader.left).toBe(0)
    const header = new JuteReader(body)
    expect([header.session(), header.int(), header.long(), header.long(), header.int(), header.text()]).toEqual([
      HEADER.session,
      7,
      HEADER.zxid,
      HEADER.time,
      2,
      '/a',
    ])
  })

  it('that was cut or overwritten with zeros is the end; another change is corruption', () => {
    const all = TxnEntry.of(HEADER, { type: 'delete', path: '/abcdefgh' }).toBytes()
    for (let length = 0; length < all.length; length++) expect(TxnEntry.read(all.subarray(0, length), 0)).toBe('end')
    expect(TxnEntry.read(new Uint8Array(64), 0)).toBe('end')
    const torn = all.slice()
    torn.fill(0, 30)
    expect(TxnEntry.read(torn, 0)).toBe('end')
    const rotten = all.slice()
    rotten[20] = (rotten[20] as number) ^ 1
    expect(TxnEntry.read(rotten, 0)).toBe('corrupt')
  })
})

describe('a snapshot', () => {
  const secret = [{ perms: 31, scheme: 'digest', id: 'u:h' }] as const

  function tree(): DataTree {
    const made = new DataTree()
    const apply = (counter: number, txn: Txn) => made.apply({ ...HEADER, zxid: makeZxid(1, counter) }, txn)
    apply(1, { type: 'create', path: '/a', data: bytes('one'), acl: secret, ephemeral: false, parentCVersion: 1 })
    apply(2, { type: 'create', path: '/a/b', data: null, acl: OPEN_ACL, ephemeral: true, parentCVersion: 1 })
    apply(3, { type: 'setData', path: '/a', data: bytes('two'), version: 1 })
    return made
  }

  it('comes back as it was', () => {
    const image = imageOf(tree(), new Map([[HEADER.session, 6_000]]))
    const read = readImage(image, makeZxid(1, 3))
    expect(read?.sessions).toEqual(new Map([[HEADER.session, 6_000]]))
    expect(read?.tree.node('/a')?.stat()).toEqual(tree().node('/a')?.stat())
    expect(read?.tree.aclOf(read.tree.node('/a') as never)).toEqual(secret)
    expect(read?.tree.ephemeralsOf(HEADER.session)).toEqual(['/a/b'])
  })

  it('that is not whole is none', () => {
    const image = imageOf(tree(), new Map())
    for (let length = 0; length < image.length; length += 7)
      expect(readImage(image.subarray(0, length), 3)).toBeUndefined()
    const rotten = image.slice()
    rotten[image.length >> 1] = (rotten[image.length >> 1] as number) ^ 1
    expect(readImage(rotten, 3)).toBeUndefined()
  })
})

describe('replaying a log over a snapshot that already holds some of it', () => {
  it('ends with the same tree', () => {
    const txns: Txn[] = [
      { type: 'create', path: '/p', data: null, acl: OPEN_ACL, ephemeral: false, parentCVersion: 1 },
      { type: 'create', path: '/p/x', data: bytes('1'), acl: OPEN_ACL, ephemeral: false, parentCVersion: 1 },
      { type: 'setData', path: '/p/x', data: bytes('2'), version: 1 },
      { type: 'delete', path: '/p/x' },
      { type: 'delete', path: '/p' },
      { type: 'create', path: '/p', data: bytes('3'), acl: OPEN_ACL, ephemeral: false, parentCVersion: 2 },
      { type: 'create', path: '/p/x', data: bytes('4'), acl: OPEN_ACL, ephemeral: true, parentCVersion: 1 },
    ]
    const apply = (tree: DataTree, from: number, to: number): DataTree => {
      for (let i = from; i < to; i++) tree.apply({ ...HEADER, zxid: makeZxid(1, i + 1) }, txns[i] as Txn)
      return tree
    }
    const whole = apply(new DataTree(), 0, txns.length)
    for (let taken = 0; taken <= txns.length; taken++) {
      for (let named = 0; named <= taken; named++) {
        const fuzzy = readImage(imageOf(apply(new DataTree(), 0, taken), new Map()), makeZxid(1, named))
          ?.tree as DataTree
        apply(fuzzy, named, txns.length)
        for (const path of whole.nodes.keys()) expect(fuzzy.node(path)?.stat()).toEqual(whole.node(path)?.stat())
        expect(fuzzy.nodes.size).toBe(whole.nodes.size)
      }
    }
  })
})

describe('ACLs', () => {
  it('allow whom they name, and everybody where they say so', () => {
    const alice = digestIdentity('alice', 'secret')
    const acl = [
      { perms: 1, scheme: 'world', id: 'anyone' } as const,
      { perms: 31, scheme: 'digest', id: alice } as const,
    ]
    expect([allows(acl, 1, []), allows(acl, 2, []), allows(acl, 2, [alice]), allows(OPEN_ACL, 31, [])]).toEqual([
      true,
      false,
      true,
      true,
    ])
  })

  it('are resolved: auth is all that was shown, duplicates count once, nonsense is refused', () => {
    const all = { perms: 31, scheme: 'auth', id: '' } as const
    expect(resolveAcl([all], ['a:1', 'b:2'])?.map((entry) => entry.id)).toEqual(['a:1', 'b:2'])
    expect(resolveAcl([all], [])).toBeUndefined()
    expect(resolveAcl([], [])).toBeUndefined()
    expect(resolveAcl([...OPEN_ACL, ...OPEN_ACL], [])).toEqual(OPEN_ACL)
    expect(resolveAcl([{ perms: 31, scheme: 'digest', id: 'nobody' }], [])).toBeUndefined()
    expect(concealed([{ perms: 1, scheme: 'digest', id: 'a:secret' }])).toEqual([
      { perms: 1, scheme: 'digest', id: 'a:x' },
    ])
  })
})

describe('paths', () => {
  it.each(['/', '/a', '/a/b', '/a.b', '/ä'])('%s is one', (path) => expect(isValidPath(path)).toBe(true))
  it.each(['', 'a', '/a/', '//', '/a//b', '/.', '/a/..', '/a\u0000', '/a\u0007'])('%j is none', (path) => {
    expect(isValidPath(path)).toBe(false)
  })
})

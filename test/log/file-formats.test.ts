/**
 * The bytes of a log directory. Single files are checked against Kafka's layouts; the golden shows a whole directory
 * (UPDATE=1 rewrites).
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { DEFAULT_PRODUCER_STATE } from '../../sim/log/partition-log-options.js'
import { encodeSnapshot, parseSnapshot } from '../../sim/log/producer-snapshot.js'
import { ProducerStateEntry } from '../../sim/log/producer-state.js'
import {
  encodeCheckpoint,
  OffsetCheckpoint,
  parseCheckpoint,
  parseCleanShutdown,
} from '../../sim/log/checkpoint-file.js'
import { crc32c } from '../../sim/wire/crc32c.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { append, appended, batch, config, LogHost, marker, record, sequenced, sized, TP } from './harness.js'

const GOLDEN = new URL('./golden/log-directory.txt', import.meta.url)
const UNVERIFIED = { ...DEFAULT_PRODUCER_STATE, transactionVerification: false }

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

describe('a segment file', () => {
  it("holds Kafka's own batch byte for byte, with the leader's offset and epoch before the CRC", () => {
    const vector =
      '000000000000000000000055ffffffff02e58cf1ff00000000000100000000000454c300000000000454c3ffffffffffffffffffffffffffff' +
      '0000000220000000086b6579310c76616c756531002400e1bf2202086b6579320c76616c75653200'
    const host = new LogHost()
    const log = host.open()
    append(log, batch(7), 1)
    const size = log.sizeInBytes
    append(log, RecordBatch.build({}, [record('value1', 283_843, 'key1'), record('value2', 1_234, 'key2')]), 9)
    const stored = host.hex(`${TP}/00000000000000000000.log`)?.slice(size * 2)
    expect(stored).toBe(`0000000000000007${vector.slice(16, 24)}00000009${vector.slice(32)}`)
  })

  it('is indexed once more than index.interval.bytes came since the last entry', () => {
    const host = new LogHost()
    const log = host.open({ config: config({ 'index.interval.bytes': 200 }) })
    for (let i = 0; i < 8; i++) append(log, sized(100, {}, 1_000 + i))
    // Entries are the last offset of the batch, and the position before it: at 300 and 600.
    expect(host.hex(`${TP}/00000000000000000000.index`)).toBe('000000030000012c' + '0000000600000258')
    expect(host.hex(`${TP}/00000000000000000000.timeindex`)).toBe(
      '00000000000003eb00000003' + '00000000000003ee00000006',
    )
    log.close()
    expect(host.hex(`${TP}/00000000000000000000.timeindex`)?.slice(48)).toBe('00000000000003ef00000007')
  })
})

describe('a producer snapshot', () => {
  const entry = new ProducerStateEntry(0x1122334455, 3, 7, 1_700_000_000_000, 40, {
    lastSequence: 9,
    lastOffset: 44,
    offsetDelta: 4,
    timestamp: 1_700_000_000_000,
  })

  it('is version, CRC and count, then 46 bytes for each producer', () => {
    const bytes = encodeSnapshot([entry])
    const body =
      '00000001' +
      '0000001122334455' +
      '0003' +
      '00000009' +
      '000000000000002c' +
      '00000004' +
      '0000018bcfe56800' +
      '00000007' +
      '0000000000000028'
    const crc = crc32c(bytesOf(body)).toString(16).padStart(8, '0')
    expect(Buffer.from(bytes).toString('hex')).toBe(`0001${crc}${body}`)
  })

  it('is read back, and refused when anything in it changed', () => {
    const bytes = encodeSnapshot([new ProducerStateEntry(5), entry])
    expect(parseSnapshot(bytes)).toEqual([new ProducerStateEntry(5), entry])
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice()
      changed[at] = (changed[at] as number) ^ 0x10
      expect(parseSnapshot(changed)).toBeUndefined()
    }
  })
})

describe('checkpoint files', () => {
  it('are version, count and a line for each entry', () => {
    const host = new LogHost()
    const file = new OffsetCheckpoint(host.env.disk, 'recovery-point-offset-checkpoint')
    file.write(
      new Map([
        ['orders-0', 4_711],
        ['my-topic-11', 5],
      ]),
    )
    expect(host.text('recovery-point-offset-checkpoint')).toBe('0\n2\norders 0 4711\nmy-topic 11 5\n')
    expect([...(file.read() ?? [])]).toEqual([
      ['orders-0', 4_711],
      ['my-topic-11', 5],
    ])
  })

  it.each([
    ['', []],
    ['0\n', []],
    ['0\n0\n', []],
    ['0\n1\na 0 1\n', [['a', '0', '1']]],
    ['1\n0\n', undefined],
    ['0\n2\na 0 1\n', undefined],
    ['0\n1\na 0\n', undefined],
    ['0\nx\n', undefined],
  ])('of %j hold %j', (text, entries) => {
    expect(parseCheckpoint(new TextEncoder().encode(text), 3)).toEqual(entries)
    if (entries !== undefined && entries.length > 0) {
      expect(new TextDecoder().decode(encodeCheckpoint(entries.map((entry) => entry.join(' '))))).toBe(text)
    }
  })

  it('of the clean shutdown are JSON with the broker epoch', () => {
    expect(parseCleanShutdown(new TextEncoder().encode('{"version":0,"brokerEpoch":42}'))).toBe(42)
    expect(parseCleanShutdown(new TextEncoder().encode('{"version":0}'))).toBeUndefined()
    expect(parseCleanShutdown(new TextEncoder().encode(''))).toBeUndefined()
  })
})

describe('a log directory', () => {
  it('looks like the golden one', () => {
    const host = new LogHost()
    const log = host.open({
      config: config({ 'internal.segment.bytes': 400, 'index.interval.bytes': 100 }),
      topicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
      producers: UNVERIFIED,
    })
    append(log, batch(['a', 'b'], {}, 1_000), 0)
    append(log, sequenced(7, 0, 0, 2, {}, 1_001), 0)
    append(log, sequenced(8, 1, 0, 1, { isTransactional: true }, 1_002), 1)
    append(log, batch(['c'], {}, 1_003), 1)
    appended(log.appendAsLeader([marker(8, 1, false, 3, 1_004)], 1, { origin: 'coordinator' }))
    append(log, sequenced(7, 0, 2, 1, {}, 1_005), 2)
    append(log, batch(['d'], {}, 1_006), 2)
    log.close()
    host.run()
    const text = host
      .files()
      .map((file) => {
        const isText = !/^\d/.test(file)
        const content = isText ? host.text(`${TP}/${file}`) : (host.hex(`${TP}/${file}`) ?? '')
        const lines = isText ? content.split('\n') : (content.match(/.{1,64}/g) ?? [])
        return `${file}\n${lines.map((line) => `  ${line}\n`).join('')}`
      })
      .join('\n')
    if (process.env['UPDATE'] === '1') writeFileSync(GOLDEN, text)
    expect(text).toBe(readFileSync(GOLDEN, 'utf8'))
  })
})

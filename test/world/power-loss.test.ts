import { describe, expect, it } from 'vitest'
import { Random } from '../../sim/kernel/random.js'
import { BytesSlice } from '../../sim/world/bytes-slice.js'
import { bytesOf, crash, diskLab, expectBytes, pattern, text, utf8 } from './disk-lab.js'

const PAGE = 4_096

describe('a power loss', () => {
  /** Appends of odd lengths around a sync, then a crash: what is left of the file, for one seed. */
  function crashed(seed: number): { left: Buffer; all: Buffer; synced: number } {
    const random = new Random(`model ${seed}`)
    const { lab, disk } = diskLab(String(seed))
    const file = disk.open('a')
    const write = (count: number): void => {
      for (let i = 0; i < count; i++) file.append(pattern(1 + random.int(3_000), file.size))
    }
    write(random.int(8))
    file.sync(() => {})
    lab.until(10)
    const synced = file.size
    write(random.int(12))
    const all = bytesOf(file)
    const after = crash(lab)
    return { left: bytesOf(after.open('a')), all, synced }
  }

  it('always leaves what was synced, and of the rest whole sectors, with zeros for the pages that are gone', () => {
    let lost = 0
    let kept = 0
    let torn = 0
    let holes = 0
    for (let seed = 0; seed < 200; seed++) {
      const { left, all, synced } = crashed(seed)
      expectBytes(left.subarray(0, synced), all.subarray(0, synced))
      expect(left.length).toBeGreaterThanOrEqual(synced)
      expect(left.length).toBeLessThanOrEqual(all.length)
      for (let page = Math.floor(synced / PAGE); page * PAGE < left.length; page++) {
        const from = Math.max(page * PAGE, synced)
        const to = Math.min((page + 1) * PAGE, left.length)
        const zero = left.subarray(from, to).every((byte) => byte === 0)
        if (zero) holes++
        else expectBytes(left.subarray(from, to), all.subarray(from, to))
      }
      if (left.length === all.length) kept++
      else if (left.length === synced) lost++
      else if (left.length % PAGE !== 0) {
        expect(left.length % 512).toBe(0)
        torn++
      }
    }
    for (const seen of [lost, kept, torn, holes]) expect(seen).toBeGreaterThan(10)
  })

  it('leaves the objects of slices that survive whole', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { lab, disk } = diskLab(String(seed))
      const file = disk.open('a')
      const slices = Array.from({ length: 20 }, (_, i) => new BytesSlice(pattern(1_000, i)))
      for (const slice of slices) file.append(slice)
      file.sync(() => {})
      lab.until(100)
      file.append(pattern(50_000))
      const after = crash(lab).open('a')
      expect(after.read(0, 20_000).every((slice, i) => slice === slices[i])).toBe(true)
      expect(after.syncedSize).toBe(after.size)
    }
  })

  it('is written down with what it took', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { lab, disk } = diskLab(String(seed))
      disk.open('a')
      lab.until(10_000)
      const file = disk.open('a')
      file.append(pattern(20_000))
      const left = crash(lab).open('a').size
      const event = lab.events.find((one) => one.type === 'disk.power-loss')
      expect(event?.data).toMatchObject({ files: left < 20_000 ? 1 : expect.any(Number) })
      if (left === 0) expect(event?.data).toEqual({ files: 1, lostBytes: 20_000, tornPages: 0 })
    }
  })

  it('spares what the kernel wrote back by itself', () => {
    for (let seed = 0; seed < 30; seed++) {
      const { lab, disk } = diskLab(String(seed))
      const file = disk.open('a')
      for (let i = 0; i < 60; i++) {
        lab.until(i * 1_000)
        file.append(pattern(1_000, i * 1_000))
      }
      const size = crash(lab).open('a').size
      // Written every second until 59 s; older than 35 s is safe, up to the second.
      expect(size).toBeGreaterThanOrEqual(24_000)
    }
  })

  it('spares a file that was left alone for long, without any sync', () => {
    for (let seed = 0; seed < 30; seed++) {
      const { lab, disk } = diskLab(String(seed))
      disk.open('a').append(pattern(100_000))
      lab.until(36_001)
      expect(crash(lab).open('a').size).toBe(100_000)
    }
  })

  it('undoes a last part of what was done to names, never the middle', () => {
    const outcomes = new Set<string>()
    for (let seed = 0; seed < 100; seed++) {
      const { lab, disk } = diskLab(String(seed))
      for (const path of ['a', 'b', 'c']) disk.open(path)
      disk.rename('a', 'd')
      disk.remove('b')
      outcomes.add(crash(lab).list('').join(' '))
    }
    expect([...outcomes].toSorted()).toEqual(['', 'a', 'a b', 'a b c', 'b c d', 'c d'])
  })

  it('undoes nothing that was done before a sync or five seconds ago', () => {
    for (let seed = 0; seed < 40; seed++) {
      const { lab, disk } = diskLab(String(seed))
      disk.open('old')
      lab.until(5_001)
      disk.open('a')
      disk.rename('a', 'b')
      disk.open('other').sync(() => {})
      lab.until(5_100)
      disk.remove('b')
      const left = crash(lab).list('')
      expect(left).toContain('old')
      expect(left).toContain('other')
      expect(left).not.toContain('a')
    }
  })

  it('may undo a truncation, and then brings back what was synced before it', () => {
    const sizes = new Set<number>()
    for (let seed = 0; seed < 60; seed++) {
      const { lab, disk } = diskLab(String(seed))
      const file = disk.open('a')
      file.append(pattern(1_000))
      file.sync(() => {})
      lab.until(100)
      file.truncate(300)
      file.append(pattern(50, 999))
      const left = bytesOf(crash(lab).open('a'))
      const kept = left.length === 1_000 ? 1_000 : 300
      expectBytes(left.subarray(0, kept), pattern(1_000).subarray(0, kept))
      sizes.add(left.length)
    }
    expect(sizes).toContain(1_000)
    expect([...sizes].some((size) => size >= 300 && size <= 350)).toBe(true)
  })

  it('does not undo a truncation that was synced', () => {
    for (let seed = 0; seed < 40; seed++) {
      const { lab, disk } = diskLab(String(seed))
      const file = disk.open('a')
      file.append(pattern(1_000))
      file.sync(() => {})
      lab.until(100)
      file.truncate(300)
      file.sync(() => {})
      lab.until(200)
      expect(crash(lab).open('a').size).toBe(300)
    }
  })

  it('keeps what a sync made durable across a truncation that it undoes', () => {
    for (let seed = 0; seed < 60; seed++) {
      const { lab, disk } = diskLab(String(seed))
      const file = disk.open('a')
      file.append(pattern(20_000))
      file.sync(() => lab.note('synced'))
      file.truncate(15_000)
      lab.until(100)
      expect(lab.seen).toEqual(['synced'])
      const left = bytesOf(crash(lab).open('a'))
      expectBytes(left.subarray(0, 15_000), pattern(15_000))
    }
  })

  it('leaves of a replaced file the old content or the new, and the new once it was told so', () => {
    const outcomes = new Set<string | undefined>()
    for (let seed = 0; seed < 60; seed++) {
      const { lab, disk } = diskLab(String(seed))
      const old = 'o'.repeat(10_000)
      const fresh = 'n'.repeat(9_000)
      disk.replaceFile('checkpoint', utf8(old), () => lab.note('durable'))
      lab.until(100)
      expect(lab.seen).toEqual(['durable'])
      disk.replaceFile('checkpoint', utf8(fresh), () => lab.note('fresh'))
      expect(text(disk.readFile('checkpoint'))).toBe(fresh)
      const crashAt = new Random(`at ${seed}`).int(3_000)
      lab.engine.run(100_000 + crashAt)
      const told = lab.seen.includes('fresh')
      const left = text(crash(lab).readFile('checkpoint'))
      expect([old, fresh]).toContain(left)
      if (told) expect(left).toBe(fresh)
      outcomes.add(left?.[0])
    }
    expect([...outcomes].toSorted()).toEqual(['n', 'o'])
  })

  it('can follow another', () => {
    const { lab, disk } = diskLab()
    disk.open('a').append(pattern(10))
    disk.open('a').sync(() => {})
    lab.until(100)
    crash(lab).open('a').append(pattern(10, 10))
    lab
      .env('b1')
      .disk.open('a')
      .sync(() => {})
    lab.until(200)
    expectBytes(bytesOf(crash(lab).open('a')), pattern(20))
  })
})

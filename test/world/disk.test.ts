import { describe, expect, it } from 'vitest'
import { DiskError, type Disk, type DiskFile, type Slice } from '../../sim/kernel/env.js'
import { Random } from '../../sim/kernel/random.js'
import { BytesSlice } from '../../sim/world/bytes-slice.js'
import { makeLab, type Lab } from './lab.js'

const PAGE = 4_096

/** `length` bytes of a pattern that tells each position from its neighbours. */
function pattern(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => 1 + ((from + i) % 251))
}

function bytesOf(file: DiskFile): Buffer {
  return Buffer.concat(file.read(0, file.size).map((slice) => slice.toBytes()))
}

/** Compared as hexadecimal: a failure shows both, and thousands of bytes cost nothing. */
function expectBytes(actual: Uint8Array | undefined, expected: Uint8Array): void {
  expect(actual && Buffer.from(actual).toString('hex')).toBe(Buffer.from(expected).toString('hex'))
}

function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString()
}

const utf8 = (content: string): Uint8Array => new TextEncoder().encode(content)

/** A node b1 that does nothing, and its disk as its process sees it. */
function diskLab(seed = '1'): { lab: Lab; disk: Disk } {
  const lab = makeLab(seed)
  lab.add('b1')
  return { lab, disk: lab.env('b1').disk }
}

function crash(lab: Lab): Disk {
  lab.world.powerLoss('b1')
  lab.world.start('b1')
  return lab.env('b1').disk
}

describe('a file', () => {
  it('gives back the very slices that were appended, and parts of them as bytes', () => {
    const { disk } = diskLab()
    const file = disk.open('a')
    const slices: Slice[] = [10, 20, 30].map((length) => new BytesSlice(pattern(length, length)))
    for (const slice of slices) file.append(slice)
    expect(file.size).toBe(60)
    expect(file.read(0, 60).map((slice, i) => slice === slices[i])).toEqual([true, true, true])
    expect(file.read(10, 20)).toHaveLength(1)
    expect(file.read(10, 20)[0]).toBe(slices[1])
    const [tail, whole, head] = file.read(5, 30)
    expect([...(tail as Slice).toBytes()]).toEqual([...pattern(10, 10)].slice(5))
    expect(whole).toBe(slices[1])
    expect([...(head as Slice).toBytes()]).toEqual([...pattern(30, 30)].slice(0, 5))
  })

  it('clips reads at its end', () => {
    const { disk } = diskLab()
    const file = disk.open('a')
    expect(file.read(0, 100)).toEqual([])
    file.append(pattern(10))
    expect(file.read(4, 100)[0]?.length).toBe(6)
    expect(file.read(10, 1)).toEqual([])
    expect(file.read(0, 0)).toEqual([])
  })

  it('agrees with a plain array of bytes under random appends, reads and truncations', () => {
    const random = new Random('1')
    const { disk } = diskLab()
    const file = disk.open('a')
    let model: number[] = []
    for (let i = 0; i < 2_000; i++) {
      const length = random.int(40)
      if (random.chance(0.5)) {
        const bytes = pattern(length, i)
        file.append(bytes)
        model.push(...bytes)
      } else if (random.chance(0.05)) {
        model = model.slice(0, random.int(model.length + 1))
        file.truncate(model.length)
      } else {
        const from = random.int(model.length + 1)
        const read = file.read(from, length).flatMap((slice) => [...slice.toBytes()])
        expect(read).toEqual(model.slice(from, from + length))
      }
      expect(file.size).toBe(model.length)
    }
    expectBytes(bytesOf(file), Uint8Array.from(model))
  })

  it('does not grow by truncation', () => {
    const { disk } = diskLab()
    expect(() => disk.open('a').truncate(1)).toThrow('truncate')
  })

  it('keeps its identity when it is renamed or removed while open', () => {
    const { disk } = diskLab()
    const file = disk.open('a.log')
    file.append(pattern(3))
    disk.rename('a.log', 'a.log.deleted')
    expect(file.path).toBe('a.log.deleted')
    expect([disk.exists('a.log'), disk.exists('a.log.deleted')]).toEqual([false, true])
    disk.remove('a.log.deleted')
    file.append(pattern(3))
    expect(file.size).toBe(6)
    expect(disk.exists('a.log.deleted')).toBe(false)
    expect(disk.open('a.log.deleted').size).toBe(0)
  })

  it('is listed by prefix, sorted', () => {
    const { disk } = diskLab()
    for (const path of ['b-0/1', 'a-1/2', 'a-1/1', 'a-10/1']) disk.open(path)
    expect(disk.list('a-1/')).toEqual(['a-1/1', 'a-1/2'])
    expect(disk.list('')).toEqual(['a-1/1', 'a-1/2', 'a-10/1', 'b-0/1'])
  })

  it('may be read whole, or be missing', () => {
    const { disk } = diskLab()
    expect(disk.readFile('a')).toBeUndefined()
    disk.replaceFile('a', utf8('0\n1\n'))
    expect(text(disk.readFile('a'))).toBe('0\n1\n')
    disk.open('a').append(utf8('more'))
    expect(text(disk.readFile('a'))).toBe('0\n1\nmore')
  })
})

describe('sync', () => {
  it('takes time, covers what was written before the call, and tells so by a later event', () => {
    const { lab, disk } = diskLab()
    const file = disk.open('a')
    file.append(pattern(100))
    file.sync((error) => lab.note(`synced ${error} ${file.syncedSize}`))
    file.append(pattern(50))
    expect([lab.seen, file.syncedSize]).toEqual([[], 0])
    lab.until(10)
    expect(lab.seen).toEqual(['synced undefined 100'])
    expect(lab.when('synced undefined 100')).toBeGreaterThanOrEqual(0.2)
    expect(lab.when('synced undefined 100')).toBeLessThanOrEqual(8)
    expect(lab.trace('disk.synced')).toEqual([`b1 disk.synced a 100 ${lab.times[0]}`])
  })

  it('queues behind others of the same disk, not behind those of other disks', () => {
    const { lab, disk } = diskLab()
    for (let i = 0; i < 20; i++) disk.open(`f${i}`).sync(() => lab.note(`f${i}`))
    lab.add('b2', (env) => env.disk.open('other').sync(() => lab.note('other')))
    lab.until(1_000)
    expect(lab.seen.filter((line) => line !== 'other')).toEqual(Array.from({ length: 20 }, (_, i) => `f${i}`))
    const own = lab.times.filter((_, i) => lab.seen[i] !== 'other')
    for (let i = 1; i < own.length; i++) expect((own[i] as number) - (own[i - 1] as number)).toBeGreaterThanOrEqual(200)
    expect(lab.when('other')).toBeLessThan((own[19] as number) / 1_000)
  })

  it('of a killed process goes on without telling anybody', () => {
    const { lab, disk } = diskLab()
    const file = disk.open('a')
    file.append(pattern(100))
    file.sync(() => lab.note('synced'))
    lab.world.kill('b1')
    lab.until(100)
    expect(lab.seen).toEqual([])
    expect(lab.world.describe().nodes[0]?.files).toEqual([{ path: 'a', size: 100, unsyncedBytes: 0 }])
  })

  it('counts no bytes that were truncated meanwhile', () => {
    const { lab, disk } = diskLab()
    const file = disk.open('a')
    file.append(pattern(100))
    file.sync(() => lab.note('synced'))
    file.truncate(40)
    file.append(pattern(60, 7))
    lab.until(100)
    expect(file.syncedSize).toBe(40)
  })
})

describe('a killed process', () => {
  it('leaves everything that it wrote', () => {
    const { lab, disk } = diskLab()
    disk.open('a').append(pattern(10_000))
    lab.world.kill('b1')
    lab.world.start('b1')
    expectBytes(bytesOf(lab.env('b1').disk.open('a')), pattern(10_000))
  })
})

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

describe('a disk that', () => {
  it('lies tells that it synced, and loses it all the same', () => {
    const sizes = new Set<number>()
    const checkpoints = new Set<string | undefined>()
    for (let seed = 0; seed < 60; seed++) {
      const { lab, disk } = diskLab(String(seed))
      lab.world.node('b1').disk.lie()
      const file = disk.open('a')
      file.append(pattern(400))
      file.sync((error) => lab.note(`synced ${error} ${file.syncedSize}`))
      disk.replaceFile('checkpoint', utf8('x'.repeat(600)))
      lab.until(100)
      expect(lab.seen).toEqual(['synced undefined 400'])
      expect(lab.world.describe().nodes[0]?.files[0]?.unsyncedBytes).toBe(400)
      const after = crash(lab)
      sizes.add(after.open('a').size)
      checkpoints.add(text(after.readFile('checkpoint')))
    }
    expect(sizes).toContain(0)
    expect(sizes).toContain(400)
    for (const left of [undefined, '', 'x'.repeat(600)]) expect(checkpoints).toContain(left)
  })

  it('lies no longer makes durable what it is asked to', () => {
    const { lab, disk } = diskLab()
    const lie = lab.world.node('b1').disk.lie()
    const file = disk.open('a')
    file.append(pattern(400))
    file.sync(() => {})
    lab.until(100)
    lie.remove()
    lie.remove()
    file.sync(() => {})
    lab.until(200)
    expect(crash(lab).open('a').size).toBe(400)
  })

  it('hangs keeps everybody waiting, in order', () => {
    const { lab, disk } = diskLab()
    const first = lab.world.node('b1').disk.hang()
    const second = lab.world.node('b1').disk.hang()
    for (const name of ['x', 'y', 'z']) disk.access(() => lab.note(name))
    for (const name of ['f', 'g']) disk.open(name).sync(() => lab.note(name))
    first.remove()
    first.remove()
    lab.until(60_000)
    expect(lab.seen).toEqual([])
    second.remove()
    disk.access(() => lab.note('late'))
    expect(lab.seen).toEqual([])
    lab.until(61_000)
    expect(lab.seen).toEqual(['x', 'y', 'z', 'late', 'f', 'g'])
    expect(lab.when('late')).toBe(60_000)
    disk.access(() => lab.note('at once'))
    expect(lab.seen.at(-1)).toBe('at once')
  })

  it('hangs in the middle of a sync ends it when it goes on', () => {
    const { lab, disk } = diskLab()
    disk.open('f').sync(() => lab.note('f'))
    const hang = lab.world.node('b1').disk.hang()
    lab.until(1_000)
    expect(lab.seen).toEqual([])
    hang.remove()
    lab.until(1_001)
    expect(lab.when('f')).toBe(1_000)
  })

  it('hangs writes nothing back by itself', () => {
    let lost = 0
    for (let seed = 0; seed < 20; seed++) {
      const { lab, disk } = diskLab(String(seed))
      disk.open('a').append(pattern(100_000))
      lab.world.node('b1').disk.hang()
      lab.until(100_000)
      if (crash(lab).open('a').size < 100_000) lost++
    }
    expect(lost).toBeGreaterThan(5)
  })

  it('hangs lets what comes behind wait for what an access asked for', () => {
    const { lab, disk } = diskLab()
    const hang = lab.world.node('b1').disk.hang()
    disk.access(() => {
      lab.note('first')
      disk.access(() => lab.note('of the first'))
    })
    disk.access(() => lab.note('second'))
    hang.remove()
    lab.until(1)
    expect(lab.seen).toEqual(['first', 'second', 'of the first'])
  })

  it('is slow delays calls at the gate and syncs, by a factor and by an amount', () => {
    const { lab, disk } = diskLab()
    const slow = lab.world.node('b1').disk.slow({ addedMicros: 50_000 })
    disk.access(() => lab.note('access'))
    disk.open('f').sync(() => lab.note('f'))
    lab.until(1_000)
    expect(lab.when('access')).toBe(50)
    expect(lab.when('f')).toBeGreaterThan(50.2)
    slow.remove()
    lab.world.node('b1').disk.slow({ factor: 1_000 })
    disk.access(() => lab.note('factor'))
    disk.open('g').sync(() => lab.note('g'))
    lab.until(100_000)
    expect((lab.when('factor') as number) - 1_000).toBeGreaterThan(50)
    expect((lab.when('g') as number) - 1_000).toBeGreaterThanOrEqual(200)
  })

  it('is slow keeps the order of calls when it recovers', () => {
    const { lab, disk } = diskLab()
    const slow = lab.world.node('b1').disk.slow({ addedMicros: 50_000 })
    disk.access(() => lab.note('slow'))
    lab.until(10)
    slow.remove()
    disk.access(() => lab.note('behind'))
    lab.until(100)
    expect(lab.seen).toEqual(['slow', 'behind'])
    expect(lab.when('behind')).toBe(50)
  })

  it('answers promptly lets calls through at once', () => {
    const { lab, disk } = diskLab()
    disk.access(() => lab.note('now'))
    expect(lab.seen).toEqual(['now'])
  })

  it('fails fails every call, and syncs by their callback', () => {
    const { lab, disk } = diskLab()
    const file = disk.open('a')
    file.append(pattern(10))
    file.sync((error) => lab.note(`sync ${error?.kind}`))
    const fault = lab.world.node('b1').disk.fail()
    const failing: (() => unknown)[] = [
      () => file.append(pattern(1)),
      () => file.read(0, 1),
      () => file.truncate(0),
      () => disk.open('a'),
      () => disk.remove('a'),
      () => disk.rename('a', 'b'),
      () => disk.readFile('a'),
      () => disk.replaceFile('a', pattern(1)),
    ]
    for (const call of failing) expect(call).toThrow(DiskError)
    disk.replaceFile('a', pattern(1), (error) => lab.note(`replace ${error?.kind}`))
    expect(lab.seen).toEqual([])
    lab.until(100)
    expect(lab.seen).toEqual(['replace io', 'sync io'])
    expect(file.syncedSize).toBe(0)
    expect(lab.trace('disk.error')).toHaveLength(10)
    fault.remove()
    expect(file.read(0, 10)[0]?.length).toBe(10)
    expect(file.size).toBe(10)
  })

  it('is full takes what fits, then refuses until there is room', () => {
    const { lab, disk } = diskLab()
    const file = disk.open('a')
    file.append(pattern(100))
    const fault = lab.world.node('b1').disk.full(30)
    expect(() => file.append(pattern(50, 100))).toThrow('no space left on device: a')
    expectBytes(bytesOf(file), pattern(130))
    expect(() => file.append(pattern(1))).toThrow(DiskError)
    disk.replaceFile('c', pattern(1), (error) => lab.note(`replace ${error?.kind}`))
    lab.until(1)
    expect(lab.seen).toEqual(['replace full'])
    expect(disk.exists('c')).toBe(false)
    file.truncate(120)
    file.append(pattern(10, 120))
    disk.remove('a')
    disk.open('b').append(pattern(130))
    expect(() => disk.open('b').append(pattern(1))).toThrow(DiskError)
    fault.remove()
    disk.open('b').append(pattern(1))
    expect(lab.world.node('b1').disk.usedBytes).toBe(131)
  })

  it('has a capacity counts what is there, not what was', () => {
    const lab = makeLab('1', { disk: { capacityBytes: 1_000 } })
    lab.add('b1')
    const { disk } = lab.env('b1')
    for (let i = 0; i < 10; i++) {
      disk.replaceFile('checkpoint', pattern(400))
      disk.open('a').append(pattern(600))
      disk.rename('a', 'b')
      disk.remove('b')
    }
    expect(lab.world.node('b1').disk.usedBytes).toBe(400)
    expect(() => disk.open('a').append(pattern(601))).toThrow(DiskError)
  })

  it('rots changes bytes in place, and of the slices only those it touches', () => {
    const { lab, disk } = diskLab()
    const file = disk.open('orders-0/0.log')
    disk.open('orders-0/0.index').append(pattern(10))
    const slices = [0, 100, 200].map((from) => new BytesSlice(pattern(100, from)))
    for (const slice of slices) file.append(slice)
    const rot = lab.world.node('b1').disk.corrupt((path) => path.endsWith('.log'), 150, 60)
    expect(rot).toEqual({ path: 'orders-0/0.log', position: 150, bytes: 60 })
    const pieces = file.read(0, 300)
    expect(pieces.map((piece, i) => piece === slices[i])).toEqual([true, false, false])
    const before = [...pattern(300)]
    const after = [...bytesOf(file)]
    const changed = after.flatMap((byte, i) => (byte === before[i] ? [] : [i]))
    expect(changed).toEqual(Array.from({ length: 60 }, (_, i) => 150 + i))
    expect([...(slices[1] as Slice).toBytes()]).toEqual([...pattern(100, 100)])
    expect(lab.trace('disk.corrupted')).toEqual(['b1 disk.corrupted orders-0/0.log 150 60'])
  })

  it('rots at a place that the seed draws, and nowhere when there is nothing', () => {
    const places = new Set<string>()
    for (let seed = 0; seed < 30; seed++) {
      const { lab, disk } = diskLab(String(seed))
      const device = lab.world.node('b1').disk
      expect(device.corrupt(() => true)).toBeUndefined()
      for (const path of ['a', 'b']) disk.open(path).append(pattern(50))
      const rot = device.corrupt(() => true)
      places.add(`${rot?.path} ${rot?.position}`)
    }
    expect(places.size).toBeGreaterThan(15)
  })
})

describe('a wiped node', () => {
  it('has an empty disk, and says how many files it had', () => {
    const { lab, disk } = diskLab()
    for (const path of ['a', 'b']) disk.open(path).append(pattern(10))
    lab.world.kill('b1')
    lab.world.wipe('b1')
    lab.world.start('b1')
    expect(lab.env('b1').disk.list('')).toEqual([])
    expect(lab.trace('node.wiped')).toEqual(['b1 node.wiped 2'])
    expect(crash(lab).list('')).toEqual([])
  })
})

describe('a prepared disk', () => {
  it('is durable once settled', () => {
    for (let seed = 0; seed < 20; seed++) {
      const lab = makeLab(String(seed))
      lab.world.addNode('b1', () => ({ stop: (done) => done() }))
      const node = lab.world.node('b1')
      node.mount().open('meta.properties').append(utf8('node.id=1'))
      node.mount().replaceFile('bootstrap.checkpoint', pattern(9_000))
      node.disk.settle()
      lab.world.powerLoss('b1')
      lab.world.start('b1')
      const { disk } = lab.env('b1')
      expect(text(disk.readFile('meta.properties'))).toBe('node.id=1')
      expectBytes(disk.readFile('bootstrap.checkpoint'), pattern(9_000))
    }
  })
})

import { describe, expect, it } from 'vitest'
import { DiskError, type Slice } from '../../sim/kernel/env.js'
import { BytesSlice } from '../../sim/world/bytes-slice.js'
import { bytesOf, crash, diskLab, expectBytes, pattern, text, utf8 } from './disk-lab.js'
import { makeLab } from './lab.js'

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

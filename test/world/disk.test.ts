import { describe, expect, it } from 'vitest'
import type { Slice } from '../../sim/kernel/env.js'
import { Random } from '../../sim/kernel/random.js'
import { BytesSlice } from '../../sim/world/bytes-slice.js'
import { bytesOf, crash, diskLab, expectBytes, pattern, text, utf8 } from './disk-lab.js'
import { makeLab } from './lab.js'

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

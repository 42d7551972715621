/** The cases of OffsetMapTest. */
import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../sim/kernel/errors.js'
import { OffsetMap } from '../../sim/log/offset-map.js'

const key = (i: number): Uint8Array => new TextEncoder().encode(String(i))

describe('an offset map', () => {
  it.each([10, 100, 1_000, 5_000])('has every key of %i, and no other', (items) => {
    const map = new OffsetMap(items * 2 * 24)
    for (let i = 0; i < items; i++) map.put(key(i), i)
    for (let i = 0; i < items; i++) expect(map.get(key(i))).toBe(i)
    for (let i = items; i < items + 10; i++) expect(map.get(key(i))).toBe(-1)
    expect([map.size, map.slots]).toEqual([items, items * 2])
  })

  it('is empty after it was cleared', () => {
    const map = new OffsetMap(4_000)
    for (let i = 0; i < 10; i++) map.put(key(i), i)
    map.clear()
    for (let i = 0; i < 10; i++) expect(map.get(key(i))).toBe(-1)
    expect([map.size, map.latestOffset]).toEqual([0, -1])
  })

  it('answers when it is full, and takes nothing more', () => {
    const map = new OffsetMap(100)
    for (let i = 0; i < map.slots; i++) map.put(key(i), i)
    expect(map.get(key(map.slots))).toBe(-1)
    expect(() => map.put(key(map.slots), map.slots)).toThrow(InvariantError)
  })

  it('has the latest offset of each key, and the latest of all', () => {
    const map = new OffsetMap(400)
    map.put(key(1), 1)
    map.put(key(1), 5)
    expect([map.get(key(1)), map.size, map.latestOffset]).toEqual([5, 1, 5])
    map.latestOffset = 10
    expect([map.get(key(1)), map.latestOffset]).toEqual([5, 10])
  })
})

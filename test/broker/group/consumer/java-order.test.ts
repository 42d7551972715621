/** The order of Java's hash tables: as a JVM hands them out. */

import { describe, expect, it } from 'vitest'
import {
  compareUuids,
  inCopiedStringOrder,
  inIntOrder,
  inStringOrder,
  inUuidOrder,
  uuidHash,
} from '../../../../sim/broker/group/consumer/java-order.js'

const NUMBERS = Array.from({ length: 20 }, (_, i) => i * 7)
const IDS = NUMBERS.map((number) => `member-${number}`)
const UUIDS =
  'uwNZvy01y1gWmBpDnKAc4A fSjZFPHp28p2Ovab04kJRw ctdYNG10jFKynUaOwKjXLw RxvCF1iC5EHCjMrI1s4tFA OCBoVHZhfM7roECCu0WHYg 4tSNSFFtETo41RjRUyW_OA 4kXdkwY5bTVwgNE4URe5bg ZJOMxajOXYD-psGCqjuB2Q 4aoJWzMwhtJIfHLVqi1WzQ P3F75Q9mRv-X89QDfVFo4g gwiFiH-HBFcTw98bjbVS-w CkfxqlZlj0yu3YRH1kKOhA c2NO6nlMeldaw-3Zue1n-g TUWjUHlNjBsgHHGfHUA3sA'.split(
    ' ',
  )

describe('Java’s order', () => {
  it('of strings in a table that grew', () => {
    const order = [133, 112, 28, 49, 14, 35, 56, 77, 21, 98, 7, 42, 63, 84, 70, 91, 0, 119, 126, 105]
    expect(inStringOrder(IDS)).toEqual(order.map((number) => `member-${number}`))
  })

  it('of strings in a table made from another collection', () => {
    const order = [28, 49, 14, 35, 56, 77, 21, 7, 42, 63, 70, 0]
    expect(inCopiedStringOrder(IDS.slice(0, 12))).toEqual(order.map((number) => `member-${number}`))
  })

  it('of whole numbers', () => expect(inIntOrder([40, 3, 16, 1, 100, 33, 7])).toEqual([16, 1, 33, 3, 100, 7, 40]))

  it('of uuids', () => {
    const hashes = [
      470717508, 695401730, 1838564807, 198951306, 514118522, -666289253, -974399248, -1732210402, 818654097,
      -625638917, 1660488767, 616395813, -385761634, 156526948,
    ]
    expect(UUIDS.map(uuidHash)).toEqual(hashes)
    expect(inUuidOrder(UUIDS).join(' ')).toBe(
      'gwiFiH-HBFcTw98bjbVS-w uwNZvy01y1gWmBpDnKAc4A P3F75Q9mRv-X89QDfVFo4g fSjZFPHp28p2Ovab04kJRw TUWjUHlNjBsgHHGfHUA3sA ctdYNG10jFKynUaOwKjXLw RxvCF1iC5EHCjMrI1s4tFA 4tSNSFFtETo41RjRUyW_OA CkfxqlZlj0yu3YRH1kKOhA 4aoJWzMwhtJIfHLVqi1WzQ 4kXdkwY5bTVwgNE4URe5bg OCBoVHZhfM7roECCu0WHYg ZJOMxajOXYD-psGCqjuB2Q c2NO6nlMeldaw-3Zue1n-g',
    )
  })

  it('of uuids when they are sorted', () => {
    expect([...UUIDS].sort(compareUuids).join(' ')).toBe(
      'gwiFiH-HBFcTw98bjbVS-w uwNZvy01y1gWmBpDnKAc4A 4aoJWzMwhtJIfHLVqi1WzQ 4kXdkwY5bTVwgNE4URe5bg 4tSNSFFtETo41RjRUyW_OA CkfxqlZlj0yu3YRH1kKOhA OCBoVHZhfM7roECCu0WHYg P3F75Q9mRv-X89QDfVFo4g RxvCF1iC5EHCjMrI1s4tFA TUWjUHlNjBsgHHGfHUA3sA ZJOMxajOXYD-psGCqjuB2Q ctdYNG10jFKynUaOwKjXLw c2NO6nlMeldaw-3Zue1n-g fSjZFPHp28p2Ovab04kJRw',
    )
  })
})

import { describe, expect, it } from 'vitest'
import { nodeId, nodeName, parsePartition, partitionName } from '../../sim/kernel/names.js'

describe('names of nodes', () => {
  it.each([
    ['b1', 1],
    ['b12', 12],
    ['c1', 3001],
    ['c3', 3003],
  ])('%s is node %i, and back', (name, id) => {
    expect(nodeId(name)).toBe(id)
    expect(nodeName(id)).toBe(name)
  })

  it('are no ids where they name something else', () => {
    for (const name of ['p1', 'b', 'b0', 'b01', 'c0', 'z1', 'broker1', 'b1x', '']) expect(nodeId(name)).toBeUndefined()
  })

  it("write Kafka's -1 as none", () => {
    expect(nodeName(-1)).toBe('none')
  })
})

describe('names of partitions', () => {
  it('are the topic and the index, also of topics with dashes', () => {
    expect(partitionName('orders-eu', 3)).toBe('orders-eu-3')
    expect(parsePartition('orders-eu-3')).toEqual({ topic: 'orders-eu', index: 3 })
    expect(parsePartition('__consumer_offsets-49')).toEqual({ topic: '__consumer_offsets', index: 49 })
  })

  it('are refused without a topic or a plain index', () => {
    for (const name of ['orders', '-3', 'orders-', 'orders-03', 'orders-x', ''])
      expect(parsePartition(name)).toBeUndefined()
  })
})

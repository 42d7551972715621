/** What `recovers` lets pass when a partition is not whole again: a replica that cannot come back, for a reason that no cluster can help. */
import { describe, expect, it } from 'vitest'
import type { BatchView } from '../../sim/kernel/events.js'
import { led, type Story } from './story.js'

const OFFSETS = '__consumer_offsets-0'
const judged = (story: Story) => story.at(60).report('recovers', { lastFaultEnd: 5 })
const reasons = (story: Story): unknown => judged(story).losses.map(({ reason }) => reason)

describe('a broker that ends by itself', () => {
  const gone = (story: Story): Story => {
    story.dies('b3', 'power-loss', 80).decides('b1', 0, 1, ['b1', 'b2'])
    story.emit('b3', 'node.start', { incarnation: 2 })
    return story.emit('b3', 'node.down', { how: 'halt', reason: 'cannot read quorum-state' })
  }
  const lie = { step: 1, kind: 'disk-lie', targets: ['b3'], text: 'disk-lie b3' }

  it('is missed', () => {
    expect(judged(gone(led().at(1))).violations.map(({ message }) => message)).toEqual([
      'orders-0 has 2 of 3 replicas in sync, without b3, which is down',
    ])
  })

  it('need not come back when its disk lied', () => {
    const lied = led().at(1).emit('b3', 'fault.start', lie)
    expect(reasons(gone(lied))).toEqual(['synced data lost on b3 (lying disk)'])
    expect(judged(lied).verdict).toBe('pass')
  })

  it('is missed when it could start', () => {
    const lied = gone(led().at(1).emit('b3', 'fault.start', lie)).emit('b3', 'node.start', { incarnation: 3 })
    expect(judged(lied).verdict).toBe('fail')
  })
})

describe('a follower that gives up', () => {
  /** b3 led the offsets before it was killed, and its group coordinator writes once more before it is let in. */
  const astray = (state: 'STARTING' | 'RUNNING'): Story => {
    const story = led().at(1).dies('b3').reopens('b3', 0)
    const topic = {
      topic: '__consumer_offsets',
      id: 'o',
      partitions: 1,
      replicationFactor: 3,
      change: 'created' as const,
    }
    story.emit('c1', 'controller.topic', topic)
    const isr = { isr: [1, 2], elr: [], replicas: [3, 1, 2], adding: [], removing: [], unclean: false, reason: 'test' }
    story.emit('c1', 'controller.partition', {
      partition: OFFSETS,
      leader: 1,
      leaderEpoch: 1,
      partitionEpoch: 1,
      ...isr,
    })
    const role = { partition: OFFSETS, leaderEpoch: 1, partitionEpoch: 1 }
    story.emit('b1', 'replica.leader', { ...role, startOffset: 610, isr: [1, 2], replicas: [3, 1, 2], minIsr: 2 })
    story.emit('b3', 'broker.state', { from: 'NOT_RUNNING', to: state, brokerEpoch: -1, reason: 'start' })
    const log = { logStart: 0, logEnd: 605, recoveryPoint: 0, clean: false, epochs: [] }
    story.emit('b3', 'log.open', { partition: OFFSETS, ...log })
    const at = { baseOffset: 605, lastOffset: 605, leaderEpoch: 0, crc: 1 }
    story.emit('b3', 'log.append', { partition: OFFSETS, ...at, role: 'leader', batch: {} as BatchView })
    story.running('b3')
    return story.emit('b3', 'replica.follower', { ...role, leader: 1, logEnd: 606 })
  }
  const stop = { partition: OFFSETS, leader: 1, leaderEpoch: 1, reason: 'first offset 605 is below the log end 606' }
  const messages = (story: Story): unknown => judged(story).violations.map(({ message }) => message)

  it('may do so over what it wrote in its old epoch before it was let in', () => {
    expect(reasons(astray('STARTING').emit('b3', 'fetch.stopped', stop))).toEqual([
      'a coordinator on b3 wrote in its old epoch, having lost its tail, before it was registered again',
    ])
  })

  it('may do so when its leader goes on without its tail, in ZooKeeper mode', () => {
    const cut = (believesReplicas: boolean): Story => {
      const story = led({ believesReplicas }).at(1).commits('p1/0').commits('p1/1')
      story.dies('b1', 'power-loss', 50).reopens('b1', 0).leads('b1', 0, ['b1', 'b2', 'b3']).running('b1')
      story.decides('b1', 0, 1, ['b1', 'b2'])
      return story.emit('b3', 'fetch.stopped', { ...stop, partition: 'orders-0', leaderEpoch: 0 })
    }
    expect(reasons(cut(true))).toEqual(['accepted data lost on b1, which no controller noticed'])
    expect(messages(cut(false))).toEqual(['orders-0 has 2 of 3 replicas in sync, without b3'])
  })

  it('may not do so otherwise', () => {
    const missing = ['__consumer_offsets-0 has 2 of 3 replicas in sync, without b3']
    expect(messages(astray('RUNNING').emit('b3', 'fetch.stopped', stop))).toEqual(missing)
    expect(messages(astray('STARTING'))).toEqual(missing)
  })
})

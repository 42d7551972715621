/** Groups of old consumers: what is a promise there, what is told as a loss, and what nobody may do. Traces are made by hand. */
import { describe, expect, it } from 'vitest'
import type { Promises } from '../../sim/oracle/oracle.js'
import { EPOCH } from './ensemble-story.js'
import { P, PROMISES, Story } from './trace-story.js'

const OWNER = '/consumers/shop/owners/orders/0'
const NOBODY = '0x0000000000000000'

function promises(commitsInWork?: string): Promises {
  const zookeeper = commitsInWork === undefined ? {} : { commitsInWork }
  return { ...PROMISES, groups: new Map([['shop', { topics: ['orders'], zookeeper }]]) }
}

/** g1 and g2 have sessions s1 and s2. */
class OldStory extends Story {
  #zxid = EPOCH

  constructor(commitsInWork?: string) {
    super(promises(commitsInWork))
    this.written()
    this.emit('z1', 'zk.leading', { epoch: 1, zxid: 0, synced: [1] })
    for (const node of ['g1', 'g2']) {
      this.emit(node, 'zk.client', { session: sessionOf(node), to: 'connected', server: 'z1' })
      this.emit(node, 'consumer.member', { ...ofMember(node), from: 'new', to: 'consuming', reason: 'test' })
    }
  }

  #apply(type: string, session: string): number {
    const zxid = ++this.#zxid
    this.emit('z1', 'zk.apply', { zxid, checksum: zxid, type, session })
    return zxid
  }

  #znode(change: 'created' | 'deleted', zxid: number, owner: string): this {
    return this.emit('z1', 'zk.znode', { change, path: OWNER, zxid, version: 0, owner, dataBytes: 0 })
  }

  /** The owner's znode comes into being. */
  claim(node: string): this {
    return this.#znode('created', this.#apply('create', sessionOf(node)), sessionOf(node))
  }

  /** `by` deletes the znode of `node`. */
  release(node: string, by = node): this {
    return this.#znode('deleted', this.#apply('delete', sessionOf(by)), sessionOf(node))
  }

  expire(node: string): this {
    return this.#znode('deleted', this.#apply('closeSession', sessionOf(node)), sessionOf(node))
  }

  /** Something else takes place that nobody tells of. */
  gap(): this {
    this.#zxid++
    return this
  }

  owns(node: string): this {
    return this.emit(node, 'consumer.assigned', { ...ofMember(node), partitions: [P], owned: [P] })
  }

  lets(node: string): this {
    return this.emit(node, 'consumer.revoked', { ...ofMember(node), partitions: [P], how: 'revoked' })
  }

  begins(node: string, to: number, from = -1): this {
    return this.emit(node, 'consume.position', { partition: P, from, to, reason: 'assigned' })
  }

  stores(node: string, offset: number): this {
    return this.emit(node, 'group.offset', {
      ...ofMember(node),
      partition: P,
      offset,
      leaderEpoch: -1,
      producerId: -1,
    })
  }

  reads(node: string, offsets: readonly number[], isWorkedOn = true): this {
    const ids = offsets.map((offset) => `p1/${offset}`)
    this.emit(node, 'consume.polled', { partition: P, offsets, ids, leaderEpochs: offsets.map(() => 0) })
    return isWorkedOn ? this.emit(node, 'consume.processed', { partition: P, offsets, ids }) : this
  }
}

function sessionOf(node: string): string {
  return NOBODY.slice(0, -1) + node.slice(1)
}

function ofMember(node: string): { group: string; member: string; generation: number } {
  return { group: 'shop', member: `shop_${node}`, generation: -1 }
}

describe('the owner of a partition among old consumers', () => {
  const report = (story: Story) => story.report('one-owner-per-generation')

  it('is whoever has its znode, one after the other', () => {
    const story = new OldStory().claim('g1').owns('g1').lets('g1').release('g1').claim('g2').owns('g2')
    expect(report(story)).toMatchObject({ verdict: 'pass', losses: [] })
  })

  it('may not be told twice while the znode of the first one stands', () => {
    expect(report(new OldStory().claim('g1').owns('g1').owns('g2')).verdict).toBe('fail')
  })

  it('may not give its znode away before it has stopped reading', () => {
    const story = new OldStory().claim('g1').owns('g1').release('g1').claim('g2').owns('g2')
    expect(report(story).violations[0]?.message).toBe('shop: orders-0 belongs to g1 and g2')
  })

  it('may not know yet that its session is over', () => {
    const story = new OldStory().claim('g1').owns('g1').expire('g1').claim('g2').owns('g2')
    const { verdict, losses } = report(story)
    expect(verdict).toBe('pass')
    expect(losses).toMatchObject([{ count: 1, reason: expect.stringContaining('session is over') as string }])
  })

  it('may have lost its znode to a request of another that came late', () => {
    const story = new OldStory().claim('g1').owns('g1').release('g1', 'g2').claim('g2').owns('g2')
    expect(report(story)).toMatchObject({ verdict: 'pass', losses: [{ count: 1 }] })
  })

  it('is not judged by what a recovery of the ensemble did not tell', () => {
    const story = new OldStory().claim('g1').owns('g1').gap().claim('g2').owns('g2')
    expect(report(story)).toMatchObject({ verdict: 'pass', losses: [{ count: 1 }] })
  })
})

describe('offsets of old consumers', () => {
  const report = (story: Story) => story.report('committed-offsets-hold')

  it('do not go back by themselves', () => {
    const story = new OldStory().claim('g1').owns('g1').begins('g1', 0).stores('g1', 3).stores('g1', 2)
    expect(report(story).verdict).toBe('fail')
  })

  it('are written by a member that owns the partition no more: a loss', () => {
    const story = new OldStory().claim('g1').owns('g1').begins('g1', 0).stores('g1', 1).expire('g1')
    story.claim('g2').owns('g2').begins('g2', 1).stores('g2', 3).stores('g1', 2)
    const { verdict, losses } = report(story)
    expect(verdict).toBe('pass')
    expect(losses[0]?.reason).toMatch(/owns no more/)
    // The owner sets right what the other one wrote, be it further on.
    expect(report(story.stores('g1', 3).stores('g2', 2)).verdict).toBe('pass')
  })

  it('are read before the last commit of the owner before: a loss', () => {
    const story = new OldStory().claim('g1').owns('g1').begins('g1', 0).stores('g1', 3).lets('g1').release('g1')
    story.claim('g2').owns('g2').begins('g2', 1).stores('g2', 2)
    const { verdict, losses } = report(story)
    expect(verdict).toBe('pass')
    expect(losses[0]?.reason).toMatch(/read before the partition is claimed/)
  })
})

describe('at least once, among old consumers', () => {
  const lost = (story: OldStory): OldStory => story.claim('g1').owns('g1').begins('g1', 0).reads('g1', [0, 1])

  it('is broken by a commit of what nobody was given', () => {
    expect(lost(new OldStory('auto')).stores('g1', 3).report('at-least-once').verdict).toBe('fail')
  })

  it('is not promised of the record in work when commits go by themselves', () => {
    const story = lost(new OldStory('auto')).reads('g1', [2], false).stores('g1', 3)
    expect(story.report('at-least-once')).toMatchObject({ verdict: 'pass', losses: [{ reason: 'auto', count: 1 }] })
  })

  it('is promised of every record when the application commits', () => {
    expect(lost(new OldStory()).reads('g1', [2], false).stores('g1', 3).report('at-least-once').verdict).toBe('fail')
  })
})

describe('a group of old consumers', () => {
  it('has settled when every partition has an owner, or there is no member', () => {
    expect(new OldStory().claim('g1').owns('g1').report('groups-settle').verdict).toBe('pass')
    const gone = new OldStory()
    for (const node of ['g1', 'g2']) gone.emit(node, 'node.down', { how: 'kill', reason: 'test' })
    expect(gone.report('groups-settle').verdict).toBe('pass')
  })

  it('has not while nobody owns a partition; a loss when a member has given up', () => {
    const story = new OldStory()
    expect(story.report('groups-settle').violations[0]?.message).toBe('shop has members, and nobody owns orders-0')
    const failed = new OldStory()
    failed.emit('g1', 'consumer.member', { ...ofMember('g1'), from: 'rebalancing', to: 'failed', reason: 'test' })
    expect(failed.report('groups-settle')).toMatchObject({ verdict: 'pass', losses: [{ count: 1 }] })
  })
})

/** What users of the raft client rely on, and what its thread waits for. */

import { describe, expect, it } from 'vitest'
import type { EventType, Events } from '../../sim/kernel/events.js'
import { NOT_LEADER } from '../../sim/kraft/raft-client.js'
import { RaftCluster } from './raft-cluster.js'

interface Seen<K extends EventType> {
  readonly at: number
  readonly node: string
  readonly data: Events[K]
}

function watch<K extends EventType>(cluster: RaftCluster, type: K): Seen<K>[] {
  const seen: Seen<K>[] = []
  cluster.engine.trace.watch([type], (event) =>
    seen.push({ at: event.time / 1_000, node: event.node, data: event.data as Events[K] }),
  )
  return seen
}

/** A quorum in which `voters` follow one leader and everything is committed. */
function quorum(
  voters: number,
  options: { observers?: number; seed?: string } = {},
): { cluster: RaftCluster; leader: string } {
  const cluster = new RaftCluster({ voters, seed: 'client', ...options })
  cluster.startAll()
  const settled = cluster.runUntil(() => cluster.hasConsistentLeader && cluster.allReached(3))
  const { leader } = cluster
  if (!settled || leader === undefined) throw new Error('no leader')
  return { cluster, leader }
}

function followers(cluster: RaftCluster): string[] {
  return cluster.voters.map((voter) => voter.node).filter((node) => node !== cluster.leader)
}

describe('an append', () => {
  it('is told its last offset at once, and commits as one batch after the linger time', () => {
    const { cluster, leader } = quorum(3)
    const appends = watch(cluster, 'log.append')
    const now = cluster.engine.now / 1_000
    expect(cluster.append(leader, 'a', 'b')).toBe(4)
    cluster.run(10)
    expect(cluster.append(leader, 'c')).toBe(5)
    cluster.run(10)
    expect(appends).toEqual([])
    cluster.run(30)
    expect(appends[0]).toMatchObject({ node: leader, data: { baseOffset: 3, lastOffset: 5 } })
    expect(Math.round((appends[0]?.at ?? 0) - now)).toBe(25)
    expect(cluster.names.map((name) => [...cluster.machine(name).values.values()])).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ])
  })

  it('is refused by a follower and at a past epoch', () => {
    const { cluster, leader } = quorum(3)
    const [follower = ''] = followers(cluster)
    expect(cluster.append(follower, 'x')).toBe(NOT_LEADER)
    expect(cluster.client(leader).scheduleAppend(0, ['x'])).toBe(NOT_LEADER)
  })

  it('reaches no listener before a majority has flushed it', () => {
    const { cluster, leader } = quorum(3)
    for (const follower of followers(cluster)) cluster.world.node(follower).disk.slow({ addedMicros: 300_000 })
    cluster.append(leader, 'slow')
    cluster.run(250)
    expect(cluster.client(leader).logEndOffset).toBe(4)
    expect([...cluster.machine(leader).values]).toEqual([])
    // One blocked call to write, one to flush.
    cluster.run(500)
    expect([...cluster.machine(leader).values.values()]).toEqual(['slow'])
  })

  it('goes to parked fetches before the leader has flushed it, but counts only after', () => {
    const { cluster, leader } = quorum(3)
    const flushes = watch(cluster, 'log.flush')
    const watermarks = watch(cluster, 'quorum.hw')
    cluster.world.node(leader).disk.slow({ addedMicros: 200_000 })
    cluster.append(leader, 'early')
    // Gate of the write, then the flush.
    cluster.run(25 + 200 + 50)
    expect(flushes.map((flush) => flush.node).sort()).toEqual(followers(cluster).sort())
    expect(watermarks).toEqual([])
    cluster.run(300)
    expect(flushes.at(-1)?.node).toBe(leader)
    expect(watermarks[0]?.node).toBe(leader)
  })

  it('of the only voter commits by itself', () => {
    const { cluster, leader } = quorum(1)
    expect(leader).toBe('c1')
    cluster.append(leader, 'alone')
    cluster.run(30)
    expect([...cluster.machine(leader).values.values()]).toEqual(['alone'])
  })

  it('is lost with the leadership when it was not committed', () => {
    const { cluster, leader } = quorum(3)
    cluster.append(leader, 'lost')
    cluster.client(leader).resign(cluster.client(leader).leader.epoch)
    expect(cluster.runUntil(() => cluster.leader !== undefined && cluster.leader !== leader, 3_000)).toBe(true)
    cluster.run(200)
    for (const name of cluster.names) expect([...cluster.machine(name).values.values()]).toEqual([])
  })
})

describe('a listener', () => {
  it('of the leader hears of the leadership only after everything before its epoch', () => {
    const { cluster, leader } = quorum(3)
    const machine = cluster.machine(leader)
    expect(machine.leaders).toEqual([
      { leaderId: -1, epoch: 1 },
      { leaderId: cluster.client(leader).leader.leaderId, epoch: 1 },
    ])
    const [follower = ''] = followers(cluster)
    const told = cluster.machine(follower).leaders
    expect(told.at(-1)).toEqual(cluster.client(leader).leader)
    cluster.append(leader, 'a')
    cluster.run(100)
    cluster.world.kill(leader)
    let early = false
    cluster.runUntil(() => {
      const next = cluster.leader
      if (next === undefined) return false
      const { nextOffset, isWritable } = cluster.machine(next)
      if (isWritable && nextOffset < 5) early = true
      return isWritable
    }, 10_000)
    expect(early).toBe(false)
    expect(cluster.leader).not.toBe(leader)
  })

  it('that comes late gets the latest snapshot and what follows', () => {
    const { cluster, leader } = quorum(3)
    cluster.append(leader, 'a', 'b')
    cluster.run(100)
    const client = cluster.client(leader)
    expect(
      client.createSnapshot({ offset: 5, epoch: 1, lastContainedLogTimestamp: 0 }, cluster.machine(leader).image()),
    ).toBe(true)
    expect(client.createSnapshot({ offset: 5, epoch: 1, lastContainedLogTimestamp: 0 }, [])).toBe(true)
    cluster.run(50)
    expect(client.createSnapshot({ offset: 5, epoch: 1, lastContainedLogTimestamp: 0 }, [])).toBe(false)
    cluster.append(leader, 'c')
    cluster.run(100)
    const calls: string[] = []
    client.register({
      handleCommit: (batches) =>
        batches.forEach((batch) => calls.push(`${batch.baseOffset}: ${batch.records.join(' ')}`)),
      handleLoadSnapshot: (snapshot) => calls.push(`snapshot ${snapshot.endOffset}-${snapshot.epoch}`),
      handleLeaderChange: (change) => calls.push(`leader at ${change.epoch}`),
      beginShutdown: () => {},
    })
    cluster.run(10)
    expect(calls).toEqual(['snapshot 5-1', '5: c', 'leader at 1'])
  })

  it('of a restarted node gets everything again from its own disk and the quorum', () => {
    const { cluster, leader } = quorum(3)
    cluster.append(leader, 'a', 'b')
    cluster.run(100)
    const [follower = ''] = followers(cluster)
    cluster.world.kill(follower)
    cluster.start(follower)
    cluster.run(50)
    expect([...cluster.machine(follower).values.values()]).toEqual(['a', 'b'])
  })
})

describe('the raft thread', () => {
  it('answers nothing while it waits for the disk, and then in order', () => {
    const { cluster } = quorum(3)
    const [follower = ''] = followers(cluster)
    const votes = watch(cluster, 'quorum.vote')
    const hang = cluster.world.node(follower).disk.hang()
    const leader = cluster.leader ?? ''
    cluster.append(leader, 'a')
    cluster.run(1_000)
    const other = followers(cluster).find((name) => name !== follower) ?? ''
    cluster.world.kill(leader)
    // The other one asks for a pre-vote in vain.
    cluster.run(4_000)
    expect(votes.filter((vote) => vote.node === follower)).toEqual([])
    hang.remove()
    expect(cluster.runUntil(() => cluster.leader === other || cluster.leader === follower, 10_000)).toBe(true)
  })

  it('does not flush what an observer appends', () => {
    const { cluster, leader } = quorum(3, { observers: 1 })
    const flushes = watch(cluster, 'log.flush')
    cluster.append(leader, 'a')
    cluster.run(100)
    expect(flushes.map((flush) => flush.node).sort()).toEqual(['c1', 'c2', 'c3'])
    expect([...cluster.machine('b1').values.values()]).toEqual(['a'])
  })

  it('does not notice a wall clock that jumps forward when a message wakes it: the answer counts before the timer', () => {
    const { cluster, leader } = quorum(3)
    const states = watch(cluster, 'quorum.state')
    for (const name of cluster.names) cluster.world.node(name).clock.jump(60_000)
    cluster.run(5_000)
    expect(states).toEqual([])
    expect(cluster.leader).toBe(leader)
  })

  it('holds its timers still when the wall clock jumps back', () => {
    const { cluster, leader } = quorum(3)
    const states = watch(cluster, 'quorum.state')
    for (const follower of followers(cluster)) cluster.world.node(follower).clock.jump(-10_000)
    cluster.world.kill(leader)
    cluster.run(9_000)
    expect(states).toEqual([])
    cluster.run(5_000)
    expect(states.length).toBeGreaterThan(0)
  })

  it('halts the process when the disk fails', () => {
    const { cluster, leader } = quorum(3)
    cluster.world.node(leader).disk.fail()
    cluster.append(leader, 'a')
    cluster.run(100)
    expect(cluster.world.node(leader).state).toBe('down')
  })
})

describe('leadership', () => {
  it('goes to another node when its holder resigns', () => {
    const { cluster, leader } = quorum(3)
    const { epoch } = cluster.client(leader).leader
    cluster.client(leader).resign(epoch - 1)
    cluster.run(50)
    expect(cluster.leader).toBe(leader)
    cluster.client(leader).resign(epoch)
    expect(cluster.runUntil(() => cluster.hasConsistentLeader && cluster.leader !== leader, 3_000)).toBe(true)
    expect(cluster.client(leader).leader.epoch).toBeGreaterThan(epoch)
  })

  it('is given up after 1.5 fetch timeouts without a majority', () => {
    const { cluster, leader } = quorum(3)
    const states = watch(cluster, 'quorum.state')
    const before = cluster.engine.now / 1_000
    for (const follower of followers(cluster)) cluster.world.kill(follower)
    cluster.run(3_600)
    expect(states[0]).toMatchObject({ node: leader, data: { to: 'resigned', reason: 'check-quorum' } })
    const after = (states[0]?.at ?? 0) - before
    expect(after).toBeGreaterThan(2_400)
    expect(after).toBeLessThanOrEqual(3_000)
  })

  it('is kept while one follower of two fetches', () => {
    const { cluster, leader } = quorum(3)
    cluster.world.kill(followers(cluster)[0] ?? '')
    cluster.run(10_000)
    expect(cluster.leader).toBe(leader)
  })

  it('passes on before a stopped leader is down, and a stopped follower is down at once', () => {
    const { cluster, leader } = quorum(3)
    const [follower = ''] = followers(cluster)
    cluster.world.stop(follower)
    cluster.run(20)
    expect(cluster.world.node(follower).state).toBe('down')
    cluster.start(follower)
    cluster.runUntil(() => cluster.hasConsistentLeader && cluster.allReached(3))
    cluster.world.stop(leader)
    expect(cluster.runUntil(() => cluster.world.node(leader).state === 'down', 5_000)).toBe(true)
    expect(cluster.leader).toBeDefined()
    expect(cluster.leader).not.toBe(leader)
  })

  it('is waited for no longer than five seconds by a stopped leader without a successor', () => {
    const { cluster, leader } = quorum(3)
    for (const follower of followers(cluster)) cluster.world.kill(follower)
    cluster.world.stop(leader)
    cluster.run(4_900)
    expect(cluster.world.node(leader).state).toBe('stopping')
    cluster.run(200)
    expect(cluster.world.node(leader).state).toBe('down')
  })
})

describe('a voter that lost its disk', () => {
  it('comes back with another directory as an observer, and is no voter any more', () => {
    const { cluster, leader } = quorum(3)
    const [follower = ''] = followers(cluster)
    cluster.append(leader, 'a')
    cluster.run(100)
    cluster.world.kill(follower)
    cluster.world.wipe(follower)
    const directory = cluster.engine.random.fork('new directory').uuid()
    cluster.format(follower, directory)
    cluster.world.setBoot(follower, cluster.boot(directory))
    cluster.start(follower)
    cluster.run(500)
    expect(cluster.client(follower).isVoter).toBe(false)
    expect([...cluster.machine(follower).values.values()]).toEqual(['a'])
    const states = watch(cluster, 'quorum.state')
    cluster.world.kill(leader)
    cluster.run(10_000)
    expect(states.filter((state) => state.node === follower)).toEqual([])
    expect(cluster.leader).toBeUndefined()
  })
})

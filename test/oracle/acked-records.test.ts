import { describe, expect, it } from 'vitest'
import { led, P, type Story } from './story.js'

const NAME = 'acked-records-survive'

/** b1 leads and dies; b2 is elected from the ISR. */
function failover(it: Story): Story {
  it.dies('b1').decides('b2', 1, 1, ['b2', 'b3'])
  return it.leads('b2', 1, ['b2', 'b3']).follows('b3', 1, 'b2')
}

describe(NAME, () => {
  it('passes when the new leader holds every acknowledged record', () => {
    const run = led().at(1).commits('p1/0', 'p1/1').acked('p1/0', 0).acked('p1/1', 1).at(5)
    const report = failover(run).report(NAME)
    expect(report).toMatchObject({ verdict: 'pass', violationCount: 0, losses: [] })
    expect(report.checks).toBeGreaterThanOrEqual(4)
  })

  it('fails when the new leader lacks one, and shows ack, append and election', () => {
    const run = led().at(2.6)
    run.appends('b1', ['p1/0'])
    const append = run.last
    run.at(2.64).acked('p1/0', 0)
    const ack = run.last
    failover(run.at(3.104))
    const { verdict, violations } = run.report(NAME)
    expect(verdict).toBe('fail')
    expect(violations[0]).toMatchObject({
      subject: `${P}@0`,
      message: 'orders-0@0 (p1/0) acked to p1 at 2.640 s, missing on b2 at 3.104 s',
      evidence: [ack, append, expect.any(Number) as number],
    })
    const decisive = violations[0]?.evidence.at(-1) as number
    expect(decisive).toBeGreaterThan(ack)
  })

  it('fails when the leader itself truncates one, and names the truncation', () => {
    const run = led().at(1).commits('p1/0').acked('p1/0', 0).truncates('b1', 0)
    const cut = run.last
    expect(run.report(NAME).violations[0]?.evidence.at(-1)).toBe(cut)
  })

  it('fails when another record stands in its place', () => {
    const run = led().at(1).appends('b1', ['p1/0']).acked('p1/0', 0)
    run.appendsAsFollower('b2', ['p1/9'])
    expect(failover(run).report(NAME).violations[0]?.message).toContain('another record in its place on b2')
  })

  it('fails when the acknowledgement arrives after leadership moved on without the record', () => {
    const run = failover(led().at(1).appends('b1', ['p1/0']))
    expect(run.acked('p1/0', 0).report(NAME).verdict).toBe('fail')
  })

  it('reports each lost record once, however many leaders lack it', () => {
    const run = failover(led().at(1).appends('b1', ['p1/0', 'p1/1']).acked('p1/0', 0).acked('p1/1', 1))
    run.decides('b3', 2, 2, ['b3']).leads('b3', 2, ['b3'])
    expect(run.report(NAME).violationCount).toBe(2)
  })

  it('waits until the new leader serves: a process back from a crash may be deposed before', () => {
    const run = led().at(1).commits('p1/0').acked('p1/0', 0).dies('b1', 'power-loss', 100).reopens('b1', 0)
    run.leads('b1', 0, ['b1', 'b2', 'b3'])
    run.decides('b2', 1, 1, ['b2', 'b3']).leads('b2', 1, ['b2', 'b3']).follows('b1', 1, 'b2').running('b1')
    expect(run.report(NAME)).toMatchObject({ verdict: 'pass', losses: [] })
  })

  it('does not count records that DeleteRecords took', () => {
    const run = led().at(1).commits('p1/0', 'p1/1').acked('p1/0', 0).acked('p1/1', 1)
    run.startMoves('b1', 0, 2, 'delete-records').startMoves('b2', 0, 2, 'leader')
    expect(failover(run).report(NAME)).toMatchObject({ verdict: 'pass', losses: [] })
  })

  it('counts records that a leader skips by starting its log later', () => {
    const run = led().at(1).commits('p1/0').acked('p1/0', 0)
    run.truncates('b2', 0, 'out-of-range').startMoves('b2', 0, 5, 'out-of-range')
    expect(failover(run).report(NAME).verdict).toBe('fail')
  })

  it('forgets a deleted topic, and does not take one of the same name for it', () => {
    const run = led().at(1).commits('p1/0').acked('p1/0', 0).topicDeleted()
    // Brokers have not heard yet, and an answer is under way.
    run.appends('b1', ['p1/1']).emit('b1', 'log.deleted', { partition: P })
    run.emit('b2', 'log.deleted', { partition: P }).emit('b3', 'log.deleted', { partition: P })
    run.created().acked('p1/1', 1).commits('p1/2').acked('p1/2', 0)
    expect(run.report(NAME)).toMatchObject({ verdict: 'pass', losses: [], checks: 2 })
  })

  describe('acks=1', () => {
    it('is lost with its leader, which was not promised otherwise', () => {
      const run = failover(led().at(1).appends('b1', ['p1/0']).acked('p1/0', 0, 1))
      expect(run.report(NAME)).toMatchObject({ verdict: 'pass', losses: [{ reason: 'acks=1', count: 1 }] })
    })

    it('must not be lost by a leader that goes on leading', () => {
      const run = led().at(1).appends('b1', ['p1/0']).acked('p1/0', 0, 1).truncates('b1', 0)
      expect(run.report(NAME).verdict).toBe('fail')
    })

    it('may be lost by its leader with a disk that lost power', () => {
      const run = led().at(1).appends('b1', ['p1/0']).acked('p1/0', 0, 1).dies('b1', 'power-loss', 80).reopens('b1', 0)
      run.decides('b1', 1, 1, ['b1']).leads('b1', 1, ['b1']).running('b1')
      expect(run.report(NAME).losses[0]?.reason).toBe('acks=1')
    })
  })

  it('does not judge acks=0, which names no offset', () => {
    const run = led().at(1).emit('p1', 'produce.acked', { id: 'p1/0', partition: P, offset: -1, crc: 0, acks: 0 })
    expect(run.report(NAME)).toMatchObject({ verdict: 'pass', checks: 0 })
  })
})

describe('a consumer', () => {
  it('skips nothing where its leader has a marker, whatever a deposed one has there', () => {
    const run = led().at(1).commits('p1/0').polls([0], ['p1/0'])
    run.appends('b1', ['p1/1']).decides('b2', 1, 1, ['b2', 'b3']).leads('b2', 1, ['b2', 'b3'])
    run.appends('b2', [''], { epoch: 1, isControl: true }).replicates('b3')
    run.appends('b2', ['p1/1'], { epoch: 1 }).replicates('b3').highWatermark('b2', 1, 3, 1)
    expect(run.polls([2], ['p1/1'], 1).report('positions-consistent').verdict).toBe('pass')
  })

  it('skips a record that its leader has', () => {
    const run = led().at(1).commits('p1/0').commits('p1/1').commits('p1/2').polls([0, 2], ['p1/0', 'p1/2'])
    expect(run.report('positions-consistent').violations.map(({ message }) => message)).toEqual([
      'r1 read orders-0@2 next after 0: 1 skipped',
    ])
  })
})

describe('what is not promised, and what is', () => {
  const committed = (options?: Parameters<typeof led>[0]): Story => led(options).at(1).commits('p1/0').acked('p1/0', 0)

  it('pardons an unclean election that is configured', () => {
    const run = committed({ topic: { uncleanLeaderElection: true } }).truncates('b2', 0)
    run.decides('nobody', 1, 1, ['b1']).decides('b2', 2, 2, ['b2'], { unclean: true }).leads('b2', 2, ['b2'])
    expect(run.report(NAME).losses).toMatchObject([{ reason: 'unclean leader election', count: 1 }])
    expect(run.report(NAME).verdict).toBe('pass')
  })

  it('pardons nothing when it was not configured', () => {
    const run = committed().truncates('b2', 0)
    run.decides('nobody', 1, 1, ['b1']).decides('b2', 2, 2, ['b2'], { unclean: true }).leads('b2', 2, ['b2'])
    expect(run.report(NAME).verdict).toBe('fail')
  })

  it('pardons nothing that was acknowledged after the unclean election', () => {
    const run = committed({ topic: { uncleanLeaderElection: true } })
      .truncates('b2', 0)
      .truncates('b3', 0)
    run.decides('nobody', 1, 1, ['b1']).decides('b2', 2, 2, ['b2'], { unclean: true }).leads('b2', 2, ['b2'])
    run.isr('b2', ['b2', 'b3'], 2, 3).decides('b2', 2, 3, ['b2', 'b3'])
    run.appends('b2', ['p1/5'], { epoch: 2 }).replicates('b3').highWatermark('b2', 0, 1, 2).acked('p1/5', 0)
    run.truncates('b3', 0).decides('b3', 3, 4, ['b3']).leads('b3', 3, ['b3'])
    const report = run.report(NAME)
    expect(report.losses).toMatchObject([{ count: 1 }])
    expect(report.violations).toMatchObject([{ subject: `${P}@0` }])
    expect(report.violations[0]?.message).toContain('p1/5')
  })

  it('pardons what a deposed leader goes on acknowledging after the unclean election', () => {
    const run = committed({ topic: { uncleanLeaderElection: true, minInsyncReplicas: 1 } }).truncates('b2', 0)
    run.decides('nobody', 1, 1, ['b1']).decides('b2', 2, 2, ['b2'], { unclean: true }).leads('b2', 2, ['b2'])
    run.isr('b1', ['b1']).appends('b1', ['p1/1']).highWatermark('b1', 1, 2).acked('p1/1', 1)
    expect(run.report(NAME)).toMatchObject({ verdict: 'pass', losses: [{ count: 2 }] })
  })

  it('pardons the loss of power by every replica that could lead', () => {
    const run = committed()
    for (const broker of ['b1', 'b2', 'b3']) run.dies(broker, 'power-loss', 50)
    for (const broker of ['b1', 'b2', 'b3']) run.reopens(broker, 0)
    run.decides('b1', 1, 1, ['b1', 'b2', 'b3']).leads('b1', 1, ['b1', 'b2', 'b3']).running('b1')
    const [loss] = run.report(NAME).losses
    expect(loss?.reason).toBe('accepted data lost on every replica that could lead (b1 b2 b3)')
    expect(run.report(NAME).verdict).toBe('pass')
  })

  it('pardons the loss of a leader that goes on as if nothing had happened, in ZooKeeper mode only', () => {
    const back = (it: Story): Story =>
      it.dies('b1', 'power-loss', 50).reopens('b1', 0).leads('b1', 0, ['b1', 'b2', 'b3'])
    const run = back(committed({ believesReplicas: true })).running('b1')
    expect(run.report(NAME)).toMatchObject({
      verdict: 'pass',
      losses: [{ reason: 'accepted data lost on b1, which no controller noticed' }],
    })
    expect(back(committed()).running('b1').report(NAME).verdict).toBe('fail')
  })

  it('does not pardon it after the controller had another leader elected', () => {
    const run = committed({ believesReplicas: true }).dies('b1', 'power-loss', 50)
    run.decides('b2', 1, 1, ['b2', 'b3']).leads('b2', 1, ['b2', 'b3']).truncates('b2', 0)
    expect(run.report(NAME).verdict).toBe('fail')
  })

  it('pardons nothing while one of them kept it', () => {
    const run = committed()
    for (const broker of ['b1', 'b2']) run.dies(broker, 'power-loss', 50).reopens(broker, 0)
    run.decides('b1', 1, 1, ['b1', 'b2', 'b3']).leads('b1', 1, ['b1', 'b2', 'b3']).running('b1')
    expect(run.report(NAME).verdict).toBe('fail')
  })

  it('pardons the last replica standing that lost power (without ELR)', () => {
    const run = committed().decides('b1', 0, 1, ['b1']).isr('b1', ['b1'])
    run.dies('b1', 'power-loss', 50).decides('nobody', 1, 2, ['b1']).reopens('b1', 0)
    run.decides('b1', 2, 3, ['b1']).leads('b1', 2, ['b1'], 3).running('b1')
    expect(run.report(NAME)).toMatchObject({ verdict: 'pass', losses: [{ count: 1 }] })
  })

  it('does not pardon it while an eligible leader replica kept it (KIP-966)', () => {
    const run = committed()
      .decides('b1', 0, 1, ['b1'], { elr: ['b2'] })
      .isr('b1', ['b1'])
    run
      .dies('b1', 'power-loss', 50)
      .decides('nobody', 1, 2, ['b1'], { elr: ['b2'] })
      .reopens('b1', 0)
    run
      .decides('b1', 2, 3, ['b1'], { elr: ['b2'] })
      .leads('b1', 2, ['b1'], 3)
      .running('b1')
    expect(run.report(NAME).verdict).toBe('fail')
  })

  it('does not pardon a recovery that throws away what the disk had kept', () => {
    const run = committed()
    for (const broker of ['b1', 'b2', 'b3']) run.dies(broker).reopens(broker, 0)
    run.decides('b1', 1, 1, ['b1', 'b2', 'b3']).leads('b1', 1, ['b1', 'b2', 'b3']).running('b1')
    expect(run.report(NAME).verdict).toBe('fail')
  })

  it('does not pardon a second loss by a replica that had come back into the ISR since', () => {
    const run = committed().dies('b1', 'power-loss', 50).decides('b2', 1, 1, ['b2', 'b3']).leads('b2', 1, ['b2', 'b3'])
    run.reopens('b1', 0).running('b1').follows('b1', 1, 'b2').replicates('b1')
    run.decides('b2', 1, 2, ['b2', 'b3', 'b1']).decides('b1', 2, 3, ['b1'])
    run.truncates('b1', 0).leads('b1', 2, ['b1'])
    expect(run.report(NAME).verdict).toBe('fail')
  })

  it('pardons the last known leader that lost power, when nobody else was left', () => {
    const run = committed()
    for (const broker of ['b1', 'b2', 'b3']) run.dies(broker, 'power-loss', broker === 'b1' ? 50 : 0)
    run.decides('nobody', 1, 1, [], { elr: [] }).reopens('b1', 0)
    run.decides('b1', 2, 2, ['b1'], { unclean: true }).leads('b1', 2, ['b1']).running('b1')
    expect(run.report(NAME).losses[0]?.reason).toContain('the last known leader')
  })

  it('does not pardon the last known leader that lost nothing', () => {
    const run = committed()
    for (const broker of ['b1', 'b2', 'b3']) run.dies(broker)
    run.decides('nobody', 1, 1, []).reopens('b1', 0)
    run.decides('b1', 2, 2, ['b1'], { unclean: true }).leads('b1', 2, ['b1']).running('b1')
    expect(run.report(NAME).verdict).toBe('fail')
  })
})

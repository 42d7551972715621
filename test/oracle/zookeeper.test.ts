/** What the oracles on an ensemble find, and what they let pass. */

import { describe, expect, it } from 'vitest'
import type { Events, EventType } from '../../sim/kernel/events.js'
import { Trace } from '../../sim/kernel/trace.js'
import type { OracleReport } from '../../sim/oracle/oracle.js'
import { ZooKeeperHistory } from '../../sim/oracle/zookeeper.js'
import { ZooKeeperSessions } from '../../sim/oracle/zookeeper-sessions.js'
import { EnsembleStory, EPOCH, SESSION } from './ensemble-story.js'

class Story {
  now = 0
  readonly #trace = new Trace(() => this.now)
  readonly #history = new ZooKeeperHistory()
  readonly #sessions = new ZooKeeperSessions()

  constructor() {
    for (const oracle of [this.#history, this.#sessions]) {
      this.#trace.watch(oracle.watches, (event) => oracle.observe(event))
    }
  }

  emit<K extends EventType>(node: string, type: K, data: Events[K]): void {
    this.now += 1_000
    this.#trace.emit(node, type, data)
  }

  later(micros: number): void {
    this.now += micros
  }

  report(name: string): OracleReport {
    const end = { time: this.now, lastSequence: this.#trace.sequence, lastFaultEnd: 0 }
    const reports = [
      this.#history.finish(end),
      this.#sessions.finish(end),
      ...[this.#history.survive, this.#history.leaders, this.#sessions.fired, this.#sessions.liveOut].map((each) =>
        each.report(),
      ),
    ]
    return reports.find((report) => report.name === name) as OracleReport
  }
}

function tell(): { story: Story; ensemble: EnsembleStory } {
  const story = new Story()
  return { story, ensemble: new EnsembleStory(story) }
}

describe('an ensemble', () => {
  it('that loses what was committed while a disk lies is told as a loss', () => {
    const story = new Story()
    const ensemble = new EnsembleStory(story)
    story.emit('scenario', 'fault.start', { step: 1, kind: 'disk-lie', targets: ['z2'], text: 'disk-lie z2' })
    ensemble.lose()
    const { verdict, losses } = story.report('zookeeper-commits-survive')
    expect(verdict).toBe('pass')
    expect(losses).toMatchObject([{ reason: 'the disk of z2 lied', count: 1 }])
  })

  it('commits nothing that an acknowledging server has not on disk', () => {
    const { story, ensemble } = tell()
    const zxid = EPOCH + 3
    ensemble.emit('z1', 'zk.propose', { zxid, checksum: 3, type: 'error' })
    ensemble.emit('z1', 'zk.logged', { zxid, checksum: 3 }).emit('z1', 'zk.commit', { zxid, acks: [1, 2] })
    expect(story.report('zookeeper-commits-survive').violations[0]?.message).toContain('z2 has acknowledged')
  })

  it('applies nothing that is not committed', () => {
    const { story, ensemble } = tell()
    ensemble.emit('z1', 'zk.propose', { zxid: EPOCH + 3, checksum: 3, type: 'error' }).apply('z2', 3, 'error')
    expect(story.report('zookeeper-total-order').violations[0]?.message).toBe('z2 applies e1:3, which is not committed')
  })

  it('has one transaction under a number, and one change by it', () => {
    const { story, ensemble } = tell()
    ensemble.write(3, 'delete').write(4, 'error').apply('z1', 3, 'delete').apply('z1', 4, 'error')
    ensemble.apply('z2', 3, 'delete').znode('z2', 3, 'deleted').apply('z2', 4, 'error')
    expect(story.report('zookeeper-total-order').violations[0]?.message).toBe('e1:3 changes something else on z2')
    ensemble.emit('z3', 'zk.logged', { zxid: EPOCH + 4, checksum: 99 })
    expect(story.report('zookeeper-total-order').violations[1]?.message).toBe('z3 logs another e1:4 than was proposed')
  })

  it('may commit what a deposed leader had proposed, when the next one has it', () => {
    const { story, ensemble } = tell()
    const zxid = EPOCH + 3
    ensemble.emit('z1', 'zk.propose', { zxid, checksum: 3, type: 'error' })
    for (const node of ['z1', 'z2']) ensemble.emit(node, 'zk.logged', { zxid, checksum: 3 })
    ensemble.emit('z2', 'zk.leading', { epoch: 2, zxid, synced: [2, 3] })
    ensemble.emit('z1', 'zk.commit', { zxid, acks: [1, 2] })
    expect(story.report('zookeeper-total-order').verdict).toBe('pass')
    expect(story.report('zookeeper-commits-survive').verdict).toBe('pass')
  })

  it('takes no ephemeral with the end of another session', () => {
    const { story, ensemble } = tell()
    const session = '0x0000000000000002'
    ensemble.write(3, 'closeSession')
    ensemble.emit('z1', 'zk.apply', { zxid: EPOCH + 3, checksum: 3, type: 'closeSession', session })
    ensemble.znode('z1', 3, 'deleted')
    expect(story.report('ephemerals-follow-sessions').verdict).toBe('fail')
  })

  it('tells its clients of watches in order', () => {
    const { story, ensemble } = tell()
    ensemble.watch()
    for (const path of ['/a', '/b']) {
      ensemble.emit('z1', 'zk.watch-set', { session: SESSION, kind: 'data', path }).fire('NodeCreated', path)
    }
    ensemble.emit('k1', 'zk.client-watch', { session: SESSION, type: 'NodeCreated', path: '/b' })
    expect(story.report('watches-fire-once').verdict).toBe('fail')
  })

  it('may send a deletion for each kind of watch after a reconnect', () => {
    const { story, ensemble } = tell()
    ensemble.watch()
    ensemble.emit('z1', 'zk.watch-set', { session: SESSION, kind: 'child', path: '/e' }).fire()
    ensemble.emit('z1', 'zk.watch-set', { session: SESSION, kind: 'data', path: '/a' }).fire('NodeCreated', '/a')
    ensemble.emit('k1', 'zk.client-watch', { session: SESSION, type: 'NodeCreated', path: '/a' })
    expect(story.report('watches-fire-once').verdict).toBe('pass')
  })
})

/** Conversations of a transactional producer, compared to the letter with golden/*.txt. `UPDATE=1` rewrites them. */

import { describe, expect, it } from 'vitest'
import { Errors } from '../../sim/wire/errors.js'
import { answerProduce } from './lab.js'
import { golden, Story } from './story.js'
import { endedTxn, transactional } from './transactional.js'

const TRANSACTIONAL = [
  'FindCoordinator',
  'InitProducerId',
  'AddPartitionsToTxn',
  'AddOffsetsToTxn',
  'TxnOffsetCommit',
  'EndTxn',
  'Produce',
]

describe('a transactional producer', () => {
  it.each([2, 0] as const)('consumes, produces and commits under transaction version %s', (version) => {
    const { lab, app, coordinators } = transactional({ version, brokers: 2, partitions: 2 })
    coordinators.group = 2
    const story = new Story(lab, TRANSACTIONAL)
    story.does('p1 initialises transactions; b1 coordinates them, b2 the group')
    app.init()
    lab.until(500)
    story.does('a record to each partition, the offsets that they come from, commit')
    app.begin()
    app.send()
    app.send({ partition: 1 })
    app.offsets({ 'in-0': 2 })
    lab.until(1_000)
    app.commit()
    lab.until(1_500)
    story.does('the next one')
    app.begin()
    app.send()
    app.offsets({ 'in-0': 3 })
    lab.until(2_000)
    app.commit()
    lab.until(2_500)
    expect(app.told.every((told) => told.endsWith(' ok'))).toBe(true)
    golden(`transaction-version-${version}`, story.end())
  })

  it('commits across the fall of its coordinator', () => {
    const { lab, app, coordinators } = transactional({ brokers: 3 })
    lab.moveLeader('orders-0', 2)
    const story = new Story(lab, TRANSACTIONAL)
    app.init()
    lab.until(500)
    story.does('p1 commits; b1 writes the commit and falls before it answers; b3 takes over')
    app.begin()
    app.send()
    lab.until(600)
    lab.next('EndTxn', () => {
      coordinators.transaction = 3
      lab.world.kill('b1')
    })
    app.commit()
    lab.next('EndTxn', (request) => request.respond(endedTxn(Errors.CONCURRENT_TRANSACTIONS)), 2, 'b3')
    lab.until(2_000)
    expect(app.told.at(-1)).toBe('commit ok')
    golden('commit-across-failover', story.end())
  })

  it('aborts after a refused record and goes on under a raised epoch, under transaction version 0', () => {
    const { lab, app } = transactional({ version: 0 })
    const story = new Story(lab, TRANSACTIONAL)
    app.init()
    lab.until(500)
    story.does('b1 refuses the second record; p1 aborts')
    app.begin()
    app.send()
    lab.until(600)
    lab.next('Produce', (request) => answerProduce(request, Errors.INVALID_RECORD))
    app.send()
    lab.until(700)
    app.commit()
    lab.until(710)
    app.abort()
    lab.until(1_500)
    story.does('p1 tries again')
    app.begin()
    app.send()
    app.commit()
    lab.until(2_500)
    expect(app.told.at(-1)).toBe('commit ok')
    golden('abort-raises-epoch', story.end())
  })
})

/**
 * Conversations of clients with brokers, compared to the letter with golden/*.txt. `UPDATE=1` rewrites them.
 */

import { describe, expect, it } from 'vitest'
import { Errors } from '../../sim/wire/errors.js'
import { consuming, fill, idsIn, producing } from './applications.js'
import { answerProduce, Lab } from './lab.js'
import { golden, Story } from './story.js'

describe('a producer', () => {
  it('whose retries cross a failover keeps order and sequences', () => {
    const lab = new Lab(2)
    lab.topic('orders', 1)
    const story = new Story(lab, ['Produce', 'Metadata'])
    story.does('p1 sends one record')
    const app = producing(lab, { 'linger.ms': 0 })
    app.send()
    lab.until(50)
    story.does('b1 writes p1/1 and loses the answer; leadership moves to b2 with the log; p1/2, p1/3 follow at once')
    lab.next('Produce', (request) => {
      lab.write(request)
      lab.moveLeader('orders-0', 2)
      request.closeConnection()
    })
    for (let i = 0; i < 3; i++) {
      app.send()
      lab.after(0.2)
    }
    lab.until(2_000)
    const lines = story.end()
    expect(idsIn(lab.partition('orders-0'))).toEqual(['p1/0', 'p1/1', 'p1/2', 'p1/3'])
    golden('retries-cross-failover', lines)
  })

  it('raises its epoch when a batch expires and nobody knows whether it was written', () => {
    const lab = new Lab(1)
    lab.topic('orders', 2)
    const story = new Story(lab, ['Produce'])
    const app = producing(lab, { 'linger.ms': 0, 'delivery.timeout.ms': 1_500, 'request.timeout.ms': 1_000 })
    app.send()
    app.send({ partition: 1 })
    lab.until(50)
    story.does('b1 refuses p1/2 of orders-0 until it is given up; orders-1 goes on')
    lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS), 4)
    app.send()
    lab.until(1_700)
    story.does('p1 sends to both partitions again')
    app.send()
    app.send({ partition: 1 })
    lab.until(2_500)
    golden('epoch-bump-after-expiry', story.end())
  })

  it('switches its sticky partition after batch.size bytes', () => {
    const lab = new Lab(1)
    lab.topic('orders', 3)
    const story = new Story(lab, ['Produce'])
    const app = producing(lab, { 'linger.ms': 5, 'batch.size': 400 })
    story.does('p1 sends a record of 100 bytes each millisecond, without key or partition')
    lab.until(20)
    for (let i = 0; i < 16; i++) {
      app.send({ partition: undefined as never, value: new TextEncoder().encode(`p1/${i} `.padEnd(100, '.')) })
      lab.after(1)
    }
    lab.until(200)
    golden('sticky-partition', story.end())
  })
})

describe('a consumer', () => {
  it('tells its fetch session only what changed', () => {
    const lab = new Lab(1)
    lab.topic('orders', 3)
    fill(lab.partition('orders-0'), 2)
    const story = new Story(lab, ['Fetch'])
    story.does('g1 reads three partitions; orders-0 has two records')
    const app = consuming(
      lab,
      { 'auto.offset.reset': 'earliest' },
      [0, 1, 2].map((index) => ({ topic: 'orders', index })),
    )
    lab.until(300)
    story.does('a record comes to orders-2')
    fill(lab.partition('orders-2'), 1)
    lab.until(700)
    story.does('orders-1 is paused')
    app.consumer.pause(['orders-1'])
    lab.until(1_700)
    story.does('b1 forgets the session')
    lab.next('Fetch', (request) =>
      request.respond({
        throttleTimeMs: 0,
        errorCode: Errors.FETCH_SESSION_ID_NOT_FOUND,
        sessionId: 0,
        responses: [],
        nodeEndpoints: [],
      }),
    )
    lab.until(2_800)
    story.does('g1 closes')
    app.stop()
    lab.until(3_900)
    app.consumer.close(() => {})
    lab.until(5_000)
    golden('fetch-session', story.end())
  })

  it('finds out that the log was truncated', () => {
    const lab = new Lab(2)
    lab.topic('orders', 1)
    const partition = lab.partition('orders-0')
    fill(partition, 2)
    fill(partition, 3)
    const story = new Story(lab, ['Fetch', 'OffsetForLeaderEpoch', 'Metadata'])
    story.does('b1 leads orders-0 with five records of epoch 0, and dies')
    consuming(lab, { 'auto.offset.reset': 'earliest' })
    lab.until(100)
    story.does('b2 leads at epoch 1; it never had the last three; two others come')
    lab.world.kill('b1')
    partition.log.pop()
    lab.moveLeader('orders-0', 2)
    fill(partition, 2, { from: 10 })
    lab.until(1_000)
    golden('truncation', story.end())
  })
})

/** Golden conversations: commands, a line, and what was said and done. `UPDATE=1` rewrites them. */

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { TraceEvent } from '../../../sim/kernel/events.js'
import { formatSeconds } from '../../../sim/kernel/units.js'
import { errorName } from '../../../sim/wire/errors.js'
import type { FetchRequest, FetchResponse } from '../../../sim/wire/messages/fetch.js'
import type { ProduceResponse } from '../../../sim/wire/messages/produce.js'
import type { FaultHandle } from '../../../sim/world/fault-rule.js'
import { lineOf, makeCluster, TOPIC, type ClusterOptions, type TestCluster } from './harness.js'

const SHOWN = new Set<string>([
  'log.append',
  'log.truncate',
  'log.open',
  'replica.leader',
  'replica.follower',
  'replica.stopped',
  'replica.offline',
  'hw.advance',
  'hw.set',
  'isr.proposed',
  'isr.committed',
  'isr.rejected',
  'fetch.diverging',
  'fetch.served',
  'node.down',
  'node.start',
])

function play(name: string, options: ClusterOptions, script: string): void {
  const file = fileURLToPath(new URL(`golden/${name}.txt`, import.meta.url))
  const cluster = makeCluster(options)
  const commands = script
    .trim()
    .split('\n')
    .map((line) => line.trim())
  for (const command of commands) perform(cluster, command)
  const lines = cluster.events.flatMap((event) => describeEvent(event))
  const text = `${commands.join('\n')}\n----\n${lines.join('\n')}\n`
  if (process.env['UPDATE'] === '1') writeFileSync(file, text)
  expect(text).toBe(readFileSync(file, 'utf8'))
}

const splits = new WeakMap<TestCluster, FaultHandle>()

function perform(cluster: TestCluster, command: string): void {
  const [verb = '', ...words] = command.split(' ')
  const id = Number((words[0] ?? '').replace('b', ''))
  const verbs: Record<string, () => unknown> = {
    until: () => cluster.until(Number(words[0])),
    produce: () => cluster.produce(id, words.slice(2), { acks: words[1] === 'all' ? -1 : Number(words[1]) }),
    consume: () => cluster.fetch(id, Number(words[1]), { maxWaitMs: 1_000 }),
    kill: () => cluster.kill(id),
    lose: () => cluster.controller.lose(id),
    start: () => cluster.start(id),
    lead: () => cluster.controller.change(TOPIC, 0, { leader: id }),
    'lead-uncleanly': () => cluster.controller.change(TOPIC, 0, { leader: id, isr: [id] }),
    cut: () => cluster.cut(id),
    connect: () => cluster.connect(id),
    split: () => splits.set(cluster, cluster.world.network.partition([['b1'], ['b2', 'b3']])),
    heal: () => splits.get(cluster)?.remove(),
    pause: () => cluster.world.pause(`b${id}`),
    resume: () => cluster.world.resume(`b${id}`),
  }
  const act = verbs[verb]
  if (act === undefined) throw new Error(`what is ${command}?`)
  act()
}

function describeEvent(event: TraceEvent): string[] {
  const at = `${formatSeconds(event.time)} ${event.node}`
  if (event.node === 't1' && event.type === 'response.receive') {
    return [`${at} ← ${event.data.from} ${event.data.api} ${answerOf(event.data.api, event.data.body)}`]
  }
  if (event.type === 'request.send') {
    const { api, body, to } = event.data
    return [`${at} → ${to} ${api}${api === 'Fetch' ? askedOf(body as FetchRequest) : ''}`]
  }
  if (event.type === 'response.receive' && event.data.api === 'Fetch') {
    return [`${at} ← ${event.data.from} Fetch ${answerOf('Fetch', event.data.body)}`]
  }
  return SHOWN.has(event.type) ? [lineOf(event)] : []
}

function askedOf(body: FetchRequest): string {
  const asked = body.topics.flatMap((topic) =>
    topic.partitions.map((p) => ` ${p.fetchOffset} last epoch ${p.lastFetchedEpoch} in epoch ${p.currentLeaderEpoch}`),
  )
  return `${asked.join()} (session epoch ${body.sessionEpoch})`
}

function answerOf(api: string, body: unknown): string {
  if (api === 'Produce') {
    const data = (body as ProduceResponse).responses[0]?.partitionResponses[0]
    return `${errorName(data?.errorCode ?? 0)} offset ${data?.baseOffset}`
  }
  const response = body as FetchResponse
  const data = response.responses[0]?.partitions[0]
  if (data === undefined) return response.errorCode === 0 ? 'nothing new' : errorName(response.errorCode)
  if (data.errorCode !== 0) return errorName(data.errorCode)
  const { epoch, endOffset } = data.divergingEpoch
  const diverging = epoch >= 0 ? ` diverging at ${epoch}/${endOffset}` : ''
  return `${data.records?.length ?? 0} batches, hw ${data.highWatermark}${diverging}`
}

describe('golden conversations', () => {
  it('produce with acks=all: append, fetch, high watermark, answer', () => {
    play(
      'produce-acks-all',
      { minIsr: 2 },
      `
      until 100
      produce b1 all a b
      until 110
      consume b1 0
      until 700
    `,
    )
  })

  it('a slow follower leaves the ISR and comes back', () => {
    play(
      'slow-follower',
      { minIsr: 2, config: { 'replica.lag.time.max.ms': 1000, 'replica.fetch.wait.max.ms': 500 } },
      `
      until 100
      pause b3
      produce b1 all a
      until 2600
      resume b3
      until 2700
    `,
    )
  })

  it('an old leader that does not know is fenced, and cuts what nobody else has', () => {
    play(
      'fenced-leader',
      { minIsr: 1 },
      `
      until 100
      produce b1 all committed
      until 150
      split
      cut b1
      lead b2
      produce b1 1 lost
      until 200
      produce b2 1 kept
      until 700
      heal
      until 800
      connect b1
      until 1500
    `,
    )
  })

  it('a leader dies while acks=all waits', () => {
    play(
      'leader-dies',
      { minIsr: 2 },
      `
      until 100
      produce b1 all a
      until 101.2
      kill b1
      lose b1
      until 1000
      consume b2 0
      start b1
      until 1600
    `,
    )
  })
})

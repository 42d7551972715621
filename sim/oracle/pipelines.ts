/**
 * `exactly-once`: what a pipeline reads and what it writes are one.
 *
 * Of each record that a pipeline's group has committed there is one output that a read_committed consumer sees: not two, not none; and there is
 * none of a record that the group has not committed. With processing.guarantee=at_least_once two are told as a loss.
 *
 * Judged at the end. What is missing, and what came early, is judged only of what lies before the last bound of recovery: at the end of a
 * run some transaction is always half done.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { parsePartition, type NodeName } from '../kernel/names.js'
import type { Micros, Offset } from '../kernel/units.js'
import type { CompactionModel } from './compaction-model.js'
import { Findings } from './findings.js'
import type { LogModel } from './log-model.js'
import type { Oracle, OracleReport, PipelinePromises, Promises, RunEnd } from './oracle.js'
import type { PromiseKeeper } from './promises.js'
import { visibleRecords, type VisibleRecord } from './visible-records.js'

interface Input {
  readonly partition: string
  readonly offset: Offset
  readonly id: string
  /** Sequence and time of the poll that gave it first. */
  readonly seq: number
  readonly time: Micros
}

interface Commit {
  readonly offset: Offset
  readonly seq: number
  readonly time: Micros
}

interface PipelineState {
  readonly promised: PipelinePromises
  /** By `orders-0@41`. */
  readonly inputs: Map<string, Input>
  /** Input partition → commits, in order. */
  readonly commits: Map<string, Commit[]>
}

export class Pipelines implements Oracle {
  readonly name = 'exactly-once'
  readonly watches: readonly EventType[]
  readonly #findings = new Findings(this.name)
  readonly #promises: Promises
  readonly #keeper: PromiseKeeper
  readonly #compaction: CompactionModel
  readonly #logs: LogModel
  readonly #byNode = new Map<NodeName, PipelineState>()
  readonly #byGroup = new Map<string, PipelineState>()
  readonly #leaders = new Map<string, NodeName>()

  constructor(promises: Promises, keeper: PromiseKeeper, logs: LogModel, compaction: CompactionModel) {
    this.#compaction = compaction
    this.#promises = promises
    this.#keeper = keeper
    this.#logs = logs
    for (const promised of promises.pipelines ?? []) {
      const state: PipelineState = { promised, inputs: new Map(), commits: new Map() }
      this.#byGroup.set(promised.group, state)
      for (const node of promised.nodes) this.#byNode.set(node, state)
    }
    this.watches = this.#byGroup.size === 0 ? [] : ['consume.polled', 'group.offset', 'replica.leader']
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'consume.polled':
        this.#polled(event)
        break
      case 'group.offset':
        this.#committed(event)
        break
      case 'replica.leader':
        this.#leaders.set(event.data.partition, event.node)
        break
      default:
        break
    }
  }

  forgetTopic(topic: string): void {
    const isGone = (partition: string): boolean => parsePartition(partition)?.topic === topic
    for (const { inputs, commits } of this.#byGroup.values()) {
      for (const [name, { partition }] of inputs) if (isGone(partition)) inputs.delete(name)
      for (const name of [...commits.keys()]) if (isGone(name)) commits.delete(name)
    }
    for (const name of [...this.#leaders.keys()]) if (isGone(name)) this.#leaders.delete(name)
  }

  #polled({ node, seq, time, data: { partition, offsets, ids } }: EventOf<'consume.polled'>): void {
    const state = this.#byNode.get(node)
    if (state === undefined) return
    offsets.forEach((offset, at) => {
      const name = `${partition}@${offset}`
      const id = ids[at] ?? ''
      if (id !== '' && !state.inputs.has(name)) state.inputs.set(name, { partition, offset, id, seq, time })
    })
  }

  #committed({ seq, time, data: { group, partition, offset } }: EventOf<'group.offset'>): void {
    const state = this.#byGroup.get(group)
    if (state === undefined) return
    const commits = state.commits.get(partition)
    if (commits === undefined) state.commits.set(partition, [{ offset, seq, time }])
    else commits.push({ offset, seq, time })
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  finish(end: RunEnd): OracleReport {
    for (const state of this.#byGroup.values()) this.#judge(state, end)
    return this.#findings.report()
  }

  #judge(state: PipelineState, end: RunEnd): void {
    const { promised, inputs, commits } = state
    const outputs = this.#outputs(promised.to)
    // Then a later output of the same key may stand for this one.
    const isCompacted = [...this.#leaders.keys()].some(
      (name) => parsePartition(name)?.topic === promised.to && this.#compaction.cleanedTo(name) > 0,
    )
    const byId = new Map<string, Input[]>()
    for (const input of inputs.values()) {
      const same = byId.get(input.id)
      if (same === undefined) byId.set(input.id, [input])
      else same.push(input)
    }
    const settledBefore = end.time - this.#promises.settle
    for (const [id, sources] of byId) {
      this.#findings.checks++
      const found = outputs.get(id) ?? []
      if (found.length > sources.length) this.#duplicate(promised, id, found, end)
      if (settledBefore < end.lastFaultEnd || isCompacted) continue
      // What was given and given up may be compacted or deleted before it is read again.
      const isMissing = (input: Input): boolean =>
        input.offset >= Math.max(this.#compaction.cleanedTo(input.partition), this.#logs.deletedTo(input.partition)) &&
        commits.get(input.partition)?.some(({ offset, time }) => offset > input.offset && time < settledBefore) === true
      const due = sources.filter(isMissing)
      if (due.length > found.length) this.#missing(state, due[0] as Input, end)
      if (promised.guarantee === 'exactly_once_v2' && found.length > 0)
        this.#early(state, sources, found, settledBefore)
    }
  }

  #duplicate(promised: PipelinePromises, id: string, found: readonly VisibleRecord[], end: RunEnd): void {
    const ids = found.map((output) => output.id).join(' and ')
    const excuse =
      promised.guarantee === 'at_least_once'
        ? 'processing.guarantee=at_least_once'
        : this.#excuse(promised, found[0]?.seq ?? 0)
    const message = `${promised.name} made ${found.length} records of ${id}: ${ids}`
    this.#findings.add(id, message, end.time, found.map(({ shownAt }) => shownAt).sort(ascending), excuse)
  }

  #missing({ promised, commits }: PipelineState, input: Input, end: RunEnd): void {
    const name = `${input.partition}@${input.offset}`
    const commit = commits.get(input.partition)?.find(({ offset }) => offset > input.offset)
    const message = `${promised.name} committed ${name} (${input.id}), and what it made of it is not in ${promised.to}`
    this.#findings.add(name, message, end.time, [input.seq, commit?.seq ?? 0], this.#excuse(promised, commit?.seq ?? 0))
  }

  /** Outputs are seen, and yet the group would read their records again. */
  #early(
    state: PipelineState,
    sources: readonly Input[],
    found: readonly VisibleRecord[],
    settledBefore: Micros,
  ): void {
    const { promised, commits } = state
    const isDone = sources.some((input) => (commits.get(input.partition)?.at(-1)?.offset ?? -1) > input.offset)
    const input = sources[0] as Input
    if (isDone || input.time > settledBefore) return
    const name = `${input.partition}@${input.offset}`
    const output = found[0] as VisibleRecord
    const message = `${promised.to} has ${output.id}, made of ${name} (${input.id}), which ${promised.group} has not committed`
    this.#findings.add(
      name,
      message,
      settledBefore,
      [input.seq, output.shownAt],
      this.#excuse(promised, output.shownAt),
    )
  }

  /** Why something of the topics in question, or of the coordinators', may be gone. */
  #excuse(promised: PipelinePromises, seq: number): string | undefined {
    const topics = [promised.to, ...promised.topics, '__consumer_offsets', '__transaction_state']
    for (const partition of this.#leaders.keys()) {
      if (!topics.includes(parsePartition(partition)?.topic ?? '')) continue
      const excuse = this.#keeper.excuse(partition, seq, Infinity)
      if (excuse !== undefined) return excuse
    }
    return undefined
  }

  /** Id of a source → what is seen of it in the topic. */
  #outputs(topic: string): ReadonlyMap<string, VisibleRecord[]> {
    const outputs = new Map<string, VisibleRecord[]>()
    for (const [partition, leader] of this.#leaders) {
      if (parsePartition(partition)?.topic !== topic) continue
      for (const record of visibleRecords(this.#logs.log(leader, partition))) {
        if (record.source === '') continue
        const same = outputs.get(record.source)
        if (same === undefined) outputs.set(record.source, [record])
        else same.push(record)
      }
    }
    return outputs
  }
}

function ascending(a: number, b: number): number {
  return a - b
}

/**
 * What the explorer is about, without a terminal: branches, the cursor, what is looked at, and what each key does to them.
 *
 * Keys and time come in (`key`, `work`), screens read what is here. Everything outside is reached through `Outside`. The recordings
 * grow in slices; a key never waits for them, it only moves the cursor within what is recorded.
 */

import { basename } from 'node:path'
import { UsageError } from '../kernel/errors.js'
import type { TraceEvent } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'
import { parseDuration } from '../kernel/quantity.js'
import { STEP_KINDS } from '../faults/kinds.js'
import type { Scenario } from '../scenario/scenario.js'
import { describeEvent } from '../../reports/describe-event.js'
import { Branch, withStep } from './branch.js'
import { decisive, findingsOf } from './findings.js'
import { actionOf, type Action } from './keys.js'
import { completed, typed, type LineInput } from './line-input.js'
import { isLandmark, LEVELS, type Landmark, type Level } from './outline.js'
import { nodesOf, partitionsOf } from './subjects.js'

/** What the explorer reaches outside of itself. */
export interface Outside {
  /** Writes a file, with the folders that it needs. @throws Error that says what is wrong */
  save(path: string, text: string): void
  /** Puts a text on the clipboard, where the terminal lets it. */
  copy(text: string): void
  quit(): void
}

export const PANES = ['event', 'node', 'log', 'oracles', 'branches'] as const
export type Pane = (typeof PANES)[number]

/** Virtual seconds played in a real one. */
const SPEEDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30]
const FIRST_SPEED = 4
const PAGE = 15
/** How far a live recording runs ahead of the cursor. */
const AHEAD = 2_000_000

export interface ExplorerOptions {
  readonly scenario: Scenario
  readonly file: string
  readonly seed: number
  readonly live: boolean
  /** The command that runs this again. */
  readonly replay: string
}

export class Explorer {
  readonly options: ExplorerOptions
  readonly branches: Branch[]
  level: Level = 'messages'
  pane: Pane = 'event'
  isHelp = false
  isComparing = false
  isPlaying = false
  input: LineInput | undefined
  /** A word for the person, until the next key. */
  message = ''
  helpTop = 0
  readonly #outside: Outside
  #branch: Branch
  #node: NodeName | undefined
  #partition: string | undefined
  #speed = FIRST_SPEED
  /** Virtual time that playing has reached. */
  #playhead = 0
  #searched = ''
  readonly #trail: number[] = []

  constructor(options: ExplorerOptions, outside: Outside) {
    this.options = options
    this.#outside = outside
    const { scenario, seed, file, live } = options
    this.#branch = new Branch('main', scenario, { seed, file, live })
    this.branches = [this.#branch]
  }

  get branch(): Branch {
    return this.#branch
  }

  get event(): TraceEvent | undefined {
    return this.#branch.recording.events[this.#branch.cursor - 1]
  }

  get speed(): number {
    return SPEEDS[this.#speed] as number
  }

  /** The node that is looked at. */
  get node(): NodeName | undefined {
    const nodes = nodesOf(this.#branch)
    if (this.#node !== undefined && nodes.includes(this.#node)) return this.#node
    return nodes.find((node) => node.startsWith('b')) ?? nodes[0]
  }

  /** The partition that is looked at. */
  get partition(): string | undefined {
    const partitions = partitionsOf(this.#branch, this.#branch.cursor)
    if (this.#partition !== undefined && partitions.includes(this.#partition)) return this.#partition
    const { result } = this.#branch.recording
    const named = partitions.find((name) => findingsOf(result).some(({ message }) => message.includes(name)))
    return named ?? partitions[0]
  }

  // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Lets recordings grow until the time is up. True while there is more to do. */
  work(isTimeUp: () => boolean): boolean {
    let goesOn = false
    for (const branch of [this.#branch, ...this.branches]) {
      const { recording } = branch
      const limit = recording.isLive ? Math.max(recording.readyAt + branch.time, this.#playhead) + AHEAD : undefined
      if (recording.readyAt === 0 || limit === undefined || recording.now < limit) {
        if (branch.advance(isTimeUp, limit) && !recording.isLive) goesOn = true
      }
      if (branch.isUntouched && recording.readyAt > 0) this.#toReady(branch)
      if (isTimeUp()) return goesOn
    }
    if (this.pane === 'node' && !this.isHelp) {
      this.#branch.position.seek(this.#branch.cursor)
      if (this.#branch.position.advance(isTimeUp)) goesOn = true
    }
    return goesOn
  }

  /** Real time passed: what is playing goes on. True when something moved. */
  tick(realMs: number): boolean {
    if (!this.isPlaying) return false
    const { recording } = this.#branch
    this.#playhead = Math.min(this.#playhead + realMs * 1_000 * this.speed, recording.end)
    const { events } = recording
    let at = this.#branch.cursor
    while (at < events.length && (events[at] as TraceEvent).time <= this.#playhead) at++
    const moved = at !== this.#branch.cursor
    this.#branch.cursor = at
    if (recording.isEnded && at >= events.length) this.isPlaying = false
    return moved || !this.isPlaying
  }

  #toReady(branch: Branch): void {
    const seq = branch.outline.find(0, 1, (event) => event.type === 'run.ready')
    branch.cursor = seq ?? 1
  }

  // ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  key(key: string): void {
    this.message = ''
    if (this.input !== undefined) {
      this.#type(this.input, key)
      return
    }
    const action = actionOf(key)
    if (this.isHelp) {
      this.#inHelp(key, action)
      return
    }
    if (key === 'escape') {
      this.isComparing = false
      this.isPlaying = false
      return
    }
    if (action === undefined) {
      this.message = `${key} does nothing; ? shows what does`
      return
    }
    this.#act(action)
  }

  #inHelp(key: string, action: Action | undefined): void {
    if (action === 'quit' && key !== 'q') this.#outside.quit()
    else if (action === 'next') this.helpTop++
    else if (action === 'previous') this.helpTop = Math.max(0, this.helpTop - 1)
    else if (action === 'page-down') this.helpTop += PAGE
    else if (action === 'page-up') this.helpTop = Math.max(0, this.helpTop - PAGE)
    else this.isHelp = false
  }

  #act(action: Action): void {
    switch (action) {
      case 'help':
        this.isHelp = true
        this.helpTop = 0
        break
      case 'quit':
        this.#outside.quit()
        break
      case 'play':
        this.isPlaying = !this.isPlaying
        this.#playhead = this.#branch.recording.readyAt + this.#branch.time
        break
      case 'faster':
        this.#speed = Math.min(SPEEDS.length - 1, this.#speed + 1)
        this.message = `plays ${this.speed} s in a second`
        break
      case 'slower':
        this.#speed = Math.max(0, this.#speed - 1)
        this.message = `plays ${this.speed} s in a second`
        break
      case 'detail':
        this.level = LEVELS[(LEVELS.indexOf(this.level) + 1) % LEVELS.length] as Level
        this.message = `shows ${this.level === 'story' ? 'the story' : this.level}`
        break
      case 'pane':
        this.pane = PANES[(PANES.indexOf(this.pane) + 1) % PANES.length] as Pane
        break
      case 'previous-pane':
        this.pane = PANES[(PANES.indexOf(this.pane) + PANES.length - 1) % PANES.length] as Pane
        break
      default:
        this.#look(action)
    }
  }

  #look(action: Action): void {
    switch (action) {
      case 'next-node':
        this.#node = after(nodesOf(this.#branch), this.node, 1)
        break
      case 'previous-node':
        this.#node = after(nodesOf(this.#branch), this.node, -1)
        break
      case 'next-partition':
        this.#partition = after(partitionsOf(this.#branch, this.#branch.cursor), this.partition, 1)
        break
      case 'previous-partition':
        this.#partition = after(partitionsOf(this.#branch, this.#branch.cursor), this.partition, -1)
        break
      case 'branches':
        this.#switch(this.branches[(this.branches.indexOf(this.#branch) + 1) % this.branches.length] as Branch)
        break
      case 'compare':
        if (this.branches.length < 2) this.message = 'there is one branch only; b makes another'
        else this.isComparing = !this.isComparing
        break
      case 'copy':
        this.#outside.copy(this.replayCommand)
        this.message = `copied: ${this.replayCommand}`
        break
      case 'branch':
        this.input = { purpose: 'step', label: 'inject', text: '' }
        this.isPlaying = false
        break
      case 'save':
        this.input = { purpose: 'save', label: 'save as', text: this.#branch.savedAs ?? this.#pathFor(this.#branch) }
        break
      case 'rename':
        this.input = { purpose: 'rename', label: 'name', text: this.#branch.name }
        break
      case 'search':
        this.input = { purpose: 'search', label: '/', text: '' }
        break
      case 'goto':
        this.input = { purpose: 'goto', label: 'go to', text: '' }
        break
      default:
        this.#move(action)
    }
  }

  #move(action: Action): void {
    this.isPlaying = false
    const { event } = this
    switch (action) {
      case 'next':
        return this.#rows(1)
      case 'previous':
        return this.#rows(-1)
      case 'page-down':
        return this.#rows(PAGE)
      case 'page-up':
        return this.#rows(-PAGE)
      case 'first':
        return this.#goto(this.#branch.outline.seqAt(this.level, 0), 'nothing is recorded yet')
      case 'last':
        return this.#goto(this.#branch.outline.seqAt(this.level, this.#branch.outline.count(this.level) - 1), '')
      case 'next-in-lane':
        return this.#seek(1, ({ node }) => node === event?.node, 'no later event of this node')
      case 'previous-in-lane':
        return this.#seek(-1, ({ node }) => node === event?.node, 'no earlier event of this node')
      case 'next-of-kind':
        return this.#seek(1, ({ type }) => type === event?.type, 'no later event of this kind')
      case 'previous-of-kind':
        return this.#seek(-1, ({ type }) => type === event?.type, 'no earlier event of this kind')
      case 'next-fault':
        return this.#landmark(1, 'fault')
      case 'previous-fault':
        return this.#landmark(-1, 'fault')
      case 'next-epoch':
        return this.#landmark(1, 'epoch')
      case 'previous-epoch':
        return this.#landmark(-1, 'epoch')
      case 'next-violation':
        return this.#violation(1)
      case 'previous-violation':
        return this.#violation(-1)
      case 'search-again':
        return this.#search(this.#searched)
      case 'cause':
        return this.#toCause()
      case 'back':
        return this.#goto(this.#trail.pop(), 'w was not pressed yet')
      default:
        return undefined
    }
  }

  #rows(count: number): void {
    const { outline, cursor } = this.#branch
    const index = outline.indexOf(this.level, cursor)
    const wanted = Math.max(0, Math.min(outline.count(this.level) - 1, index + count))
    const isPartWay = count < 0 && outline.seqAt(this.level, index) !== cursor
    this.#goto(outline.seqAt(this.level, isPartWay ? Math.min(index, wanted + 1) : wanted), '')
  }

  #seek(step: 1 | -1, matches: (event: TraceEvent) => boolean, otherwise: string): void {
    this.#goto(this.#branch.outline.find(this.#branch.cursor, step, matches), otherwise)
  }

  #landmark(step: 1 | -1, landmark: Landmark): void {
    const what = landmark === 'fault' ? 'fault' : 'new leader'
    this.#seek(step, (event) => isLandmark(event, landmark), `no ${what} ${step > 0 ? 'after' : 'before'} this`)
  }

  #violation(step: 1 | -1): void {
    const { result, isLive } = this.#branch.recording
    if (result === undefined) {
      this.message = isLive ? 'a live run is not judged' : 'the run is not judged before it has ended'
      return
    }
    const findings = findingsOf(result)
    const seqs = findings.flatMap((finding) => decisive(finding) ?? []).sort((a, b) => a - b)
    const { cursor } = this.#branch
    const seq = step > 0 ? seqs.find((at) => at > cursor) : seqs.findLast((at) => at < cursor)
    const none = seqs.length === 0 ? 'no violation in this run' : `no violation ${step > 0 ? 'after' : 'before'} this`
    this.#goto(seq, none)
    const found = findings.find((finding) => decisive(finding) === seq)
    if (seq !== undefined && found !== undefined) this.message = `${found.name}: ${found.message}`
  }

  #toCause(): void {
    const { event } = this
    if (event === undefined || event.cause === 0) {
      this.message = 'nothing led to this event: it is where a chain of causes begins'
      return
    }
    this.#trail.push(event.seq)
    this.#goto(event.cause, '')
  }

  #goto(seq: number | undefined, otherwise: string): void {
    if (seq === undefined) this.message = otherwise
    else this.#branch.cursor = seq
  }

  #switch(branch: Branch): void {
    if (branch === this.#branch) this.message = 'there is one branch only; b makes another'
    this.#branch = branch
    this.#trail.length = 0
    this.isPlaying = false
  }

  // ── lines ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #type(input: LineInput, key: string): void {
    if (key === 'escape') this.input = undefined
    else if (key === 'ctrl+c') this.#outside.quit()
    else if (key === 'tab') this.input = completed(input, this.completions)
    else if (key === 'return') this.#enter(input)
    else this.input = typed(input, key)
  }

  #enter(input: LineInput): void {
    const wrong = this.#do(input.purpose, input.text.trim())
    this.input = wrong === undefined ? undefined : { ...input, wrong }
  }

  /** What is wrong with the line, if anything. */
  #do(purpose: LineInput['purpose'], text: string): string | undefined {
    if (text === '') return undefined
    switch (purpose) {
      case 'search':
        this.#search(text)
        return undefined
      case 'goto':
        return this.#gotoText(text)
      case 'rename':
        if (this.branches.some((branch) => branch !== this.#branch && branch.name === text)) {
          return `another branch is called ${text}`
        }
        this.#branch.name = text
        return undefined
      case 'save':
        return this.#save(text)
      case 'step':
        return this.#fork(text)
    }
  }

  #search(text: string): void {
    this.#searched = text
    if (text === '') this.message = 'nothing was searched for yet; / does'
    else {
      const wanted = text.toLowerCase()
      this.#seek(1, (event) => textOf(event).includes(wanted), `no event after this says ${text}`)
    }
  }

  #gotoText(text: string): string | undefined {
    const { recording, outline } = this.#branch
    const number = /^#([0-9]+)$/.exec(text)
    if (number !== null) {
      const seq = Number(number[1])
      if (seq < 1 || seq > recording.events.length) return `there are events #1 to #${recording.events.length}`
      this.#branch.cursor = seq
      return undefined
    }
    const relative = /^[+-]/.exec(text)?.[0]
    const plain = relative === undefined ? text : text.slice(1)
    const size = /^[0-9.]+$/.test(plain) ? Math.round(Number(plain) * 1e6) : parseDuration(plain)
    if (size === undefined || Number.isNaN(size)) return 'write 2.64, 150ms, +50ms or #1207'
    const since = relative === undefined ? size : this.#branch.time + (relative === '+' ? size : -size)
    const time = recording.readyAt + since
    if (time > recording.now) return `recorded up to ${((recording.now - recording.readyAt) / 1e6).toFixed(3)} s`
    this.#branch.cursor = (outline.find(0, 1, (event) => event.time > time) ?? recording.events.length + 1) - 1
    return undefined
  }

  #save(path: string): string | undefined {
    try {
      this.#outside.save(path, this.#branch.toYaml())
    } catch (error) {
      return error instanceof UsageError || error instanceof Error ? error.message : String(error)
    }
    this.#branch.savedAs = path
    this.message = `saved; samsa replay ${path}`
    return undefined
  }

  #fork(text: string): string | undefined {
    const parent = this.#branch
    if (this.event === undefined || parent.recording.readyAt === 0) return 'the cluster is not ready yet'
    if (parent.time < 0) return 'a step cannot act before the cluster is ready'
    // Right behind what happened at this time.
    const at = parent.time + 1
    const scenario = withStep(parent.recording.scenario, text, at)
    if ('wrong' in scenario) return scenario.wrong
    const branch = new Branch(this.#freeName(), scenario.scenario, parent.recording.options, {
      from: parent,
      at,
      step: text,
    })
    this.branches.push(branch)
    this.#switch(branch)
    this.message = `${branch.name} forks at ${(at / 1e6).toFixed(3)} s: ${text}`
    return undefined
  }

  /** Words that may stand in the line that is typed. */
  get completions(): readonly string[] {
    if (this.input?.purpose !== 'step') return []
    const { run } = this.#branch.recording
    const words = this.input.completing?.stem ?? this.input.text
    if (!/\s/.test(words.trimStart())) return Object.keys(STEP_KINDS).sort()
    const partitions = partitionsOf(this.#branch, this.#branch.cursor)
    const roles = ['leader', 'followers', 'replicas', 'isr']
    return [
      ...run.names.brokers,
      ...run.names.controllers,
      ...run.names.clients,
      'controller',
      'brokers',
      'controllers',
      'any broker',
      'rest',
      ...partitions.flatMap((partition) => roles.map((role) => `${role}(${partition})`)),
      'minority(controllers)',
      'for',
    ]
  }

  get replayCommand(): string {
    const { savedAs } = this.#branch
    if (savedAs !== undefined) return `samsa replay ${savedAs}`
    return this.#branch.fork === undefined ? this.options.replay : `samsa replay ${this.#pathFor(this.#branch)}`
  }

  #pathFor(branch: Branch): string {
    const file = basename(this.options.file).replace(/\.[a-z]+$/, '')
    return `.samsa/explorer/${file}-${branch.name.replace(/[^a-zA-Z0-9]+/g, '-')}.yaml`
  }

  #freeName(): string {
    let number = 1
    while (this.branches.some(({ name }) => name === `try-${number}`)) number++
    return `try-${number}`
  }
}

function after<T>(items: readonly T[], item: T | undefined, step: 1 | -1): T | undefined {
  if (items.length === 0) return undefined
  const at = item === undefined ? -1 : items.indexOf(item)
  return items[(at + step + items.length) % items.length]
}

/** What `/` looks into. */
function textOf(event: TraceEvent): string {
  const api = 'api' in event.data ? String(event.data.api) : ''
  return `${event.type} ${event.node} ${api} ${describeEvent(event)}`.toLowerCase()
}

/**
 * The life of a node, and the process that runs on it.
 *
 * A node's host is on or off; on it runs at most one process at a time. What each operation does in each state
 * (`-` = refused, with the reason as a value):
 *
 *   state          start    kill   power-loss  pause   resume   stop         end (stop done, halt)  wipe
 *   never-started  running  -      same, off   -       -        -            -                      same
 *   running        -        down   down, off   paused  -        stopping     down                   -
 *   stopping       -        down   down, off   paused  -        -            down                   -
 *   paused         -        down   down, off   -       before*  paused**     -                      -
 *   down           running  -      same, off   -       -        -            -                      same
 *
 *   *  running or stopping, whichever it was; the callbacks that waited come first, in order.
 *   ** like SIGTERM to a stopped process: asked for at once, seen by the program in its turn after resume.
 *
 * A `Process` is one incarnation. It promises that no callback of it runs while it is paused or after its end, and that
 * callbacks that came while it was paused run in the order in which they came, each with the cause that it came with.
 */

import { DiskError } from '../kernel/env.js'
import type { Engine } from '../kernel/engine.js'
import type { NodeName } from '../kernel/names.js'

export type NodeState = 'never-started' | 'running' | 'stopping' | 'paused' | 'down'

export type NodeOperation = 'start' | 'kill' | 'power-loss' | 'pause' | 'resume' | 'stop' | 'end' | 'wipe'

/** The state after the operation; undefined where it is refused. `paused` leads back to what was paused. */
type Row = Readonly<Record<NodeOperation, NodeState | undefined>>

const NO = undefined

// prettier-ignore
export const NODE_TRANSITIONS: Readonly<Record<NodeState, Row>> = {
  'never-started': { start: 'running', kill: NO,     'power-loss': 'never-started', pause: NO,       resume: NO,        stop: NO,         end: NO,     wipe: 'never-started' },
  running:         { start: NO,        kill: 'down', 'power-loss': 'down',          pause: 'paused', resume: NO,        stop: 'stopping', end: 'down', wipe: NO },
  stopping:        { start: NO,        kill: 'down', 'power-loss': 'down',          pause: 'paused', resume: NO,        stop: NO,         end: 'down', wipe: NO },
  paused:          { start: NO,        kill: 'down', 'power-loss': 'down',          pause: NO,       resume: 'running', stop: 'paused',   end: NO,     wipe: NO },
  down:            { start: 'running', kill: NO,     'power-loss': 'down',          pause: NO,       resume: NO,        stop: NO,         end: NO,     wipe: 'down' },
}

/** What an operation on a node came to. A refusal changes nothing; its reason is for people. */
export type Outcome = { readonly ok: true } | { readonly ok: false; readonly reason: string }

export const DONE: Outcome = { ok: true }

export function refused(reason: string): Outcome {
  return { ok: false, reason }
}

/** Unwinds the stack of a process that halts in the middle of a handler: nothing after `halt` may run. */
export class ProcessEnded extends Error {
  constructor() {
    super('process ended')
    this.name = 'ProcessEnded'
  }
}

interface Waiting {
  readonly fire: (argument: unknown) => void
  readonly argument: unknown
  readonly cause: number
}

export class Process {
  readonly node: NodeName
  readonly incarnation: number
  readonly engine: Engine
  /** False once the process has ended. */
  alive = true
  /** Sequence of the latest send event and the engine's event in which it was emitted: the cause of the frame that follows. */
  sendCause = 0
  sendEvent = -1
  readonly #onDiskError: (error: DiskError) => void
  /** Callbacks must queue: the process is paused, or what waited has not all run yet. */
  #gated = false
  #paused = false
  #drainScheduled = false
  #depth = 0
  #waiting: Waiting[] = []

  constructor(node: NodeName, incarnation: number, engine: Engine, onDiskError: (error: DiskError) => void) {
    this.node = node
    this.incarnation = incarnation
    this.engine = engine
    this.#onDiskError = onDiskError
  }

  /** Callbacks that wait for `resume`. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Runs a callback of this process now, or in its turn when it is paused; never when the process has ended. */
  deliver<T>(fire: (argument: T) => void, argument: T): void {
    if (this.#gated) {
      if (!this.alive) return
      this.#waiting.push({
        fire: fire as (argument: unknown) => void,
        argument,
        cause: this.engine.trace.cause,
      })
      return
    }
    this.#run(fire, argument)
  }

  pause(): void {
    this.#gated = true
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    if (this.#waiting.length === 0) this.#gated = false
    else this.#scheduleDrain()
  }

  /** The end: nothing of this process runs any more. */
  end(): void {
    this.alive = false
    this.#gated = true
    this.#waiting = []
  }

  /** Leaves the handler that is running, if one is, by unwinding its stack. */
  unwind(): void {
    if (this.#depth > 0) throw new ProcessEnded()
  }

  #run<T>(fire: (argument: T) => void, argument: T): void {
    this.#depth++
    try {
      fire(argument)
    } catch (error) {
      this.#caught(error)
    } finally {
      this.#depth--
    }
  }

  #caught(error: unknown): void {
    if (error instanceof ProcessEnded && !this.alive) return
    // Kafka ends the process when its only log directory fails; whatever else escapes a handler is a defect of samsa.
    if (!(error instanceof DiskError)) throw error
    if (this.alive) this.#onDiskError(error)
  }

  #scheduleDrain(): void {
    if (this.#drainScheduled) return
    this.#drainScheduled = true
    const trace = this.engine.trace
    const before = trace.cause
    trace.cause = (this.#waiting[0] as Waiting).cause
    this.engine.schedule(this.engine.now, drainOne, this)
    trace.cause = before
  }

  /** One waiting callback an event, so that the next one sees what this one caused at once. */
  drain(): void {
    this.#drainScheduled = false
    if (!this.alive || this.#paused) return
    const next = this.#waiting.shift() as Waiting
    this.#run(next.fire, next.argument)
    if (!this.alive) return
    if (this.#waiting.length === 0) this.#gated = false
    else this.#scheduleDrain()
  }
}

function drainOne(process: Process): void {
  process.drain()
}

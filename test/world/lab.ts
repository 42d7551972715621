/**
 * A small world to break: nodes that write down what they see, and frames that are texts.
 *
 * `lab.seen` holds lines such as `b1 got hello from p1` and `p1 lost b1: reset`; `lab.times` when each was seen, in microseconds.
 */

import { Engine } from '../../sim/kernel/engine.js'
import type { Boot, Connection, Env, Frame, Program } from '../../sim/kernel/env.js'
import type { EventType, TraceEvent } from '../../sim/kernel/events.js'
import { formatSeconds, millis, type Millis } from '../../sim/kernel/units.js'
import { World, type WorldOptions } from '../../sim/world/world.js'

export interface Lab {
  readonly engine: Engine
  readonly world: World
  readonly seen: string[]
  readonly times: number[]
  readonly events: TraceEvent[]
  /** The Env of a node's latest process. */
  env(node: string): Env
  /** Adds and starts a node that runs `setUp` in its process. */
  add(node: string, setUp?: (env: Env) => void, program?: Program): void
  /** A node that accepts everything; it answers `x` with `re: x` when `echo`. */
  server(node: string, options?: { echo?: boolean }): void
  /** Connects from one running node to another, and writes down what comes back. */
  connect(from: string, to: string): Connection
  /** What the server's latest connection from `peer` is. */
  accepted(node: string, peer: string): Connection
  /** Runs until this many milliseconds from the start. */
  until(ms: Millis): void
  note(line: string): void
  /** What was seen since the last call. */
  news(): string[]
  /** Time in milliseconds at which `line` was seen, the first time. */
  when(line: string): Millis | undefined
  /** The trace events of some types, as `b1 net.held p1 partition`. */
  trace(...types: EventType[]): string[]
}

export const IDLE: Program = { stop: (done) => done() }

export function frame(body: string): Frame {
  return { body, byteSize: () => body.length }
}

export function makeLab(seed = '1', options: WorldOptions = {}): Lab {
  const engine = new Engine(seed)
  const world = new World(engine, options)
  const seen: string[] = []
  const times: number[] = []
  const events: TraceEvent[] = []
  const accepted = new Map<string, Connection>()
  let told = 0
  engine.trace.watch('all', (event) => events.push(event))
  const lab: Lab = {
    engine,
    world,
    seen,
    times,
    events,
    env: (node) => world.node(node).env as Env,
    add(node, setUp, program = IDLE) {
      const boot: Boot = (env) => {
        setUp?.(env)
        return program
      }
      world.addNode(node, boot)
      world.start(node)
    },
    server(node, { echo = false } = {}) {
      lab.add(node, (env) =>
        env.network.listen((connection) => {
          accepted.set(`${node}<-${connection.peer}`, connection)
          lab.note(`${node} accepted ${connection.peer}`)
          return {
            onFrame: ({ body }) => {
              lab.note(`${node} got ${String(body)} from ${connection.peer}`)
              if (echo) connection.send(frame(`re: ${String(body)}`))
            },
            onClose: (reason) => lab.note(`${node} lost ${connection.peer}: ${reason}`),
          }
        }),
      )
    },
    connect(from, to) {
      return lab.env(from).network.connect(to, {
        onOpen: () => lab.note(`${from} open to ${to}`),
        onFrame: ({ body }) => lab.note(`${from} got ${String(body)} from ${to}`),
        onClose: (reason) => lab.note(`${from} lost ${to}: ${reason}`),
      })
    },
    accepted(node, peer) {
      const connection = accepted.get(`${node}<-${peer}`)
      if (connection === undefined) throw new Error(`${node} accepted nothing from ${peer}`)
      return connection
    },
    until: (ms) => void engine.run(millis(ms)),
    note(line) {
      seen.push(line)
      times.push(engine.now)
    },
    news() {
      const news = seen.slice(told)
      told = seen.length
      return news
    },
    when(line) {
      const at = seen.indexOf(line)
      return at < 0 ? undefined : (times[at] as number) / 1_000
    },
    trace: (...types) =>
      events
        .filter((event) => types.includes(event.type))
        .map((event) => [event.node, event.type, ...Object.values(event.data)].join(' ')),
  }
  return lab
}

/** b1 listens, p1 is connected to it: all settled at 10 ms. */
export function connected(seed = '1', echo = false): { lab: Lab; connection: Connection } {
  const lab = makeLab(seed)
  lab.server('b1', { echo })
  lab.add('p1')
  const connection = lab.connect('p1', 'b1')
  lab.until(10)
  lab.news()
  return { lab, connection }
}

/** Does something at a time, as an event of its own. */
export function at(lab: Lab, ms: number, act: () => void): void {
  lab.engine.schedule(ms * 1_000, act, undefined)
}

/** The whole trace as text, for golden conversations: `1.204 b1 net.held connection=1 to=p1 reason=loss ← 7`. */
export function traceText(events: readonly TraceEvent[]): string {
  const lines = events.map((event) => {
    const data = Object.entries(event.data).map(([name, value]) => ` ${name}=${String(value)}`)
    const cause = event.cause === 0 ? '' : ` ← ${event.cause}`
    return `${String(event.seq).padStart(3)} ${formatSeconds(event.time).padStart(8)} ${event.node} ${event.type}${data.join('')}${cause}`
  })
  return `${lines.join('\n')}\n`
}

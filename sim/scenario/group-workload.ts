/**
 * An application that is a member of a group: polls, works on what it gets, commits, and polls again.
 *
 *     commit: auto     the consumer commits by its interval what earlier polls handed over
 *     commit: sync     after the work on a poll's records; the next poll waits for the answer
 *     commit: async    the same, without waiting
 *     commit: none     never
 *
 * With `hands-off` the application gives the records to a worker of its own and polls on at once: what is committed then may never be
 * worked on. A worker's queue dies with the process. Told that it may not read a topic, it polls again a second later. What cannot go on (a fenced member) is begun anew after a second, as a supervisor would.
 */

import type { ConsumedRecord } from '../client/completed-fetch.js'
import { Consumer } from '../client/consumer.js'
import { parseConsumerConfig } from '../client/consumer-config.js'
import type { Env, Program } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import { MICROS_PER_MS, type Millis } from '../kernel/units.js'
import type { WireMode } from '../wire/frame.js'
import { emitProcessed } from './processed.js'
import type { GroupSpec } from './scenario.js'

/** How long an application looks at what a poll threw, before it tries again: the same may be thrown at once. */
export const ERROR_PAUSE_MS = 100
/** How long a poll waits for records before it is done with none. */
const POLL_TIMEOUT_MS = 1_000
const RESTART_DELAY_MS = 1_000

export class GroupProgram implements Program {
  readonly #env: Env
  readonly #spec: GroupSpec
  readonly #boot: () => Consumer
  #consumer: Consumer
  readonly #workMs: Millis
  /** The worker is busy until then. */
  #busyUntilMs: Millis = 0
  #stopping = false
  #isWorking = false
  #onIdle: (() => void) | undefined

  constructor(env: Env, name: string, spec: GroupSpec, bootstrap: readonly NodeName[], wire: WireMode) {
    this.#env = env
    this.#spec = spec
    this.#workMs = spec.work / MICROS_PER_MS
    const config = parseConsumerConfig({
      ...spec.config,
      'group.id': spec.group,
      'enable.auto.commit': spec.commit === 'auto',
      ...(spec.isStatic && { 'group.instance.id': name }),
    })
    this.#boot = () => new Consumer(env, config, bootstrap, { wire })
    this.#consumer = this.#begin()
  }

  stop(done: () => void): void {
    this.#stopping = true
    // What was begun is finished first.
    if (this.#isWorking) this.#onIdle = () => this.#consumer.close(done)
    else this.#consumer.close(done)
  }

  #begin(): Consumer {
    const consumer = this.#boot()
    this.#consumer = consumer
    consumer.subscribe(this.#spec.topics)
    this.#poll()
    return consumer
  }

  #poll(): void {
    if (this.#stopping) return
    const consumer = this.#consumer
    consumer.poll(({ records, error }) => {
      if (this.#stopping) return
      if (error?.error === 'TOPIC_AUTHORIZATION_FAILED') {
        this.#env.after(ERROR_PAUSE_MS, () => this.#poll())
        return
      }
      if (error !== undefined && error.partition === '') {
        consumer.close(() => this.#env.after(RESTART_DELAY_MS, () => this.#restart()))
        return
      }
      if (error !== undefined && records.length === 0) this.#env.after(ERROR_PAUSE_MS, () => this.#poll())
      else if (this.#spec.handsOff) this.#handOff(records)
      else this.#work(records)
    }, POLL_TIMEOUT_MS)
  }

  #restart(): void {
    if (!this.#stopping) this.#begin()
  }

  #work(records: readonly ConsumedRecord[]): void {
    if (records.length === 0 || this.#workMs === 0) return this.#worked(records)
    this.#isWorking = true
    this.#env.after(this.#workMs * records.length, () => this.#worked(records))
  }

  #worked(records: readonly ConsumedRecord[]): void {
    this.#isWorking = false
    emitProcessed(this.#env, records)
    if (this.#onIdle !== undefined) this.#onIdle()
    else this.#commit(records)
  }

  /** The worker takes its time; the application does not wait for it. */
  #handOff(records: readonly ConsumedRecord[]): void {
    if (records.length > 0) {
      const nowMs = this.#env.clock.monotonicMs()
      this.#busyUntilMs = Math.max(nowMs, this.#busyUntilMs) + this.#workMs * records.length
      this.#env.after(this.#busyUntilMs - nowMs, () => emitProcessed(this.#env, records))
    }
    this.#commit(records)
  }

  #commit(records: readonly ConsumedRecord[]): void {
    if (this.#stopping) return
    if (records.length > 0 && this.#spec.commit === 'async') this.#consumer.commitAsync()
    if (records.length > 0 && this.#spec.commit === 'sync') this.#consumer.commitSync(undefined, () => this.#poll())
    else this.#poll()
  }
}

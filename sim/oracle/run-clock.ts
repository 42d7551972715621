/**
 * Times for people: seconds since the cluster was ready, as everything that a run reports counts them.
 */

import type { EventType, TraceEvent } from '../kernel/events.js'
import { formatSeconds, type Micros } from '../kernel/units.js'

export const RUN_CLOCK_EVENTS: readonly EventType[] = ['run.ready']

export class RunClock {
  #ready: Micros = 0

  observe(event: TraceEvent): void {
    if (event.type === 'run.ready') this.#ready = event.time
  }

  /** `2.640 s`. */
  text(time: Micros): string {
    return `${formatSeconds(time - this.#ready)} s`
  }
}

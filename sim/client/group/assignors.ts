/** The assignors of partition.assignment.strategy, by their names and by the names of Kafka's classes. */

import type { Assignor } from './assignor.js'
import { RangeAssignor } from './range-assignor.js'
import { RoundRobinAssignor } from './round-robin-assignor.js'
import { CooperativeStickyAssignor, StickyAssignor } from './sticky-assignor.js'

const ASSIGNORS = {
  range: RangeAssignor,
  roundrobin: RoundRobinAssignor,
  sticky: StickyAssignor,
  'cooperative-sticky': CooperativeStickyAssignor,
} as const

export type AssignorName = keyof typeof ASSIGNORS

const CLASS_NAMES: Readonly<Record<string, AssignorName>> = {
  RangeAssignor: 'range',
  RoundRobinAssignor: 'roundrobin',
  StickyAssignor: 'sticky',
  CooperativeStickyAssignor: 'cooperative-sticky',
}

export const ASSIGNOR_NAMES = Object.keys(ASSIGNORS) as readonly AssignorName[]

/** The assignor that a user means; undefined when there is none. */
export function assignorName(text: string): AssignorName | undefined {
  const name = ASSIGNOR_NAMES.find((known) => known === text)
  if (name !== undefined) return name
  const className = /^org\.apache\.kafka\.clients\.consumer\.(\w+)$/.exec(text)?.[1] ?? ''
  return Object.hasOwn(CLASS_NAMES, className) ? CLASS_NAMES[className] : undefined
}

/** One for each consumer: assignors remember. */
export function makeAssignor(name: AssignorName): Assignor {
  return new ASSIGNORS[name]()
}

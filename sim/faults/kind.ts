/**
 * What a kind of fault or operation is: one entry of a table.
 *
 * A kind declares the shape of its argument, so a scenario is checked before anything runs, and acts on the cluster when its
 * trigger comes. It acts as an event of its own and draws from a stream of its own, so a step added or removed changes
 * nothing that came before it.
 */

import type { z } from 'zod'
import type { Cluster } from '../cluster/cluster.js'
import type { NodeName } from '../kernel/names.js'
import type { TargetContext, TargetNames } from './target.js'

export interface StepContext extends TargetContext {
  readonly cluster: Cluster
}

export interface FaultKind<A> {
  readonly type: 'fault'
  readonly doc: string
  /** `always`: it lasts, until its `for` or the end of the run. `never`: it is over at once. `restart`: with `for`, what it downed starts again. */
  readonly lasts: 'always' | 'never' | 'restart'
  schema(names: TargetNames): z.ZodType<A>
  /** Finds out whom it would hit, drawing what it needs, without touching anything; or why it cannot act. */
  plan(argument: A, context: StepContext): Planned | { readonly skipped: string }
}

export interface Planned {
  readonly targets: readonly NodeName[]
  /** Acts now. Returns how to end it, where it has an end. */
  act(): (() => void) | undefined
}

export interface OperationKind<A> {
  readonly type: 'operation'
  readonly doc: string
  schema(names: TargetNames): z.ZodType<A>
  /** Brings the nodes and partitions that it will make into the names that later steps may use. */
  introduces?(argument: A): { readonly brokers?: number; readonly partitions?: readonly string[] }
  /** Acts; `done` comes with `ok`, Kafka's error name, or what happened instead. */
  start(argument: A, context: StepContext, done: (outcome: string) => void): void
}

// Kinds of different argument types stand in one table; each is called with what its own schema returned.
// eslint-disable-next-line typescript/no-explicit-any
export type StepKind = FaultKind<any> | OperationKind<any>

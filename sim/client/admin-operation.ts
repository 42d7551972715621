/**
 * One operation of an admin client, from the application's call to its outcome: what each of its parts came to.
 */

import type { Env } from '../kernel/env.js'
import { errorName, type ErrorCode } from '../wire/errors.js'

export interface AdminResult<T> {
  /** `ok`, or Kafka's name of the first error. */
  readonly outcome: string
  /** What succeeded, by topic, partition or resource. */
  readonly values: ReadonlyMap<string, T>
  /** Kafka's error name of what failed. */
  readonly errors: ReadonlyMap<string, string>
}

export class AdminOperation<T> {
  readonly #env: Env
  readonly #id: number
  readonly #operation: string
  readonly #done: (result: AdminResult<T>) => void
  readonly #open: Set<string>
  readonly #takesAny: boolean
  readonly #values = new Map<string, T>()
  readonly #errors = new Map<string, string>()
  #finished = false

  /** @param parts what must succeed or fail before the operation is done */
  constructor(
    env: Env,
    id: number,
    operation: string,
    parts: readonly string[],
    done: (result: AdminResult<T>) => void,
  ) {
    this.#env = env
    this.#id = id
    this.#operation = operation
    this.#open = new Set(parts)
    this.#takesAny = parts.length === 0
    this.#done = done
    env.emit('admin.invoked', { id, operation })
  }

  /** Parts that are neither done nor failed, in the order given. */
  get open(): readonly string[] {
    return [...this.#open]
  }

  succeed(part: string, value: T): void {
    if (!this.#open.delete(part)) return
    this.#values.set(part, value)
  }

  fail(part: string, error: string): void {
    if (!this.#open.delete(part)) return
    this.#errors.set(part, error)
  }

  /** What a broker answered for a part; one that was not named counts as well where none was. */
  answered(part: string, error: ErrorCode, value: T): void {
    if (this.#takesAny) this.#open.add(part)
    if (error === 0) this.succeed(part, value)
    else this.fail(part, errorName(error))
  }

  /** What a broker answered for a part, which the operation did not name, that has no value. */
  refused(part: string, error: ErrorCode): void {
    this.failed(part, errorName(error))
  }

  /** As `refused`, with Kafka's name of the error. */
  failed(part: string, error: string): void {
    this.#open.add(part)
    this.fail(part, error)
  }

  /** What is open fails with `error`. */
  failAll(error: string): void {
    if (this.#takesAny) this.#errors.set('', error)
    for (const part of this.open) this.fail(part, error)
    this.finish()
  }

  /** Reports the outcome. A part that nobody answered for is Kafka's unknown server error. */
  finish(): void {
    if (this.#finished) return
    this.#finished = true
    for (const part of this.open) this.fail(part, 'UNKNOWN_SERVER_ERROR')
    const outcome = [...this.#errors.values()][0] ?? 'ok'
    this.#env.emit('admin.completed', { id: this.#id, operation: this.#operation, outcome })
    this.#done({ outcome, values: this.#values, errors: this.#errors })
  }

  /** Reports the outcome once nothing is open. */
  finishIfComplete(): void {
    if (this.#open.size === 0) this.finish()
  }
}

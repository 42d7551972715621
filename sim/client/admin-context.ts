/**
 * What the operations of one admin client share: its queue of calls, the numbers of operations, deadlines.
 */

import type { Env } from '../kernel/env.js'
import { UsageError } from '../kernel/errors.js'
import type { NodeName } from '../kernel/names.js'
import type { Millis } from '../kernel/units.js'
import type { ApiName, Apis } from '../wire/apis.js'
import { Errors, type ErrorCode } from '../wire/errors.js'
import type { WireMode } from '../wire/frame.js'
import { AdminCalls, type CallTarget } from './admin-calls.js'
import type { AdminConfig } from './admin-config.js'
import { AdminOperation, type AdminResult } from './admin-operation.js'

export type Done<T> = (result: AdminResult<T>) => void

export class AdminContext {
  readonly calls: AdminCalls
  readonly requestTimeoutMs: Millis
  readonly #env: Env
  readonly #apiTimeoutMs: Millis
  #nextId = 1

  constructor(env: Env, config: AdminConfig, bootstrap: readonly NodeName[], wire?: WireMode) {
    this.#env = env
    this.#apiTimeoutMs = config['default.api.timeout.ms']
    this.requestTimeoutMs = config['request.timeout.ms']
    this.calls = new AdminCalls(env, config, bootstrap, wire)
  }

  /** @param line what the trace is told, without the parts @param parts what must succeed or fail */
  begin<T>(line: string, parts: readonly string[], done: Done<T>): AdminOperation<T> {
    return this.beginAs(parts.length === 0 ? line : `${line} ${parts.join(',')}`, parts, done)
  }

  /** As `begin`, where the line says all. */
  beginAs<T>(line: string, parts: readonly string[], done: Done<T>): AdminOperation<T> {
    if (this.calls.isClosing) throw new UsageError(`${line}: the admin client is closed`)
    return new AdminOperation(this.#env, this.#nextId++, line, parts, done)
  }

  /** Wall-clock time at which an operation that begins now fails. */
  deadline(): Millis {
    return this.#env.clock.wallMs() + this.#apiTimeoutMs
  }

  /** A call whose answer carries an error for each part; NOT_CONTROLLER in any of them sends it all again. */
  controllerCall<A extends ApiName, T>(
    operation: AdminOperation<T>,
    call: {
      readonly api: A
      readonly to?: CallTarget
      readonly request: (timeoutMs: Millis) => Apis[A]['request']
      readonly take: (response: Apis[A]['response']) => void
      readonly errors: (response: Apis[A]['response']) => readonly ErrorCode[]
    },
  ): void {
    this.call(operation, call.api, call.to ?? 'controller', call.request, (response) => {
      if (call.errors(response).includes(Errors.NOT_CONTROLLER)) return Errors.NOT_CONTROLLER
      call.take(response)
      return undefined
    })
  }

  /** `take` returns an error of the whole call. `parts` are those that this call answers for; all by default. */
  call<A extends ApiName, T>(
    operation: AdminOperation<T>,
    api: A,
    to: CallTarget,
    request: (timeoutMs: Millis) => Apis[A]['request'],
    take: (response: Apis[A]['response']) => ErrorCode | undefined,
    parts?: readonly string[],
  ): void {
    const settle = (error: string): void => {
      if (parts === undefined) {
        if (error === '') operation.finish()
        else operation.failAll(error)
        return
      }
      for (const part of parts) operation.fail(part, error === '' ? 'UNKNOWN_SERVER_ERROR' : error)
      operation.finishIfComplete()
    }
    this.calls.call({
      api,
      to,
      deadlineMs: this.deadline(),
      request,
      answered: (response) => {
        const error = take(response)
        if (error === undefined) settle('')
        return error
      },
      failed: settle,
    })
  }
}

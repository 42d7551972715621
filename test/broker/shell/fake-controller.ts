/** A channel to a controller that the test plays: requests are noted, answers are given by hand or by a rule. */

import type { ChannelResult, ControllerSender } from '../../../sim/broker/controller-channel.js'
import type { ApiName, Apis } from '../../../sim/wire/apis.js'
import type { FakeNode } from './fake-env.js'

export interface Asked<A extends ApiName = ApiName> {
  readonly api: A
  readonly body: Apis[A]['request']
  /** Virtual time at which it was sent (ms). */
  readonly atMs: number
  answer(response: Apis[A]['response']): void
  timeOut(): void
}

export class FakeController implements ControllerSender {
  readonly asked: Asked[] = []
  closed = false
  /** Answers at once (by the next event) when it returns a response. */
  rule: ((asked: Asked) => Apis[ApiName]['response'] | undefined) | undefined
  readonly #node: FakeNode

  constructor(node: FakeNode) {
    this.#node = node
  }

  send<A extends ApiName>(api: A, body: Apis[A]['request'], done: (result: ChannelResult<A>) => void): void {
    const later = (result: ChannelResult<A>): void => this.#node.env.soon(() => this.closed || done(result))
    const asked: Asked<A> = {
      api,
      body,
      atMs: this.#node.nowMs,
      answer: (response) => later({ ok: true, response }),
      timeOut: () => later({ ok: false, reason: 'timeout' }),
    }
    this.asked.push(asked as unknown as Asked)
    const response = this.rule?.(asked as unknown as Asked)
    if (response !== undefined) asked.answer(response as Apis[A]['response'])
  }

  shutdown(): void {
    this.closed = true
  }

  /** The latest request, which must be of `api`. */
  last<A extends ApiName>(api: A): Asked<A> {
    const asked = this.asked.at(-1)
    if (asked?.api !== api) throw new Error(`expected ${api}, the latest request is ${asked?.api ?? 'none'}`)
    return asked as unknown as Asked<A>
  }

  /** `api@ms` of every request so far. */
  log(): string[] {
    return this.asked.map((asked) => `${asked.api}@${asked.atMs}`)
  }
}

/**
 * Tells the application, and the trace, what comes and goes (ConsumerRebalanceListenerInvoker). While the application works on it the call
 * that led here is blocked.
 */

import type { Env } from '../../kernel/env.js'
import type { SubscriptionState } from '../subscription-state.js'
import type { GroupMetadata } from './offset-commits.js'

export class RebalanceCallbacks {
  readonly #env: Env
  readonly #subscriptions: SubscriptionState
  readonly #identity: () => GroupMetadata
  readonly #wake: () => void
  #isRunning = false

  constructor(env: Env, subscriptions: SubscriptionState, identity: () => GroupMetadata, wake: () => void) {
    this.#env = env
    this.#subscriptions = subscriptions
    this.#identity = identity
    this.#wake = wake
  }

  /** The application works on a change. */
  get isRunning(): boolean {
    return this.#isRunning
  }

  /** @param partitions sorted. `then` is called now when the application is done at once. */
  revoked(partitions: readonly string[], then: () => void): void {
    const { listener } = this.#subscriptions.subscription
    const { groupId: group, memberId: member, generation } = this.#identity()
    let isDone = false
    let isLate = false
    const done = (): void => {
      if (isDone) return
      isDone = true
      this.#isRunning = false
      if (partitions.length > 0) {
        this.#env.emit('consumer.revoked', { group, member, generation, partitions, how: 'revoked' })
      }
      then()
      if (isLate) this.#wake()
    }
    if (partitions.length === 0 || listener.onRevoked === undefined) return done()
    this.#isRunning = true
    listener.onRevoked(partitions, done)
    isLate = true
  }

  lost(partitions: readonly string[]): void {
    if (partitions.length === 0) return
    const { groupId: group, memberId: member, generation } = this.#identity()
    this.#env.emit('consumer.revoked', { group, member, generation, partitions, how: 'lost' })
    this.#subscriptions.subscription.listener.onLost?.(partitions)
  }

  /** @param partitions new ones; `owned` are all */
  assigned(partitions: readonly string[], owned: readonly string[]): void {
    const { groupId: group, memberId: member, generation } = this.#identity()
    this.#env.emit('consumer.assigned', { group, member, generation, partitions, owned })
    this.#subscriptions.subscription.listener.onAssigned?.(partitions)
  }
}

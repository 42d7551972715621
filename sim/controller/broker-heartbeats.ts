/**
 * The active controller's soft state about brokers (Kafka's `BrokerHeartbeatManager` and `BrokerHeartbeatTracker`).
 *
 * Last contact by (broker, epoch) on the controller's monotonic clock, the metadata offset each broker reported, and the
 * offset at which a controlled shutdown may end. Nothing here is in the metadata log: a new active controller starts afresh and gives
 * every unfenced broker a full session.
 *
 *   state                 wants                    next
 *   FENCED                shutdown                 SHUTDOWN_NOW
 *   FENCED                unfencing                UNFENCED once its offset ≥ its registration's, else FENCED
 *   UNFENCED              fencing [and shutdown]   FENCED [SHUTDOWN_NOW]
 *   UNFENCED              shutdown                 CONTROLLED_SHUTDOWN while it leads partitions, else SHUTDOWN_NOW
 *   CONTROLLED_SHUTDOWN   anything                 SHUTDOWN_NOW once it leads nothing and every active broker has passed its
 *                                                  shutdown offset, else CONTROLLED_SHUTDOWN
 */

import { assert } from '../kernel/errors.js'
import type { Clock } from '../kernel/env.js'
import type { Millis, NodeId, Offset } from '../kernel/units.js'
import { LONG_MAX } from '../kernel/units.js'

export type BrokerControlState = 'FENCED' | 'UNFENCED' | 'CONTROLLED_SHUTDOWN' | 'SHUTDOWN_NOW'

/** What a heartbeat asks for. */
export interface HeartbeatWish {
  readonly currentMetadataOffset: Offset
  readonly wantFence: boolean
  readonly wantShutDown: boolean
}

interface Contact {
  readonly epoch: number
  timeMs: Millis
}

interface HeartbeatState {
  fenced: boolean
  metadataOffset: Offset
  /** -1 when not shutting down. */
  controlledShutdownOffset: Offset
}

export class BrokerHeartbeats {
  readonly #clock: Clock
  readonly #sessionTimeoutMs: Millis
  readonly #contacts = new Map<NodeId, Contact[]>()
  readonly #brokers = new Map<NodeId, HeartbeatState>()

  constructor(clock: Clock, sessionTimeoutMs: Millis) {
    this.#clock = clock
    this.#sessionTimeoutMs = sessionTimeoutMs
  }

  // ── sessions ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A heartbeat arrived; nothing is checked yet. */
  contact(broker: NodeId, epoch: number): void {
    const now = this.#clock.monotonicMs()
    const contacts = this.#contacts.get(broker)
    if (contacts === undefined) {
      this.#contacts.set(broker, [{ epoch, timeMs: now }])
      return
    }
    for (const contact of contacts) {
      if (contact.epoch === epoch) {
        contact.timeMs = now
        return
      }
    }
    contacts.push({ epoch, timeMs: now })
  }

  hasValidSession(broker: NodeId, epoch: number): boolean {
    const contact = this.#contacts.get(broker)?.find((each) => each.epoch === epoch)
    return contact !== undefined && !this.#isExpired(contact.timeMs, this.#clock.monotonicMs())
  }

  /** Forgets one expired session and returns it; undefined when there is none. */
  removeExpired(): { readonly id: NodeId; readonly epoch: number } | undefined {
    const now = this.#clock.monotonicMs()
    for (const [id, contacts] of this.#contacts) {
      for (let i = 0; i < contacts.length; i++) {
        const contact = contacts[i] as Contact
        if (!this.#isExpired(contact.timeMs, now)) continue
        contacts.splice(i, 1)
        if (contacts.length === 0) this.#contacts.delete(id)
        return { id, epoch: contact.epoch }
      }
    }
    return undefined
  }

  // ── state ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  has(broker: NodeId): boolean {
    return this.#brokers.has(broker)
  }

  /** Registered brokers that are not shutting down, in order of registration. */
  *usable(): Generator<{ readonly id: NodeId; readonly fenced: boolean }> {
    for (const [id, state] of this.#brokers) {
      if (state.controlledShutdownOffset < 0) yield { id, fenced: state.fenced }
    }
  }

  fence(broker: NodeId): void {
    const state = this.#brokers.get(broker)
    if (state !== undefined) state.fenced = true
  }

  remove(broker: NodeId): void {
    this.#brokers.delete(broker)
  }

  /**
   * Makes the broker known with this fencing state. The reported offset is forgotten unless the fencing state changes here, so a
   * broker counts as far behind until its next heartbeat, just as in Kafka.
   */
  register(broker: NodeId, fenced: boolean): void {
    const state = this.#brokers.get(broker)
    let metadataOffset = -1
    if (state === undefined) {
      this.#brokers.set(broker, { fenced, metadataOffset: -1, controlledShutdownOffset: -1 })
    } else if (state.fenced !== fenced) metadataOffset = state.metadataOffset
    this.touch(broker, fenced, metadataOffset)
  }

  touch(broker: NodeId, fenced: boolean, metadataOffset: Offset): void {
    const state = this.#state(broker)
    state.fenced = fenced
    state.metadataOffset = metadataOffset
    // A fenced broker leaves controlled shutdown; its next heartbeat is told to shut down at once.
    if (fenced) state.controlledShutdownOffset = -1
  }

  /** The first offset given counts. */
  setControlledShutdownOffset(broker: NodeId, offset: Offset): void {
    const state = this.#state(broker)
    assert(!state.fenced, 'heartbeats: controlled shutdown of a fenced broker', { broker })
    if (state.controlledShutdownOffset < 0) state.controlledShutdownOffset = offset
  }

  /** -1 when the broker is not shutting down. */
  controlledShutdownOffset(broker: NodeId): Offset {
    return this.#brokers.get(broker)?.controlledShutdownOffset ?? -1
  }

  /** The smallest metadata offset that an active broker reported; LONG_MAX when no broker is active. */
  lowestActiveOffset(): Offset {
    let lowest = LONG_MAX
    for (const state of this.#brokers.values()) {
      if (!state.fenced && state.controlledShutdownOffset < 0 && state.metadataOffset < lowest)
        lowest = state.metadataOffset
    }
    return lowest
  }

  currentState(broker: NodeId): BrokerControlState {
    const state = this.#state(broker)
    if (state.controlledShutdownOffset >= 0) return 'CONTROLLED_SHUTDOWN'
    return state.fenced ? 'FENCED' : 'UNFENCED'
  }

  /** Where a heartbeat takes the broker; see the table above. */
  nextState(
    broker: NodeId,
    wish: HeartbeatWish,
    registrationOffset: Offset,
    hasLeaderships: (broker: NodeId) => boolean,
  ): BrokerControlState {
    const current = this.currentState(broker)
    switch (current) {
      case 'FENCED':
        if (wish.wantShutDown) return 'SHUTDOWN_NOW'
        return !wish.wantFence && wish.currentMetadataOffset >= registrationOffset ? 'UNFENCED' : 'FENCED'
      case 'UNFENCED':
        if (wish.wantFence) return wish.wantShutDown ? 'SHUTDOWN_NOW' : 'FENCED'
        if (wish.wantShutDown) return hasLeaderships(broker) ? 'CONTROLLED_SHUTDOWN' : 'SHUTDOWN_NOW'
        return 'UNFENCED'
      case 'CONTROLLED_SHUTDOWN':
        if (hasLeaderships(broker)) return current
        return this.#state(broker).controlledShutdownOffset <= this.lowestActiveOffset() ? 'SHUTDOWN_NOW' : current
      case 'SHUTDOWN_NOW':
        return current
    }
  }

  #isExpired(timeMs: Millis, now: Millis): boolean {
    return now > timeMs && timeMs + this.#sessionTimeoutMs < now
  }

  #state(broker: NodeId): HeartbeatState {
    const state = this.#brokers.get(broker)
    assert(state, 'heartbeats: broker is not registered', { broker })
    return state
  }
}

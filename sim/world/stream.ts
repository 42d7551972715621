/**
 * One direction of a connection: ordered, reliable bytes, as TCP carries them.
 *
 * Undisturbed, a frame costs one segment and one event: it arrives after the link's latency and never before the frame sent before it.
 * A segment is never lost, only late: what can't pass (partition, loss, a host that is off) is held at the sender, with all
 * behind it, and tried again after 200 ms, then after twice that each time up to 120 s (Linux: TCP_RTO_MIN, TCP_RTO_MAX). When
 * the fifteenth retransmission goes unanswered too (`tcp_retries2`; 924.6 s in all), the sender's kernel gives the connection up.
 * Where acknowledgements can't come back, data passes until the first retransmission, then stops: the window is full.
 * What arrives where no socket is any more is answered by a reset.
 *
 *   in flight ──(arrival)──→ the other end
 *      │  ↑ transmit             blocked at arrival: back to the front of what is held
 *      ↓  │
 *     held ──(retransmission, or the end of a stall)
 */

import type { Engine, Timer } from '../kernel/engine.js'
import type { Frame } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import { millis, seconds, type Micros } from '../kernel/units.js'
import type { Link } from './link.js'

export const RTO_MIN_MICROS: Micros = millis(200)
export const RTO_MAX_MICROS: Micros = seconds(120)
/** Linux `tcp_retries2`. */
export const RETRANSMISSIONS_MAX = 15

/** What a segment carries: a frame, the last step of the handshake, or the sender's end of the stream. */
export type SegmentKind = 'data' | 'accept' | 'fin'

/** Where a stream begins or ends. */
export interface StreamEnd {
  readonly host: { readonly name: NodeName; readonly powered: boolean }
  readonly id: number
  /** There is no socket here any more. */
  readonly dead: boolean
  /** A segment came, in order; only while not dead. */
  arrive(segment: Segment): void
  /** The other host says that there is no such connection. */
  resetArrived(): void
  /** The kernel stopped to retransmit. */
  gaveUp(): void
}

/** What the network knows beyond one stream. */
export interface StreamContext {
  readonly engine: Engine
  /** Some rule is in force. */
  readonly active: boolean
  /** Streams that wait for the end of a stall. */
  readonly stalled: Set<Stream>
  /** What the message rules say of a frame that is being sent. */
  judge(frame: Frame, from: NodeName, to: NodeName): 'pass' | 'drop' | Micros
}

export class Segment {
  /** Undefined once this segment will not arrive. */
  stream: Stream | undefined
  readonly kind: SegmentKind
  readonly frame: Frame
  readonly cause: number
  next: Segment | undefined

  constructor(stream: Stream, kind: SegmentKind, frame: Frame, cause: number) {
    this.stream = stream
    this.kind = kind
    this.frame = frame
    this.cause = cause
  }
}

/** What the segments carry that carry no frame. */
export const NO_FRAME: Frame = { body: undefined, byteSize: () => 0 }

export class Stream {
  readonly #context: StreamContext
  readonly #engine: Engine
  readonly #link: Link
  readonly #reverse: Link
  readonly from: StreamEnd
  readonly to: StreamEnd
  #lastArrival: Micros = 0
  // In flight, in order of arrival; each has its event in the queue.
  #head: Segment | undefined
  #tail: Segment | undefined
  // Held at the sender, in order, behind all that is in flight.
  #heldHead: Segment | undefined
  #heldTail: Segment | undefined
  /** Something is held, or acknowledgements are missing. */
  #disturbed = false
  /** Something is held, and the trace knows it. */
  #holding = false
  /** The sender is gone without a trace: nothing can be sent again. */
  #orphan = false
  /** A message was taken out for good: TCP hands over nothing that is behind a gap. */
  #gap = false
  #attempt = 0
  #timer: Timer | undefined

  constructor(context: StreamContext, link: Link, reverse: Link, from: StreamEnd, to: StreamEnd) {
    this.#context = context
    this.#engine = context.engine
    this.#link = link
    this.#reverse = reverse
    this.from = from
    this.to = to
  }

  /** Nothing is on its way. */
  get empty(): boolean {
    return this.#head === undefined && this.#heldHead === undefined
  }

  /** Not earlier than this will anything sent now arrive. */
  get lastArrival(): Micros {
    return this.#lastArrival
  }

  get inFlight(): number {
    return count(this.#head)
  }

  get held(): number {
    return count(this.#heldHead)
  }

  push(kind: SegmentKind, frame: Frame, cause: number): void {
    if (this.#gap && kind === 'data') return
    const segment = new Segment(this, kind, frame, cause)
    if (this.#disturbed || this.#context.active) this.#pushCarefully(segment)
    else this.#transmit(segment, 0)
  }

  /** The sender died: of what is in flight the first `kept` segments arrive, and nothing else. */
  cut(kept: number): void {
    this.#orphan = true
    this.#dropHeld()
    let last: Segment | undefined
    let segment = this.#head
    for (let i = 0; i < kept && segment !== undefined; i++) {
      last = segment
      segment = segment.next
    }
    for (; segment !== undefined; segment = segment.next) segment.stream = undefined
    if (last === undefined) this.#head = undefined
    else last.next = undefined
    this.#tail = last
  }

  /** Forgets everything: nobody will read it. */
  drop(): void {
    this.cut(0)
  }

  /** Tries again what a stall held. */
  resume(): void {
    if (this.#timer === undefined) this.#flush()
  }

  #pushCarefully(segment: Segment): void {
    let delay = 0
    if (segment.kind === 'data') {
      const verdict = this.#context.judge(segment.frame, this.#link.from, this.#link.to)
      if (verdict === 'drop') {
        this.#gap = true
        return this.#emitHeld('drop')
      }
      if (verdict !== 'pass') {
        this.#emitHeld('delay')
        delay = verdict
      }
    }
    if (!this.#holding) {
      const obstacle = this.#windowFull() ? 'partition' : this.#obstacle(segment)
      if (obstacle === undefined) return this.#transmitJudged(segment, delay)
      this.#hold(obstacle)
    }
    if (delay > 0) this.#lastArrival = Math.max(this.#lastArrival, this.#engine.now + delay)
    this.#appendHeld(segment)
  }

  /** Data went out, its acknowledgement is missing, and it was sent again in vain. */
  #windowFull(): boolean {
    return this.#disturbed && this.#attempt > 1
  }

  /** What stops the next segment from leaving, if anything. A stall is of data: connections open all the same. */
  #obstacle(segment: Segment): 'stall' | 'partition' | 'loss' | undefined {
    const verdict = this.#link.verdict
    if (verdict.stalled && segment.kind !== 'accept') return 'stall'
    if (verdict.blocked) return 'partition'
    return this.#link.loses() ? 'loss' : undefined
  }

  #transmitJudged(segment: Segment, delay: Micros): void {
    const extra = this.#link.extraLatency() + this.#link.serialise(segment.frame, this.#engine.now)
    this.#transmit(segment, delay + extra)
    if (this.#reverse.verdict.blocked && !this.#disturbed) {
      this.#disturbed = true
      this.#arm(1)
    }
  }

  #transmit(segment: Segment, extra: Micros): void {
    const engine = this.#engine
    let at = engine.now + this.#link.latency() + extra
    if (at < this.#lastArrival) at = this.#lastArrival
    this.#lastArrival = at
    if (this.#tail === undefined) this.#head = segment
    else this.#tail.next = segment
    this.#tail = segment
    const trace = engine.trace
    const before = trace.cause
    trace.cause = segment.cause
    engine.schedule(at, segmentArrives, segment)
    trace.cause = before
  }

  /** The event of the first segment in flight. */
  arrived(segment: Segment): void {
    if ((this.to.dead || this.#disturbed || this.#context.active) && this.#intercepted(segment)) return
    this.#head = segment.next
    if (segment.next === undefined) this.#tail = undefined
    this.to.arrive(segment)
  }

  /** Whether what arrives can't be handed over. */
  #intercepted(segment: Segment): boolean {
    const verdict = this.#link.verdict
    let obstacle: 'unreachable' | 'partition' | 'stall' | undefined
    if (!this.to.host.powered) obstacle = 'unreachable'
    else if (verdict.blocked) obstacle = 'partition'
    else if (verdict.stalled && segment.kind !== 'accept') obstacle = 'stall'
    if (obstacle !== undefined) {
      this.#takeBack(obstacle)
      return true
    }
    if (!this.to.dead) return false
    if (this.#reverse.verdict.blocked) this.#takeBack('partition')
    else {
      this.drop()
      this.#engine.schedule(this.#engine.now + this.#reverse.latency(), resetArrives, this.from)
    }
    return true
  }

  /** Everything in flight goes back to the front of what is held, as it was never acknowledged. */
  #takeBack(obstacle: 'stall' | 'partition' | 'unreachable'): void {
    if (this.#orphan) return this.drop()
    const flying: Segment[] = []
    for (let segment = this.#head; segment !== undefined; segment = segment.next) flying.push(segment)
    this.#head = undefined
    this.#tail = undefined
    for (const segment of flying.reverse()) {
      segment.stream = undefined
      // A copy, as the event of the original is still in the queue.
      const again = new Segment(this, segment.kind, segment.frame, segment.cause)
      again.next = this.#heldHead
      this.#heldHead = again
      this.#heldTail ??= again
    }
    this.#hold(obstacle)
  }

  /** Begins to wait: for the end of the stall, or for the retransmission. */
  #hold(obstacle: 'stall' | 'partition' | 'loss' | 'unreachable'): void {
    if (!this.#holding) this.#emitHeld(obstacle)
    this.#holding = true
    this.#disturbed = true
    if (obstacle === 'stall') this.#context.stalled.add(this)
    else if (this.#timer === undefined) this.#arm(this.#attempt + 1)
  }

  #arm(attempt: number): void {
    this.#attempt = attempt
    this.#timer = this.#engine.schedule(this.#engine.now + retransmissionTimeout(attempt), retransmit, this)
  }

  retransmit(): void {
    this.#timer = undefined
    if (this.#attempt > RETRANSMISSIONS_MAX) {
      this.drop()
      this.from.gaveUp()
      return
    }
    const passable = !this.#link.verdict.blocked && !this.#reverse.verdict.blocked && this.to.host.powered
    if (passable) this.#flush()
    else this.#arm(this.#attempt + 1)
  }

  /** Sends what is held, in order, as far as the link lets it pass. */
  #flush(): void {
    this.#context.stalled.delete(this)
    for (let segment = this.#heldHead; segment !== undefined; segment = this.#heldHead) {
      const obstacle = this.#obstacle(segment)
      if (obstacle === 'stall') {
        this.#context.stalled.add(this)
        return
      }
      if (obstacle !== undefined) return this.#arm(this.#attempt + 1)
      this.#heldHead = segment.next
      if (segment.next === undefined) this.#heldTail = undefined
      segment.next = undefined
      this.#attempt = 0
      this.#transmitJudged(segment, 0)
    }
    this.#attempt = 0
    this.#disturbed = false
    this.#holding = false
  }

  #appendHeld(segment: Segment): void {
    if (this.#heldTail === undefined) this.#heldHead = segment
    else this.#heldTail.next = segment
    this.#heldTail = segment
  }

  #dropHeld(): void {
    this.#heldHead = undefined
    this.#heldTail = undefined
    this.#context.stalled.delete(this)
    if (this.#timer !== undefined) this.#engine.cancel(this.#timer)
    this.#timer = undefined
    this.#attempt = 0
    this.#disturbed = false
    this.#holding = false
  }

  #emitHeld(reason: string): void {
    this.#engine.trace.emit(this.#link.from, 'net.held', { connection: this.from.id, to: this.#link.to, reason })
  }
}

/** How long the kernel waits before retransmission `attempt` (from 1). */
export function retransmissionTimeout(attempt: number): Micros {
  // 200 ms · 2^10 is beyond the maximum already.
  return attempt > 10 ? RTO_MAX_MICROS : Math.min(RTO_MIN_MICROS * 2 ** (attempt - 1), RTO_MAX_MICROS)
}

function segmentArrives(segment: Segment): void {
  segment.stream?.arrived(segment)
}

function resetArrives(end: StreamEnd): void {
  end.resetArrived()
}

function retransmit(stream: Stream): void {
  stream.retransmit()
}

function count(head: Segment | undefined): number {
  let n = 0
  for (let segment = head; segment !== undefined; segment = segment.next) n++
  return n
}

/**
 * Tells the trace, and then the application, what became of each record.
 */

import type { Env } from '../kernel/env.js'
import type { RecordId } from '../kernel/events.js'
import type { Offset } from '../kernel/units.js'

/** What a send came to. Errors are Kafka's names; `certain` is false when the record may be written all the same. */
export type SendResult =
  | { readonly ok: true; readonly partition: string; readonly offset: Offset; readonly crc: number }
  | { readonly ok: false; readonly partition: string; readonly error: string; readonly certain: boolean }

export type SendCallback = (result: SendResult) => void

export class SendReporter {
  readonly #env: Env
  readonly #acks: -1 | 0 | 1
  readonly #idempotent: boolean

  constructor(env: Env, acks: -1 | 0 | 1, idempotent: boolean) {
    this.#env = env
    this.#acks = acks
    this.#idempotent = idempotent
  }

  invoked(id: RecordId, topic: string): void {
    this.#env.emit('produce.invoked', { id, topic, acks: this.#acks, idempotent: this.#idempotent })
  }

  assigned(id: RecordId, partition: string, producerId: number, producerEpoch: number, sequence: number): void {
    this.#env.emit('produce.assigned', { id, partition, producerId, producerEpoch, sequence })
  }

  acked(id: RecordId, partition: string, offset: Offset, crc: number, callback: SendCallback): void {
    this.#env.emit('produce.acked', { id, partition, offset, crc, acks: this.#acks })
    callback({ ok: true, partition, offset, crc })
  }

  failed(id: RecordId, partition: string, error: string, certain: boolean, callback: SendCallback): void {
    this.#env.emit('produce.failed', { id, partition, error, certain })
    callback({ ok: false, partition, error, certain })
  }
}

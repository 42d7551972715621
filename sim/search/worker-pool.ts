/**
 * Many runs over worker threads.
 *
 * Orders are handed out one by one to whichever worker is free, so slow seeds hold up nobody; results come back as they are done.
 * The order of results is not fixed; each carries its place. Ending early drops what has not begun.
 */

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { RunAnswer, RunOrder } from './run-worker.js'

export interface PoolOptions {
  /** Worker threads; by default one for each processor. */
  readonly jobs?: number
  /** Called with every answer. Return false to end early. */
  readonly onAnswer: (answer: RunAnswer, order: RunOrder) => boolean
  readonly signal?: AbortSignal
}

/** Runs all orders. Resolves when all are done, or when it was ended early; false in that case. */
export async function runAll(orders: readonly RunOrder[], options: PoolOptions): Promise<boolean> {
  const jobs = Math.max(1, Math.min(options.jobs ?? availableParallelism(), orders.length))
  let next = 0
  let ended = options.signal?.aborted ?? false
  const workers = Array.from({ length: jobs }, () => new Worker(new URL('./run-worker.js', import.meta.url)))
  const end = (): void => {
    ended = true
    for (const worker of workers) void worker.terminate()
  }
  options.signal?.addEventListener('abort', end, { once: true })
  await Promise.all(
    workers.map(
      (worker) =>
        new Promise<void>((resolve, reject) => {
          let current: RunOrder | undefined
          const give = (): void => {
            current = ended ? undefined : orders[next++]
            if (current === undefined) void worker.terminate()
            else worker.postMessage(current)
          }
          worker.on('message', (answer: RunAnswer) => {
            if (ended || current === undefined) return
            if (!options.onAnswer(answer, current)) end()
            else give()
          })
          worker.on('error', reject)
          worker.on('exit', () => resolve())
          give()
        }),
    ),
  )
  options.signal?.removeEventListener('abort', end)
  return !ended
}

/**
 * A thread that blocks, without a thread: a generator that yields whenever it waits for an answer.
 *
 * Kafka's controller and its ZooKeeper client are written as one thread with blocking calls. A `Task` keeps that shape: `yield* wait(start)`
 * begins something and goes on when it calls back. Nothing here knows time or order: callbacks come by the engine's events, and a callback that
 * comes at once goes on at once, without recursion. A process that dies never calls back, and its tasks stay where they were.
 */

/** Begins something; `resume` is called exactly once, now or later. */
export type Wait<T> = (resume: (value: T) => void) => void

/** What a blocking function of Kafka's returns here. */
export type Task<T> = Generator<Wait<unknown>, T, unknown>

/** Blocks until `start` has called back. */
export function* wait<T>(start: Wait<T>): Task<T> {
  return (yield start as Wait<unknown>) as T
}

/** Blocks until all have called back; answers in the order of `starts`. */
export function* waitForAll<T>(starts: readonly Wait<T>[]): Task<T[]> {
  if (starts.length === 0) return []
  return yield* wait<T[]>((resume) => {
    const values: T[] = []
    let missing = starts.length
    starts.forEach((start, at) => {
      start((value) => {
        values[at] = value
        if (--missing === 0) resume(values)
      })
    })
  })
}

/** Runs a task to its end. What it throws passes through to whoever resumed it: tasks catch what they can bear. */
export function runTask<T>(task: Task<T>, done: (value: T) => void): void {
  let isRunning = false
  let pending: { readonly value: unknown } | undefined
  const resume = (value: unknown): void => {
    pending = { value }
    if (isRunning) return
    isRunning = true
    while (pending !== undefined) {
      const { value: input }: { readonly value: unknown } = pending
      pending = undefined
      const step = task.next(input)
      if (step.done === true) {
        isRunning = false
        done(step.value)
        return
      }
      step.value(resume)
    }
    isRunning = false
  }
  resume(undefined)
}

/** Tasks one after the other, each to its end: a lock that is handed on in order. */
export class TaskQueue {
  #queue: (() => Task<void>)[] = []
  #isBusy = false

  put(task: () => Task<void>): void {
    this.#queue.push(task)
    if (!this.#isBusy) this.#next()
  }

  #next(): void {
    const task = this.#queue.shift()
    this.#isBusy = task !== undefined
    if (task !== undefined) runTask(task(), () => this.#next())
  }
}

/** Tells the trace of commits: when one was asked for, and what came of it. */

import type { Env } from '../../kernel/env.js'
import type { CommitHow } from './group-types.js'
import type { Offsets } from './offset-commits.js'

export class CommitReporter {
  readonly #env: Env
  readonly #group: string
  #count = 0

  constructor(env: Env, group: string) {
    this.#env = env
    this.#group = group
  }

  /** Returns what is to be called with the outcome. Commits of nothing are not told. */
  asked(how: CommitHow, offsets: Offsets): (error: string | undefined) => void {
    if (offsets.size === 0) return () => undefined
    const id = ++this.#count
    const partitions = [...offsets.keys()]
    this.#env.emit('consumer.commit', {
      id,
      group: this.#group,
      how,
      partitions,
      offsets: partitions.map((name) => offsets.get(name)?.offset ?? -1),
    })
    return (error) => this.#env.emit('consumer.committed', { id, group: this.#group, outcome: error ?? 'ok' })
  }
}

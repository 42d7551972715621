/**
 * The three kinds of error.
 *
 * Kafka's error codes are values (see wire/errors.ts), never exceptions. An `InvariantError` is a defect of samsa. A
 * `UsageError` is the user's, and always carries place, cause and mend.
 */

export class InvariantError extends Error {
  readonly details: Record<string, unknown>

  constructor(message: string, details: Record<string, unknown> = {}) {
    super(Object.keys(details).length === 0 ? message : `${message} ${describe(details)}`)
    this.name = 'InvariantError'
    this.details = details
  }
}

/** Where a user's mistake stands: `file`, and 1-based `line` and `column` when known. */
export interface Place {
  readonly file?: string
  readonly line?: number
  readonly column?: number
  /** The source line itself, to be shown above a caret. */
  readonly source?: string
}

/** One mistake: what is wrong, where, and how to mend it. */
export interface Problem {
  readonly message: string
  readonly place?: Place
  readonly mend?: string
}

export class UsageError extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: string | Problem | readonly Problem[]) {
    const list: readonly Problem[] =
      typeof problems === 'string'
        ? [{ message: problems }]
        : Array.isArray(problems)
          ? problems
          : [problems as Problem]
    super(list.map((problem) => problem.message).join('; '))
    this.name = 'UsageError'
    this.problems = list
  }
}

/** Stops the run when the code is wrong. Assertions stay on in every build. */
export function assert(condition: unknown, message: string, details?: Record<string, unknown>): asserts condition {
  if (!condition) throw new InvariantError(message, details)
}

/** For the default branch of an exhaustive switch. */
export function unreachable(value: never, what: string): never {
  throw new InvariantError(`unreachable: ${what}`, { value })
}

function describe(details: Record<string, unknown>): string {
  const seen = new Set<unknown>()
  const text = JSON.stringify(details, (_key, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`
    if (typeof value === 'object' && value !== null) {
      if (seen.has(value)) return '…'
      seen.add(value)
      if (value instanceof Uint8Array) return `${value.length} bytes`
      if (value instanceof Map) return [...value.entries()]
      if (value instanceof Set) return [...value]
    }
    return value
  })
  return text.length > 2_000 ? `${text.slice(0, 2_000)}…` : text
}

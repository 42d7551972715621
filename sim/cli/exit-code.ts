/** What the exit status of every command means. */
export const ExitCode = {
  pass: 0,
  /** A violation, or an expectation that was not met. */
  fail: 1,
  /** Wrong usage, or a scenario that is not valid. */
  usage: 2,
  /** A defect of samsa, or a run that was not the same twice. */
  internal: 3,
  /** Nothing matched. */
  nothing: 4,
  /** Undecided: the run ended before it could be judged. */
  undecided: 5,
  interrupted: 130,
} as const

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

/**
 * Conversations of clients with brokers as text, compared to the letter with golden/*.txt. `UPDATE=1` rewrites them.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { expect } from 'vitest'
import type { Lab } from './lab.js'

export function golden(name: string, lines: readonly string[]): void {
  const file = new URL(`golden/${name}.txt`, import.meta.url)
  const text = `${lines.join('\n')}\n`
  if (process.env['UPDATE'] === '1') writeFileSync(file, text)
  expect(existsSync(file), `${file.pathname} is missing: run with UPDATE=1`).toBe(true)
  expect(text).toBe(readFileSync(file, 'utf8'))
}

/** A script's own lines between those of the conversation. */
export class Story {
  readonly lines: string[] = []
  readonly #lab: Lab
  readonly #only: readonly string[]

  constructor(lab: Lab, only: readonly string[]) {
    this.#lab = lab
    this.#only = only
  }

  /** What went on so far, then what the script does next. */
  does(what: string): void {
    this.lines.push(...this.#lab.conversation(this.#only), `# ${what}`)
  }

  end(): string[] {
    this.lines.push(...this.#lab.conversation(this.#only))
    return this.lines
  }
}

/** A person at the explorer, without a terminal: presses keys, waits for recordings, and looks at the screen. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Explorer } from '../../sim/explorer/explorer.js'
import { screenOf } from '../../sim/explorer/screen.js'
import { readYaml } from '../../sim/scenario/load.js'

export interface Session {
  readonly explorer: Explorer
  readonly saved: Map<string, string>
  readonly copied: string[]
  readonly quits: () => number
  /** Keys by name; a text in quotes is typed letter by letter. */
  press(...keys: readonly string[]): Session
  screen(size: string, ascii?: boolean): string
}

export const FLAGSHIP = 'scenarios/replication/leader-crash-acks-1.yaml'

export function open(file = FLAGSHIP, { live = false, seed = 1, isWriteBroken = false } = {}): Session {
  const text = readFileSync(join(import.meta.dirname, '../..', file), 'utf8')
  return openText(text, file, { live, seed, isWriteBroken })
}

export function openText(
  text: string,
  file = 'story.yaml',
  { live = false, seed = 1, isWriteBroken = false } = {},
): Session {
  const saved = new Map<string, string>()
  const copied: string[] = []
  let quits = 0
  const explorer = new Explorer(
    { scenario: readYaml(text, file), file, seed, live, replay: 'samsa replay s1-token-1' },
    {
      save: (path, yaml) => {
        if (isWriteBroken) throw new Error(`${path}: the folder is gone and cannot be made`)
        saved.set(path, yaml)
      },
      copy: (words) => copied.push(words),
      quit: () => quits++,
    },
  )
  record(explorer)
  const session: Session = {
    explorer,
    saved,
    copied,
    quits: () => quits,
    press(...keys) {
      for (const key of keys) {
        if (key.startsWith('"')) for (const char of key.slice(1, -1)) explorer.key(char === ' ' ? 'space' : char)
        else explorer.key(key)
        record(explorer)
      }
      return session
    },
    screen(size, ascii = false) {
      const [width = 80, height = 24] = size.split('x').map(Number)
      return screenOf(explorer, { width, color: false, ascii }, height - 1).join('\n')
    },
  }
  return session
}

/** Lets everything be recorded that there is to record. */
function record(explorer: Explorer): void {
  for (let turns = 0; explorer.work(() => false) && turns < 10_000; turns++);
}

/** The explorer in plain sentences, for screen readers: where we are, what happened, why, and what it changed. */

import type { Explorer } from './explorer.js'
import { seconds, wordsOf } from './lanes-view.js'
import { diffLine, verdictLine, whyLine, type Line } from './panes-view.js'

export function linearOf(explorer: Explorer): string[] {
  const { branch, event, input, message, isPlaying } = explorer
  if (input !== undefined) {
    return [`${input.label}: ${input.text}`, input.wrong ?? 'Enter takes it, Escape leaves, Tab completes.']
  }
  const where = `${branch.recording.scenario.name}, branch ${branch.name}, ${seconds(branch.time).trim()} seconds, event ${branch.cursor} of ${branch.recording.events.length}${isPlaying ? ', playing' : ''}.`
  if (event === undefined) return [where]
  return [
    where,
    `${event.node}: ${wordsOf(event)}.`,
    textOf(whyLine(explorer)).replaceAll(' ← ', ', because '),
    textOf(diffLine(explorer)),
    textOf(verdictLine(explorer)),
    message,
  ].filter((line) => line !== '')
}

function textOf(line: Line): string {
  return line.map((span) => (typeof span === 'string' ? span : span[0])).join('')
}

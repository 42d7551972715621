/**
 * Golden conversations: files of commands, each followed by what it led to, compared to the letter; UPDATE=1 rewrites them.
 *
 *   # What is shown, and where Kafka says so.
 *   > a command
 *     what it led to
 *
 * A room brings the conversation that knows its commands; one is begun for each file.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

export interface Conversation {
  /** Lines of output. */
  run(command: string): readonly string[]
}

/** One test for each text file in `folder`; `begin` is given the text. */
export function goldenConversations(title: string, folder: URL, begin: (text: string) => Conversation): void {
  describe(title, () => {
    for (const name of readdirSync(folder)
      .filter((file) => file.endsWith('.txt'))
      .sort()) {
      it(name.replace('.txt', '').replaceAll('-', ' '), () => {
        const file = new URL(name, folder)
        const before = readFileSync(file, 'utf8')
        const after = converse(before, begin(before))
        if (process.env['UPDATE'] === '1') writeFileSync(file, after)
        else expect(after).toBe(before)
      })
    }
  })
}

/** The text with the outputs as they are now. Lines that begin with `#` stay as they are. */
function converse(text: string, conversation: Conversation): string {
  const blocks: string[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) blocks.push(line)
    else if (line.startsWith('> ')) blocks.push([line, ...conversation.run(line.slice(2).trim())].join('\n'))
  }
  return `${blocks.join('\n\n').replaceAll(/^(#.*)\n\n(?=#)/gm, '$1\n')}\n`
}

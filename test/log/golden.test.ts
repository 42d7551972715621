/** Conversations with a log and with a broker's cleaner, compared with test/log/golden/conversations/*.txt; UPDATE=1 rewrites them. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { BrokerConversation } from './broker-conversation.js'
import { LogConversation } from './conversation.js'

const FOLDER = new URL('golden/conversations/', import.meta.url)

/** The text with the outputs as they are now. Lines that begin with `#` stay as they are. */
function converse(text: string): string {
  const conversation = text.includes('\n> broker') ? new BrokerConversation() : new LogConversation()
  const blocks: string[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) blocks.push(line)
    else if (line.startsWith('> ')) blocks.push([line, ...conversation.run(line.slice(2).trim())].join('\n'))
  }
  return `${blocks.join('\n\n').replaceAll(/^(#.*)\n\n(?=#)/gm, '$1\n')}\n`
}

describe('conversations with a log', () => {
  for (const name of readdirSync(FOLDER)
    .filter((file) => file.endsWith('.txt'))
    .sort()) {
    it(name.replace('.txt', '').replaceAll('-', ' '), () => {
      const file = new URL(name, FOLDER)
      const before = readFileSync(file, 'utf8')
      const after = converse(before)
      if (process.env['UPDATE'] === '1') writeFileSync(file, after)
      else expect(after).toBe(before)
    })
  }
})

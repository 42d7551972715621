/** Conversations with a transaction coordinator, compared with test/broker/txn/golden/*.txt; UPDATE=1 rewrites them. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Conversation } from './conversation.js'
import { VerificationConversation } from './verification-conversation.js'

const FOLDER = new URL('golden/', import.meta.url)

/** The text with the outputs as they are now. Lines that begin with `#` stay as they are. */
function converse(text: string): string {
  const conversation = text.includes('\n> verifier') ? new VerificationConversation() : new Conversation()
  const blocks: string[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) blocks.push(line)
    else if (line.startsWith('> ')) blocks.push([line, ...conversation.run(line.slice(2).trim())].join('\n'))
  }
  return `${blocks.join('\n\n').replaceAll(/^(#.*)\n\n(?=#)/gm, '$1\n')}\n`
}

describe('conversations with a transaction coordinator', () => {
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

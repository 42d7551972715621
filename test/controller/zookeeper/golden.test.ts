/** Conversations with controllers of ZooKeeper mode, compared with golden/*.txt; UPDATE=1 rewrites them. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { converse } from './conversation.js'

const FOLDER = new URL('golden/', import.meta.url)

describe('conversations with a controller in ZooKeeper mode', () => {
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

import { defineConfig } from 'vitest/config'

export default defineConfig({
  // All processors: by default one would be left to a terminal that nobody watches, which is half of two.
  test: { include: ['test/**/*.test.ts'], pool: 'threads', maxWorkers: '100%', testTimeout: 60_000 },
})

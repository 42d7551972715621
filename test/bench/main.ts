/**
 * `npm run bench`: the figures that decide whether samsa is fast, as medians.
 *
 * `--json` prints a list of {name, value, unit}; `--baseline FILE` compares with such a list.
 */

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { idleBench, modesBench, scenarioBench, steadyBench } from './cluster-bench.js'
import { groupBench } from './group-bench.js'
import { kernelBench } from './kernel-bench.js'
import { logBench } from './log-bench.js'
import { median, type Figure } from './measure.js'
import { retentionBench } from './retention-bench.js'

const root = join(import.meta.dirname, '../../..')

function startUpBench(): Figure[] {
  const main = join(root, 'dist/sim/cli/main.js')
  const value = median(9, () => {
    const began = performance.now()
    spawnSync(process.execPath, [main, '--version'])
    return performance.now() - began
  })
  return [{ name: 'start-up of samsa --version', value, unit: 'ms' }]
}

function baseline(): ReadonlyMap<string, number> {
  const at = process.argv.indexOf('--baseline')
  const file = process.argv[at + 1]
  if (at < 0 || file === undefined) return new Map()
  const figures = JSON.parse(readFileSync(file, 'utf8')) as Figure[]
  return new Map(figures.map(({ name, value }) => [name, value]))
}

const figures = [
  ...kernelBench(),
  ...logBench(),
  ...steadyBench(),
  ...scenarioBench(root),
  ...(await modesBench(root)),
  ...groupBench(),
  ...idleBench(),
  ...retentionBench(),
  ...startUpBench(),
]
if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`)
else {
  const before = baseline()
  for (const { name, value, unit } of figures) {
    const shown = value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3)
    const old = before.get(name)
    const ratio = old === undefined ? '' : `   ×${(value / old).toFixed(2)} of before`
    process.stdout.write(`${name.padEnd(50)} ${shown.padStart(12)} ${unit}${ratio}\n`)
  }
}

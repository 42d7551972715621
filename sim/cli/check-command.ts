/**
 * `samsa check`: validates scenario files without running them.
 */

import { settingsWithoutEffect } from '../cluster/cluster-config.js'
import { ExitCode } from './exit-code.js'
import { selectScenarios } from './select.js'
import { print, remark } from './terminal.js'

export async function checkCommand(paths: readonly string[]): Promise<ExitCode> {
  const loaded = await selectScenarios(paths)
  if (loaded.length === 0) {
    remark('nothing matched: no scenario files')
    return ExitCode.nothing
  }
  for (const { scenario, file } of loaded) {
    print(`${file}  ok  ${scenario.name}`)
    const ignored = settingsWithoutEffect(scenario.cluster.config)
    if (ignored.length > 0) print(`  known to Kafka, without effect here: ${ignored.join(', ')}`)
  }
  return ExitCode.pass
}

/**
 * `samsa check`: validates scenario files without running them.
 */

import { isClientSettingWithoutEffect } from '../client/client-known-settings.js'
import { settingsWithoutEffect, valuesWithoutEffect } from '../cluster/cluster-config.js'
import type { RawConfig } from '../cluster/cluster-spec.js'
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
    const ignored = [...settingsWithoutEffect(scenario.cluster.config)]
    const add = (owner: string, config: RawConfig): void => {
      ignored.push(...valuesWithoutEffect(config).map((name) => `${name} (${owner})`))
    }
    for (const [topic, { config }] of Object.entries(scenario.cluster.topics)) add(topic, config)
    for (const [name, client] of Object.entries(scenario.clients)) {
      for (const config of client.kind === 'pipeline' ? [client.config, client.producerConfig] : [client.config]) {
        add(name, config)
        ignored.push(
          ...Object.keys(config)
            .filter(isClientSettingWithoutEffect)
            .map((setting) => `${setting} (${name})`),
        )
      }
    }
    if (ignored.length > 0) print(`  known to Kafka, without effect here: ${ignored.join(', ')}`)
  }
  return ExitCode.pass
}

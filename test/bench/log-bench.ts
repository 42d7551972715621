/** Appending to a log as a leader, and reading it back, on a simulated disk. */

import { Engine } from '../../sim/kernel/engine.js'
import type { Env, Program } from '../../sim/kernel/env.js'
import { defaultsOf } from '../../sim/kernel/config-def.js'
import { isRefused } from '../../sim/log/append-result.js'
import { LOG_SETTINGS } from '../../sim/log/log-config.js'
import { PartitionLog } from '../../sim/log/partition-log.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { World } from '../../sim/world/world.js'
import { busySeconds, median, type Figure } from './measure.js'

const BATCHES = 20_000
const MEGABYTE = 1_000_000

class Holder implements Program {
  readonly env: Env

  constructor(env: Env) {
    this.env = env
  }

  stop(done: () => void): void {
    done()
  }
}

export function logBench(): Figure[] {
  const world = new World(new Engine('bench'))
  let env: Env | undefined
  world.addNode('b1', (given) => new Holder((env = given)))
  world.start('b1')
  world.engine.run(0)
  if (env === undefined) throw new Error('the node did not start')
  const log = PartitionLog.open(env, { partition: 'orders-0', config: defaultsOf(LOG_SETTINGS), clean: true })
  const timestamp = env.clock.wallMs()
  const records = (): RecordBatch =>
    RecordBatch.build({}, [{ timestamp, key: null, value: new Uint8Array(1_024), headers: [] }])
  const batches = Array.from({ length: BATCHES }, records)
  const bytes = batches.reduce((sum, batch) => sum + batch.sizeInBytes, 0)
  const append = median(5, () => {
    const seconds = busySeconds(() => {
      for (const batch of batches) log.appendAsLeader([batch], 0, { origin: 'client' })
    })
    return bytes / MEGABYTE / seconds
  })
  const read = median(5, () => {
    let total = 0
    const seconds = busySeconds(() => {
      let offset = log.logStartOffset
      while (offset < log.logEndOffset) {
        const result = log.read(offset, 1_048_576, log.logEndOffset, true)
        if (isRefused(result)) throw new Error('read failed')
        total += result.sizeInBytes
        offset = result.batches[result.batches.length - 1]?.nextOffset ?? log.logEndOffset
      }
    })
    return total / MEGABYTE / seconds
  })
  return [
    { name: 'log append, 1 KiB batches', value: append, unit: 'MB/s' },
    { name: 'log read, 1 MiB fetches', value: read, unit: 'MB/s' },
  ]
}

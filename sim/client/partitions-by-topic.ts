/**
 * Partitions as requests name them: by topic.
 */

import { UsageError } from '../kernel/errors.js'
import { parsePartition } from '../kernel/names.js'

/** Topics in the order in which they come first, each with its partitions. @throws UsageError for a name that is no partition */
export function partitionsByTopic(partitions: Iterable<string>): [string, number[]][] {
  const topics = new Map<string, number[]>()
  for (const name of partitions) {
    const partition = parsePartition(name)
    if (partition === undefined)
      throw new UsageError({ message: `${name} is no partition`, mend: 'write it as orders-0' })
    const indexes = topics.get(partition.topic)
    if (indexes === undefined) topics.set(partition.topic, [partition.index])
    else indexes.push(partition.index)
  }
  return [...topics]
}

/** What a formatted disk holds. Cases of Kafka's FormatterTest and BootstrapDirectoryTest. */

import { describe, expect, it } from 'vitest'
import {
  formatStorage,
  META_PROPERTIES_PATH,
  readBootstrapRecords,
  readMetaProperties,
} from '../../sim/kraft/format-storage.js'
import { defaultFeatureLevels, LATEST_METADATA_VERSION } from '../../sim/kraft/metadata/metadata-version.js'
import { BOOTSTRAP_SNAPSHOT, parseSnapshotPath, snapshotPath } from '../../sim/kraft/snapshot-file.js'
import { parseControlRecord } from '../../sim/wire/control-record.js'
import { parseRecords } from '../../sim/wire/record-batch.js'
import { LabNode } from './lab-node.js'

const DIRECTORY = 'J8aAPcfLQt2bqs1JT_rMgQ'
const OPTIONS = {
  clusterId: 'Sj7yjkQ2SJuMBNDJ0iYbyg',
  nodeId: 3001,
  directoryId: DIRECTORY,
  initialControllers: [{ id: 3001, node: 'c1', directoryId: DIRECTORY }],
  features: defaultFeatureLevels(LATEST_METADATA_VERSION),
  nowMs: 1_000,
}

describe('a formatted disk', () => {
  it('says whose it is', () => {
    const { disk } = new LabNode().env
    expect(readMetaProperties(disk)).toBeUndefined()
    formatStorage(disk, OPTIONS)
    expect(new TextDecoder().decode(disk.readFile(META_PROPERTIES_PATH)).split('\n').slice(1, -1)).toEqual([
      'version=1',
      'cluster.id=Sj7yjkQ2SJuMBNDJ0iYbyg',
      'node.id=3001',
      `directory.id=${DIRECTORY}`,
    ])
    expect(readMetaProperties(disk)).toEqual({ clusterId: OPTIONS.clusterId, nodeId: 3001, directoryId: DIRECTORY })
  })

  it('holds the feature levels for the first log, metadata.version first, those at 0 left out', () => {
    const { disk } = new LabNode().env
    formatStorage(disk, {
      ...OPTIONS,
      features: new Map([...OPTIONS.features, ['kraft.version', 1], ['a.feature', 0]]),
    })
    const records = readBootstrapRecords(disk) ?? []
    expect(records.map((record) => record.type === 'FeatureLevelRecord' && [record.name, record.featureLevel])).toEqual(
      [
        ['metadata.version', 27],
        ['eligible.leader.replicas.version', 1],
        ['group.version', 1],
        ['transaction.version', 2],
      ],
    )
  })

  it('of a controller holds the first voters in the bootstrap snapshot, of a broker does not', () => {
    const { disk } = new LabNode().env
    formatStorage(disk, OPTIONS)
    const path = '__cluster_metadata-0/00000000000000000000-0000000000.checkpoint'
    expect(snapshotPath(BOOTSTRAP_SNAPSHOT)).toBe(path)
    const batches = parseRecords(disk.readFile(path) ?? new Uint8Array())
    const types = batches.map((batch) => batch.records().map((record) => parseControlRecord(record)?.type))
    expect(types).toEqual([['SNAPSHOT_HEADER', 'KRAFT_VERSION', 'KRAFT_VOTERS'], ['SNAPSHOT_FOOTER']])
    const voters = parseControlRecord(batches[0]?.records()[2] as never)
    expect(voters).toMatchObject({
      voters: [{ voterId: 3001, voterDirectoryId: DIRECTORY, endpoints: [{ host: 'c1', port: 9093 }] }],
    })
    const broker = new LabNode().env.disk
    formatStorage(broker, { ...OPTIONS, initialControllers: undefined })
    expect(broker.exists(path)).toBe(false)
  })
})

describe('the name of a snapshot', () => {
  it('tells end offset and epoch, and whether it is whole', () => {
    const path = '__cluster_metadata-0/00000000000000012345-0000000067.checkpoint'
    expect(snapshotPath({ offset: 12_345, epoch: 67 })).toBe(path)
    expect(parseSnapshotPath(path)).toEqual({ id: { offset: 12_345, epoch: 67 }, whole: true })
    expect(parseSnapshotPath(`${path}.deleted`)).toEqual({ id: { offset: 12_345, epoch: 67 }, whole: false })
    expect(parseSnapshotPath('__cluster_metadata-0/00000000000000012345.log')).toBeUndefined()
    expect(parseSnapshotPath('bootstrap.checkpoint')).toBeUndefined()
  })
})

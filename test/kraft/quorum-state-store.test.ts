/** The file quorum-state. Cases of Kafka's FileQuorumStateStoreTest. */

import { describe, expect, it } from 'vitest'
import { QUORUM_STATE_PATH, readQuorumState, writeQuorumState } from '../../sim/kraft/quorum-state-store.js'
import { LabNode } from './lab-node.js'

const DIRECTORY = 'J8aAPcfLQt2bqs1JT_rMgQ'

function text(node: LabNode): string {
  return new TextDecoder().decode(node.env.disk.readFile(QUORUM_STATE_PATH))
}

describe('the quorum state on disk', () => {
  it('has the bytes that Kafka writes', () => {
    const node = new LabNode()
    node.block(writeQuorumState(node.env.disk, { epoch: 2, leaderId: -1, votedKey: { id: 1, directoryId: DIRECTORY } }))
    expect(text(node)).toBe(
      `{"leaderId":-1,"leaderEpoch":2,"votedId":1,"votedDirectoryId":"${DIRECTORY}","data_version":1}`,
    )
    node.block(writeQuorumState(node.env.disk, { epoch: 3, leaderId: 1, votedKey: null }))
    expect(text(node)).toBe(
      '{"leaderId":1,"leaderEpoch":3,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}',
    )
  })

  it('is read back after a power loss', () => {
    const node = new LabNode()
    const state = { epoch: 7, leaderId: 3, votedKey: { id: 2, directoryId: DIRECTORY } }
    expect(readQuorumState(node.env.disk)).toBeUndefined()
    node.block(writeQuorumState(node.env.disk, state))
    node.restart('power-loss')
    expect(readQuorumState(node.env.disk)).toEqual(state)
  })

  it('that makes no sense stops the node', () => {
    const node = new LabNode()
    const write = (content: string): void =>
      node.env.disk.replaceFile(QUORUM_STATE_PATH, new TextEncoder().encode(content))
    for (const content of [
      '',
      '{',
      '[]',
      '{"leaderId":1}',
      '{"leaderId":1,"leaderEpoch":2,"votedId":-1,"data_version":2}',
    ]) {
      write(content)
      expect(() => readQuorumState(node.env.disk), content).toThrow('cannot read')
    }
  })
})

/**
 * What a server must not forget besides its log: `myid`, `version-2/acceptedEpoch` and `version-2/currentEpoch`, each a decimal number as text.
 *
 * acceptedEpoch: the newest epoch that it has promised a leader to take part in (e of ZAB's NEWEPOCH). currentEpoch: the epoch whose leader
 * its history was last made equal to (e of NEWLEADER). currentEpoch ≤ acceptedEpoch. Both are written to a temporary file, synced and renamed before
 * the answer that they stand for is sent. Source: `QuorumPeer.setAcceptedEpoch`, `AtomicFileOutputStream`.
 */

import { assert } from '../../kernel/errors.js'
import type { Disk, DiskError } from '../../kernel/env.js'
import type { Epoch } from '../../kernel/units.js'
import { DATA_FOLDER } from './txn-log.js'

const MY_ID = 'myid'
const ACCEPTED = `${DATA_FOLDER}acceptedEpoch`
const CURRENT = `${DATA_FOLDER}currentEpoch`

const decoder = new TextDecoder()
const encoder = new TextEncoder()

export class EpochFiles {
  readonly #disk: Disk
  accepted: Epoch
  current: Epoch

  /** Files that are missing are taken for those of a new server, with the epoch that its log begins with. */
  constructor(disk: Disk, fallback: Epoch) {
    this.#disk = disk
    this.current = readNumber(disk, CURRENT) ?? fallback
    this.accepted = readNumber(disk, ACCEPTED) ?? fallback
  }

  accept(epoch: Epoch, done: (error?: DiskError) => void): void {
    assert(epoch >= this.accepted, 'accepted epoch', { epoch, accepted: this.accepted })
    this.accepted = epoch
    this.#disk.replaceFile(ACCEPTED, encoder.encode(`${epoch}`), done)
  }

  makeCurrent(epoch: Epoch, done: (error?: DiskError) => void): void {
    this.current = epoch
    this.#disk.replaceFile(CURRENT, encoder.encode(`${epoch}`), done)
  }
}

/** Makes the disk that of server `id`, as an operator does before the first start. */
export function writeMyId(disk: Disk, id: number): void {
  const file = disk.open(MY_ID)
  file.truncate(0)
  file.append(encoder.encode(`${id}`))
}

export function readMyId(disk: Disk): number | undefined {
  return readNumber(disk, MY_ID)
}

function readNumber(disk: Disk, path: string): number | undefined {
  const bytes = disk.readFile(path)
  if (bytes === undefined) return undefined
  const text = decoder.decode(bytes).trim()
  return /^[0-9]+$/.test(text) ? Number(text) : undefined
}

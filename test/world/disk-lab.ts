/** What the tests of disks share: a node with a disk, bytes that tell where they belong, and a crash. */

import { expect } from 'vitest'
import type { Disk, DiskFile } from '../../sim/kernel/env.js'
import { makeLab, type Lab } from './lab.js'

/** `length` bytes of a pattern that tells each position from its neighbours. */
export function pattern(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => 1 + ((from + i) % 251))
}

export function bytesOf(file: DiskFile): Buffer {
  return Buffer.concat(file.read(0, file.size).map((slice) => slice.toBytes()))
}

/** Compared as hexadecimal: a failure shows both, and thousands of bytes cost nothing. */
export function expectBytes(actual: Uint8Array | undefined, expected: Uint8Array): void {
  expect(actual && Buffer.from(actual).toString('hex')).toBe(Buffer.from(expected).toString('hex'))
}

export function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString()
}

export const utf8 = (content: string): Uint8Array => new TextEncoder().encode(content)

/** A node b1 that does nothing, and its disk as its process sees it. */
export function diskLab(seed = '1'): { lab: Lab; disk: Disk } {
  const lab = makeLab(seed)
  lab.add('b1')
  return { lab, disk: lab.env('b1').disk }
}

export function crash(lab: Lab): Disk {
  lab.world.powerLoss('b1')
  lab.world.start('b1')
  return lab.env('b1').disk
}

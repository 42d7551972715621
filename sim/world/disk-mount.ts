/**
 * A disk as one user sees it: `Env.disk` of a process, or the hands of whoever prepares a disk before the run.
 *
 * It adds to the disk only whose callbacks they are: those of a paused process wait, those of a dead one never come. A dead process
 * can't touch the disk; whoever tries it for one has kept a handle too long.
 */

import { assert } from '../kernel/errors.js'
import type { Disk, DiskError, DiskFile, Slice } from '../kernel/env.js'
import type { Bytes } from '../kernel/units.js'
import { BytesSlice } from './bytes-slice.js'
import type { SimDisk } from './disk.js'
import type { FileNode } from './disk-file.js'
import type { DiskUser } from './disk-queue.js'

export class DiskMount implements Disk {
  readonly #disk: SimDisk
  readonly #user: DiskUser

  constructor(disk: SimDisk, user: DiskUser) {
    this.#disk = disk
    this.#user = user
  }

  exists(path: string): boolean {
    return this.#disk.exists(path)
  }

  list(prefix: string): string[] {
    return this.#disk.list(prefix)
  }

  open(path: string): DiskFile {
    this.#check(path)
    return new MountedFile(this.#disk, this.#user, this.#disk.open(path))
  }

  remove(path: string): void {
    this.#check(path)
    this.#disk.remove(path)
  }

  rename(from: string, to: string): void {
    this.#check(from)
    this.#disk.rename(from, to)
  }

  readFile(path: string): Uint8Array | undefined {
    this.#check(path)
    return this.#disk.readFile(path)
  }

  replaceFile(path: string, bytes: Uint8Array, done?: (error?: DiskError) => void): void {
    this.#check(path)
    this.#disk.replaceFile(this.#user, path, bytes, done)
  }

  access(run: () => void): void {
    this.#disk.access(this.#user, run)
  }

  #check(path: string): void {
    assert(this.#user.alive, 'disk: used by a dead process', { path })
  }
}

class MountedFile implements DiskFile {
  readonly #disk: SimDisk
  readonly #user: DiskUser
  readonly #file: FileNode

  constructor(disk: SimDisk, user: DiskUser, file: FileNode) {
    this.#disk = disk
    this.#user = user
    this.#file = file
  }

  get path(): string {
    return this.#file.path
  }

  get size(): Bytes {
    return this.#file.content.size
  }

  get syncedSize(): Bytes {
    return this.#file.syncedSize
  }

  append(slice: Slice | Uint8Array): void {
    this.#check()
    this.#disk.append(this.#file, slice instanceof Uint8Array ? new BytesSlice(slice) : slice)
  }

  read(position: Bytes, length: Bytes): Slice[] {
    this.#check()
    return this.#disk.read(this.#file, position, length)
  }

  truncate(size: Bytes): void {
    this.#check()
    this.#disk.truncate(this.#file, size)
  }

  sync(done: (error?: DiskError) => void): void {
    this.#check()
    this.#disk.sync(this.#user, this.#file, done)
  }

  #check(): void {
    assert(this.#user.alive, 'disk: used by a dead process', { path: this.#file.path })
  }
}

/** The user of a disk outside of any process: its callbacks come at once. */
export const NOBODY: DiskUser = {
  alive: true,
  deliver: (fire, argument) => fire(argument),
}

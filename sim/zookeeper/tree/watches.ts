/**
 * Watches of one server: who is to be told once of a change to a path.
 *
 * Two kinds of watch, as in ZooKeeper: `data` (set by getData and exists; fires on create, setData and delete) and `child` (set by
 * getChildren; fires on creates and deletes of children, and on delete). Whoever has both on a deleted path is told once. A watch is gone
 * when it fires, and with its connection. Source: `WatchManager`, `DataTree.setWatches`.
 */

import type { WatchEventType, Zxid } from '../api.js'

export interface Watcher {
  fire(type: WatchEventType, path: string, zxid: Zxid): void
}

type Table = Map<string, Set<Watcher>>

export class Watches {
  readonly #data: Table = new Map()
  readonly #child: Table = new Map()
  readonly #pathsOf = new Map<Watcher, Set<string>>()

  add(kind: 'data' | 'child', path: string, watcher: Watcher): void {
    const table = kind === 'data' ? this.#data : this.#child
    const watchers = table.get(path)
    if (watchers === undefined) table.set(path, new Set([watcher]))
    else watchers.add(watcher)
    const paths = this.#pathsOf.get(watcher)
    if (paths === undefined) this.#pathsOf.set(watcher, new Set([path]))
    else paths.add(path)
  }

  trigger(kinds: 'data' | 'child' | 'both', path: string, type: WatchEventType, zxid: Zxid): void {
    const data = kinds === 'child' ? undefined : take(this.#data, path)
    const child = kinds === 'data' ? undefined : take(this.#child, path)
    if (data === undefined && child === undefined) return
    const told = new Set<Watcher>([...(data ?? []), ...(child ?? [])])
    for (const watcher of told) {
      if (!this.#has(path, watcher)) this.#pathsOf.get(watcher)?.delete(path)
      watcher.fire(type, path, zxid)
    }
  }

  remove(watcher: Watcher): void {
    const paths = this.#pathsOf.get(watcher)
    if (paths === undefined) return
    this.#pathsOf.delete(watcher)
    for (const path of paths) {
      forget(this.#data, path, watcher)
      forget(this.#child, path, watcher)
    }
  }

  #has(path: string, watcher: Watcher): boolean {
    return this.#data.get(path)?.has(watcher) === true || this.#child.get(path)?.has(watcher) === true
  }
}

function take(table: Table, path: string): Set<Watcher> | undefined {
  const watchers = table.get(path)
  if (watchers !== undefined) table.delete(path)
  return watchers
}

function forget(table: Table, path: string, watcher: Watcher): void {
  const watchers = table.get(path)
  if (watchers?.delete(watcher) === true && watchers.size === 0) table.delete(path)
}

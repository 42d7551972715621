/**
 * What a power loss leaves of one file's unsynced pages.
 *
 * The kernel writes pages (4096 B) back in an order of its own, and the device writes sectors (512 B). So of the pages beyond
 * the durable size, drawn from the seed: none survives, or all, or a first part of them, or any of them with holes in between that
 * read as zeros. The last page to survive may be torn at a sector. The file ends with the last byte that survived. Slices
 * that survive whole stay the objects they were; others become raw bytes.
 */

import type { Random } from '../kernel/random.js'
import type { Bytes } from '../kernel/units.js'
import { BytesSlice } from './bytes-slice.js'
import { FileContent } from './disk-file.js'

export const PAGE_BYTES: Bytes = 4_096
export const SECTOR_BYTES: Bytes = 512

export interface CrashDamage {
  readonly content: FileContent
  readonly lostBytes: Bytes
  /** Pages torn, and pages kept after a hole. */
  readonly tornPages: number
}

/** A run of bytes that survived. */
interface Run {
  readonly from: Bytes
  readonly to: Bytes
}

export function crashContent(content: FileContent, durableSize: Bytes, random: Random): CrashDamage {
  const size = content.size
  if (durableSize >= size) return { content, lostBytes: 0, tornPages: 0 }
  const { runs, tornPages } = drawRuns(durableSize, size, random)
  let kept = 0
  for (const run of runs) kept += run.to - run.from
  if (kept === size) return { content, lostBytes: 0, tornPages }
  return { content: rebuild(content, runs), lostBytes: size - kept, tornPages }
}

/** The surviving runs, ascending and apart from each other; the first begins at 0 unless nothing survives. */
function drawRuns(durableSize: Bytes, size: Bytes, random: Random): { runs: Run[]; tornPages: number } {
  const firstPage = Math.floor(durableSize / PAGE_BYTES)
  const pages = Math.ceil(size / PAGE_BYTES) - firstPage
  const survives = drawPages(pages, random)
  const lastKept = survives.lastIndexOf(true)
  const runs: Run[] = durableSize > 0 ? [{ from: 0, to: durableSize }] : []
  let tornPages = 0
  let hole = false
  for (let page = 0; page <= lastKept; page++) {
    if (!survives[page]) {
      hole = true
      continue
    }
    const start = (firstPage + page) * PAGE_BYTES
    const from = Math.max(start, durableSize)
    let to = Math.min(start + PAGE_BYTES, size)
    if (page === lastKept && random.chance(0.5)) {
      const sectors = Math.floor((to - start) / SECTOR_BYTES)
      const cut = start + random.int(sectors + 1) * SECTOR_BYTES
      if (cut < to) {
        to = Math.max(cut, from)
        tornPages++
      }
    } else if (hole) tornPages++
    const last = runs[runs.length - 1]
    if (last !== undefined && last.to === from) runs[runs.length - 1] = { from: last.from, to }
    else if (to > from) runs.push({ from, to })
  }
  return { runs, tornPages }
}

function drawPages(pages: number, random: Random): boolean[] {
  const fate = random.weighted<'none' | 'all' | 'first' | 'some'>([
    [2, 'none'],
    [2, 'all'],
    [3, 'first'],
    [3, 'some'],
  ])
  const first = fate === 'first' ? random.between(0, pages) : 0
  return Array.from({ length: pages }, (_, page) => {
    if (fate === 'some') return random.chance(0.6)
    return fate === 'all' || page < first
  })
}

function rebuild(content: FileContent, runs: readonly Run[]): FileContent {
  const rebuilt = new FileContent()
  for (const run of runs) {
    if (run.from > rebuilt.size) rebuilt.append(new BytesSlice(new Uint8Array(run.from - rebuilt.size)))
    for (const piece of content.read(run.from, run.to)) rebuilt.append(piece)
  }
  return rebuilt
}

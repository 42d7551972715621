/**
 * `samsa explore`: a run to play, rewind, look into and break by hand.
 *
 * Ink is loaded only here, and only once there is a terminal on both sides and a scenario that can run.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Explorer } from '../explorer/explorer.js'
import { UsageError } from '../kernel/errors.js'
import { applyToken, fingerprintOf, formatToken } from '../scenario/token.js'
import { ExitCode } from './exit-code.js'
import { findRun } from './find-run.js'
import { lookOf } from './terminal.js'

export interface ExploreOptions {
  readonly seed?: number
  readonly live?: boolean
  readonly ascii?: boolean
}

export async function exploreCommand(
  text: string,
  paths: readonly string[],
  options: ExploreOptions,
): Promise<ExitCode> {
  const { loaded, token, seed: own } = await findRun(text, paths)
  if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) {
    throw new UsageError({
      message: 'samsa explore needs a terminal',
      mend: 'samsa replay prints the timeline of a run where there is none',
    })
  }
  const scenario = token === undefined ? loaded.scenario : applyToken(loaded.scenario, token)
  const seed = options.seed ?? own
  const replay = `samsa replay ${token === undefined ? formatToken({ fingerprint: fingerprintOf(scenario), seed }) : text}`
  let quit = (): void => undefined
  const explorer = new Explorer(
    { scenario, file: loaded.file, seed, live: options.live ?? false, replay },
    { save, copy, quit: () => quit() },
  )
  const { color, ascii } = lookOf(options)
  drawInCi()
  const { runApp } = await import('../explorer/app.js')
  const isLinear = process.env['INK_SCREEN_READER'] === 'true'
  await runApp(explorer, { color, ascii, isLinear }, (end) => (quit = end))
  return ExitCode.pass
}

/** Ink draws only the last screen where it takes the machine for a CI's. Somebody sits at this terminal. */
function drawInCi(): void {
  for (const name of ['CI', 'CONTINUOUS_INTEGRATION']) if (name in process.env) process.env[name] = 'false'
}

function save(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const causes: Readonly<Record<string, string>> = {
      EACCES: 'no permission to write there',
      EISDIR: 'that is a folder',
      ENOTDIR: 'a part of the path is a file',
      EEXIST: 'a part of the path is a file',
      ENOSPC: 'no space left on the disk',
      EROFS: 'the disk is read-only',
      ENOENT: 'the folder is gone and cannot be made',
    }
    throw new UsageError(`${path}: ${causes[code ?? ''] ?? `it cannot be written (${code ?? String(error)})`}`)
  }
}

/** The terminal's clipboard, by OSC 52; a terminal that does not know it ignores it. */
function copy(text: string): void {
  process.stdout.write(`\x1b]52;c;${Buffer.from(text).toString('base64')}\x07`)
}

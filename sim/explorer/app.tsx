/**
 * The explorer in a terminal: keys in, rows out (Ink).
 *
 * The screen is one text a row and the root is one row lower than the terminal, so that Ink never clears it. (Its incremental rendering
 * of 6.8 begins one row too low when the output ends in a newline, as it does here.) The simulation runs between keys, in slices of
 * a few milliseconds. Whatever ends the program, the terminal is left as it was.
 */

import { writeSync } from 'node:fs'
import { Box, render, Text, useInput, useStdin, useStdout, type Key } from 'ink'
import { useEffect, useReducer, type ReactElement } from 'react'
import type { Explorer } from './explorer.js'
import { linearOf } from './linear.js'
import { screenOf } from './screen.js'

export interface AppOptions {
  readonly color: boolean
  readonly ascii: boolean
  /** Plain sentences instead of a picture. */
  readonly isLinear: boolean
}

const SLICE_MS = 8
const FRAME_MS = 66

const ENTER_SCREEN = '\x1b[?1049h\x1b[H'
const LEAVE_SCREEN = '\x1b[?1049l\x1b[?25h'

/** Runs until the person leaves. */
export async function runApp(
  explorer: Explorer,
  options: AppOptions,
  onQuit: (quit: () => void) => void,
): Promise<void> {
  const { isLinear } = options
  const restore = (): void => {
    if (!isLinear) writeSync(process.stdout.fd, LEAVE_SCREEN)
  }
  if (!isLinear) writeSync(process.stdout.fd, ENTER_SCREEN)
  process.once('exit', restore)
  const app = render(<Screen explorer={explorer} options={options} />, {
    exitOnCtrlC: false,
    maxFps: 15,
    patchConsole: false,
    isScreenReaderEnabled: isLinear,
  })
  onQuit(() => app.unmount())
  const leave = (): void => app.unmount()
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, leave)
  try {
    await app.waitUntilExit()
  } finally {
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.off(signal, leave)
    process.off('exit', restore)
    restore()
  }
}

function Screen({ explorer, options }: { readonly explorer: Explorer; readonly options: AppOptions }): ReactElement {
  const { stdout } = useStdout()
  const { setRawMode } = useStdin()
  const [, draw] = useReducer((count: number) => count + 1, 0)
  useSimulation(explorer, draw)
  useEffect(() => {
    stdout.on('resize', draw)
    return () => void stdout.off('resize', draw)
  }, [stdout])
  useInput((input, key) => {
    if (key.ctrl && input === 'z') return suspend(setRawMode, options, draw)
    for (const name of keyNames(input, key)) explorer.key(name)
    draw()
  })
  const look = { width: stdout.columns, color: options.color, ascii: options.ascii }
  const rows = options.isLinear ? linearOf(explorer) : screenOf(explorer, look, Math.max(1, stdout.rows - 1))
  return (
    <Box flexDirection="column">
      {rows.map((row, at) => (
        <Text key={at} wrap="truncate">
          {row === '' ? ' ' : row}
        </Text>
      ))}
    </Box>
  )
}

/** Records and plays between keys; draws when something on the screen may have moved. */
function useSimulation(explorer: Explorer, draw: () => void): void {
  useEffect(() => {
    let timer: NodeJS.Timeout | undefined
    let drawnAt = 0
    let last = performance.now()
    const turn = (): void => {
      const now = performance.now()
      const moved = explorer.tick(now - last)
      last = now
      const deadline = now + SLICE_MS
      const isBusy = explorer.work(() => performance.now() >= deadline)
      if ((moved || isBusy || wasBusy) && (now - drawnAt >= FRAME_MS || wasBusy !== isBusy)) {
        drawnAt = now
        draw()
      }
      wasBusy = isBusy
      timer = setTimeout(turn, isBusy ? 0 : explorer.isPlaying ? FRAME_MS / 2 : FRAME_MS)
    }
    let wasBusy = true
    turn()
    return () => clearTimeout(timer)
  }, [explorer, draw])
}

/** Ctrl-Z: gives the terminal back, stops, and takes it again after `fg`. */
function suspend(setRawMode: (raw: boolean) => void, { isLinear }: AppOptions, draw: () => void): void {
  setRawMode(false)
  if (!isLinear) writeSync(process.stdout.fd, LEAVE_SCREEN)
  process.once('SIGCONT', () => {
    if (!isLinear) writeSync(process.stdout.fd, ENTER_SCREEN)
    setRawMode(true)
    process.stdout.emit('resize')
    draw()
  })
  process.kill(process.pid, 'SIGTSTP')
}

/** Names of the keys of one read; quick typing comes as a run ("jjj"). */
export function keyNames(input: string, key: Key): string[] {
  if (key.return) return ['return']
  if (key.escape) return ['escape']
  if (key.tab) return [key.shift ? 'shift+tab' : 'tab']
  if (key.backspace || key.delete) return ['backspace']
  if (key.leftArrow) return ['left']
  if (key.rightArrow) return ['right']
  if (key.upArrow) return ['up']
  if (key.downArrow) return ['down']
  if (key.pageUp) return ['pageup']
  if (key.pageDown) return ['pagedown']
  if (key.home) return ['home']
  if (key.end) return ['end']
  if (key.ctrl) return [`ctrl+${input}`]
  return Array.from(input, nameOfChar)
}

/** A key as it stands in a run of them. */
function nameOfChar(char: string): string {
  if (char === ' ') return 'space'
  if (char === '\r' || char === '\n') return 'return'
  if (char === '\t') return 'tab'
  if (char === '\x7f' || char === '\b') return 'backspace'
  return char < ' ' ? `ctrl+${String.fromCharCode(char.charCodeAt(0) + 0x60)}` : char
}

/**
 * Rows of characters with a style each, on which pictures are drawn before they become text.
 */

import { paint, type Style } from './paint.js'

/** What each sign becomes where only ASCII may be printed. */
const ASCII: Readonly<Record<string, string>> = {
  '▒': '#',
  '━': '=',
  '─': '-',
  '┄': '.',
  '✗': 'X',
  '✓': '+',
  '·': '.',
  '▼': 'v',
  '‖': '!',
  '▪': 'o',
  '│': '|',
  '●': 'o',
  '►': '>',
  '◄': '<',
  '⋮': ':',
  '→': '>',
  '…': '.',
  '–': '-',
  '×': 'x',
  '▸': '>',
  '▶': '>',
  '⏸': '=',
  '▲': '^',
  '┆': ':',
  '○': '.',
  '←': '<',
  '█': '_',
}

export class Row {
  readonly #chars: string[]
  readonly #styles: (Style | undefined)[]

  constructor(width: number) {
    this.#chars = Array.from({ length: width }, () => ' ')
    this.#styles = Array.from({ length: width })
  }

  get width(): number {
    return this.#chars.length
  }

  at(column: number): string {
    return this.#chars[column] ?? ' '
  }

  /** Writes from `column` on; what does not fit is cut. */
  put(column: number, text: string, style?: Style): void {
    let at = column
    for (const char of text) {
      if (at >= this.#chars.length) return
      if (at >= 0) {
        this.#chars[at] = char
        this.#styles[at] = style
      }
      at++
    }
  }

  /** Writes `char` over [from, to). */
  fill(from: number, to: number, char: string, style?: Style): void {
    for (let at = Math.max(0, from); at < Math.min(to, this.#chars.length); at++) {
      this.#chars[at] = char
      this.#styles[at] = style
    }
  }

  toText(look: { readonly color: boolean; readonly ascii: boolean }): string {
    let text = ''
    let run = ''
    let style: Style | undefined
    const flush = (): void => {
      text += style === undefined ? run : paint(run, style, look)
      run = ''
    }
    const end = this.#chars.findLastIndex((char) => char !== ' ')
    for (let at = 0; at <= end; at++) {
      if (this.#styles[at] !== style) {
        flush()
        style = this.#styles[at]
      }
      const char = this.#chars[at] as string
      run += look.ascii ? toAscii(char) : char
    }
    flush()
    return text
  }
}

/** The text in ASCII: each sign has one of the same width. */
export function toAscii(text: string): string {
  let plain = ''
  for (const char of text) plain += char.charCodeAt(0) < 0x80 ? char : (ASCII[char] ?? '?')
  return plain
}

/** The text cut to `width` columns, with a sign that something is missing. */
export function clip(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}

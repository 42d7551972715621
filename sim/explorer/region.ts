/**
 * A part of the screen that is drawn into: what does not fit is cut, and nothing reaches beyond it.
 */

import { clip, Row } from '../../reports/canvas.js'
import type { Style } from '../../reports/paint.js'

/** A text with its style; a line is several. */
export type Span = string | readonly [text: string, style: Style]

export class Region {
  readonly width: number
  readonly height: number
  readonly #rows: readonly Row[]
  readonly #left: number
  readonly #top: number

  constructor(rows: readonly Row[], left: number, top: number, width: number, height: number) {
    this.#rows = rows
    this.#left = left
    this.#top = top
    this.width = Math.max(0, width)
    this.height = Math.max(0, Math.min(height, rows.length - top))
  }

  static screen(width: number, height: number): { readonly rows: readonly Row[]; readonly region: Region } {
    const rows = Array.from({ length: height }, () => new Row(width))
    return { rows, region: new Region(rows, 0, 0, width, height) }
  }

  part(left: number, top: number, width: number, height: number): Region {
    const fits = Math.min(width, this.width - left)
    return new Region(this.#rows, this.#left + left, this.#top + top, fits, Math.min(height, this.height - top))
  }

  put(line: number, column: number, text: string, style?: Style): void {
    if (line < 0 || line >= this.height || column >= this.width) return
    const from = Math.max(0, -column)
    this.#rows[this.#top + line]?.put(this.#left + column + from, text.slice(from, this.width - column), style)
  }

  /** A whole line of spans; the last one that fits is clipped with a sign. */
  line(line: number, spans: readonly Span[], column = 0): void {
    let at = column
    for (const span of spans) {
      const [text, style] = typeof span === 'string' ? [span, undefined] : span
      if (at >= this.width) return
      this.put(line, at, clip(text, this.width - at), style)
      at += text.length
    }
  }

  fill(line: number, from: number, to: number, char: string, style?: Style): void {
    if (line < 0 || line >= this.height) return
    const end = Math.min(to, this.width)
    this.#rows[this.#top + line]?.fill(this.#left + Math.max(0, from), this.#left + end, char, style)
  }

  /** A rule with a title in it. */
  rule(line: number, title = ''): void {
    this.fill(line, 0, this.width, '─', 'dim')
    if (title !== '') this.put(line, 2, ` ${clip(title, this.width - 6)} `, 'bold')
  }

  column(at: number, char: string): void {
    for (let line = 0; line < this.height; line++) this.put(line, at, char, 'dim')
  }
}

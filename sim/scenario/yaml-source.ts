/**
 * A scenario file in YAML, with the place of everything in it.
 *
 * `placeOf` leads from a path in the plain object back to file:line:column and the source line, so that each problem can be
 * shown where it stands. The file's first comment is the story's reason and becomes the description.
 */

import { isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml'
import type { Place, Problem } from '../kernel/errors.js'

export class YamlSource {
  readonly plain: unknown
  /** Mistakes of the YAML itself: bad indentation, duplicate keys. */
  readonly problems: readonly Problem[]
  readonly #file: string
  readonly #document: Document
  readonly #lines: readonly string[]
  readonly #counter = new LineCounter()

  constructor(file: string, text: string) {
    this.#file = file
    this.#lines = text.split('\n')
    this.#document = parseDocument(text, { lineCounter: this.#counter, uniqueKeys: true, prettyErrors: false })
    this.problems = [...this.#document.errors, ...this.#document.warnings].map((error) => ({
      message: error.message.split('\n')[0] as string,
      place: this.#placeAt(error.pos[0]),
    }))
    const plain: unknown = this.problems.length > 0 ? undefined : this.#document.toJS()
    const description = firstComment(text)
    this.plain =
      isPlainObject(plain) && !('description' in plain) && description !== '' ? { ...plain, description } : plain
  }

  /** 1-based line of each step. */
  get stepLines(): readonly number[] {
    const steps = this.#document.get('steps')
    if (!isSeq(steps)) return []
    return steps.items.map((item) => (isNode(item) && item.range ? this.#counter.linePos(item.range[0]).line : 1))
  }

  /** Where `path` stands: its value, or its key. A path that leads nowhere gives its deepest ancestor. */
  placeOf(path: readonly PropertyKey[], atKey = false): Place {
    let node: unknown = this.#document.contents
    let keyNode: unknown
    for (const part of path) {
      if (isMap(node)) {
        const pair = node.items.find(
          (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(part),
        )
        if (pair === undefined) break
        keyNode = pair.key
        node = pair.value
      } else if (isSeq(node)) {
        const item = node.items[Number(part)]
        if (item === undefined) break
        keyNode = item
        node = item
      } else break
    }
    const shown = atKey && isNode(keyNode) ? keyNode : isNode(node) ? node : keyNode
    const offset = isNode(shown) && shown.range ? shown.range[0] : 0
    return this.#placeAt(offset)
  }

  #placeAt(offset: number): Place {
    const { line, col } = this.#counter.linePos(offset)
    const at = Math.max(line, 1)
    return { file: this.#file, line: at, column: Math.max(col, 1), source: this.#lines[at - 1] ?? '' }
  }
}

/** The comment that opens the file (after a language-server line), as one text. */
function firstComment(text: string): string {
  const lines: string[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('# yaml-language-server')) continue
    if (!line.startsWith('#')) break
    lines.push(line.replace(/^#+ ?/, ''))
  }
  return lines.join('\n').trim()
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * A line that is being typed, with completions for its last word.
 */

export interface LineInput {
  readonly purpose: 'search' | 'goto' | 'step' | 'save' | 'rename'
  readonly label: string
  readonly text: string
  /** What was wrong with it when it was entered. */
  readonly wrong?: string
  /** The text that Tab completes; later Tabs go on with the next completion of it. */
  readonly completing?: { readonly stem: string; readonly at: number }
}

/** The line after a key; the same line when the key means nothing in it. */
export function typed(input: LineInput, key: string): LineInput {
  const { purpose, label, text } = input
  if (key === 'backspace') return { purpose, label, text: text.slice(0, -1) }
  if (key === 'ctrl+u') return { purpose, label, text: '' }
  if (key === 'ctrl+w') return { purpose, label, text: text.replace(/\S+\s*$/, '') }
  if (key === 'space') return { purpose, label, text: `${text} ` }
  return Array.from(key).length === 1 ? { purpose, label, text: text + key } : input
}

/** Puts the next of the words that begin as the last word of the line does in its place. */
export function completed(input: LineInput, words: readonly string[]): LineInput {
  const stem = input.completing?.stem ?? input.text
  const cut = /[^\s,[\](]*$/.exec(stem)?.[0] ?? ''
  const fits = words.filter((word) => word.startsWith(cut))
  if (fits.length === 0) return input
  const at = input.completing === undefined ? 0 : (input.completing.at + 1) % fits.length
  const { purpose, label } = input
  return {
    purpose,
    label,
    text: stem.slice(0, stem.length - cut.length) + (fits[at] as string),
    completing: { stem, at },
  }
}

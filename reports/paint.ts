/**
 * Colour for terminals, or none. Meaning never hangs on it.
 */

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan' | 'inverse'

const CODES: Readonly<Record<Style, readonly [open: number, close: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  inverse: [7, 27],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
}

export function paint(text: string, style: Style, look: { readonly color: boolean }): string {
  if (!look.color || text === '') return text
  const [open, close] = CODES[style]
  return `\x1b[${open}m${text}\x1b[${close}m`
}

/**
 * The grammar in which messages are declared: Kafka's message definitions, one line a field, structs by indentation.
 *
 *     field    := name ': ' type [versions] ['null' [versions]] ['tag' number [versions]] ['=' default] ['ignorable']
 *     type     := ['[]'] ( bool | int8 | int16 | uint16 | int32 | int64 | bigint64 | float64 | string | uuid | bytes | records | struct )
 *     versions := '3+' | '3-7' | '3'
 *     struct   : its fields follow, two spaces further in
 *
 * Left out, `versions` are all versions; those of `null` (where null is allowed) and of `tag` (where the field is a tagged one,
 * KIP-482) are the field's own. A default left out is zero, false, empty, or the struct of defaults. `ignorable` fields are
 * dropped from versions that lack them; any other field must then hold its default. An `int64` is a number, exact up to 2^53; a `bigint64`
 * is a bigint, for hashes that use all bits.
 */

import { InvariantError } from '../kernel/errors.js'
import { LONG_MAX } from '../kernel/units.js'
import { ZERO_UUID } from './uuid.js'

const TYPES = [
  'bool',
  'int8',
  'int16',
  'uint16',
  'int32',
  'int64',
  'bigint64',
  'float64',
  'string',
  'uuid',
  'bytes',
  'records',
  'struct',
] as const
export type FieldType = (typeof TYPES)[number]

/** Versions `from` to `to`, both included. */
export interface VersionRange {
  readonly from: number
  readonly to: number
}

export interface Field {
  readonly name: string
  readonly type: FieldType
  readonly array: boolean
  readonly versions: VersionRange
  /** Where null is allowed. */
  readonly nullable: VersionRange | undefined
  readonly tag: number | undefined
  /** Where it is tagged; elsewhere in `versions` it is a plain field. */
  readonly tagged: VersionRange | undefined
  readonly default: FieldDefault
  readonly ignorable: boolean
  /** Of a struct or an array of structs. */
  readonly struct: Struct | undefined
}

/** `zero` stands for the empty value of the type: empty text, bytes or array, the struct of its defaults. */
export type FieldDefault =
  { readonly zero: true } | { readonly zero: false; readonly value: number | boolean | string | null }

export interface Struct {
  readonly fields: readonly Field[]
}

export const ALL_VERSIONS: VersionRange = { from: 0, to: Infinity }

const ZERO: FieldDefault = { zero: true }

export function includes(range: VersionRange | undefined, version: number): boolean {
  return range !== undefined && version >= range.from && version <= range.to
}

/** Parses a declaration. Throws InvariantError: declarations are ours. */
export function parseSchema(text: string): Struct {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const first = lines[0]
  if (first === undefined) return { fields: [] }
  const cursor = { at: 0 }
  const struct = parseStruct(lines, cursor, indentOf(first))
  if (cursor.at !== lines.length) throw new InvariantError('schema: indentation', { line: lines[cursor.at] })
  return struct
}

export function parseVersions(text: string): VersionRange {
  const match = /^(\d+)(\+|-(\d+))?$/.exec(text)
  if (match === null) throw new InvariantError('schema: versions', { text })
  const from = Number(match[1])
  return { from, to: match[2] === undefined ? from : match[2] === '+' ? Infinity : Number(match[3]) }
}

/** The value of a field's default, in the form that messages hold. */
export function defaultOf(field: Field): unknown {
  if (!field.default.zero) {
    return field.type === 'int64' && field.default.value === Number(LONG_MAX_TEXT) ? LONG_MAX : field.default.value
  }
  if (field.array || field.type === 'records') return []
  switch (field.type) {
    case 'bool':
      return false
    case 'string':
      return ''
    case 'uuid':
      return ZERO_UUID
    case 'bytes':
      return new Uint8Array(0)
    case 'struct':
      return defaultsOf(field.struct as Struct)
    case 'bigint64':
      return 0n
    default:
      return 0
  }
}

/** A message or struct that holds every field's default. */
export function defaultsOf(struct: Struct): Record<string, unknown> {
  const value: Record<string, unknown> = {}
  for (const field of struct.fields) value[field.name] = defaultOf(field)
  return value
}

const LONG_MAX_TEXT = '9223372036854775807'

function parseStruct(lines: readonly string[], cursor: { at: number }, indent: number): Struct {
  const fields: Field[] = []
  for (;;) {
    const line = lines[cursor.at]
    if (line === undefined || indentOf(line) < indent) return { fields }
    if (indentOf(line) > indent) throw new InvariantError('schema: indentation', { line })
    cursor.at++
    const field = parseField(line.trim())
    if (field.type !== 'struct') {
      fields.push(field)
      continue
    }
    const next = lines[cursor.at]
    if (next === undefined || indentOf(next) <= indent) throw new InvariantError('schema: empty struct', { line })
    fields.push({ ...field, struct: parseStruct(lines, cursor, indentOf(next)) })
  }
}

function parseField(line: string): Field {
  const words = line.split(/\s+/)
  const name = (words.shift() ?? '').replace(/:$/, '')
  const typeWord = words.shift() ?? ''
  const array = typeWord.startsWith('[]')
  const type = TYPES.find((known) => known === (array ? typeWord.slice(2) : typeWord))
  if (type === undefined) throw new InvariantError('schema: type', { line })
  const rangeOr = (otherwise: VersionRange): VersionRange =>
    /^\d/.test(words[0] ?? '') ? parseVersions(words.shift() as string) : otherwise
  const versions = rangeOr(ALL_VERSIONS)
  let nullable: VersionRange | undefined
  let tag: number | undefined
  let tagged: VersionRange | undefined
  let value: FieldDefault = ZERO
  let ignorable = false
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === 'null') nullable = rangeOr(versions)
    else if (word === 'tag') {
      tag = Number(words.shift())
      tagged = rangeOr(versions)
    } else if (word === '=') value = parseDefault(type, words.shift() ?? '')
    else if (word === 'ignorable') ignorable = true
    else throw new InvariantError('schema: word', { line, word })
  }
  return { name, type, array, versions, nullable, tag, tagged, default: value, ignorable, struct: undefined }
}

function parseDefault(type: FieldType, word: string): FieldDefault {
  if (word === 'null') return { zero: false, value: null }
  if (type === 'bool') return { zero: false, value: word === 'true' }
  if (type === 'string') return { zero: false, value: word }
  return { zero: false, value: Number(word) }
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length
}

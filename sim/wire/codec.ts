/**
 * Codecs of messages, compiled from their schemas.
 *
 * For each (message, version) that is used, one plain function each for size, writing and reading is generated on first use: no
 * schema is walked on the message path. Rules are those of Kafka's message generator (KIP-482): compact lengths and a section of
 * tagged fields in flexible versions, a tagged field left out when it holds its default, int8 −1 or 1 before a nullable struct (0 or 1 in a
 * tagged field).
 *
 * A reader gives the full shape of the newest version, defaults filled in, so that handlers know no versions. A writer drops
 * ignorable fields that its version lacks and throws InvariantError when another such field does not hold its default.
 * Size and writer agree exactly.
 */

import { assert, InvariantError } from '../kernel/errors.js'
import { ByteReader, ByteWriter, MalformedBytes, sizeOfUvarint, utf8Size } from './primitives.js'
import { parseRecords, sizeOfRecords, type RecordBatch, type Records } from './record-batch.js'
import { defaultOf, defaultsOf, includes, parseSchema, type Field, type Struct, type VersionRange } from './schema.js'

interface Compiled<T> {
  readonly size: (message: T) => number
  readonly write: (writer: ByteWriter, message: T) => void
  readonly read: (reader: ByteReader) => T
}

export class MessageCodec<T> {
  readonly name: string
  readonly versions: VersionRange
  readonly flexible: VersionRange | undefined
  readonly #text: string
  #struct: Struct | undefined
  #defaults: T | undefined
  #firstError: ((message: T) => number) | undefined
  readonly #compiled: (Compiled<T> | undefined)[] = []

  constructor(name: string, versions: VersionRange, flexible: VersionRange | undefined, schema: string) {
    this.name = name
    this.versions = versions
    this.flexible = flexible
    this.#text = schema
  }

  get struct(): Struct {
    return (this.#struct ??= parseSchema(this.#text))
  }

  /** A message of defaults; shared, read-only. */
  get defaults(): T {
    return (this.#defaults ??= defaultsOf(this.struct) as T)
  }

  isFlexible(version: number): boolean {
    return includes(this.flexible, version)
  }

  /** Exact size of the encoded message, in bytes. */
  size(version: number, message: T): number {
    return this.#at(version).size(message)
  }

  write(writer: ByteWriter, version: number, message: T): void {
    this.#at(version).write(writer, message)
  }

  encode(version: number, message: T): Uint8Array {
    const compiled = this.#at(version)
    const size = compiled.size(message)
    const writer = new ByteWriter(size)
    compiled.write(writer, message)
    assert(writer.position === size, 'codec: size', { message: this.name, version, size, written: writer.position })
    return writer.bytes
  }

  /** @throws MalformedBytes */
  read(reader: ByteReader, version: number): T {
    return this.#at(version).read(reader)
  }

  /** @throws MalformedBytes when the bytes are not one message of this version */
  decode(version: number, bytes: Uint8Array): T {
    const reader = new ByteReader(bytes)
    const message = this.#at(version).read(reader)
    if (reader.remaining > 0) throw new MalformedBytes(`${this.name} v${version}: ${reader.remaining} bytes too many`)
    return message
  }

  /** The first `errorCode` other than 0 in the message, in the order of its fields; 0 when there is none. */
  firstError(message: T): number {
    return (this.#firstError ??= compileFirstError<T>(this.struct))(message)
  }

  #at(version: number): Compiled<T> {
    return this.#compiled[version] ?? this.#compile(version)
  }

  #compile(version: number): Compiled<T> {
    assert(includes(this.versions, version), 'codec: version', { message: this.name, version, versions: this.versions })
    const compiled = compile<T>(this.name, this.struct, version, this.isFlexible(version))
    this.#compiled[version] = compiled
    return compiled
  }
}

// ── what generated code calls ───────────────────────────────────────────────────────────────────────────────────────

const runtime = {
  uv: sizeOfUvarint,
  string: (value: string): number => 2 + utf8Size(value),
  compactString: (value: string): number => {
    const size = utf8Size(value)
    return sizeOfUvarint(size + 1) + size
  },
  bytes: (value: Uint8Array): number => 4 + value.length,
  compactBytes: (value: Uint8Array): number => sizeOfUvarint(value.length + 1) + value.length,
  records: (value: Records): number => 4 + sizeOfRecords(value),
  compactRecords: (value: Records): number => {
    const size = sizeOfRecords(value)
    return sizeOfUvarint(size + 1) + size
  },
  writeRecords: (writer: ByteWriter, value: Records): void => {
    writer.int32(sizeOfRecords(value))
    writeBatches(writer, value)
  },
  writeCompactRecords: (writer: ByteWriter, value: Records): void => {
    writer.uvarint(sizeOfRecords(value) + 1)
    writeBatches(writer, value)
  },
  readRecords: (reader: ByteReader): Records => parseRecords(reader.byteString()),
  readCompactRecords: (reader: ByteReader): Records => parseRecords(reader.compactByteString()),
  readNullableRecords: (reader: ByteReader): Records | null => {
    const bytes = reader.nullableByteString()
    return bytes === null ? null : parseRecords(bytes)
  },
  readCompactNullableRecords: (reader: ByteReader): Records | null => {
    const bytes = reader.compactNullableByteString()
    return bytes === null ? null : parseRecords(bytes)
  },
  /** Tagged fields that this version does not know. */
  skip: (reader: ByteReader): void => {
    for (let left = reader.uvarint(); left > 0; left--) {
      reader.uvarint()
      reader.take(reader.uvarint())
    }
  },
  unsupported: (message: string, version: number, field: string): never => {
    throw new InvariantError('codec: field is not in this version and not at its default', { message, version, field })
  },
  notNull: (message: string, version: number, field: string): never => {
    throw new InvariantError('codec: null in this version', { message, version, field })
  },
}

function writeBatches(writer: ByteWriter, records: Records): void {
  const at = writer.reserve(sizeOfRecords(records))
  let position = at
  for (let i = 0; i < records.length; i++) position = (records[i] as RecordBatch).writeTo(writer.bytes, position)
}

// ── generation ──────────────────────────────────────────────────────────────────────────────────────────────────────

const FIXED: Readonly<Partial<Record<Field['type'], number>>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  int64: 8,
  bigint64: 8,
  float64: 8,
  uuid: 16,
}

function compile<T>(name: string, struct: Struct, version: number, flexible: boolean): Compiled<T> {
  const generator = new Generator(name, version, flexible)
  const root = generator.struct(struct)
  const source = `'use strict'\n${generator.functions.join('\n')}\nreturn { size: size${root}, write: write${root}, read: read${root} }`
  const make = new Function('rt', 'defaults', source) as (
    rt: typeof runtime,
    defaults: readonly unknown[],
  ) => Compiled<T>
  return make(runtime, generator.defaults)
}

class Generator {
  readonly functions: string[] = []
  readonly defaults: unknown[] = []
  readonly #name: string
  readonly #version: number
  readonly #flexible: boolean
  #structs = 0
  #names = 0

  constructor(name: string, version: number, flexible: boolean) {
    this.#name = name
    this.#version = version
    this.#flexible = flexible
  }

  /** Generates the functions of a struct and returns the number in their names. */
  struct(struct: Struct): number {
    const plain: Field[] = []
    const tagged: Field[] = []
    const absent: Field[] = []
    for (const field of struct.fields) {
      if (!includes(field.versions, this.#version)) absent.push(field)
      else if (this.#flexible && includes(field.tagged, this.#version)) tagged.push(field)
      else plain.push(field)
    }
    tagged.sort((a, b) => (a.tag as number) - (b.tag as number))
    const inner = new Map<Field, number>()
    for (const field of [...plain, ...tagged]) {
      if (field.struct !== undefined) inner.set(field, this.struct(field.struct))
    }
    const number = this.#structs++
    this.functions.push(
      this.#sizeFunction(number, plain, tagged, inner),
      this.#writeFunction(number, plain, tagged, absent, inner),
      this.#readFunction(number, struct, plain, tagged, inner),
    )
    return number
  }

  #sizeFunction(number: number, plain: Field[], tagged: Field[], inner: Map<Field, number>): string {
    let fixed = 0
    const lines: string[] = []
    for (const field of plain) {
      const width = field.array ? undefined : FIXED[field.type]
      if (width !== undefined) fixed += width
      else lines.push(...this.#size('n', `o.${field.name}`, field, inner.get(field)))
    }
    if (this.#flexible) {
      if (tagged.length === 0) fixed += 1
      else {
        lines.push('let tags = 0')
        for (const field of tagged) {
          const width = field.array ? undefined : FIXED[field.type]
          lines.push(`if (!(${isDefault(field, `o.${field.name}`)})) {`, 'let s = 0')
          if (width === undefined) lines.push(...this.#size('s', `o.${field.name}`, field, inner.get(field)))
          else lines.push(`s = ${width}`)
          lines.push('tags++', `n += rt.uv(${field.tag}) + rt.uv(s) + s`, '}')
        }
        lines.push('n += rt.uv(tags)')
      }
    }
    return `function size${number}(o) {\nlet n = ${fixed}\n${lines.join('\n')}\nreturn n\n}`
  }

  /** Statements that add the size of the value `v` to the variable `to`. */
  #size(to: string, v: string, field: Field, inner: number | undefined): string[] {
    const width = this.#nullWidth(field)
    const body = field.array ? this.#arraySize(to, v, field, inner) : [`${to} += ${this.#elementSize(v, field, inner)}`]
    if (!field.array && field.type === 'struct' && this.#nullable(field)) body.push(`${to} += 1`)
    if (field.nullable === undefined) return body
    return [`if (${v} === null) ${to} += ${width}`, 'else {', ...body, '}']
  }

  #arraySize(to: string, v: string, field: Field, inner: number | undefined): string[] {
    const lines = [this.#flexible ? `${to} += rt.uv(${v}.length + 1)` : `${to} += 4`]
    const width = FIXED[field.type]
    if (width !== undefined) lines.push(`${to} += ${v}.length * ${width}`)
    else {
      const i = this.#fresh('i')
      lines.push(
        `for (let ${i} = 0; ${i} < ${v}.length; ${i}++) ${to} += ${this.#elementSize(`${v}[${i}]`, field, inner)}`,
      )
    }
    return lines
  }

  #elementSize(v: string, field: Field, inner: number | undefined): string {
    const width = FIXED[field.type]
    if (width !== undefined) return String(width)
    if (field.type === 'struct') return `size${inner}(${v})`
    return `rt.${this.#flexible ? compact(field.type) : field.type}(${v})`
  }

  #writeFunction(number: number, plain: Field[], tagged: Field[], absent: Field[], inner: Map<Field, number>): string {
    const lines: string[] = []
    for (const field of absent) {
      if (field.ignorable) continue
      lines.push(
        `if (!(${isDefault(field, `o.${field.name}`)})) rt.unsupported('${this.#name}', ${this.#version}, '${field.name}')`,
      )
    }
    for (const field of plain) lines.push(...this.#write(`o.${field.name}`, field, inner.get(field)))
    if (this.#flexible) {
      if (tagged.length === 0) lines.push('w.uvarint(0)')
      else {
        lines.push('let tags = 0')
        for (const field of tagged) lines.push(`if (!(${isDefault(field, `o.${field.name}`)})) tags++`)
        lines.push('w.uvarint(tags)')
        for (const field of tagged) {
          const width = field.array ? undefined : FIXED[field.type]
          lines.push(`if (!(${isDefault(field, `o.${field.name}`)})) {`, 'let s = 0')
          if (width === undefined) lines.push(...this.#size('s', `o.${field.name}`, field, inner.get(field)))
          else lines.push(`s = ${width}`)
          lines.push(
            `w.uvarint(${field.tag})`,
            'w.uvarint(s)',
            ...this.#write(`o.${field.name}`, field, inner.get(field)),
            '}',
          )
        }
      }
    }
    return `function write${number}(w, o) {\n${lines.join('\n')}\n}`
  }

  #write(v: string, field: Field, inner: number | undefined): string[] {
    const body = field.array ? this.#writeArray(v, field, inner) : [this.#writeElement(v, field, inner)]
    if (field.nullable === undefined) return body
    if (!this.#nullable(field)) {
      return [`if (${v} === null) rt.notNull('${this.#name}', ${this.#version}, '${field.name}')`, ...body]
    }
    const none =
      !field.array && field.type === 'struct'
        ? `w.int8(${this.#isTagged(field) ? 0 : -1})`
        : this.#flexible
          ? 'w.uvarint(0)'
          : !field.array && field.type === 'string'
            ? 'w.int16(-1)'
            : 'w.int32(-1)'
    if (!field.array && field.type === 'struct') body.unshift('w.int8(1)')
    return [`if (${v} === null) ${none}`, 'else {', ...body, '}']
  }

  #writeArray(v: string, field: Field, inner: number | undefined): string[] {
    const i = this.#fresh('i')
    return [
      this.#flexible ? `w.uvarint(${v}.length + 1)` : `w.int32(${v}.length)`,
      `for (let ${i} = 0; ${i} < ${v}.length; ${i}++) ${this.#writeElement(`${v}[${i}]`, field, inner)}`,
    ]
  }

  #writeElement(v: string, field: Field, inner: number | undefined): string {
    switch (field.type) {
      case 'struct':
        return `write${inner}(w, ${v})`
      case 'string':
        return `w.${this.#flexible ? 'compactString' : 'string'}(${v})`
      case 'bytes':
        return `w.${this.#flexible ? 'compactByteString' : 'byteString'}(${v})`
      case 'records':
        return `rt.${this.#flexible ? 'writeCompactRecords' : 'writeRecords'}(w, ${v})`
      default:
        return `w.${field.type}(${v})`
    }
  }

  #readFunction(number: number, struct: Struct, plain: Field[], tagged: Field[], inner: Map<Field, number>): string {
    const lines: string[] = []
    for (const field of plain)
      lines.push(...this.#read(`const ${local(field)} =`, local(field), field, inner.get(field)))
    for (const field of tagged) lines.push(`let ${local(field)} = ${this.#default(field)}`)
    if (this.#flexible) {
      if (tagged.length === 0) lines.push('rt.skip(r)')
      else {
        lines.push(
          'for (let left = r.uvarint(); left > 0; left--) {',
          'const tag = r.uvarint()',
          'const s = r.uvarint()',
          'switch (tag) {',
        )
        for (const field of tagged) {
          lines.push(
            `case ${field.tag}: {`,
            ...this.#read(`${local(field)} =`, local(field), field, inner.get(field)),
            'break',
            '}',
          )
        }
        lines.push('default: r.take(s)', '}', '}')
      }
    }
    const present = new Set([...plain, ...tagged])
    const fields = struct.fields.map(
      (field) => `${field.name}: ${present.has(field) ? local(field) : this.#default(field)}`,
    )
    return `function read${number}(r) {\n${lines.join('\n')}\nreturn { ${fields.join(', ')} }\n}`
  }

  #read(assign: string, variable: string, field: Field, inner: number | undefined): string[] {
    const nullable = this.#nullable(field)
    if (!field.array) {
      const value = this.#readElement(field, inner, nullable)
      const isNull = this.#isTagged(field) ? 'r.int8() <= 0' : 'r.int8() < 0'
      return [`${assign} ${field.type === 'struct' && nullable ? `${isNull} ? null : ${value}` : value}`]
    }
    const length = this.#fresh('length')
    const array = this.#fresh('array')
    const i = this.#fresh('i')
    const fill = [
      `r.arrayLength(${length})`,
      `${array} = []`,
      `for (let ${i} = 0; ${i} < ${length}; ${i}++) ${array}.push(${this.#readElement(field, inner, false)})`,
    ]
    return [
      `const ${length} = ${this.#flexible ? 'r.uvarint() - 1' : 'r.int32()'}`,
      `let ${array} = null`,
      ...(nullable ? [`if (${length} >= 0) {`, ...fill, '}'] : fill),
      `${assign} ${array}`,
    ]
  }

  #readElement(field: Field, inner: number | undefined, nullable: boolean): string {
    const kind = `${this.#flexible ? 'Compact' : ''}${nullable ? 'Nullable' : ''}`
    switch (field.type) {
      case 'struct':
        return `read${inner}(r)`
      case 'string':
        return `r.${lowerFirst(`${kind}String`)}()`
      case 'bytes':
        return `r.${lowerFirst(`${kind}ByteString`)}()`
      case 'records':
        return `rt.read${kind}Records(r)`
      default:
        return `r.${field.type}()`
    }
  }

  #nullable(field: Field): boolean {
    return includes(field.nullable, this.#version)
  }

  #isTagged(field: Field): boolean {
    return this.#flexible && includes(field.tagged, this.#version)
  }

  /** Bytes of a null. */
  #nullWidth(field: Field): number {
    if (this.#flexible || (!field.array && field.type === 'struct')) return 1
    return !field.array && field.type === 'string' ? 2 : 4
  }

  #default(field: Field): string {
    const value = defaultOf(field)
    if (typeof value === 'bigint') return `${value}n`
    if (typeof value !== 'object' || value === null) return JSON.stringify(value)
    this.defaults.push(value)
    return `defaults[${this.defaults.length - 1}]`
  }

  #fresh(prefix: string): string {
    return `${prefix}${this.#names++}`
  }
}

/** An expression that is true when `v` holds the field's default. */
function isDefault(field: Field, v: string): string {
  if (!field.default.zero) return `${v} === ${JSON.stringify(defaultOf(field))}`
  if (field.array || field.type === 'records' || field.type === 'bytes') {
    return field.nullable === undefined ? `${v}.length === 0` : `(${v} !== null && ${v}.length === 0)`
  }
  if (field.type === 'bigint64') return `${v} === 0n`
  if (field.type !== 'struct') return `${v} === ${JSON.stringify(defaultOf(field))}`
  const inner = (field.struct as Struct).fields.map((each) => isDefault(each, `${v}.${each.name}`)).join(' && ')
  return field.nullable === undefined ? `(${inner})` : `(${v} !== null && ${inner})`
}

/** What AddPartitionsToTxn says of partitions has a name of its own. */
const ERROR_FIELDS: readonly string[] = ['errorCode', 'partitionErrorCode']

function compileFirstError<T>(struct: Struct): (message: T) => number {
  const functions: string[] = []
  let structs = 0
  const generate = (each: Struct): number | undefined => {
    const lines: string[] = []
    for (const field of each.fields) {
      if (ERROR_FIELDS.includes(field.name) && field.type === 'int16') {
        lines.push(`if (o.${field.name} !== 0) return o.${field.name}`)
      }
      const inner = field.struct === undefined ? undefined : generate(field.struct)
      if (inner === undefined) continue
      const v = `o.${field.name}`
      const open = field.nullable === undefined ? '{' : `if (${v} !== null) {`
      if (field.array) {
        lines.push(
          `${open} const a = ${v}; for (let i = 0; i < a.length; i++) { const e = first${inner}(a[i]); if (e !== 0) return e } }`,
        )
      } else lines.push(`${open} const e = first${inner}(${v}); if (e !== 0) return e }`)
    }
    if (lines.length === 0) return undefined
    const number = structs++
    functions.push(`function first${number}(o) {\n${lines.join('\n')}\nreturn 0\n}`)
    return number
  }
  const root = generate(struct)
  if (root === undefined) return () => 0
  return (new Function(`'use strict'\n${functions.join('\n')}\nreturn first${root}`) as () => (message: T) => number)()
}

function local(field: Field): string {
  return `$${field.name}`
}

function compact(type: string): string {
  return `compact${type[0]?.toUpperCase()}${type.slice(1)}`
}

function lowerFirst(text: string): string {
  return `${text[0]?.toLowerCase()}${text.slice(1)}`
}

import { SessionRecord } from '../storage/record.ts'
import type { RecordCallback } from '../storage/storage.ts'
import type { Front } from './front.ts'

/** White space that may stand before JSON without changing it (RFC 8259, section 2). */
const SPACES = ' \t\n\r'
const LENGTH = 8

/**
 * What lies in memcached while somebody asks the backing store for what memcached does not have. Who brings
 * the answer writes it over this very item: had somebody written, or memcached lost it once more, what was
 * asked for would be out of date.
 */
export const LEASE = ' '

/**
 * A record that was written over a lease, or over one that was. Each lease begins a line of its own: by that it
 * shows whether what lies there now was written over what lay there before, or whether memcached had lost it in
 * between.
 */
class LinedRecord extends SessionRecord {
  readonly line: string

  constructor({ kind, version }: SessionRecord, text: string, line: string) {
    super(kind, text, version)
    this.line = line
  }
}

/** The line of a record; empty for one that memcached has had since it was new. */
export function lineOf(record: SessionRecord): string {
  return record instanceof LinedRecord ? record.line : ''
}

/** Was a session written over the other, or over what was? Not so where memcached has lost it in between. */
export function isOfLine(record: SessionRecord, other: SessionRecord): boolean {
  return record.kind !== 'stored' || other.kind !== 'stored' || lineOf(record) === lineOf(other)
}

/** Was a session written over a lease that has come after the other record? */
export function isOfNewLine(record: SessionRecord, other: SessionRecord): boolean {
  const line = lineOf(record)
  return line !== '' && line !== lineOf(other)
}

/** Records in memcached with their line, which stands before their text as white space. */
export class LinedFront {
  readonly #front: Front

  constructor(front: Front) {
    this.#front = front
  }

  addressOf(id: string): string {
    return this.#front.addressOf(id)
  }

  check(id: string, text: string): void {
    this.#front.check(id, SPACES + SPACES + text)
  }

  read(id: string, done: RecordCallback): void {
    this.#front.read(id, (error, record) => done(error, record && lined(record)))
  }

  write(id: string, text: string, milliseconds: number, over: SessionRecord, done: RecordCallback): void {
    const stored = text === LEASE ? LEASE : lineOver(over, text) + text
    this.#front.write(id, stored, milliseconds, over, (error, record) => done(error, record && lined(record)))
  }

  writeTombstone(id: string, revokedAt: string, over: SessionRecord, done: RecordCallback): void {
    this.#front.writeTombstone(id, revokedAt, over, done)
  }
}

function lined(record: SessionRecord): SessionRecord {
  const { kind, text } = record
  if (kind !== 'stored' || text === LEASE || !isIndented(text)) return record
  return new LinedRecord(record, text.slice(LENGTH), text.slice(0, LENGTH))
}

function isIndented(text: string): boolean {
  return SPACES.includes(text.charAt(0)) && text !== ''
}

function lineOver(over: SessionRecord, text: string): string {
  const line = lineOf(over)
  const isFirst = over.kind === 'stored' && over.text === LEASE
  // What begins so itself must be told from what has a line.
  return isFirst || (line === '' && isIndented(text)) ? draw() : line
}

function draw(): string {
  return Array.from({ length: LENGTH }, () => SPACES[Math.floor(Math.random() * SPACES.length)]).join('')
}

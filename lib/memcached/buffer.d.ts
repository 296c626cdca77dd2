/** What Node's own `Buffer` methods call once they have looked at their arguments, which costs as much as a short key. */
interface Buffer {
  latin1Slice(start: number, end: number): string
  latin1Write(text: string, offset: number): number
  utf8Write(text: string, offset: number): number
  utf8Slice(start: number, end: number): string
}

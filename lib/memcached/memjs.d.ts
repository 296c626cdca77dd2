/** What we use of memjs 1.3, which brings no types. */
declare module 'memjs' {
  import type { ReplyCallback } from './node.ts'
  import type { Request } from './request.ts'
  import type { Wire } from './wire.ts'

  class Client {
    constructor(
      servers: readonly Wire[],
      options: { retries: number; logger: { log(message: string): void } },
    )
    perform(key: string, request: Request, seq: number, callback: ReplyCallback): void
  }

  const Utils: {
    makeRequestBuffer(
      opcode: number,
      key: string,
      extras: Buffer,
      value: string | Buffer,
      opaque: number,
    ): Buffer
  }

  export { Client, Utils }
}

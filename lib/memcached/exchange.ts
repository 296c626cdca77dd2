import type { ConnectionOptions } from 'node:tls'
import { MemcachedStoreError } from '../errors.ts'
import type { ServerAddress } from './address.ts'
import { dial } from './dial.ts'
import { tooManyConnections } from './failures.ts'

/** A server, and how to reach it. */
export interface Target {
  readonly address: ServerAddress
  readonly tls: ConnectionOptions | undefined
  /** Milliseconds after which it has failed: of silence, and, unless more are granted, of the whole. */
  readonly timeout: number
}

/** Looks at the clock within one timeout. */
const TICKS = 10

/**
 * One request on a connection of its own, which is closed after the answer: for what is rare, takes
 * long, or is not in the binary protocol, and must not delay the requests of visitors.
 *
 * @param request - called once the connection is open.
 * @param take - gets the bytes of the answer as they come; true says that it is complete. May send more, and throw
 *   what the exchange fails with.
 * @param granted - timeouts that all of it may take, connecting included; asked again as the answer comes.
 *   By itself silence is no measure: a server that sends a byte now and then is never silent.
 * @throws MemcachedStoreError - `ERR_UNAVAILABLE` where the connection fails; `ERR_TIMEOUT` at silence, or
 *   where the answer is not complete in time.
 * @throws the signal's reason once that is aborted.
 */
export function exchange(
  { address, tls, timeout }: Target,
  request: () => string | Buffer,
  take: (bytes: Buffer, send: (more: string | Buffer) => void) => boolean,
  signal: AbortSignal,
  granted: () => number = () => 1,
): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const server = `memcached on ${address.name}`
    const end = (): void => {
      clearInterval(timer)
      signal.removeEventListener('abort', abort)
      socket.destroy()
    }
    const fail = (error: unknown): void => {
      end()
      reject(error)
    }
    const abort = (): void => fail(signal.reason)
    const lose = (cause?: Error): void => {
      fail(new MemcachedStoreError('ERR_UNAVAILABLE', `The connection to ${server} failed`, { cause }))
    }

    const socket = dial(address, tls, () => socket.write(request()))
    const isComplete = (bytes: Buffer): boolean => {
      try {
        return take(bytes, more => socket.write(more))
      } catch (error) {
        fail(error)
        return false
      }
    }
    let isFirst = true
    let ticks = 0
    let silentTicks = 0
    socket.on('data', bytes => {
      silentTicks = 0
      const refusal = isFirst ? tooManyConnections(address.name, bytes) : null
      if (refusal !== null) {
        fail(refusal)
      } else if (isComplete(bytes)) {
        end()
        resolve()
      }
      isFirst = false
    })
    socket.on('error', lose)
    socket.on('close', () => lose())

    // Counted in ticks, as on the wire: a process that was busy itself for long counts one.
    const timer = setInterval(() => {
      if (++silentTicks > TICKS) fail(late(`No answer from ${server} within ${timeout} ms`))
      else if (++ticks > TICKS * granted()) fail(late(`The answer of ${server} takes too long`))
    }, timeout / TICKS)
    signal.addEventListener('abort', abort)
  })
}

function late(message: string): MemcachedStoreError {
  return new MemcachedStoreError('ERR_TIMEOUT', message)
}

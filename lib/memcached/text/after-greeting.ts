import type { ServerAddress } from '../address.ts'
import { TextGreeting } from './text-greeting.ts'

/** Writes to the connection. */
export type Send = (bytes: Buffer | string) => void

/** What is sent first, and who takes what comes: as `exchange` wants them. */
export interface Conversation {
  readonly opening: Buffer
  take(bytes: Buffer, send: Send): boolean
}

/**
 * Logs in where the server wants that, and goes on with a command.
 *
 * @param greeted - gets the version that the server tells. @param take - gets what comes after that.
 */
export function afterGreeting(
  address: ServerAddress,
  command: string,
  greeted: (version: string) => void,
  take: (bytes: Buffer, send: Send) => boolean,
): Conversation {
  const greeting = new TextGreeting(address)
  let isGreeted = false
  return {
    opening: greeting.opening,
    take(bytes, send) {
      if (isGreeted) return take(bytes, send)
      const step = greeting.take(bytes)
      if (step instanceof Error) throw step
      isGreeted = step === 'done'
      if (isGreeted) {
        greeted(greeting.version)
        send(command)
      } else if (step instanceof Buffer) {
        send(step)
      }
      return false
    },
  }
}

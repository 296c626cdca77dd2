import type { ServerAddress } from './address.ts'
import { BinaryGreeting } from './binary/binary-greeting.ts'
import { BinaryProtocol } from './binary/binary-protocol.ts'
import type { Greeting, Line, Protocol } from './protocol.ts'

/** The protocols of memcached that the store speaks. */
export type ProtocolName = 'binary'

interface Speech {
  greet(address: ServerAddress): Greeting
  speak(line: Line): Protocol
}

export const PROTOCOLS: Record<ProtocolName, Speech> = {
  binary: { greet: address => new BinaryGreeting(address), speak: line => new BinaryProtocol(line) },
}

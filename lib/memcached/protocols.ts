import type { ProtocolName, ServerAddress } from './address.ts'
import { BinaryGreeting } from './binary/binary-greeting.ts'
import { BinaryProtocol } from './binary/binary-protocol.ts'
import type { Greeting, Line, Protocol } from './protocol.ts'
import { TextGreeting } from './text/text-greeting.ts'
import { TextProtocol } from './text/text-protocol.ts'

interface Speech {
  greet(address: ServerAddress): Greeting
  speak(line: Line): Protocol
}

export const PROTOCOLS: Record<ProtocolName, Speech> = {
  binary: { greet: address => new BinaryGreeting(address), speak: line => new BinaryProtocol(line) },
  text: { greet: address => new TextGreeting(address), speak: line => new TextProtocol(line) },
}

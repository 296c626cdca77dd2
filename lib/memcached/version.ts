/**
 * Which state of an item was read or written, for a write on the condition that it is still there. Opaque
 * to all but the transport it came from.
 *
 * It is good for one life of a server's connection: after a restart memcached's CAS tokens begin anew, and
 * an old one may match an item it was never given for. A write conditional on a version of another life is
 * answered EXISTS, and nothing is sent: look again, and compare what is stored.
 */
export interface Version {
  /** The connection it came over; one object for each. */
  readonly life: object
}

/** A CAS token, in two halves: 64 bits do not fit a number. */
export class CasVersion implements Version {
  readonly life: object
  readonly high: number
  readonly low: number

  constructor(life: object, high: number, low: number) {
    this.life = life
    this.high = high
    this.low = low
  }
}

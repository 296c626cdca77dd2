import type { Request } from 'express'
import { networkAddress } from './network.ts'

/** From where the app can be reached. */
export interface Reach {
  /** It listens to more than this computer. */
  readonly isOpen: boolean
  /** Where others find it, if somebody said so. */
  readonly publicUrl?: string | undefined
}

const LOCAL = /^(localhost|127\.[\d.]+|0\.0\.0\.0|\[::1?\])$/

/** Does this host name mean the computer that it is used on? */
export function isLocal(hostname: string): boolean {
  return LOCAL.test(hostname)
}

/** Does this address listen to more than this computer? */
export function isOpen(host: string): boolean {
  return host === '0.0.0.0' || host === '::' || !isLocal(host.includes(':') ? `[${host}]` : host)
}

/** Where another device finds the app; undefined where none does. Looked up anew: computers change networks. */
export function baseForOthers(req: Request, { isOpen, publicUrl }: Reach): string | undefined {
  if (publicUrl !== undefined) return publicUrl
  const here = new URL(`${req.protocol}://${req.get('host')}`)
  if (!isLocal(here.hostname)) return here.origin
  const address = isOpen ? networkAddress() : undefined
  return address && `${req.protocol}://${address}:${req.socket.localPort}`
}

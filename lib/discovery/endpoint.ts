import { isIPv6 } from 'node:net'

/** A name and a port. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** @throws TypeError - for anything but `name`, `name:port` or `[v6]:port`; the port is 11211 unless given. */
export function parseEndpoint(text: string): Endpoint {
  const [, v6, name = '', digits = '11211'] =
    /^(?:\[(.*)\]|([^:/\s@]+))(?::(\d{1,5}))?$/.exec(String(text)) ?? []
  const host = v6 ?? name
  const port = Number(digits)
  if (host === '' || (v6 !== undefined && !isIPv6(v6)) || port < 1 || port > 65535) {
    throw new TypeError(`Expected a name and a port, such as \`memcached.example:11211\`, got \`${text}\``)
  }
  return { host, port }
}

/** As the option `servers` takes it. */
export function addressOf(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

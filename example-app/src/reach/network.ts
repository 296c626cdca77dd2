import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>

/** Of containers, virtual machines and tunnels: no phone is behind these. */
const VIRTUAL =
  /^(docker|br-|bridge|veth|virbr|vmnet|vmenet|vbox|vethernet|vnic|tun|utun|tap|wg|zt|tailscale|ifb|awdl|llw)/i
/** What home and office networks use (RFC 1918), the likeliest first. */
const PRIVATE = [/^192\.168\./, /^10\./, /^172\.(1[6-9]|2\d|3[01])\./]
const LINK_LOCAL = /^169\.254\./

/** This computer's address for devices in the same network; undefined where it has none that helps them. */
export function networkAddress(interfaces: Interfaces = outerInterfaces()): string | undefined {
  const addresses = Object.entries(interfaces)
    .filter(([name]) => !VIRTUAL.test(name))
    .flatMap(([, infos]) => infos ?? [])
    .filter(({ family, internal, address }) => family === 'IPv4' && !internal && !LINK_LOCAL.test(address))
    .map(({ address }) => address)
  const likely = PRIVATE.map(range => addresses.find(address => range.test(address)))
  return likely.find(address => address !== undefined) ?? addresses[0]
}

/** A container, which says so in the variable `container`, has an address that only its own computer knows. */
function outerInterfaces(): Interfaces {
  return process.env.container === undefined ? networkInterfaces() : {}
}

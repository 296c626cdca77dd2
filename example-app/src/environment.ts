import { fileURLToPath } from 'node:url'

export interface Address {
  readonly port: number
  readonly host: string
}

/** Where to keep a secret that nobody gave. */
export function secretFile(env: NodeJS.ProcessEnv): string {
  const given = env.SESSION_SECRET_FILE ?? ''
  return given === '' ? fileURLToPath(new URL('../.session-secret', import.meta.url)) : given
}

/** Where to listen: for this computer only, unless phones are wanted. @throws Error - with a message for people. */
export function readAddress(env: NodeJS.ProcessEnv, { phone }: { phone: boolean }): Address {
  const port = Number(env.PORT ?? 3000)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`Expected PORT to be a number from 0 to 65535, got ${env.PORT}`)
  return { port, host: env.HOST ?? (phone ? '0.0.0.0' : '127.0.0.1') }
}

/** Where other devices find the app, if somebody said so. @throws Error - with a message for people. */
export function readPublicUrl(env: NodeJS.ProcessEnv): string | undefined {
  const given = env.PUBLIC_URL ?? ''
  if (given === '') return undefined
  if (!/^https?:\/\//.test(given) || !URL.canParse(given))
    throw new Error(`Expected PUBLIC_URL to be like http://192.168.1.5:3000, got ${given}`)
  return new URL(given).origin
}

import { fileURLToPath } from 'node:url'

export interface Address {
  readonly port: number
  readonly host: string
}

/** Where to keep a secret that nobody gave. */
export const SECRET_FILE: string = fileURLToPath(new URL('../.session-secret', import.meta.url))

/** Where to listen. @throws Error - with a message for people. */
export function readAddress(env: NodeJS.ProcessEnv): Address {
  const port = Number(env.PORT ?? 3000)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`Expected PORT to be a number from 0 to 65535, got ${env.PORT}`)
  return { port, host: env.HOST ?? '127.0.0.1' }
}
